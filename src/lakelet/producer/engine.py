"""The moving part behind both producers: a buffer, one sending thread, one for the spool.

    send ──▶ buffer ──▶ sender ──▶ stream
                          │ gives up, or the spool is not empty
                          ▼
                        spool ──▶ drainer ──▶ stream

The sender keeps order: while the spool holds anything, batches queue up behind it.
Decisions live in `delivery.py` and `records.py`; here is only who waits for whom.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lakelet.model.ports import Clock
from lakelet.producer.delivery import deliver
from lakelet.producer.drainer import Drainer
from lakelet.producer.errors import (
    BufferFull,
    FlushTimeout,
    ProducerClosed,
    ProducerError,
    SpoolFull,
    StreamRefused,
)
from lakelet.producer.records import BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Record, take_batch
from lakelet.producer.running import Report, Transport, event_count, failure_error, log, run
from lakelet.producer.settings import Fate, OnError, ProducerSettings, ProducerStats

# A request in flight gets so long after the deadline before its batch is set aside.
_JOIN_GRACE_SECONDS = 0.5


class Engine:
    """Buffer, sender and, with a spool folder, drainer of one delivery stream.

    Args:
        wait: lets seconds pass between failed attempts; by default real time,
            cut short by `close`.
        draw: uniform in [0, 1), for the jitter.
    """

    def __init__(
        self,
        stream: str,
        transport: Transport,
        settings: ProducerSettings,
        clock: Clock,
        *,
        on_error: OnError | None = None,
        wait: Callable[[float], None] | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._stream = stream
        self._transport = transport
        self._settings = settings
        self._clock = clock
        self._report = Report(stream, on_error)
        self._draw = draw
        self._wait = wait or self._wait_for_close

        lock = threading.Lock()
        self._work = threading.Condition(lock)  # the sender waits here
        self._room = threading.Condition(lock)  # send() and flush() wait here
        self._events: deque[bytes] = deque()
        self._unsent_bytes = 0  # in _events
        self._held_bytes = 0  # in _events and in flight: what the bound is about
        self._in_flight: Sequence[Record] = ()
        self._oldest_at = 0.0  # monotonic, of the first of _events
        self._accepted_count = 0
        self._settled_count = 0
        self._flush_count = 0  # send without lingering up to this event
        self._room_callbacks: list[Callable[[], None]] = []
        self._closed = False
        self._closing = threading.Event()
        self._deadline = float("inf")

        full_bytes = BATCH_BYTES_MAX * 3 // 4  # before base64
        pack_bytes = settings.pack_bytes
        self._full_bytes = min(full_bytes, BATCH_RECORDS_MAX * pack_bytes or full_bytes)
        self._full_count = 0 if pack_bytes else BATCH_RECORDS_MAX

        self._drainer: Drainer | None = None
        if settings.spool_folder:
            self._drainer = Drainer(
                stream,
                Path(settings.spool_folder),
                transport,
                settings,
                clock,
                self._report,
                wait=wait,
                draw=draw,
            )
        self._thread = threading.Thread(
            target=self._send_forever, name=f"lakelet-send-{stream}", daemon=True
        )

    def start(self) -> None:
        if self._drainer:
            self._drainer.start()
        self._thread.start()

    # --- the callers' side --------------------------------------------------------

    def offer(self, data: bytes, block_seconds: float) -> None:
        """Raises BufferFull, ProducerClosed."""
        with self._room:
            if not self._room.wait_for(
                lambda: self._closed or self._has_room(len(data)), block_seconds
            ):
                raise BufferFull(
                    f"the buffer holds {self._held_bytes:,} of "
                    f"{self._settings.buffer_bytes_max:,} bytes and did not drain "
                    f"within {block_seconds:g} s",
                    hint="Send slower, raise buffer_bytes_max, or set a spool_folder.",
                )
            self._push(data)

    def offer_nowait(self, data: bytes, on_room: Callable[[], None]) -> bool:
        """False where the buffer is full: `on_room` is then called once, from
        another thread, when it is worth trying again. Raises ProducerClosed."""
        with self._room:
            if not self._closed and not self._has_room(len(data)):
                self._room_callbacks.append(on_room)
                return False
            self._push(data)
            return True

    def _has_room(self, size_bytes: int) -> bool:
        held = self._held_bytes
        if not held or held + size_bytes <= self._settings.buffer_bytes_max:
            return True
        self._hurry()  # a buffer without room must not linger
        return False

    def _hurry(self) -> None:
        self._flush_count = self._accepted_count
        self._work.notify()

    def _push(self, data: bytes) -> None:
        if self._closed:
            raise ProducerClosed(
                f"the producer of {self._stream} is closed", hint="Make a new one to send more."
            )
        if not self._events:
            self._oldest_at = self._clock.monotonic()
            self._work.notify()  # the linger begins
        self._events.append(data)
        self._unsent_bytes += len(data)
        self._held_bytes += len(data)
        self._accepted_count += 1
        if self._is_full():
            self._work.notify()

    def flush(self, timeout_seconds: float | None) -> None:
        """Return once every event accepted so far is acknowledged, on disk, or reported.

        Raises FlushTimeout.
        """
        with self._room:
            target = self._accepted_count
            self._hurry()
            if not self._room.wait_for(lambda: self._settled_count >= target, timeout_seconds):
                raise FlushTimeout(
                    f"{target - self._settled_count} events are still on their way after "
                    f"{timeout_seconds:g} s",
                    hint="They are being sent; flush again, or look at on_error.",
                )

    @property
    def stats(self) -> ProducerStats:
        with self._room:
            buffered = self._accepted_count - self._settled_count
            return replace(
                self._report.stats,
                accepted=self._accepted_count,
                buffered=buffered,
                spool_bytes=self._drainer.own_bytes if self._drainer else 0,
            )

    def close(self, timeout_seconds: float) -> None:
        """Send what is buffered, within the time; then to disk; else report it lost."""
        with self._room:
            if self._closed:
                return
            self._closed = True
            self._deadline = self._clock.monotonic() + timeout_seconds
            self._work.notify_all()
            self._room.notify_all()
        self._closing.set()
        self._call_back()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds + _JOIN_GRACE_SECONDS)
        if self._drainer:
            left = self._deadline - self._clock.monotonic()
            self._drainer.stop(max(_JOIN_GRACE_SECONDS, left))
        self._set_aside()
        if self._drainer:
            self._drainer.release()

    def _set_aside(self) -> None:
        """What the sender did not finish in time (nothing, as a rule)."""
        with self._room:
            records = [*self._in_flight, *map(Record, self._events)]
            self._in_flight = ()
            self._events.clear()
            self._settled_count = self._accepted_count
            self._room.notify_all()
        if not records:
            return
        error: ProducerError = FlushTimeout(
            f"the stream {self._stream} did not take {event_count(records)} events before the "
            "producer had to close",
            hint="Set a spool_folder, or give it longer: close_seconds.",
        )
        unsafe = self._try_spool(records, error)
        if unsafe:
            self._report.lost(records, unsafe)

    # --- the sender's side --------------------------------------------------------

    def _send_forever(self) -> None:
        while batch := self._next_batch():
            try:
                self._process(batch)
            except Exception as error:  # noqa: BLE001 - or the buffer would fill in silence
                log.exception("sending failed in a way that was not foreseen")
                self._report.lost(batch, ProducerError(f"{type(error).__name__}: {error}"))
            self._settle(batch)

    def _next_batch(self) -> Sequence[Record]:
        """Wait for the next batch; empty once closed and drained."""
        with self._work:
            while not self._is_due():
                if self._closed:
                    return ()
                self._work.wait(self._linger_left() if self._events else None)
            batch = take_batch(self._events, pack_bytes=self._settings.pack_bytes)
            self._unsent_bytes -= sum(len(record.data) for record in batch)
            self._oldest_at = self._clock.monotonic()
            self._in_flight = batch
            return batch

    def _is_due(self) -> bool:
        if not self._events:
            return False
        taken_count = self._accepted_count - len(self._events)
        return (
            self._closed
            or self._is_full()
            or taken_count < self._flush_count
            or self._linger_left() <= 0
        )

    def _is_full(self) -> bool:
        by_count = self._full_count and len(self._events) >= self._full_count
        return bool(by_count) or self._unsent_bytes >= self._full_bytes

    def _linger_left(self) -> float:
        return self._oldest_at + self._settings.linger_seconds - self._clock.monotonic()

    def _settle(self, batch: Sequence[Record]) -> None:
        with self._room:
            if self._in_flight is not batch:
                return  # closing ran out of time and set it aside
            self._in_flight = ()
            self._held_bytes -= sum(len(record.data) for record in batch)
            self._settled_count += event_count(batch)
            self._room.notify_all()
        self._call_back()

    def _call_back(self) -> None:
        with self._room:
            callbacks, self._room_callbacks = self._room_callbacks, []
        for callback in callbacks:
            callback()

    def _process(self, batch: Sequence[Record]) -> None:
        """Return once every record is acknowledged, on disk, rejected or reported lost."""
        records = batch
        error: ProducerError | None = None
        while True:
            if not (self._drainer and self._drainer.is_pending):
                records, error = self._try_stream(records)
            if not records or self._in_flight is not batch:
                return  # done, or set aside by a `close` that ran out of time
            error = self._try_spool(records, error)
            if error is None:
                return
            # Who closes will not mend the setup any more: waiting would be for nothing.
            hopeless = self._closing.is_set() and isinstance(error, StreamRefused)
            if hopeless or self._is_out_of_time():
                self._report.lost(records, error)
                return
            self._report.outage(error, None)
            self._wait(self._draw() * self._settings.retry.most_seconds)

    def _try_spool(
        self, records: Sequence[Record], error: ProducerError | None
    ) -> ProducerError | None:
        """None once they are on disk, else what stands in the way."""
        if self._drainer is None:
            return error
        try:
            self._drainer.spool(records)
        except SpoolFull as full:
            return full
        if error:
            self._report.outage(error, Fate.SPOOLED)
        return None

    def _try_stream(
        self, records: Sequence[Record]
    ) -> tuple[Sequence[Record], ProducerError | None]:
        """The records that were not taken, and why."""
        delivery = run(
            deliver(records, self._settings.retry, draw=self._draw, gave_up=self._has_to_give_up),
            self._transport,
            self._wait,
        )
        self._report.add(requests=delivery.request_count, resent_records=delivery.resent_count)
        if delivery.rejected:
            rejected = [records[index] for index in delivery.rejected]
            kept_in = self._drainer.keep_rejected(rejected) if self._drainer else ""
            reason = next(iter(delivery.rejected.values()))
            self._report.rejected(rejected, reason, kept_in=kept_in)
        unsent = [records[index] for index in delivery.unsent]
        taken = event_count(records) - event_count(unsent)
        taken -= event_count([records[index] for index in delivery.rejected])
        self._report.add(acknowledged=taken)
        if unsent:
            return unsent, failure_error(delivery, self._stream)
        self._report.recovered()
        return (), None

    def _has_to_give_up(self) -> bool:
        """At closing the disk is at hand at once; without one, time decides."""
        return self._closing.is_set() and (self._drainer is not None or self._is_out_of_time())

    def _is_out_of_time(self) -> bool:
        return self._closing.is_set() and self._clock.monotonic() >= self._deadline

    def _wait_for_close(self, seconds: float) -> None:
        """Real time; the first call of `close` ends it, later waits keep to the deadline."""
        if not self._closing.is_set():
            self._closing.wait(seconds)
        else:
            left = self._deadline - self._clock.monotonic()
            time.sleep(max(0.0, min(seconds, left)))
