"""What a log folder still holds after a crash, found segment by segment."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest

from lakelet.ingest.frame import Header
from lakelet.ingest.segment import (
    KEPT_ASIDE_SUFFIX,
    Damage,
    Found,
    Gap,
    Segment,
    Tail,
    first_position_of,
    scan,
    segment_name,
)
from lakelet.model.ports import FileSystem


@dataclass(slots=True)
class Recovery:
    """What was found: counts are of what is not delivered yet."""

    position_next: int
    segments: list[Segment] = field(default_factory=list)
    frames: int = 0
    records: int = 0
    torn_bytes: int = 0  # after the last whole frame: as a rule a write cut short
    damages: list[Damage] = field(default_factory=list)


def recover(
    files: FileSystem,
    folder: str,
    *,
    key: int,
    delivered: int,
    on_frame: Callable[[Header], None],
) -> Recovery:
    """Read what is undelivered, drop what is delivered, make the rest durable.

    Nothing is cut: new records always go to a new segment, and a segment ends
    where the next begins, so a torn tail is void by its place.

    Raises:
        OSError: the folder can't be read, or its tail can't be made durable.
    """
    files.make_folder(folder)
    firsts = sorted(
        first for file in files.list(folder) if (first := first_position_of(file.name)) is not None
    )
    while len(firsts) > 1 and firsts[1] <= delivered:
        files.remove(f"{folder}/{segment_name(firsts.pop(0))}")
    recovery = Recovery(delivered)
    for first, limit in zip_longest(firsts, firsts[1:]):
        path = f"{folder}/{segment_name(first)}"
        data = memoryview(files.read(path))
        segment = _read(data, key, first, limit, delivered, recovery, on_frame)
        if segment.end_position == first:
            # Not one whole frame, and the next segment will want this name.
            _put_away(files, path, segment)
        else:
            recovery.segments.append(segment)
        recovery.position_next = max(recovery.position_next, segment.end_position)
    if recovery.segments:
        _make_durable(files, folder, recovery.segments[-1])
    return recovery


def _read(
    data: memoryview,
    key: int,
    first: int,
    limit: int | None,
    delivered: int,
    recovery: Recovery,
    on_frame: Callable[[Header], None],
) -> Segment:
    segment = Segment(segment_name(first), first, first)

    def report(low: int, high: int, acknowledged: bool) -> None:
        if high > delivered:
            recovery.damages.append(Damage(segment.name, max(low, delivered), high, acknowledged))

    if first > recovery.position_next:
        report(recovery.position_next, first, True)
    for item in scan(data, key=key, first_position=first, limit=limit):
        if isinstance(item, Found):
            segment.extend(item)
            if item.header.end_position > delivered:
                recovery.frames += 1
                recovery.records += item.header.record_count
                on_frame(item.header)
        elif isinstance(item, Gap):
            segment.is_damaged = True
            report(item.first_position, item.end_position, item.acknowledged)
        elif limit is not None and item.position < limit:
            # A segment is durable before the next begins: what is missing was acknowledged.
            segment.is_damaged, segment.end_position = True, limit
            report(item.position, limit, True)
        elif limit is None:
            _note_tail(segment, item, recovery)
    return segment


def _note_tail(segment: Segment, tail: Tail, recovery: Recovery) -> None:
    """A frame of full size may be an acknowledged one that rotted, as well as an
    unacknowledged one whose pages came to disk in part: nobody can tell, so its
    segment is kept aside rather than deleted."""
    recovery.torn_bytes += tail.left_bytes
    segment.is_damaged |= tail.looks_whole


def _put_away(files: FileSystem, path: str, segment: Segment) -> None:
    if segment.is_damaged:
        files.rename(path, path + KEPT_ASIDE_SUFFIX)
    else:
        files.remove(path)


def _make_durable(files: FileSystem, folder: str, segment: Segment) -> None:
    """The last frames may be known to the page cache alone; later positions will
    rest on them."""
    file = files.append(f"{folder}/{segment.name}")
    try:
        file.sync()
    finally:
        file.close()
    files.sync_folder(folder)
