"""The checksums that S3 clients send along, and whether the bytes have them."""

import base64
import hashlib
import importlib
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from lakelet.wire.errors import RequestRefused

HEADER_PREFIX = "x-amz-checksum-"

# The two CRCs that Python has no fast code for: checked where AWS's own runtime is installed
# (boto3[crt]); taken on trust otherwise, since a table in Python would be slower than a disk.
_CRT_FUNCTIONS = {"crc32c": ("crc32c", 4), "crc64nvme": ("crc64nvme", 8)}


class Checksum(Protocol):
    def update(self, data: bytes) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, function: Callable[[bytes, int], int], size_bytes: int) -> None:
        self._function = function
        self._size_bytes = size_bytes
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size_bytes, "big")


def new_checksum(algorithm: str) -> Checksum | None:
    """By its header's last word; None for one that cannot be computed here."""
    if algorithm == "crc32":
        return _Crc(zlib.crc32, 4)
    if algorithm in ("md5", "sha1", "sha256", "sha512"):
        return hashlib.new(algorithm, usedforsecurity=False)
    if algorithm in _CRT_FUNCTIONS:
        name, size_bytes = _CRT_FUNCTIONS[algorithm]
        function = getattr(_crt(), name, None)
        return _Crc(function, size_bytes) if function else None
    return None


def _crt() -> Any:
    try:
        return importlib.import_module("awscrt.checksums")
    except ImportError:
        return None


def check_digest(algorithm: str, computed: bytes, declared: str) -> None:
    """Raises RequestRefused as S3 does: BadDigest, or InvalidDigest for what is no Base64."""
    try:
        expected = base64.b64decode(declared, validate=True)
    except ValueError as error:
        raise RequestRefused(
            "InvalidDigest", f"The {algorithm} you specified was invalid: {declared[:80]!r}."
        ) from error
    if computed != expected:
        raise RequestRefused(
            "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
        )
