"""The spool's thread: sends what lies on disk, oldest first, for as long as it takes."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lakelet.model.ports import Clock
from lakelet.producer.delivery import deliver
from lakelet.producer.errors import SpoolFull
from lakelet.producer.records import Record
from lakelet.producer.running import Report, Transport, event_count, failure_error, run
from lakelet.producer.settings import Fate, ProducerSettings
from lakelet.producer.spool import Chunk, SpoolQueue
from lakelet.producer.spool_folders import OwnedFolder, adopt_folders, create_folder


class Drainer:
    """This process's spool folder, and the orphans it adopted.

    Args:
        wait: lets seconds pass between failed attempts; by default real time, cut
            short by `stop`.
    """

    def __init__(
        self,
        stream: str,
        root: Path,
        transport: Transport,
        settings: ProducerSettings,
        clock: Clock,
        report: Report,
        *,
        wait: Callable[[float], None] | None,
        draw: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._root = root
        self._transport = transport
        self._settings = settings
        # There is no later place to give up to.
        self._policy = replace(settings.retry, attempts_max=0)
        self._clock = clock
        self._report = report
        self._draw = draw
        self._closing = threading.Event()
        self._wait: Callable[[float], object] = wait or self._closing.wait
        self._wake = threading.Event()
        self._own: tuple[OwnedFolder, SpoolQueue] | None = None
        self._orphans: deque[tuple[OwnedFolder, SpoolQueue]] = deque()
        self._end_guard = threading.Lock()
        self._is_released = False
        self._is_running = False
        self._adopt()
        self._thread = threading.Thread(
            target=self._drain_forever, name=f"lakelet-spool-{stream}", daemon=True
        )

    def start(self) -> None:
        self._is_running = True
        self._thread.start()

    @property
    def is_pending(self) -> bool:
        """Whether anything waits on disk: newer events then go behind it."""
        return bool(self._orphans) or self.own_bytes > 0

    @property
    def own_bytes(self) -> int:
        return self._own[1].pending_bytes if self._own else 0

    def spool(self, records: Sequence[Record]) -> None:
        """On disk on return. Raises SpoolFull."""
        queue = self._own_queue()
        # Counted first: the drainer may be done with them before we are back.
        count = event_count(records)
        self._report.add(spooled=count, spooled_now=count)
        try:
            queue.append(records)
        except SpoolFull:
            self._report.add(spooled=-count, spooled_now=-count)
            raise
        self._wake.set()

    def keep_rejected(self, records: Sequence[Record]) -> str:
        """Set records aside for a person; says where, "" where the disk would not."""
        try:
            queue = self._own_queue()
            queue.keep_rejected(records)
        except (SpoolFull, OSError):
            return ""
        return str(queue.folder)

    def _own_queue(self) -> SpoolQueue:
        if self._own is None:
            try:
                folder = create_folder(self._root, self._stream)
            except OSError as error:
                raise SpoolFull(
                    f"no spool folder can be made under {self._root}: {error}",
                    hint="Choose a spool_folder that this process may write.",
                ) from error
            self._own = folder, self._queue(folder)
        return self._own[1]

    def _queue(self, folder: OwnedFolder) -> SpoolQueue:
        return SpoolQueue(
            folder.path,
            bytes_max=self._settings.spool_bytes_max,
            on_damage=self._report.problem,
        )

    def _adopt(self) -> None:
        self._adopted_at = self._clock.monotonic()
        for folder in adopt_folders(self._root, self._stream):
            queue = self._queue(folder)
            if queue.pending_bytes:
                self._orphans.append((folder, queue))
            else:
                folder.release(remove=not queue.has_rejected)

    def _drain_forever(self) -> None:
        self._drain_until_closing()
        with self._end_guard:
            self._is_running = False
            if self._is_released:
                self._give_up_folders()

    def _drain_until_closing(self) -> None:
        while not self._closing.is_set():
            try:
                if not self.drain_chunk():
                    self._wake.wait(self._settings.adopt_interval_seconds)
                    self._wake.clear()
            except OSError as error:
                self._report.problem(
                    SpoolFull(
                        f"a spool under {self._root} cannot be read: {error}",
                        hint="Check the disk; it is tried again.",
                    )
                )
                self._wait(self._policy.most_seconds)

    def drain_chunk(self) -> bool:
        """Send the oldest chunk there is; False where there is none."""
        due_at = self._adopted_at + self._settings.adopt_interval_seconds
        if not self._orphans and self._clock.monotonic() >= due_at:
            self._adopt()
        if self._orphans:
            folder, queue = self._orphans[0]
            if chunk := queue.peek():
                self._send(queue, chunk, owned=False)
                return True
            queue.close()
            folder.release(remove=not queue.has_rejected)
            self._orphans.popleft()
            return True
        if self._own and (chunk := self._own[1].peek()):
            self._send(self._own[1], chunk, owned=True)
            return True
        return False

    def _send(self, queue: SpoolQueue, chunk: Chunk, *, owned: bool) -> None:
        """Until every record is acknowledged or rejected, or closing stops it."""
        records = list(chunk.records)
        rejected_count = 0
        while records:
            delivery = run(
                deliver(records, self._policy, draw=self._draw, gave_up=self._closing.is_set),
                self._transport,
                self._pause,
            )
            self._report.add(requests=delivery.request_count, resent_records=delivery.resent_count)
            if delivery.rejected:
                rejected = [records[index] for index in delivery.rejected]
                rejected_count += event_count(rejected)
                queue.keep_rejected(rejected)
                reason = next(iter(delivery.rejected.values()))
                self._report.rejected(rejected, reason, kept_in=str(chunk.segment.parent))
            records = [records[index] for index in delivery.unsent]
            if records:
                self._report.outage(failure_error(delivery, self._stream), Fate.SPOOLED)
                if self._closing.is_set():
                    return  # the whole chunk comes again with the next process
                self._pause(self._draw() * self._policy.most_seconds)
        queue.advance(chunk)
        self._report.recovered()
        acknowledged = event_count(chunk.records) - rejected_count
        if owned:
            self._report.add(acknowledged=acknowledged, spooled_now=-event_count(chunk.records))
        else:
            self._report.add(recovered=acknowledged)

    def _pause(self, seconds: float) -> None:
        self._wait(seconds)

    def stop(self, timeout_seconds: float) -> None:
        """Send nothing more behind the request under way; `spool` still works."""
        self._closing.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    def release(self) -> None:
        """Give the folders up: what is in them waits for the next process.

        A request that outlives `stop` holds them until it ends.
        """
        with self._end_guard:
            self._is_released = True
            if not self._is_running:
                self._give_up_folders()

    def _give_up_folders(self) -> None:
        owned = [*self._orphans, *([self._own] if self._own else [])]
        self._orphans.clear()
        self._own = None
        for folder, queue in owned:
            queue.close()
            folder.release(remove=not (queue.pending_bytes or queue.has_rejected))
