"""Stored bytes → inflated bytes, as a stream; gzip is known by its magic, not its name."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

_zlib: Any
try:  # two to three times faster where it is installed; the same bytes either way
    from isal import isal_zlib

    _zlib = isal_zlib
except ImportError:
    _zlib = zlib

GZIP_MAGIC = b"\x1f\x8b"
_READ_SIZE_BYTES = 1 << 20
_INFLATE_SIZE_BYTES = 4 << 20  # a bomb is met four megabytes at a time


@dataclass(slots=True)
class Tear:
    """Where a stream stopped making sense: what is left of it, and why."""

    reason: str = ""  # "" while all is well; "gzip" or "inflated_size"
    message: str = ""
    rest: bytes = b""  # stored bytes that could not be read, at most one read's worth


def inflate(
    stored: BinaryIO,
    tear: Tear,
    *,
    size_bytes_max: int,
    read_size_bytes: int = _READ_SIZE_BYTES,
) -> Iterator[bytes]:
    """Inflated pieces, in order. A torn or oversize stream ends early and fills in `tear`.

    Several gzip members in one object are one stream, as gzip itself has it.
    """
    head = stored.read(read_size_bytes)
    while head and len(head) < len(GZIP_MAGIC) and (more := stored.read(read_size_bytes)):
        head += more
    pieces = (
        _members(head, lambda: stored.read(read_size_bytes), tear)
        if head.startswith(GZIP_MAGIC)
        else _plain(head, lambda: stored.read(read_size_bytes))
    )
    size_bytes = 0
    for piece in pieces:
        size_bytes += len(piece)
        if size_bytes > size_bytes_max:
            yield piece[: len(piece) - (size_bytes - size_bytes_max)]
            tear.reason = "inflated_size"
            tear.message = f"the object inflates to more than {size_bytes_max} bytes"
            return
        yield piece


def _plain(head: bytes, read: Callable[[], bytes]) -> Iterator[bytes]:
    while head:
        yield head
        head = read()


def _members(data: bytes, read: Callable[[], bytes], tear: Tear) -> Iterator[bytes]:
    while data:
        member: Any = _zlib.decompressobj(wbits=31)
        while not member.eof:
            if not data and not (data := read()):
                tear.reason, tear.message = "gzip", "the gzip stream stops before its end"
                return
            try:
                piece = member.decompress(data, _INFLATE_SIZE_BYTES)
            except (zlib.error, _zlib.error) as error:
                tear.reason, tear.message, tear.rest = "gzip", f"not gzip from here: {error}", data
                return
            data = member.unconsumed_tail
            if piece:
                yield piece
        data = (member.unused_data or read()).lstrip(b"\0")  # tape padding is allowed
        if data and not data.startswith(GZIP_MAGIC[: len(data)]):
            tear.reason, tear.rest = "gzip", data
            tear.message = "bytes follow the gzip stream that are not gzip"
            return
