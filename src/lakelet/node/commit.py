"""One thread that makes records durable: an fsync for all requests that wait for one.

While the disk works on one group, the next one gathers; so the more requests there
are at once, the fewer fsyncs each costs.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

from lakelet.ingest.errors import LogUnavailable, ServiceUnavailable
from lakelet.ingest.log import Log
from lakelet.ingest.records import Records

_log = logging.getLogger("lakelet.ingest")

# Requests are joined into one frame up to this: an object can outgrow its buffering
# hint by no more, and recovery reads no more at once.
_FRAME_PAYLOAD_BYTES = 1024 * 1024

# Up to this size a request waits for the others of its turn.
_GATHERED_REQUEST_BYTES_MAX = 16 * 1024

# Requests in one group, so that the first of a flood doesn't wait for the last.
_GROUP_REQUESTS_MAX = 256


class Owner(Protocol):
    """A stream, as the commit thread knows it."""

    log: Log

    def note_durable(self, size_bytes: int, end_position: int, arrived_ms: int) -> None:
        """Records up to a position are durable: told in log order, before the answers."""

    def note_refused(self, size_bytes: int) -> None:
        """As many bytes were submitted, and are not in the log."""


@dataclass(slots=True)
class Commit:
    """One request's records on their way to the log."""

    owner: Owner
    records: Records
    # Called with the first record's position, or with why there is none: in the event
    # loop that is given, or else in the commit thread.
    answer: "Callable[[int | BaseException], None]"
    loop: asyncio.AbstractEventLoop | None


@dataclass(slots=True)
class _Answers:
    """Outcomes of one group, handed to each event loop in one call."""

    by_loop: "dict[asyncio.AbstractEventLoop, list[tuple[Commit, int | BaseException]]]" = field(
        default_factory=dict
    )

    def add(self, commit: Commit, outcome: int | BaseException) -> None:
        if commit.loop is None:
            _settle([(commit, outcome)])
        else:
            self.by_loop.setdefault(commit.loop, []).append((commit, outcome))

    def send(self) -> None:
        for loop, outcomes in self.by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle, outcomes)
            except RuntimeError:  # that loop is closed: nobody waits any more
                _log.debug("%d requests lost their event loop", len(outcomes))


class Committer:
    """The commit thread and its queue."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._queue: SimpleQueue[list[Commit] | None] = SimpleQueue()
        self._lock = threading.Lock()  # over what is gathered, and whether it still may be
        self._gathered: dict[asyncio.AbstractEventLoop, list[Commit]] = {}
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="lakelet-commit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, commit: Commit) -> None:
        """From the commit's own loop, or from any thread where it has none.

        Small requests of one turn of an event loop are handed over at its end, all at once:
        waking the thread for each cost more than the request. A large one goes at once, so
        that the log is written while the loop decodes the next.

        Raises:
            ServiceUnavailable: after `stop`.
        """
        with self._lock:
            if self._is_stopped:
                raise ServiceUnavailable("the node is stopping.", hint="Resend when it is back.")
            if commit.loop is None:
                self._queue.put([commit])
                return
            if commit.records.size_bytes >= _GATHERED_REQUEST_BYTES_MAX:
                self._queue.put([commit])
                return
            waiting = self._gathered.setdefault(commit.loop, [])
            waiting.append(commit)
        if len(waiting) == 1:
            commit.loop.call_soon(self._hand_over, commit.loop)

    def stop(self) -> None:
        """Return once everything submitted before is answered."""
        with self._lock:
            self._is_stopped = True
            for waiting in self._gathered.values():
                self._queue.put(waiting)
            self._gathered.clear()
            self._queue.put(None)
        self._thread.join()

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if waiting := self._gathered.pop(loop, None):
                self._queue.put(waiting)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            taken = [self._queue.get()]
            try:
                while len(taken) < _GROUP_REQUESTS_MAX:
                    taken.append(self._queue.get_nowait())
            except Empty:
                pass
            stopping = None in taken
            self._commit([commit for commits in taken if commits for commit in commits])

    def _commit(self, group: Sequence[Commit]) -> None:
        answers = _Answers()
        by_owner: dict[int, list[Commit]] = {}
        for commit in group:
            by_owner.setdefault(id(commit.owner), []).append(commit)
        arrived_ms = self._now_ms()
        for commits in by_owner.values():
            try:
                commit_to_log(commits[0].owner, commits, arrived_ms, answers.add)
            except Exception as error:  # noqa: BLE001
                # Whatever it is, nobody may be left waiting and the thread must live.
                _log.exception("a commit failed in a way nobody foresaw")
                for commit in commits:
                    answers.add(commit, error)
        answers.send()


def commit_to_log(
    owner: Owner,
    commits: Sequence[Commit],
    arrived_ms: int,
    answer: Callable[[Commit, int | BaseException], None],
) -> None:
    """Append every request and sync once. Each is answered with its first position, or
    with why it isn't durable."""
    log = owner.log
    written: list[tuple[list[Commit], int]] = []
    failure: LogUnavailable | None = None
    try:
        for frame in plan_frames(commits):
            records = Records.joined([commit.records for commit in frame])
            written.append((frame, log.append(records, arrived_ms)))
        log.sync()
    except LogUnavailable as error:
        failure = error
    durable, done = log.position_durable, 0
    for frame, first_position in written:
        end_position = first_position + sum(len(commit.records) for commit in frame)
        if end_position > durable:
            break
        owner.note_durable(sum(c.records.size_bytes for c in frame), end_position, arrived_ms)
        position = first_position
        for commit in frame:
            answer(commit, position)
            position += len(commit.records)
        done += len(frame)
    if refused := commits[done:]:
        owner.note_refused(sum(commit.records.size_bytes for commit in refused))
        for commit in refused:
            answer(commit, failure or LogUnavailable("the log gave up a request"))


def plan_frames(commits: Sequence[Commit]) -> list[list[Commit]]:
    """Neighbouring requests that share a frame. Pure; none is split."""
    frames: list[list[Commit]] = []
    size_bytes = 0
    for commit in commits:
        if not frames or size_bytes + commit.records.size_bytes > _FRAME_PAYLOAD_BYTES:
            frames.append([])
            size_bytes = 0
        frames[-1].append(commit)
        size_bytes += commit.records.size_bytes
    return frames


def _settle(outcomes: Sequence[tuple[Commit, int | BaseException]]) -> None:
    """Runs where the waiter lives."""
    for commit, outcome in outcomes:
        commit.answer(outcome)
