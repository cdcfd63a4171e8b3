"""The usual signature, verified sooner: a POST to `/` that is signed in its header.

So every SDK asks of every service but S3. What is the same in all requests of a client is worked
out once for its Authorization header without the signature; the rest is three hashes. It says yes
only where `sigv4.verify` would. Whatever is unusual or wrong is left to that, which also tells
what it is; tests/wire/test_sigv4_usual.py holds them together.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from lakelet.wire.errors import ProtocolRefusal
from lakelet.wire.sigv4 import (
    ALGORITHM,
    SKEW_MAX,
    CredentialStore,
    Scope,
    claimed,
    instant_of,
    signing_key,
    stamp_of,
    unsigned_headers,
)


@dataclass(frozen=True, slots=True)
class _Client:
    """What all requests of one client have in common, as long as its key holds: a day."""

    access_key_id: str
    scope: Scope
    date: bytes  # of the scope
    signed_headers: tuple[bytes, ...]
    canonical: bytes  # the canonical request, to be filled in: signed headers, payload's hash
    to_sign: bytes  # the string to sign, to be filled in: date, canonical request's hash


def holds(
    headers: Mapping[bytes, bytes],
    payload_sha256: bytes,
    credentials: CredentialStore,
    service: str,
    now: datetime,
) -> bool:
    """Whether a POST to `/` is signed for a service. False may also mean: ask `verify`.

    Args:
        headers: names in lower case; none of them came twice.
        payload_sha256: of the body, in hexadecimal.
    """
    before, _, signature = headers.get(b"authorization", b"").rpartition(b"Signature=")
    client = _client(before)
    if client is None or (scope := client.scope).service != service:
        return False
    secret = credentials.secret_access_key(client.access_key_id)
    signed_at = _signed_at(headers.get(b"x-amz-date", b""))
    if secret is None or signed_at is None:
        return False
    if _uncovered(tuple(headers), client.signed_headers):
        return False
    at, stamp = signed_at
    if stamp[:8] != client.date or not -SKEW_MAX <= now - at <= SKEW_MAX:
        return False
    values = [_canonical(headers.get(name, b"")) for name in client.signed_headers]
    canonical = client.canonical % (*values, payload_sha256)
    to_sign = client.to_sign % (stamp, hashlib.sha256(canonical).hexdigest().encode())
    key = _key(secret, scope.date, scope.region, scope.service)
    expected = hmac.digest(key, to_sign, "sha256").hex().encode()
    return hmac.compare_digest(expected, signature.strip())


@lru_cache(maxsize=256)
def _client(before: bytes) -> _Client | None:
    """By an Authorization header up to its signature."""
    head = before.decode("latin-1")
    if not head.startswith(ALGORITHM) or "Signature=" in head or "%" in head or not head.isascii():
        return None
    try:
        access_key_id, scope, names = claimed(head.rstrip(" ,"))
    except ProtocolRefusal:
        return None
    lines = "".join(f"{name}:%b\n" for name in names)
    return _Client(
        access_key_id,
        scope,
        scope.date.encode(),
        tuple(name.encode() for name in names),
        f"POST\n/\n\n{lines}\n{';'.join(names)}\n%b".encode(),
        f"{ALGORITHM}\n%b\n{scope}\n%b".encode(),
    )


@lru_cache(maxsize=256)
def _uncovered(names: tuple[bytes, ...], signed_headers: tuple[bytes, ...]) -> list[str]:
    """Headers that decide something and are not signed."""
    return unsigned_headers(
        tuple(name.decode("latin-1") for name in names),
        tuple(name.decode("latin-1") for name in signed_headers),
    )


@lru_cache(maxsize=128)
def _key(secret: str, date: str, region: str, service: str) -> bytes:
    """`signing_key` keeps them too, but asks its dataclass for a hash each time."""
    return signing_key(secret, Scope(date, region, service))


@lru_cache(maxsize=256)
def _signed_at(stamp: bytes) -> tuple[datetime, bytes] | None:
    try:
        at = instant_of(stamp.decode("latin-1"))
    except ProtocolRefusal:
        return None
    return at, stamp_of(at).encode()


@lru_cache(maxsize=256)
def _canonical(value: bytes) -> bytes:
    """A header's value, white space made single; most come again with the next request."""
    return " ".join(value.decode("latin-1").split()).encode("utf-8")
