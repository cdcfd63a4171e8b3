"""Signature Version 2, for presigned S3 addresses alone: boto3 still makes them by default.

    /bucket/key?AWSAccessKeyId=<key>&Signature=<base64>&Expires=<epoch seconds>

Source: "Signing and authenticating REST requests (AWS signature version 2)", the S3 user guide.
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from lakelet.wire.errors import ProtocolRefusal, Refusal
from lakelet.wire.http import HttpRequest, query_pairs
from lakelet.wire.s3.addressing import address_of
from lakelet.wire.sigv4 import Claim, CredentialStore, Scope, Verified, unknown_key, wrong_signature

# The parts of a query that belong to the resource; the others are not signed.
_SUBRESOURCES = {
    "acl", "cors", "delete", "lifecycle", "location", "logging", "notification", "object-lock",
    "partNumber", "policy", "replication", "requestPayment", "restore", "select", "select-type",
    "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
    "response-cache-control", "response-content-disposition", "response-content-encoding",
    "response-content-language", "response-content-type", "response-expires",
}  # fmt: skip


class LegacyClaim(Claim):
    """A claim of version 2: it has no scope and no instant but its end."""

    __slots__ = ()


def read_claim(request: HttpRequest) -> LegacyClaim | None:
    """Raises ProtocolRefusal, RequestRefused where a signature is there but cannot be read."""
    if "AWSAccessKeyId=" not in request.query_string:  # not every address can be decoded
        return None
    query = request.query
    if "Signature" not in query:
        return None
    expires = query.get("Expires", "")
    if not expires.isdigit() or len(expires) > 11:
        raise ProtocolRefusal(
            Refusal.MALFORMED_SIGNATURE, f"Expires must be a number of seconds, got {expires!r}."
        )
    ends_at = datetime.fromtimestamp(int(expires), UTC)
    scope = Scope("", "us-east-1", "s3")
    return LegacyClaim(query["AWSAccessKeyId"], scope, (), query["Signature"], ends_at, 0)


def verify(
    request: HttpRequest, claim: LegacyClaim, credentials: CredentialStore, now: datetime
) -> Verified:
    """Raises ProtocolRefusal."""
    secret = credentials.secret_access_key(claim.access_key_id)
    if secret is None:
        raise unknown_key(claim.access_key_id)
    if now > claim.signed_at:
        raise ProtocolRefusal(Refusal.EXPIRED, "Request has expired.")
    text = _text_to_sign(request)
    digest = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha1")
    if not hmac.compare_digest(base64.b64encode(digest).decode(), claim.signature):
        raise wrong_signature()
    return Verified(claim, b"", "UNSIGNED-PAYLOAD")


def _text_to_sign(request: HttpRequest) -> str:
    """Headers may have been moved into the query, to be signed there."""
    given: Mapping[str, str] = {**request.query, **request.headers}
    amz = sorted(name for name in given if name.lower().startswith("x-amz-"))
    return "\n".join(
        (
            request.method,
            given.get("content-md5", ""),
            given.get("content-type", ""),
            request.query["Expires"],
            *(f"{name.lower()}:{given[name].strip()}" for name in amz),
            _resource(request),
        )
    )


def _resource(request: HttpRequest) -> str:
    bucket = address_of(request).bucket
    is_in_path = request.raw_path.lstrip("/").partition("/")[0] == bucket
    path = request.raw_path if is_in_path or not bucket else f"/{bucket}{request.raw_path}"
    signed = sorted(p for p in query_pairs(request.query_string) if p[0] in _SUBRESOURCES)
    if not signed:
        return path
    return path + "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
