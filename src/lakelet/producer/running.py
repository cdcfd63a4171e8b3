"""What the sending thread and the draining thread share: driving `deliver`, counting, reporting."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from lakelet.producer.delivery import Answered, Delivery, Refusal, Refused, Reply, Send, Steps
from lakelet.producer.errors import (
    ProducerError,
    RecordRejected,
    StreamRefused,
    StreamUnavailable,
)
from lakelet.producer.records import Record
from lakelet.producer.settings import Failure, Fate, OnError, ProducerStats

log = logging.getLogger("lakelet.producer")


class Transport(Protocol):
    def put(self, records: Sequence[Record]) -> Answered | Refused:
        """One PutRecordBatch; what the world does is an answer, not an exception."""
        ...


def run(steps: Steps, transport: Transport, wait: Callable[[float], None]) -> Delivery:
    """Carry out what `deliver` asks for, until it returns."""
    reply: Reply = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration as done:
            delivery: Delivery = done.value
            return delivery
        if isinstance(step, Send):
            reply = transport.put(step.records)
        else:
            wait(step.seconds)
            reply = None


def event_count(records: Sequence[Record]) -> int:
    return sum(record.event_count for record in records)


def failure_error(delivery: Delivery, stream: str) -> ProducerError:
    """The error that a delivery with unsent records stands for."""
    if delivery.refusal is Refusal.SETUP:
        return StreamRefused(
            f"the stream {stream} refuses the requests: {delivery.reason}",
            hint="Check the stream's name, the region, the endpoint and the credentials "
            "(firehose:PutRecordBatch is needed).",
        )
    return StreamUnavailable(
        f"the stream {stream} takes nothing at present: {delivery.reason}",
        hint="Nothing to do if it passes; the events are sent again.",
    )


class Report:
    """Counts and callbacks, safe between threads.

    Levels: WARNING means nothing is lost, ERROR that a person is needed.
    """

    def __init__(self, stream: str, on_error: OnError | None) -> None:
        self._stream = stream
        self._on_error = on_error
        self._guard = threading.Lock()
        self._stats = ProducerStats()
        self._in_outage = False

    def add(self, **counts: int) -> None:
        """Add to fields of ProducerStats by name."""
        with self._guard:
            sums = {name: getattr(self._stats, name) + count for name, count in counts.items()}
            self._stats = replace(self._stats, **sums)

    @property
    def stats(self) -> ProducerStats:
        with self._guard:
            return self._stats

    def outage(self, error: ProducerError, fate: Fate | None) -> None:
        """Told once until `recovered`: an outage fails every batch alike."""
        with self._guard:
            if self._in_outage:
                return
            self._in_outage = True
        log.warning("%s", error)
        self._tell(Failure(error, fate))

    def recovered(self) -> None:
        with self._guard:
            was_out, self._in_outage = self._in_outage, False
        if was_out:
            log.info("the stream %s takes records again", self._stream)

    def rejected(self, records: Sequence[Record], reason: str, *, kept_in: str) -> None:
        where = f"kept in {kept_in}" if kept_in else "only in this report"
        error = RecordRejected(
            f"the stream {self._stream} will never take {len(records)} of the records: {reason}",
            hint=f"The originals are {where}.",
        )
        log.error("%s", error)
        self.add(rejected=event_count(records))
        self._tell(Failure(error, Fate.REJECTED, tuple(record.data for record in records)))

    def lost(self, records: Sequence[Record], error: ProducerError) -> None:
        log.error("%d events lost: %s", event_count(records), error)
        self.add(lost=event_count(records))
        self._tell(Failure(error, Fate.LOST, tuple(record.data for record in records)))

    def problem(self, error: ProducerError) -> None:
        """Something a person should know of that concerns no particular record."""
        log.error("%s", error)
        self._tell(Failure(error))

    def _tell(self, failure: Failure) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(failure)
        except Exception:  # the caller's code must not stop the sending
            log.exception("on_error raised")
