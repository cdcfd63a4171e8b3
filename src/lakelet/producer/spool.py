"""Records on disk while the stream cannot be reached: a queue of append-only files.

    <folder>/lock             held (flock) by the process that owns the folder
    <folder>/0000000001.spool frames, appended and fsynced a batch at a time
    <folder>/0000000001.sent  how far that file was acknowledged, as text
    <folder>/rejected.frames  records the service will never take, kept for a person

A file is removed once all of it was acknowledged. `.sent` is not fsynced: losing
it means sending again, which at-least-once allows. One folder a process; a
folder whose owner is gone is adopted (`spool_folders.py`).
"""

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakelet.producer.errors import SpoolDamaged, SpoolFull
from lakelet.producer.frames import decode_frames, encode_frames
from lakelet.producer.records import BATCH_RECORDS_MAX, Record, batch_end


@dataclass(frozen=True, slots=True)
class Chunk:
    """The head of the queue: at most one request's worth of records."""

    records: Sequence[Record]
    segment: Path
    end: int  # byte offset in the segment behind the chunk


class SpoolQueue:
    """First in, first out, on disk. Safe between threads.

    Args:
        bytes_max: the folder's files never hold more.
        on_damage: told of bytes that fail their checksum.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bytes_max: int,
        segment_bytes: int = 4 * 1024 * 1024,
        on_damage: Callable[[SpoolDamaged], None],
    ) -> None:
        self.folder = folder
        self._bytes_max = bytes_max
        self._segment_bytes = segment_bytes
        self._on_damage = on_damage
        self._guard = threading.Lock()
        # What an earlier process left is never appended to: its tail may be torn.
        self._segments = sorted(p for p in folder.glob("*.spool") if p.stem.isdecimal())
        self._sizes = {path: path.stat().st_size for path in self._segments}
        self._offset = self._read_sent(self._segments[0]) if self._segments else 0
        self._serial = int(self._segments[-1].stem) if self._segments else 0
        self._tail: int | None = None  # descriptor of the last segment, if ours

    @property
    def pending_bytes(self) -> int:
        """Bytes of frames not yet acknowledged; 0 exactly when the queue is empty."""
        with self._guard:
            return self._held_bytes() - self._offset

    def _held_bytes(self) -> int:
        return sum(self._sizes.values())

    def append(self, records: Sequence[Record]) -> None:
        """On disk (fsync) on return.

        Raises:
            SpoolFull: the bound, or the disk's end, is reached; nothing was added.
        """
        data = encode_frames(records)
        with self._guard:
            if self._held_bytes() + len(data) > self._bytes_max:
                raise SpoolFull(
                    f"the spool {self.folder} holds {self._held_bytes():,} bytes; "
                    f"{len(data):,} more would pass its bound of {self._bytes_max:,}",
                    hint="Bring the stream back, or raise spool_bytes_max.",
                )
            try:
                self._write(data)
            except OSError as error:
                raise SpoolFull(
                    f"the spool {self.folder} cannot be written: {error}",
                    hint="Free space on its disk, or check the folder's rights.",
                ) from error

    def _write(self, data: bytes) -> None:
        tail = self._tail
        if tail is None or self._sizes[self._segments[-1]] >= self._segment_bytes:
            tail = self._open_segment()
        path = self._segments[-1]
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(tail, view) :]
            os.fsync(tail)
        except OSError:
            # After a failed fsync nobody knows what the file holds: cut the torn
            # part off where possible, and never append behind it. What cannot be
            # cut off is skipped by its checksum when read.
            with contextlib.suppress(OSError):
                os.ftruncate(tail, self._sizes[path])
            self._close_tail()
            raise
        self._sizes[path] += len(data)

    def _open_segment(self) -> int:
        self._close_tail()
        path = self.folder / f"{self._serial + 1:010d}.spool"
        tail = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._tail = tail
        self._serial += 1
        self._segments.append(path)
        self._sizes[path] = 0
        sync_folder(self.folder)  # or a crash could lose the name of a synced file
        return tail

    def _close_tail(self) -> None:
        if self._tail is not None:
            os.close(self._tail)
            self._tail = None

    def peek(self) -> Chunk | None:
        """The oldest records, as many as one request takes; None where there are none.

        Until `advance` the same records come again.
        """
        with self._guard:
            while self._segments:
                chunk = self._read_chunk(self._segments[0])
                if chunk:
                    return chunk
                self._drop_head()
            return None

    def _read_chunk(self, head: Path) -> Chunk | None:
        """None where nothing readable is left in the segment."""
        size_bytes = self._sizes[head]
        try:
            with head.open("rb") as file:
                file.seek(self._offset)
                data = file.read(size_bytes - self._offset)
        except FileNotFoundError:
            data = b""
        decoded = decode_frames(data, records_max=BATCH_RECORDS_MAX)
        count = batch_end(decoded.records)
        end = self._offset + decoded.ends[count - 1] if count else size_bytes
        if damaged := decoded.damaged_bytes(count) if count else size_bytes - self._offset:
            self._on_damage(
                SpoolDamaged(
                    f"{head.name}: {damaged:,} bytes from offset {self._offset:,} on "
                    "fail their checksum and were skipped",
                    hint="A crash tears at most the last write, which nobody was told "
                    "is safe; anywhere else suspect the disk.",
                )
            )
        return Chunk(decoded.records[:count], head, end) if count else None

    def advance(self, chunk: Chunk) -> None:
        """The chunk was acknowledged: it does not come again."""
        with self._guard:
            if chunk.segment != self._segments[0]:
                raise ValueError(f"{chunk.segment} is not the head: chunks go in order")
            self._offset = chunk.end
            if chunk.end >= self._sizes[chunk.segment]:
                self._drop_head()
            else:
                self._write_sent(chunk)

    def _drop_head(self) -> None:
        head = self._segments.pop(0)
        if not self._segments:
            self._close_tail()
        del self._sizes[head]
        self._offset = 0
        head.unlink(missing_ok=True)
        head.with_suffix(".sent").unlink(missing_ok=True)

    def _write_sent(self, chunk: Chunk) -> None:
        target = chunk.segment.with_suffix(".sent")
        fresh = target.with_suffix(".new")
        # On a full disk the chunk is sent once more after a restart; so be it.
        with contextlib.suppress(OSError):
            fresh.write_text(str(chunk.end))
            fresh.replace(target)

    def _read_sent(self, segment: Path) -> int:
        try:
            offset = int(segment.with_suffix(".sent").read_text())
        except (OSError, ValueError):
            return 0
        return offset if 0 <= offset <= self._sizes[segment] else 0

    def keep_rejected(self, records: Sequence[Record]) -> None:
        """Beside the queue, for a person to look at; never sent again by itself."""
        with self._guard, (self.folder / "rejected.frames").open("ab") as file:
            file.write(encode_frames(records))
            file.flush()
            os.fsync(file.fileno())

    @property
    def has_rejected(self) -> bool:
        return (self.folder / "rejected.frames").exists()

    def close(self) -> None:
        with self._guard:
            self._close_tail()


def sync_folder(folder: Path) -> None:
    """A new name outlives a crash only once its folder is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
