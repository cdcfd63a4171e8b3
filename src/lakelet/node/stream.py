"""One delivery stream at run time: its log, its buffer, and who may deliver it now."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from lakelet.ingest.buffering import Buffer, Span
from lakelet.ingest.errors import ResourceNotFound
from lakelet.ingest.frame import Header
from lakelet.ingest.gate import NO_QUOTAS, Gate, Quotas
from lakelet.ingest.ledger import Cut, Ledger, PlannedObject
from lakelet.ingest.log import Log
from lakelet.ingest.streams import DeliveryStream, DeliveryStreams, Status
from lakelet.model.ports import Clock, FileSystem

# Accepted for the log and not in it yet, of one stream: what memory holds while the disk
# is slow. At 150 MB/s, half a second.
QUEUED_BYTES_MAX = 64 * 1024 * 1024

# Waits after failed deliveries: doubled each time.
_RETRY_SECONDS_FIRST = 0.5
_RETRY_SECONDS_MAX = 30.0


class Observer(Protocol):
    """Who counts what happens (watch/meters.py)."""

    def accepted(self, stream: str, records: int, size_bytes: int, latency_ms: float) -> None: ...
    def throttled(self, stream: str, records: int) -> None: ...
    def delivered(
        self, stream: str, records: int, size_bytes: int, freshness_seconds: float
    ) -> None: ...
    def delivery_failed(self, stream: str) -> None: ...


@dataclass(frozen=True, slots=True)
class StreamStats:
    """One stream, at a glance."""

    status: Status
    accepted_records: int  # since it was created
    accepted_bytes: int  # since this start
    delivered_records: int  # since it was created, damaged ones included
    buffered_records: int
    buffered_bytes: int
    oldest_age_seconds: float  # of what is buffered; 0 when nothing is
    delivered_objects: int  # since this start
    damaged_records: int
    last_error: str  # of the latest delivery; "" when it went well
    failing_since: datetime | None  # the first failure after the last one that went well


@dataclass(frozen=True, slots=True)
class Pending:
    """A cut to deliver, with the keys an interrupted attempt had planned for it."""

    cut: Cut
    planned: Mapping[str, PlannedObject] | None = None
    span: Span | None = None  # None where the cut comes from before this start


Deliver = Callable[["StreamRuntime", Pending], None]


class StreamRuntime:
    """Commits come from one thread, deliveries from any, one at a time."""

    def __init__(
        self,
        stream: DeliveryStream,
        *,
        streams: DeliveryStreams,
        ledger: Ledger,
        clock: Clock,
        on_due: Callable[[], None],
        quotas: Quotas = NO_QUOTAS,
    ) -> None:
        """Use `StreamRuntime.open`."""
        self.name, self.incarnation = stream.name, stream.incarnation
        self._last_known = stream
        self._streams, self._ledger, self._clock, self._on_due = streams, ledger, clock, on_due
        self.gate = Gate(quotas)
        self.log: Log
        self._lock = threading.Lock()  # over the buffer and the counters
        self._buffer = Buffer(0)
        self._queued_bytes = 0  # submitted, not durable yet
        self._interrupted: Pending | None = None
        self._delivering = threading.Lock()
        self._is_claimed = False  # by the watcher, for a worker on its way
        self._is_closed = False  # deleted: the last record is delivered
        self._failures = 0
        self._retry_at = 0.0
        self.accepted_bytes = 0
        self.delivered_objects = 0
        self.last_error = ""
        self.failing_since: datetime | None = None

    @classmethod
    def open(
        cls,
        stream: DeliveryStream,
        *,
        files: FileSystem,
        ledger: Ledger,
        streams: DeliveryStreams,
        clock: Clock,
        on_due: Callable[[], None],
        quotas: Quotas = NO_QUOTAS,
    ) -> "StreamRuntime":
        """Recover the log and put what is undelivered into the buffer again.

        Raises:
            OSError: the log can't be read.
        """
        runtime = cls(
            stream, streams=streams, ledger=ledger, clock=clock, on_due=on_due, quotas=quotas
        )
        delivered = ledger.position_delivered(stream.incarnation)
        begin = delivered
        if found := ledger.pending(stream.incarnation):
            runtime._interrupted = Pending(*found)
            begin = found[0].end_position
        runtime._buffer = Buffer(begin)
        runtime.log = Log.open(
            files,
            stream.log_folder,
            key=stream.log_key,
            delivered=delivered,
            on_frame=lambda header: runtime._rebuffer(header, begin),
        )
        return runtime

    @property
    def stream(self) -> DeliveryStream:
        """As it is now; as it was last, once it is forgotten."""
        stream = self._streams.find(self.name)
        if stream and stream.incarnation == self.incarnation:
            self._last_known = stream
        return self._last_known

    # --- accepting ----------------------------------------------------------------

    def admit(self, size_bytes: int, undelivered_bytes_max: int) -> bool:
        """Take a request in if there is room for it.

        Raises:
            ResourceNotFound: the stream is being deleted.
        """
        with self._lock:
            if self._is_closed or self.stream.status is not Status.ACTIVE:
                raise ResourceNotFound(f"Firehose {self.name} is being deleted.")
            queued = self._queued_bytes
            if queued and queued + size_bytes > QUEUED_BYTES_MAX:
                return False
            held = self._buffer.size_bytes + queued
            if held and held + size_bytes > undelivered_bytes_max:
                return False
            self._queued_bytes += size_bytes
            return True

    def note_durable(self, size_bytes: int, end_position: int, arrived_ms: int) -> None:
        with self._lock:
            self._queued_bytes -= size_bytes
            self.accepted_bytes += size_bytes
            is_due = self._buffer.add(
                end_position=end_position,
                size_bytes=size_bytes,
                arrived_ms=arrived_ms,
                at=self._clock.monotonic(),
                hints=self.stream.destination.hints,
            )
        if is_due:
            self._on_due()

    def note_refused(self, size_bytes: int) -> None:
        with self._lock:
            self._queued_bytes -= size_bytes

    def _rebuffer(self, header: Header, begin: int) -> None:
        """A frame found at start. Its age is told by a wall clock that may have jumped, so
        it is held between none and the whole interval."""
        if header.end_position <= begin:
            return
        hints = self.stream.destination.hints
        now_ms = self._clock.now().timestamp() * 1000
        age = min(max(0.0, (now_ms - header.arrived_ms) / 1000), hints.interval_seconds)
        self._buffer.add(
            end_position=header.end_position,
            size_bytes=header.payload_size,
            arrived_ms=header.arrived_ms,
            at=self._clock.monotonic() - age,
            hints=hints,
        )

    # --- delivering ---------------------------------------------------------------

    def due_in(self, now: float) -> float | None:
        """Seconds until a worker should come; None if one is here or nothing waits."""
        with self._lock:
            if self._is_claimed or self._is_closed:
                return None
            if self._retry_at > now:
                return self._retry_at - now
            if self._interrupted or self.stream.status is Status.DELETING:
                return 0.0
            return self._buffer.due_in(now - self._delay, self.stream.destination.hints)

    @property
    def _delay(self) -> float:
        """Seconds that deliveries come late, where a test asked for it."""
        return self.gate.faults.delivery_delay_seconds

    def claim(self) -> None:
        """The watcher sends a worker; `release` follows."""
        self._is_claimed = True

    def release(self) -> None:
        self._is_claimed = False

    def deliver_due(self, deliver: Deliver, is_wanted: Callable[[], bool]) -> None:
        """Deliver all that is due, in log order. Raises the first delivery's error."""
        with self._delivering:
            if self.stream.status is Status.DELETING:
                with self._lock:
                    self._buffer.force()
            while is_wanted() and (pending := self._next()):
                self._deliver(deliver, pending)

    def deliver_until(self, position: int, deliver: Deliver) -> None:
        """Deliver everything below `position` now, due or not. Raises the first error."""
        with self._delivering:
            with self._lock:
                self._buffer.force()
            while self._ledger.position_delivered(self.incarnation) < position:
                pending = self._next()
                if pending is None:
                    break
                self._deliver(deliver, pending)

    def try_finish(self) -> bool:
        """Whether a stream that is being deleted holds nothing more; then it is closed."""
        with self._lock:
            is_empty = self._buffer.oldest_since is None and not self._queued_bytes
            if self.stream.status is Status.DELETING and is_empty and not self._interrupted:
                self._is_closed = True
            return self._is_closed

    def _next(self) -> Pending | None:
        with self._lock:
            if self._interrupted:
                return self._interrupted
            now = self._clock.monotonic() - self._delay
            span = self._buffer.take(now, self.stream.destination.hints)
        if span is None:
            return None
        begun = self._ledger.pending(self.incarnation)
        if begun and begun[0].first_position == span.first_position:
            return Pending(*begun, span)  # an attempt failed: the same names again
        arrived_at = datetime.fromtimestamp(span.arrived_ms / 1000, UTC)
        cut = Cut(
            self.name,
            self.incarnation,
            span.first_position,
            span.end_position,
            self.stream.version,
            arrived_at,
        )
        return Pending(cut, None, span)

    def _deliver(self, deliver: Deliver, pending: Pending) -> None:
        deliver(self, pending)
        with self._lock:
            if pending.span:
                self._buffer.done(pending.span)
            else:
                self._interrupted = None
            self._failures, self._retry_at = 0, 0.0
            self.last_error, self.failing_since = "", None
        # Segments that can't be deleted now are at the next delivery, or at start.
        with suppress(OSError):
            self.log.discard(pending.cut.end_position)

    def note_failure(self, error: BaseException) -> None:
        """Wait longer after each failure in a row."""
        with self._lock:
            wait = min(_RETRY_SECONDS_MAX, _RETRY_SECONDS_FIRST * 2 ** min(self._failures, 10))
            self._failures += 1
            self._retry_at = self._clock.monotonic() + wait
            self.last_error = f"{type(error).__name__}: {error}"
            self.failing_since = self.failing_since or self._clock.now()

    def note_delivered(self, objects: int) -> None:
        with self._lock:
            self.delivered_objects += objects

    # --- looking ------------------------------------------------------------------

    @property
    def buffered_bytes(self) -> int:
        with self._lock:
            return self._buffer.size_bytes

    def oldest_age_seconds(self, now: float) -> float:
        with self._lock:
            since = self._buffer.oldest_since
        return max(0.0, now - since) if since is not None else 0.0
