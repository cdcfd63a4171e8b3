"""One segment's bytes read as frames: what recovery and every later read share. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lakelet.ingest.frame import MAGIC, Header, body_is_whole, decode_header

SUFFIX = ".seg"
KEPT_ASIDE_SUFFIX = ".damaged"

# A read begins at the nearest of a segment's marks and skips at most this much.
_MARK_EVERY_BYTES = 1024 * 1024


def segment_name(first_position: int) -> str:
    """Zero-padded, so that a listing is in order."""
    return f"{first_position:020d}{SUFFIX}"


def first_position_of(name: str) -> int | None:
    """None for a file that is no segment."""
    stem, dot, suffix = name.partition(".")
    return int(stem) if dot + suffix == SUFFIX and len(stem) == 20 and stem.isdigit() else None


@dataclass(frozen=True, slots=True)
class Found:
    """A whole frame, its body still encoded at `body_offset`."""

    header: Header
    offset: int

    @property
    def end_offset(self) -> int:
        return self.offset + self.header.frame_size


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that are no frame, and the positions that went with them."""

    offset: int
    size_bytes: int
    first_position: int
    end_position: int
    acknowledged: bool  # certainly; False where they may never have been


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the whole frames end."""

    offset: int
    position: int
    left_bytes: int  # after the last whole frame: 0 in a segment that was closed well
    looks_whole: bool  # a frame of full size follows whose body is not what was written


@dataclass(frozen=True, slots=True)
class Damage:
    """Positions that can't be read any more, and where they were."""

    segment: str
    first_position: int
    end_position: int
    acknowledged: bool


@dataclass(slots=True)
class Segment:
    """One file of the log. Size and end are of what is durable."""

    name: str
    first_position: int
    end_position: int
    size_bytes: int = 0
    marks: list[tuple[int, int]] = field(default_factory=list)  # (position, offset), sparse
    is_damaged: bool = False

    def __post_init__(self) -> None:
        self.marks.append((self.first_position, 0))

    def mark(self, position: int, offset: int) -> None:
        """A frame begins there; remembered if the last mark is far."""
        if offset - self.marks[-1][1] >= _MARK_EVERY_BYTES:
            self.marks.append((position, offset))

    def extend(self, found: Found) -> None:
        self.mark(found.header.first_position, found.offset)
        self.end_position = found.header.end_position
        self.size_bytes = found.end_offset


def scan(
    data: memoryview, *, key: int, first_position: int, limit: int | None = None
) -> Iterator[Found | Gap | Tail]:
    """Every whole frame, every gap between two of them, and last the tail.

    Args:
        data: the segment from a frame's first byte on.
        limit: where the next segment begins. What stands at or after it was
            written but never acknowledged, and its positions given anew.
    """
    offset, position = 0, first_position
    while offset < len(data) and (limit is None or position < limit):
        found = _frame_at(data, offset, key, position, limit)
        if found is None or found.header.first_position != position:
            found = _next_frame(data, offset, key, position, limit)
            if found is None:
                break
            yield Gap(
                offset,
                found.offset - offset,
                position,
                found.header.first_position,
                acknowledged=found.header.durable_position > position,
            )
        yield found
        offset, position = found.end_offset, found.header.end_position
    yield Tail(offset, position, len(data) - offset, _looks_whole(data, offset, key))


def _frame_at(
    data: memoryview, offset: int, key: int, position: int, limit: int | None
) -> Found | None:
    header = decode_header(data, key=key, offset=offset)
    if header is None or header.first_position < position:
        return None
    if limit is not None and header.first_position >= limit:
        return None
    found = Found(header, offset)
    body = data[found.end_offset - header.body_size : found.end_offset]
    return found if body_is_whole(header, body) else None


def _next_frame(
    data: memoryview, offset: int, key: int, position: int, limit: int | None
) -> Found | None:
    """The first whole frame after a damaged one, by its magic and checksums."""
    text = data.obj if isinstance(data.obj, bytes) and len(data.obj) == len(data) else bytes(data)
    at = text.find(MAGIC, offset)
    while at >= 0:
        if found := _frame_at(data, at, key, position, limit):
            return found
        at = text.find(MAGIC, at + 1)
    return None


def _looks_whole(data: memoryview, offset: int, key: int) -> bool:
    header = decode_header(data, key=key, offset=offset)
    return header is not None and offset + header.frame_size <= len(data)
