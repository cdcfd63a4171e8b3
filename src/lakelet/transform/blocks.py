"""An endless stream of bytes → blocks that can be read apart."""

from collections.abc import Iterator
from dataclasses import dataclass

from lakelet.transform.frame import RECORD_SIZE_BYTES_MAX, Framer

BLOCK_SIZE_BYTES = 16 << 20
_MARGIN_BYTES = 256  # how much white space around a newline is looked through
_LINES_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Block:
    data: bytes
    offset_bytes: int  # of its first byte in the inflated object


def blocks(pieces: Iterator[bytes], *, block_size_bytes: int = BLOCK_SIZE_BYTES) -> Iterator[Block]:
    """Whole records only, about `block_size_bytes` each, the same however the pieces fall.

    A block grows past that size only where one record does.
    """
    waiting, offset_bytes, size_bytes = bytearray(), 0, block_size_bytes
    for piece in pieces:
        waiting += piece
        while len(waiting) >= size_bytes + _MARGIN_BYTES:
            end = _line_cut(waiting, size_bytes) or _framed_cut(bytes(waiting[:size_bytes]))
            if not end and size_bytes < 2 * RECORD_SIZE_BYTES_MAX:
                size_bytes *= 2
                continue
            end = end or size_bytes
            yield Block(bytes(memoryview(waiting)[:end]), offset_bytes)
            del waiting[:end]
            offset_bytes, size_bytes = offset_bytes + end, block_size_bytes
    if waiting:
        yield Block(bytes(waiting), offset_bytes)


def _line_cut(data: bytearray, size_bytes: int) -> int:
    """Just behind the newline of the last hard boundary; 0 where there is none near."""
    at = size_bytes
    for _ in range(_LINES_LOOKED_AT):
        at = data.rfind(b"\n", 0, at)
        if at < 0:
            return 0
        before = data[max(0, at - _MARGIN_BYTES) : at].rstrip(b" \t\r\n")
        behind = data[at : at + _MARGIN_BYTES].lstrip(b" \t\r\n")
        if before.endswith(b"}") and behind.startswith(b"{"):
            return at + 1
    return 0


def _framed_cut(data: bytes) -> int:
    """Just behind the last closed record; 0 where none closes."""
    end = 0
    for extent in Framer(data, 0, len(data)):
        if extent.closed:
            end = extent.end
    return end
