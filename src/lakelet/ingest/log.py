"""A delivery stream's log: records in order, each known by its position.

Appended records are durable once `sync` returns; only then may anybody be told.
A failed write or sync is never repeated: the segment ends at its last durable
byte and a new one begins there (after a failed fsync Linux drops the dirty pages
and reports success the next time, so asking again proves nothing).

docs/durability.md argues each crash point.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lakelet.ingest import frame as frames
from lakelet.ingest.errors import LogUnavailable
from lakelet.ingest.frame import Frame, Header
from lakelet.ingest.recovery import Recovery, recover
from lakelet.ingest.segment import (
    KEPT_ASIDE_SUFFIX,
    Damage,
    Found,
    Gap,
    Segment,
    scan,
    segment_name,
)
from lakelet.model.ports import AppendFile, FileSystem

# Deleted when its last record is delivered: small enough that little delivered
# data lingers, large enough that creating one (two fsyncs) is rare at full load.
SEGMENT_SIZE_BYTES_MAX = 32 * 1024 * 1024


@dataclass(slots=True)
class _Active:
    """The segment being written."""

    file: AppendFile
    segment: Segment
    written_bytes: int = 0  # durable or not


class Log:
    """One writer thread appends and syncs; any other may read and discard meanwhile."""

    def __init__(
        self, files: FileSystem, folder: str, *, key: int, size_bytes_max: int, recovery: Recovery
    ) -> None:
        """Use `Log.open`."""
        self._files, self._folder, self._key = files, folder, key
        self._size_bytes_max = size_bytes_max
        self._lock = threading.Lock()  # over the segments and the active one
        self._segments = list(recovery.segments)
        self._active: _Active | None = None
        self._leftover = ""  # a file that must go before its name can be used again
        self.recovery = recovery
        self.position_next = self.position_durable = recovery.position_next

    @classmethod
    def open(
        cls,
        files: FileSystem,
        folder: str,
        *,
        key: int = 0,
        delivered: int = 0,
        size_bytes_max: int = SEGMENT_SIZE_BYTES_MAX,
        on_frame: Callable[[Header], None] = lambda _header: None,
    ) -> "Log":
        """Recover a log, or begin one.

        Args:
            key: the log's own number, 32 bits; its frames carry it in their checksums.
            delivered: positions below it are done with; only the rest is read.
            on_frame: told of every undelivered whole frame, in order.
        Raises:
            OSError: the folder can't be read, or its tail can't be made durable.
        """
        recovery = recover(files, folder, key=key, delivered=delivered, on_frame=on_frame)
        return cls(files, folder, key=key, size_bytes_max=size_bytes_max, recovery=recovery)

    # --- writing ------------------------------------------------------------------

    def append(self, records: Sequence[bytes], arrived_ms: int) -> int:
        """Write records as one frame, not yet durable; gives the first one's position.

        Raises:
            LogUnavailable: not written; nor is anything at or after `position_durable`.
        """
        with self._lock:
            active = self._writable()
            position = self.position_next
            buffers = frames.encode(
                records,
                key=self._key,
                first_position=position,
                durable_position=self.position_durable,
                arrived_ms=arrived_ms,
            )
            try:
                active.file.write(buffers)
            except OSError as error:
                self._abandon(active)
                raise _unavailable("write", active.segment.name, error) from error
            active.segment.mark(position, active.written_bytes)
            active.written_bytes += sum(map(len, buffers))
            self.position_next = position + len(records)
            return position

    def sync(self) -> int:
        """Make all that was appended durable; gives the position after it.

        Raises:
            LogUnavailable: nothing at or after `position_durable` is kept.
        """
        active = self._active
        if active is None or self.position_next == self.position_durable:
            return self.position_durable
        # Without the lock, so that readers go on: while something is unsynced,
        # nobody but this thread touches the active segment.
        try:
            active.file.sync()
        except OSError as error:
            with self._lock:
                self._abandon(active)
            raise _unavailable("sync", active.segment.name, error) from error
        with self._lock:
            self._settle(active)
        return self.position_durable

    def close(self) -> None:
        """What is unsynced stays unacknowledged."""
        with self._lock:
            self._close_active()

    # --- reading ------------------------------------------------------------------

    def read(self, first: int, end: int) -> Iterator[Frame | Damage]:
        """Durable records from `first` up to `end`, and what can't be read of them.

        Frames are cut to the range; damage is told in its place.
        """
        with self._lock:
            segments = [s for s in self._segments if s.first_position < end]
        position = first
        for segment in segments:
            if segment.end_position <= position:
                continue
            if segment.first_position > position:
                yield Damage(segment.name, position, segment.first_position, acknowledged=True)
                position = segment.first_position
            limit = min(end, segment.end_position)
            yield from self._read_segment(segment, position, limit)
            position = limit
        if position < end:
            yield Damage("", position, end, acknowledged=True)

    def discard(self, position: int) -> None:
        """Let go of records below `position`: whole segments only. Damaged ones are
        kept aside under another name.

        Raises:
            OSError: some are still there; the next call tries again.
        """
        with self._lock:
            gone = 0
            while self._segments and self._segments[0].end_position <= position:
                segment = self._segments[0]
                if self._active and self._active.segment is segment:
                    if self.position_next != self.position_durable:
                        break
                    self._close_active()
                path = f"{self._folder}/{segment.name}"
                if segment.is_damaged:
                    self._files.rename(path, path + KEPT_ASIDE_SUFFIX)
                else:
                    self._files.remove(path)
                del self._segments[0]
                gone += 1
            if gone:
                self._files.sync_folder(self._folder)

    @property
    def size_bytes(self) -> int:
        """On disk, delivered or not."""
        return sum(segment.size_bytes for segment in list(self._segments))

    # --- inside -------------------------------------------------------------------

    def _writable(self) -> _Active:
        if self._active and self._active.written_bytes >= self._size_bytes_max:
            self._roll(self._active)
        if self._active is None:
            self._active = self._begin()
            self._segments.append(self._active.segment)
        return self._active

    def _roll(self, active: _Active) -> None:
        """Close the active segment whole and durable, so that one sync is always enough."""
        try:
            active.file.sync()
        except OSError as error:
            self._abandon(active)
            raise _unavailable("sync", active.segment.name, error) from error
        self._settle(active)
        self._close_active()

    def _begin(self) -> _Active:
        name = segment_name(self.position_next)
        path = f"{self._folder}/{name}"
        try:
            if self._leftover:
                with suppress(FileNotFoundError):
                    self._files.remove(self._leftover)
            self._leftover = path
            file = self._files.append(path)
            try:
                # A new file outlives a crash only if its folder's entry is on disk too.
                self._files.sync_folder(self._folder)
            except OSError:
                file.close()
                raise
        except OSError as error:
            raise _unavailable("create", name, error) from error
        self._leftover = ""
        return _Active(file, Segment(name, self.position_next, self.position_next))

    def _settle(self, active: _Active) -> None:
        """All that was written is durable."""
        active.segment.size_bytes = active.written_bytes
        active.segment.end_position = self.position_next
        self.position_durable = self.position_next

    def _abandon(self, active: _Active) -> None:
        """End the active segment at its last durable byte.

        What follows is void: the next segment begins at the same position. It is
        cut off as well where the disk still allows, so that records answered with
        an error don't come back after a restart.
        """
        segment = active.segment
        path = f"{self._folder}/{segment.name}"
        with suppress(OSError):
            self._close_active()
        self.position_next = self.position_durable
        segment.marks = [mark for mark in segment.marks if mark[0] <= self.position_durable]
        if segment.end_position == segment.first_position:
            self._segments.remove(segment)
            self._leftover = path
        with suppress(OSError):
            self._files.truncate(path, segment.size_bytes)

    def _close_active(self) -> None:
        active, self._active = self._active, None
        if active:
            active.file.close()

    def _read_segment(self, segment: Segment, first: int, limit: int) -> Iterator[Frame | Damage]:
        marks = segment.marks
        start_position, start = marks[bisect_right(marks, (first, 1 << 62)) - 1]
        stop_at = bisect_right(marks, (limit, -1))
        stop = marks[stop_at][1] if stop_at < len(marks) else segment.size_bytes
        path = f"{self._folder}/{segment.name}"
        data = memoryview(self._files.read(path, start, stop - start))
        position = first
        for item in scan(data, key=self._key, first_position=start_position, limit=limit):
            if isinstance(item, Found):
                if item.header.end_position > first:
                    position = item.header.end_position
                    body = data[item.end_offset - item.header.body_size : item.end_offset]
                    yield _cut(frames.decode_body(item.header, body), first, limit)
            elif isinstance(item, Gap) and item.end_position > first:
                segment.is_damaged = True
                low, position = max(first, item.first_position), min(limit, item.end_position)
                yield Damage(segment.name, low, position, item.acknowledged)
        if position < limit:
            segment.is_damaged = True
            yield Damage(segment.name, position, limit, acknowledged=True)


def _cut(frame: Frame, first: int, limit: int) -> Frame:
    """The part of a frame between two positions; nearly always all of it."""
    if first <= frame.first_position and frame.end_position <= limit:
        return frame
    low = max(first, frame.first_position)
    kept = frame.records[low - frame.first_position : limit - frame.first_position]
    return Frame(low, frame.arrived_ms, kept)


def _unavailable(call: str, name: str, error: OSError) -> LogUnavailable:
    return LogUnavailable(
        f"the log could not {call} segment {name}: {error.strerror or error}",
        hint="Nothing was acknowledged. Free or mend the disk; the node goes on by itself.",
    )
