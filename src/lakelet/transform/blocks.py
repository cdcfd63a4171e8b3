"""An endless stream of bytes → blocks that can be read apart."""

from collections.abc import Iterator
from dataclasses import dataclass

from lakelet.model.jsontext import loads
from lakelet.transform.frame import RECORD_SIZE_BYTES_MAX, Framer

# Guess that measured well: large enough for the fixed cost of a block to vanish and for a
# buffer of 5 MB to be one, small enough for several to be in hand.
BLOCK_SIZE_BYTES = 6 << 20
# The first of several is by so much smaller: what readers learn of an object from its first
# block, they learn sooner and for less.
_FIRST_PART = 6
_MARGIN_BYTES = 256  # how much white space around a newline is looked through
_LINES_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Block:
    data: bytes
    offset_bytes: int  # of its first byte in the inflated object


def blocks(pieces: Iterator[bytes], *, block_size_bytes: int = BLOCK_SIZE_BYTES) -> Iterator[Block]:
    """Whole records only, about `block_size_bytes` each, the same however the pieces fall.

    A block grows past that size only where one record does. Where there are several, the first
    is smaller.
    """
    offset_bytes, size_bytes = 0, block_size_bytes
    is_first = True
    waiting: list[bytes] = []
    waiting_size_bytes = 0
    for piece in pieces:
        waiting.append(piece)
        waiting_size_bytes += len(piece)
        del piece  # nothing is to be in memory twice while a block is worked on
        if waiting_size_bytes < size_bytes + _MARGIN_BYTES:
            continue
        data, at = b"".join(waiting), 0
        waiting.clear()
        if is_first:
            is_first, size_bytes = False, max(1, size_bytes // _FIRST_PART)
        while len(data) - at >= size_bytes + _MARGIN_BYTES:
            end = _cut(data, at, at + size_bytes)
            if end == at and size_bytes < 2 * RECORD_SIZE_BYTES_MAX:
                size_bytes *= 2
                continue
            end = end if end > at else at + size_bytes
            yield Block(data[at:end], offset_bytes)
            offset_bytes, size_bytes, at = offset_bytes + end - at, block_size_bytes, end
        waiting, waiting_size_bytes = [data[at:]], len(data) - at
    if waiting_size_bytes:
        data = b"".join(waiting)
        waiting.clear()
        yield Block(data, offset_bytes)


def _cut(data: bytes, start: int, end: int) -> int:
    """The last place before `end` where a block may end; `start` where there is none."""
    return (
        _line_cut(data, start, end)
        or _joined_cut(data, start, end)
        or start + _framed_cut(data[start:end])
    )


def _line_cut(data: bytes, start: int, end: int) -> int:
    """Just behind the newline of the last hard boundary; 0 where there is none near."""
    at = end
    for _ in range(_LINES_LOOKED_AT):
        at = data.rfind(b"\n", start, at)
        if at < 0:
            return 0
        before = data[max(start, at - _MARGIN_BYTES) : at].rstrip(b" \t\r\n")
        behind = data[at : at + _MARGIN_BYTES].lstrip(b" \t\r\n")
        if before.endswith(b"}") and behind.startswith(b"{"):
            return at + 1
    return 0


def _joined_cut(data: bytes, start: int, end: int) -> int:
    """Between the braces of a `}{"`; 0 where there is none that is surely no string's.

    Valid JSON has that only inside a string, which the quote then ends: so if the
    object before it is JSON by itself, it was no string.
    """
    at = end
    for _ in range(_LINES_LOOKED_AT):
        at = data.rfind(b'}{"', start, at)
        if at < 0:
            return 0
        opened = data.rfind(b"{", start, at)
        if opened >= 0 and _is_json(data[opened : at + 1]):
            return at + 1
    return 0


def _is_json(text: bytes) -> bool:
    try:
        loads(text.decode())
    except ValueError:
        return False
    return True


def _framed_cut(data: bytes) -> int:
    """Just behind the last record closed before the first that reaches over the end."""
    end = 0
    for extent in Framer(data, 0, len(data)):
        if extent.closed:
            end = extent.end
        elif extent.problem == "unclosed":
            break
    return end
