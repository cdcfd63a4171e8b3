"""The local transform worker: takes raw objects from the queue, one at a time a process.

Threads of ours only wait; the work is done in child processes (`transform_process`), so
that neither a hostile file nor Python's lock is felt by whoever acknowledges records.
"""

import contextlib
import functools
import logging
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakelet.model.errors import LakeletError, Outcome
from lakelet.model.manifest import Manifest
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import Clock
from lakelet.node.queue import LEASE_SECONDS, Item, TransformQueue
from lakelet.node.transform_process import (
    ProcessUnavailable,
    Setup,
    Transform,
    TransformProcess,
    describe,
    raise_failure,
)

if TYPE_CHECKING:
    from lakelet.model.contract import Contract

TIMEOUT_SECONDS = 900.0  # as the Lambda function's longest run
RESTART_DELAY_SECONDS = 5.0
_IDLE_SECONDS_MAX = 60.0
# A process beside the first that nobody needed for so long ends: it holds 60 MB.
SPARE_SECONDS_MAX = 60.0
# While others fill the cores, threads beside one's own only get in their way: 7 % by 5 MB
# objects of text. Guess: with more than a third of a second's work one may outlast the others.
_SMALL_SIZE_BYTES_MAX = 4 << 20  # as stored

_log = logging.getLogger(__name__)


def default_process_count() -> int:
    """Half of the cores, but both of two: the processes are niced, so whoever acknowledges
    records or answers queries goes first, and one more starts only while the others work."""
    cores = os.cpu_count() or 2
    return min(cores, 4, max(2, cores // 2))


@dataclass(frozen=True, slots=True)
class LocalTransform:
    """A Setup over a data folder's buckets. Picklable; called in the transform process."""

    buckets: Path  # in the data folder, which holds the keyring too
    pipeline: Pipeline
    contract: "Contract"
    seen: Path | None = None  # the store of seen keys, shared by the processes

    def __call__(self) -> Transform:
        from lakelet.lake.errors_zone import adopt_errors
        from lakelet.lake.seen import open_seen_keys
        from lakelet.model.layout import is_error_key
        from lakelet.node.ahead import ahead
        from lakelet.node.keyring import local_keyring
        from lakelet.store.clock import SystemClock
        from lakelet.store.disk import DiskObjectStore
        from lakelet.transform import process, raw_object

        clock = SystemClock()
        store = DiskObjectStore(self.buckets, clock)
        seen = open_seen_keys(self.seen, self.contract, clock) if self.seen else None
        keyring = local_keyring(self.buckets.parent, self.contract)

        def transform(bucket: str, key: str, *, alone: bool) -> Manifest:
            raw = raw_object(store, bucket, key)
            if is_error_key(key, error_prefix=self.pipeline.stream.error_prefix):
                return adopt_errors(store, self.pipeline, self.contract, raw)
            return process(
                store,
                self.pipeline,
                self.contract,
                raw,
                keyring=keyring,
                seen=seen,
                each=ahead if alone or raw.size_bytes > _SMALL_SIZE_BYTES_MAX else map,
            )

        return transform


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """Totals since the worker was made."""

    done: int = 0
    failed: int = 0  # attempts, not objects
    dead: int = 0
    events: int = 0
    rows: int = 0
    inflated_bytes: int = 0
    busy_seconds: float = 0.0
    running: tuple[str, ...] = ()  # keys
    last_error: str = ""


class Worker:
    """Empties a TransformQueue. `start` and `stop` once each; or `run_pending` by hand."""

    def __init__(
        self,
        queue: TransformQueue,
        setup: Setup,
        clock: Clock,
        *,
        processes: int | None = None,
        on_done: Callable[[Manifest], None] | None = None,
        on_failed: Callable[[Item, LakeletError, bool], None] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """
        Args:
            processes: 0 transforms in this process, on one thread: for tests and the library.
            on_done: after an object's manifest is written and its item finished; on a
                worker thread.
            on_failed: (item, error, dead) after a failed attempt; on a worker thread.
        """
        self._queue = queue
        self._setup = setup
        self._clock = clock
        self._processes = default_process_count() if processes is None else processes
        self._on_done = on_done or (lambda _manifest: None)
        self._on_failed = on_failed or (lambda _item, _error, _dead: None)
        self._timeout_seconds = timeout_seconds
        self._changed = threading.Condition()
        self._stats = WorkerStats()
        self._stopping = False
        self._is_stuck = False  # the last transform process could not be started
        self._threads: list[threading.Thread] = []
        self._children: list[TransformProcess] = []
        queue.on_change(self.wake)

    @property
    def stats(self) -> WorkerStats:
        with self._changed:
            return self._stats

    def start(self) -> None:
        """Returns at once: a transform process is made when there is something for it."""
        for number in range(max(1, self._processes)):
            thread = threading.Thread(
                target=self._run, args=(number,), name=f"transform-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Look at the queue now; it calls this by itself."""
        with self._changed:
            self._changed.notify_all()

    def stop(self, *, grace_seconds: float = 30.0) -> None:
        """Objects in work may end within the grace; later ones are killed and their claims
        given back. What waits, waits in the queue."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(grace_seconds)
        for child in list(self._children):
            child.kill()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def drain(self, timeout_seconds: float | None = None) -> bool:
        """Wait until nothing is in work or due now; what waits for a retry is not waited for.

        Returns False where the time-out came first, or no transform process can be started:
        then nothing would change by waiting, and `stats.last_error` says why.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_idle() or self._is_stuck, timeout_seconds)
            return self._is_idle()

    def run_pending(self) -> int:
        """Transform, here and now, everything that is due. Returns how many attempts."""
        attempts = 0
        self._is_stuck = False
        while not self._is_stuck and (item := self._queue.claim()):
            self._attempt(item, self._transform_here)
            attempts += 1
        return attempts

    # --- a thread's life ---------------------------------------------------------

    def _run(self, number: int) -> None:
        child: TransformProcess | None = None

        def transform(item: Item) -> Manifest:
            nonlocal child
            if self._processes == 0:
                return self._transform_here(item)
            if child is None or not child.alive:
                child = self._replace(child)
            # Renewed well within a lease, so that one late tick costs nothing.
            return child.transform(
                item.bucket,
                item.key,
                timeout_seconds=self._timeout_seconds,
                alone=len(self.stats.running) == 1,
                on_tick=lambda: self._renew(item),
                tick_seconds=LEASE_SECONDS / 6,
            )

        while not self._stopping:
            item = None
            try:
                is_spare = number > 0 and child is not None
                item = self._next(number, SPARE_SECONDS_MAX if is_spare else None)
                if item is not None:
                    self._attempt(item, transform)
                elif child is not None and not self._stopping:
                    self._end(child)
                    child = None
            except Exception as error:  # noqa: BLE001 - the queue's own file: a full disk, mostly
                self._rest(item, error)
        if child is not None:
            child.close()

    def _rest(self, item: Item | None, error: Exception) -> None:
        """The queue can't be used: this thread outlives that, and gives its claim back."""
        _log.error("the transform queue cannot be used, another try follows: %s", error)
        self._is_stuck = True
        self._note(last_error=f"the transform queue cannot be used: {error}")
        self._pause(RESTART_DELAY_SECONDS)
        self._is_stuck = False
        if item is not None:
            with contextlib.suppress(Exception):  # else its lease runs out
                self._queue.release(item)

    def _next(self, number: int, patience_seconds: float | None = None) -> Item | None:
        """The next item; None when stopping, or where there was none in time. While threads of
        lower numbers are idle it is theirs: what one process can do, one process does, and its
        memory is all it takes."""
        until = math.inf if patience_seconds is None else time.monotonic() + patience_seconds
        while time.monotonic() < until:
            with self._changed:
                if self._stopping:
                    return None
                is_wanted = len(self._stats.running) >= number
                item = self._queue.claim() if is_wanted else None
                if item is not None:
                    self._note(running=(*self._stats.running, item.key))
                    return item
                seconds = self._seconds_until_due() if is_wanted else _IDLE_SECONDS_MAX
                self._changed.wait(max(0.0, min(seconds, until - time.monotonic())))
        return None

    def _seconds_until_due(self) -> float:
        due_at = self._queue.next_due_at()
        if due_at is None:
            return _IDLE_SECONDS_MAX
        seconds = (due_at - self._clock.now()) / timedelta(seconds=1)
        return min(max(seconds, 0.01), _IDLE_SECONDS_MAX)

    def _attempt(self, item: Item, transform: Callable[[Item], Manifest]) -> None:
        started = self._clock.monotonic()
        try:
            manifest = transform(item)
        except ProcessUnavailable as error:
            self._queue.release(item)
            self._is_stuck = True
            _log.error("%s", error)
            self._note(last_error=error.message)
            if self._threads:
                self._pause(RESTART_DELAY_SECONDS)
        except LakeletError as error:
            if self._stopping:  # our own kill, most likely: not the object's fault
                self._queue.release(item)
            else:
                self._fail(item, error)
        else:
            if self._queue.done(item):
                self._count(manifest, self._clock.monotonic() - started)
                self._tell(self._on_done, manifest)
        finally:
            with self._changed:
                running = tuple(key for key in self._stats.running if key != item.key)
                self._note(running=running)

    def _fail(self, item: Item, error: LakeletError) -> None:
        hopeless = error.outcome is Outcome.NEVER
        due_at = self._queue.fail(item, f"{error.code}: {error.message}", retry=not hopeless)
        dead = due_at is None
        with self._changed:
            stats = self._stats
            self._note(failed=stats.failed + 1, dead=stats.dead + dead, last_error=error.message)
        self._tell(self._on_failed, item, error, dead)

    @staticmethod
    def _tell(listener: Callable[..., None], *news: Any) -> None:
        try:
            listener(*news)
        except Exception:  # noqa: BLE001 - its fault is not the object's, nor a reason to stop
            _log.exception("a listener of the transform worker failed")

    def _renew(self, item: Item) -> None:
        self._queue.renew(item)

    def _count(self, manifest: Manifest, seconds: float) -> None:
        with self._changed:
            stats = self._stats
            self._note(
                done=stats.done + 1,
                events=stats.events + manifest.events,
                rows=stats.rows + manifest.rows,
                inflated_bytes=stats.inflated_bytes + manifest.inflated_bytes,
                busy_seconds=stats.busy_seconds + seconds,
            )

    def _note(self, **changes: Any) -> None:
        with self._changed:
            self._stats = replace(self._stats, **changes)
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)

    def _is_idle(self) -> bool:
        due_at = self._queue.next_due_at()
        return not self._stats.running and (due_at is None or due_at > self._clock.now())

    # --- who transforms ------------------------------------------------------------

    def _end(self, child: TransformProcess) -> None:
        self._children.remove(child)
        child.close()

    def _replace(self, old: TransformProcess | None) -> TransformProcess:
        if old in self._children:
            self._children.remove(old)
        child = TransformProcess(self._setup)
        self._is_stuck = False
        self._children.append(child)
        return child

    def _transform_here(self, item: Item) -> Manifest:
        try:
            transform = self._here
        except Exception as error:
            failure = describe(error)
            raise ProcessUnavailable(failure.message, hint=failure.hint) from error
        try:
            return transform(item.bucket, item.key, alone=True)
        except Exception as error:  # noqa: BLE001 - as the process would answer
            raise_failure(describe(error))

    @functools.cached_property
    def _here(self) -> Transform:
        return self._setup()
