"""Signature Version 4, the verifying side: headers and presigned addresses.

    Authorization: AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request,
                   SignedHeaders=<a;b>, Signature=<hex>

The signature is an HMAC chain over a canonical form of the request. Its only costly part
is SHA-256 over the body, done in one call on one contiguous buffer; the key that is derived
from the secret holds for a day and is cached.

Source: "Authenticating Requests (AWS Signature Version 4)", the S3 API reference, for the
forms; botocore/auth.py of the installed version is the client that tests sign with.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, unquote

from lakelet.wire.errors import ProtocolRefusal, Refusal
from lakelet.wire.http import HttpRequest, query_pairs

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_MAX = timedelta(minutes=15)  # AWS's own window
PRESIGNED_SECONDS_MAX = 7 * 24 * 3600

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class CredentialStore(Protocol):
    """Whose secrets the node knows."""

    def secret_access_key(self, access_key_id: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """`<yyyymmdd>/<region>/<service>/aws4_request`."""

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of itself, before anything of it is verified."""

    access_key_id: str
    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: datetime
    expires_in_seconds: int | None = None  # presigned addresses only

    @property
    def is_presigned(self) -> bool:
        return self.expires_in_seconds is not None


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that held, with what is needed to verify the chunks that follow it."""

    claim: Claim
    signing_key: bytes
    declared_sha256: str = ""  # S3's word for its body, still to be compared: a hash, or a word


def read_claim(request: HttpRequest) -> Claim | None:
    """The claim in a request's header or query; None where it is not signed at all.

    Raises ProtocolRefusal where a signature is there but cannot be read.
    """
    authorization = request.headers.get("authorization", "")
    if authorization.startswith(ALGORITHM):
        return _claim_from_header(authorization, request)
    if "X-Amz-Signature" in request.query_string:
        return _claim_from_query(request.query)
    return None


def verify(
    request: HttpRequest, claim: Claim, credentials: CredentialStore, now: datetime
) -> Verified:
    """Raises ProtocolRefusal with the reason a signature does not hold.

    For a request whose body is read already, the body's hash is part of it. A streamed
    body's hash is only declared: whoever reads the stream compares it at the end.
    """
    secret = credentials.secret_access_key(claim.access_key_id)
    if secret is None:
        raise unknown_key(claim.access_key_id)
    _check_instant(claim, now)
    _check_headers_signed(request, claim)
    key = signing_key(secret, claim.scope)
    payload_sha256 = _payload_sha256(request, claim)
    for query in _canonical_queries(request, claim):
        expected = _signature(request, claim, key, query, payload_sha256)
        if hmac.compare_digest(expected, claim.signature):
            is_declared = claim.scope.service == "s3"
            return Verified(claim, key, payload_sha256 if is_declared else "")
    raise wrong_signature()


def unknown_key(access_key_id: str) -> ProtocolRefusal:
    return ProtocolRefusal(
        Refusal.UNKNOWN_KEY,
        "The security token included in the request is invalid: "
        f"no such access key: {access_key_id}.",
        hint="`lakelet env` prints the keys of this node.",
    )


def wrong_signature() -> ProtocolRefusal:
    return ProtocolRefusal(
        Refusal.WRONG_SIGNATURE,
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method.",
    )


@lru_cache(maxsize=128)
def signing_key(secret: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign_text(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


# --- reading a claim --------------------------------------------------------------


def _claim_from_header(authorization: str, request: HttpRequest) -> Claim:
    # The signature stands last in every SDK's header; what is before it is the same for
    # all requests of one client and day.
    head, named, signature = authorization.rpartition("Signature=")
    if not named or "," in signature or "Signature=" in head:
        fields = dict(_authorization_fields(authorization))
        signature = fields.pop("Signature", "")
        head = ALGORITHM + " " + ",".join(f"{name}={value}" for name, value in fields.items())
    access_key_id, scope, signed_headers = claimed(head.rstrip(" ,"))
    if not signature.strip():
        raise _malformed("Authorization header requires 'Signature' parameter.")
    stamp = request.headers.get("x-amz-date") or ""
    if not stamp:
        raise _malformed("Authorization header requires existence of an 'X-Amz-Date' header.")
    return Claim(access_key_id, scope, signed_headers, signature.strip(), instant_of(stamp))


@lru_cache(maxsize=256)
def claimed(head: str) -> tuple[str, Scope, tuple[str, ...]]:
    """Key, scope and signed headers of an Authorization header without its signature."""
    fields = dict(_authorization_fields(head))
    missing = [name for name in ("Credential", "SignedHeaders") if not fields.get(name)]
    if missing:
        raise _malformed(f"Authorization header requires '{missing[0]}' parameter.")
    access_key_id, scope = _credential(fields["Credential"])
    return access_key_id, scope, tuple(fields["SignedHeaders"].lower().split(";"))


def _authorization_fields(authorization: str) -> Iterable[tuple[str, str]]:
    for part in authorization[len(ALGORITHM) :].split(","):
        name, _, value = part.strip().partition("=")
        yield name, value


def _claim_from_query(query: Mapping[str, str]) -> Claim:
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        raise _malformed(f"X-Amz-Algorithm only supports {ALGORITHM!r}.")
    names = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Date", "X-Amz-Expires")
    if missing := [name for name in names if not query.get(name)]:
        raise _malformed(f"The query lacks {missing[0]}.")
    seconds = query["X-Amz-Expires"]
    if not seconds.isdigit() or int(seconds) > PRESIGNED_SECONDS_MAX:
        raise _malformed(f"X-Amz-Expires must be a number from 0 to {PRESIGNED_SECONDS_MAX}.")
    access_key_id, scope = _credential(query["X-Amz-Credential"])
    return Claim(
        access_key_id,
        scope,
        tuple(query["X-Amz-SignedHeaders"].lower().split(";")),
        query["X-Amz-Signature"],
        instant_of(query["X-Amz-Date"]),
        int(seconds),
    )


def _credential(text: str) -> tuple[str, Scope]:
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise _malformed(
            "Credential must have 5 slash-delimited elements, "
            f"e.g. keyid/date/region/service/term, got {text!r}."
        )
    return parts[0], Scope(parts[1], parts[2], parts[3])


@lru_cache(maxsize=256)  # strptime is slow, and requests of one second share a stamp
def instant_of(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise _malformed(f"X-Amz-Date {stamp!r} is not of the form yyyyMMddTHHmmssZ.") from error


def _malformed(message: str) -> ProtocolRefusal:
    return ProtocolRefusal(Refusal.MALFORMED_SIGNATURE, message)


# --- verifying it -----------------------------------------------------------------


def _check_instant(claim: Claim, now: datetime) -> None:
    if stamp_of(claim.signed_at)[:8] != claim.scope.date:
        raise ProtocolRefusal(
            Refusal.WRONG_SIGNATURE,
            f"Date in Credential scope ({claim.scope.date}) is not the day of X-Amz-Date.",
        )
    early = claim.signed_at - now > SKEW_MAX
    if claim.expires_in_seconds is not None:
        if early or now > claim.signed_at + timedelta(seconds=claim.expires_in_seconds):
            raise ProtocolRefusal(Refusal.EXPIRED, "Request has expired.")
    elif early or now - claim.signed_at > SKEW_MAX:
        raise ProtocolRefusal(
            Refusal.SKEWED,
            f"Signature expired or not yet valid: signed at {stamp_of(claim.signed_at)}, it is "
            f"{stamp_of(now)} here; at most 15 min. may lie between.",
            hint="Set the client's clock.",
        )


def _check_headers_signed(request: HttpRequest, claim: Claim) -> None:
    """Headers that decide something must be covered, or a man in the middle could add them."""
    unsigned = unsigned_headers(tuple(request.headers), claim.signed_headers)
    if unsigned:
        raise ProtocolRefusal(
            Refusal.WRONG_SIGNATURE,
            f"There were headers present in the request which were not signed: "
            f"{', '.join(sorted(unsigned))}.",
        )


@lru_cache(maxsize=256)  # a client's requests have the same headers
def unsigned_headers(names: tuple[str, ...], signed_headers: tuple[str, ...]) -> list[str]:
    deciding = [name for name in names if name.startswith("x-amz-")]
    return [name for name in (*deciding, "host") if name not in signed_headers]


def _payload_sha256(request: HttpRequest, claim: Claim) -> str:
    declared = request.headers.get("x-amz-content-sha256")
    if claim.scope.service == "s3":
        return UNSIGNED_PAYLOAD if claim.is_presigned and not declared else declared or EMPTY_SHA256
    return hashlib.sha256(request.body).hexdigest()


def is_hash(payload_sha256: str) -> bool:
    return bool(_SHA256_HEX.fullmatch(payload_sha256))


def _signature(
    request: HttpRequest, claim: Claim, key: bytes, query: str, payload_sha256: str
) -> str:
    names, values = claim.signed_headers, request.headers
    headers = "".join([f"{name}:{' '.join(values.get(name, '').split())}\n" for name in names])
    path = _canonical_path(request, claim)
    canonical = f"{request.method}\n{path}\n{query}\n{headers}\n{';'.join(names)}\n{payload_sha256}"
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return sign_text(key, f"{ALGORITHM}\n{stamp_of(claim.signed_at)}\n{claim.scope}\n{digest}")


def _canonical_path(request: HttpRequest, claim: Claim) -> str:
    if claim.scope.service == "s3":  # encoded once, dots and slashes as they are
        return quote(unquote(request.raw_path, errors="surrogateescape"), safe="/~")
    return _encoded_again(request.raw_path)


@lru_cache(maxsize=64)  # these services have one address, `/`
def _encoded_again(raw_path: str) -> str:
    """The path as sent, encoded once more."""
    return quote(_without_dots(raw_path), safe="/~")


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            kept[-1:] = []
        elif part not in ("", "."):
            kept.append(part)
    closing = "/" if path.endswith("/") and kept else ""
    return f"/{'/'.join(kept)}{closing}"


def _canonical_queries(request: HttpRequest, claim: Claim) -> Iterable[str]:
    """As sent first; else with every name and value encoded anew, for lax clients."""
    return _queries(request, claim) if request.query_string else ("",)


def _queries(request: HttpRequest, claim: Claim) -> Iterable[str]:
    raw = [pair.partition("=")[::2] for pair in request.query_string.split("&") if pair]
    if claim.is_presigned:
        raw = [pair for pair in raw if pair[0] != "X-Amz-Signature"]
    as_sent = _joined(raw)
    yield as_sent
    decoded = query_pairs("&".join(f"{name}={value}" for name, value in raw), plus_is_space=True)
    anew = _joined([(quote(n, safe="~"), quote(v, safe="~")) for n, v in decoded])
    if anew != as_sent:
        yield anew


def _joined(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


@lru_cache(maxsize=256)
def stamp_of(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%SZ")
