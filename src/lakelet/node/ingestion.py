"""Ingestion at run time: records in, answered when durable; objects out, in the background.

Decisions are `ingest/`'s; here are the threads. One commits (node/commit.py), one
watches what is due, a few deliver, one stream at a time each.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from lakelet.ingest.assemble import Toolbox
from lakelet.ingest.database import Database
from lakelet.ingest.delivery import Deliverer, OnDelivered
from lakelet.ingest.errors import (
    DeliveryFailed,
    LogUnavailable,
    ResourceNotFound,
    ServiceUnavailable,
)
from lakelet.ingest.frame import Frame
from lakelet.ingest.gate import NO_QUOTAS, Faults, Quotas
from lakelet.ingest.ledger import Delivery, DoneCut, Ledger
from lakelet.ingest.limits import check_batch
from lakelet.ingest.put import PutResult, Refusal
from lakelet.ingest.records import Records
from lakelet.ingest.streams import DeliveryStream, DeliveryStreams
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import Clock, FileSystem, ObjectStore
from lakelet.node.commit import Commit, Committer
from lakelet.node.stream import Observer, Pending, StreamRuntime, StreamStats

_log = logging.getLogger("lakelet.ingest")

# Accepted and not delivered, of one stream, before producers are told to slow down:
# room for an hour of a busy site while its bucket can't be reached.
UNDELIVERED_BYTES_MAX = 1024 * 1024 * 1024

# Deliveries compress and write: more threads than this only fight over two cores.
_DELIVERY_THREADS = 4

# Streams whose functions may be waited for at once, up to five minutes each: a function keeps
# nobody else from delivering.
_FUNCTION_THREADS = 32

# How much they stand back (nice): a tenth of a processor that somebody else asks for. An
# answer may not wait for a delivery, and a delivery may, up to what is bounded above.
_DELIVERY_NICENESS = 10

# The watcher looks again at least this often, whatever it was told.
_WATCH_SECONDS_MAX = 1.0


class Ingestion:
    """Every delivery stream of a node."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        files: FileSystem,
        store: ObjectStore,
        clock: Clock,
        folder: Path | None,
        on_delivered: OnDelivered = lambda _delivery, _info: None,
        observer: Observer | None = None,
        toolbox: Toolbox | None = None,
        undelivered_bytes_max: int = UNDELIVERED_BYTES_MAX,
        quotas: Quotas = NO_QUOTAS,
    ) -> None:
        """Opens nothing but the state; `start` recovers the logs.

        Args:
            files: rooted at the data folder; logs lie in `streams/`.
            folder: of `ingest.sqlite`, the data folder's `state`; None keeps it in memory.
            on_delivered: called when an object is durable, before its delivery is done:
                a crash in between calls it again.
            quotas: of each stream, whoever made it.
        """
        self._pipeline, self._files, self._clock = pipeline, files, clock
        self._observer = observer
        self._undelivered_bytes_max = undelivered_bytes_max
        self._quotas = quotas
        self._database = Database(folder / "ingest.sqlite" if folder else None)
        self._ledger = Ledger(self._database)
        self.streams = DeliveryStreams(self._database, clock)
        self._deliverer = Deliverer(self._ledger, store, clock, on_delivered, toolbox or Toolbox())
        self._runtimes: dict[str, StreamRuntime] = {}
        self._opening = threading.Lock()
        self._committer = Committer(lambda: round(clock.now().timestamp() * 1000))
        self._is_open = False
        self._wake = threading.Condition()
        self._is_woken = False
        self._watcher = threading.Thread(target=self._watch, name="lakelet-delivery", daemon=True)
        self._workers = ThreadPoolExecutor(
            _DELIVERY_THREADS, "lakelet-deliver", initializer=_stand_back
        )
        self._callers = ThreadPoolExecutor(
            _FUNCTION_THREADS, "lakelet-function", initializer=_stand_back
        )

    # --- life ---------------------------------------------------------------------

    def start(self) -> None:
        """Recover every log, declare the pipeline's stream, begin to accept and deliver."""
        self.streams.declare(self._pipeline)
        for stream in self.streams:
            self._runtime(stream.name)
        self.streams.on_change = self._wake_watcher
        self._committer.start()
        self._is_open = True
        self._watcher.start()

    def close(self, *, drain: bool) -> None:
        """Accept no more, answer who waits, stop the threads.

        Args:
            drain: deliver what is buffered first; else the next start does.
        """
        if not self._is_open:
            self._database.close()
            return
        self._is_open = False
        self._committer.stop()
        self._wake_watcher()
        self._watcher.join()
        self._workers.shutdown(wait=True)
        self._callers.shutdown(wait=True)
        try:
            if drain:
                self.flush()
        finally:
            for runtime in self._runtimes.values():
                runtime.log.close()
            self._database.close()

    @property
    def is_open(self) -> bool:
        """Whether records are accepted."""
        return self._is_open

    # --- putting ------------------------------------------------------------------

    async def put(self, stream: str, records: Sequence[bytes]) -> PutResult:
        """Answered once every record that is taken is on disk.

        Raises:
            ResourceNotFound, InvalidArgument; ServiceUnavailable, LogUnavailable: nothing
            was accepted, try again.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[PutResult] = loop.create_future()
        self.submit(stream, records, lambda outcome: _settle(future, outcome), loop)
        return await future

    def put_blocking(self, stream: str, records: Sequence[bytes]) -> PutResult:
        """The same for a thread without an event loop."""
        future: Future[PutResult] = Future()
        self.submit(stream, records, lambda outcome: _settle(future, outcome), None)
        return future.result()

    def submit(
        self,
        stream: str,
        records: Sequence[bytes],
        answer: Callable[[PutResult | BaseException], None],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        """The same without a future: `answer` is called in `loop`, or in the commit thread.

        Raises what `put` raises before anything is written; the rest goes to `answer`.
        """
        taken = Records.of(records)
        check_batch(taken)
        if not self._is_open:
            raise ServiceUnavailable("the node is stopping.", hint="Resend when it is back.")
        runtime = self._runtime(stream)
        began = self._clock.monotonic()
        count, refused = len(taken), {}
        if not runtime.gate.is_open:
            refused = self._ask_gate(runtime, taken, began)
            taken = Records.of([record for i, record in enumerate(taken) if i not in refused])
        if not taken:
            answer(PutResult(runtime.incarnation, 0, count, runtime.stream.is_encrypted, refused))
            return
        size_bytes = taken.size_bytes
        self._admit(runtime, len(taken), size_bytes)

        def settle(outcome: int | BaseException) -> None:
            if isinstance(outcome, BaseException):
                answer(outcome)
                return
            if self._observer:
                latency_ms = (self._clock.monotonic() - began) * 1000
                self._observer.accepted(stream, len(taken), size_bytes, latency_ms)
            is_encrypted = runtime.stream.is_encrypted
            answer(PutResult(runtime.incarnation, outcome, count, is_encrypted, refused))

        commit = Commit(runtime, taken, settle, loop)
        try:
            self._committer.submit(commit)
        except ServiceUnavailable:
            runtime.note_refused(size_bytes)
            raise

    def _ask_gate(self, runtime: StreamRuntime, records: Records, now: float) -> dict[int, Refusal]:
        """Raises ServiceUnavailable where the request is one too many."""
        refused = runtime.gate.refusals(records.sizes, now)
        if refused and self._observer:
            self._observer.throttled(runtime.name, len(refused))
        return refused

    def _admit(self, runtime: StreamRuntime, count: int, size_bytes: int) -> None:
        if runtime.admit(size_bytes, self._undelivered_bytes_max):
            return
        if self._observer:
            self._observer.throttled(runtime.name, count)
        raise ServiceUnavailable(
            f"{runtime.name} can hold no more undelivered records for now. Slow down.",
            hint="Resend with back-off; the disk is slow or deliveries fail: lakelet status",
        )

    def set_faults(self, stream: str, faults: Faults) -> None:
        """Failing records, throttles, late deliveries; `Faults()` ends them, not the quotas."""
        self._runtime(stream).gate.set(faults)
        self._wake_watcher()

    def faults(self, stream: str) -> Faults:
        return self._runtime(stream).gate.faults

    def quotas(self, stream: str) -> Quotas:
        """In force now: the declared ones, and what faults throttle to."""
        return self._runtime(stream).gate.quotas

    # --- delivering ---------------------------------------------------------------

    def flush(self, stream: str | None = None) -> None:
        """Deliver everything accepted until now; returns when it is done.

        Raises:
            DeliveryFailed: of one stream or several; all others are delivered. It is tried
            again as usual.
            ResourceNotFound: there is no stream of the name given.
        """
        names = [stream] if stream else [each.name for each in self.streams]
        failures: dict[str, Exception] = {}
        for name in sorted(names, key=self._calls_function):
            try:
                runtime = self._runtime(name)
            except ResourceNotFound:
                if stream:
                    raise
                continue  # deleted since we asked for the names: it holds nothing more
            except LogUnavailable as error:
                failures[name] = error
                continue
            try:
                runtime.deliver_until(runtime.log.position_durable, self._deliver)
            except Exception as error:  # noqa: BLE001 - any store may stand behind this
                self._note_failure(runtime, error)
                failures[name] = error
        if failures:
            told = "; ".join(f"{name}: {error}" for name, error in failures.items())
            failure = DeliveryFailed(
                f"What these streams hold could not be delivered: {told}",
                hint="Nothing is lost: it stays in the data folder, and is tried again.",
            )
            failure.streams = tuple(failures)
            raise failure from next(iter(failures.values()))

    def _calls_function(self, name: str) -> bool:
        stream = self.streams.find(name)
        return stream is not None and stream.destination.processing.calls_function

    def _note_failure(self, runtime: StreamRuntime, error: BaseException) -> None:
        """The records stay in the log; the next attempt comes by itself."""
        runtime.note_failure(error)
        if self._observer:
            self._observer.delivery_failed(runtime.name)
        _log.warning("delivery of %s failed, and will be tried again: %s", runtime.name, error)

    def _watch(self) -> None:
        while self._is_open:
            now = self._clock.monotonic()
            wait = _WATCH_SECONDS_MAX
            for runtime in list(self._runtimes.values()):
                due_in = runtime.due_in(now)
                if due_in is not None and due_in <= 0:
                    runtime.claim()
                    is_slow = self._calls_function(runtime.name)
                    (self._callers if is_slow else self._workers).submit(self._deliver_due, runtime)
                elif due_in is not None:
                    wait = min(wait, due_in)
            with self._wake:
                self._wake.wait_for(lambda: self._is_woken, wait)
                self._is_woken = False

    def _wake_watcher(self) -> None:
        with self._wake:
            self._is_woken = True
            self._wake.notify()

    def _deliver_due(self, runtime: StreamRuntime) -> None:
        try:
            runtime.deliver_due(self._deliver, lambda: self._is_open)
            if runtime.try_finish():
                self._forget(runtime)
        except BaseException as error:  # noqa: BLE001 - or it would come back at once, unheard of
            self._note_failure(runtime, error)
        finally:
            runtime.release()
            self._wake_watcher()

    def _deliver(self, runtime: StreamRuntime, pending: Pending) -> None:
        cut = pending.cut
        deliveries = self._deliverer.deliver(
            cut,
            self.streams.destination_at(runtime.stream, cut.version),
            runtime.log.read(cut.first_position, cut.end_position),
            stream_arn=runtime.stream.arn,
            planned=pending.planned,
        )
        runtime.note_delivered(len(deliveries))
        if self._observer:
            age = (self._clock.now() - cut.arrived_at).total_seconds()
            for each in deliveries:
                self._observer.delivered(runtime.name, each.records, each.size_bytes, max(0, age))

    # --- looking ------------------------------------------------------------------

    def deliveries(self, stream: str = "") -> Iterator[Delivery]:
        """The ledger's finished deliveries, object by object, in log order."""
        return self._ledger.deliveries(stream)

    def cuts(self) -> Iterator[DoneCut]:
        """The ledger's finished deliveries, each once, in log order."""
        return self._ledger.cuts()

    def position_next(self, stream: str) -> int:
        """Records accepted so far: positions count from 0."""
        return self._runtime(stream).log.position_durable

    def position_delivered(self, stream: str) -> int:
        return self._ledger.position_delivered(self.streams.get(stream).incarnation)

    def tail(self, stream: str, first: int, end: int) -> list[tuple[int, bytes]]:
        """Records [first, end) by position, as far as the log still has them: for a look."""
        return [
            (frame.first_position + i, record)
            for frame in self._runtime(stream).log.read(first, end)
            if isinstance(frame, Frame)
            for i, record in enumerate(frame.records)
        ]

    def stats(self) -> Mapping[str, StreamStats]:
        found = {}
        for each in self.streams:
            with suppress(ResourceNotFound):  # its last record was delivered meanwhile
                found[each.name] = self._stats(self._runtime(each.name))
        return found

    def _stats(self, runtime: StreamRuntime) -> StreamStats:
        accepted = runtime.log.position_durable
        delivered = self._ledger.position_delivered(runtime.incarnation)
        return StreamStats(
            status=runtime.stream.status,
            accepted_records=accepted,
            accepted_bytes=runtime.accepted_bytes,
            delivered_records=delivered,
            buffered_records=accepted - delivered,
            buffered_bytes=runtime.buffered_bytes,
            oldest_age_seconds=runtime.oldest_age_seconds(self._clock.monotonic()),
            delivered_objects=runtime.delivered_objects,
            damaged_records=self._ledger.damaged_records(runtime.name),
            last_error=runtime.last_error,
            failing_since=runtime.failing_since,
        )

    # --- inside -------------------------------------------------------------------

    def _runtime(self, name: str) -> StreamRuntime:
        """Opened at its first use. Raises ResourceNotFound."""
        stream = self.streams.get(name)
        runtime = self._runtimes.get(name)
        if runtime is None or runtime.incarnation != stream.incarnation:
            with self._opening:
                runtime = self._runtimes.get(name)
                if runtime is None or runtime.incarnation != stream.incarnation:
                    runtime = self._open_runtime(stream)
                    self._runtimes[name] = runtime
        return runtime

    def _open_runtime(self, stream: DeliveryStream) -> StreamRuntime:
        try:
            runtime = StreamRuntime.open(
                stream,
                files=self._files,
                ledger=self._ledger,
                streams=self.streams,
                clock=self._clock,
                on_due=self._wake_watcher,
                quotas=self._quotas,
            )
        except OSError as error:
            raise LogUnavailable(
                f"the log of {stream.name} can't be opened: {error}",
                hint=f"Look at {stream.log_folder} in the data folder: space, rights, disk.",
            ) from error
        recovery = runtime.log.recovery
        for damage in recovery.damages:
            _log.log(
                logging.ERROR if damage.acknowledged else logging.WARNING,
                "%s: records %d to %d can't be read any more (segment %s)",
                stream.name,
                damage.first_position,
                damage.end_position - 1,
                damage.segment,
            )
        if recovery.records:
            _log.info("%s: %d undelivered records recovered", stream.name, recovery.records)
        return runtime

    def _forget(self, runtime: StreamRuntime) -> None:
        runtime.log.close()
        self.streams.forget(runtime.stream)
        with self._opening:  # a new stream of that name may be there already
            if self._runtimes.get(runtime.name) is runtime:
                del self._runtimes[runtime.name]
        _log.info("delivery stream %s is deleted", runtime.name)


def _stand_back() -> None:
    """Of the calling thread alone, as only Linux can; elsewhere all threads are alike."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _DELIVERY_NICENESS)


def _settle(
    future: "asyncio.Future[PutResult] | Future[PutResult]", outcome: PutResult | BaseException
) -> None:
    if future.done():  # the waiter gave up
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
