"""The worker: each item ends in a manifest, a retry or the dead letters, whatever it does."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lakelet.model.errors import Outcome
from lakelet.node.queue import TransformQueue
from lakelet.node.transform_process import ProcessUnavailable, TransformFailed, TransformProcess
from lakelet.node.worker import Worker
from lakelet.store.clock import SystemClock
from lakelet.testing.clock import ManualClock
from tests.node import setups
from tests.node.processes import is_running

RAW = "clickstream-raw"
WAIT = 60  # seconds before a test is called stuck; none of it is slept


@pytest.fixture
def queue(tmp_path):
    opened = TransformQueue(tmp_path / "queue.sqlite", ManualClock())
    yield opened
    opened.close()


def make(queue, *, processes=0, **options):
    return Worker(queue, setups.Scripted(), ManualClock(), processes=processes, **options)


def test_run_pending_ends_each_item_its_own_way(queue):
    done, failed = [], []
    worker = make(
        queue,
        on_done=lambda manifest: done.append(manifest.raw.key),
        on_failed=lambda item, error, dead: failed.append((item.key, error.code, dead)),
    )
    queue.enqueue_all((RAW, key, "e") for key in ("ok/1", "missing/1", "raise/1", "ok/2"))
    assert worker.run_pending() == 4
    assert done == ["ok/1", "ok/2"]
    assert failed == [("missing/1", "store.no_such_key", True), ("raise/1", "python.error", False)]
    assert queue.depth().ready == 1
    assert queue.depth().dead == 1
    assert (worker.stats.done, worker.stats.events, worker.stats.failed) == (2, 4, 2)


def test_a_strangers_message_never_reaches_queue_or_stats(queue):
    worker = make(queue)
    queue.enqueue(RAW, "raise/1", "e")
    worker.run_pending()
    [item] = queue.pending()
    assert "ValueError at setups.py" in item.error
    assert "secret" not in item.error + worker.stats.last_error


def test_a_listener_that_fails_harms_nothing(queue):
    worker = make(queue, on_done=lambda manifest: 1 / 0)
    queue.enqueue_all([(RAW, "ok/1", "e"), (RAW, "ok/2", "e")])
    assert worker.run_pending() == 2
    assert queue.depth().pending == 0


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_started_it_empties_the_queue_and_stops(queue, processes):
    worker = make(queue, processes=processes)
    worker.start()
    queue.enqueue_all((RAW, f"ok/{n}", "e") for n in range(200))
    assert worker.drain(WAIT)
    queue.enqueue(RAW, "ok/late", "e")
    assert worker.drain(WAIT)
    worker.stop()
    assert worker.stats.done == 201
    assert worker.stats.running == ()


def test_a_second_process_starts_only_while_the_first_is_busy(queue, tmp_path):
    worker, done = started_pair(queue, tmp_path)
    for n in range(5):
        queue.enqueue(RAW, f"ok/{n}", "e")
        assert worker.drain(WAIT)
    assert len({details["pid"] for details in done}) == 1
    assert all(details["alone"] for details in done)
    queue.enqueue_all((RAW, f"meet/{n}", "e") for n in range(2))
    assert worker.drain(WAIT)
    worker.stop()
    assert len(done) == 7
    assert len({details["pid"] for details in done}) == 2
    # The first may have begun before the second was there.
    assert not all(details["alone"] for details in done[5:])


def test_a_second_process_that_nobody_needs_any_more_ends(queue, tmp_path, monkeypatch):
    monkeypatch.setattr("lakelet.node.worker.SPARE_SECONDS_MAX", 0.3)
    worker, done = started_pair(queue, tmp_path)
    for meeting in range(2):
        queue.enqueue_all((RAW, f"meet/{n}", f"e{meeting}") for n in range(2))
        assert worker.drain(WAIT)
        pids = {details["pid"] for details in done[-2:]}
        assert len(pids) == 2
        until(lambda: sum(map(is_running, pids)) < 2)  # noqa: B023 - called at once
        queue.enqueue(RAW, "ok/1", f"e{meeting}")
        assert worker.drain(WAIT)
        assert done[-1]["pid"] in pids  # the first one stays, however long it rests
        for each in tmp_path.glob("meet-*"):
            each.unlink()
    worker.stop()
    assert len({details["pid"] for details in done}) == 3


def started_pair(queue, tmp_path):
    """A worker of two processes, and what becomes of its objects."""
    done = []
    worker = Worker(
        queue,
        setups.Scripted(str(tmp_path)),
        ManualClock(),
        processes=2,
        on_done=lambda manifest: done.append(manifest.details),
    )
    worker.start()
    return worker, done


def test_a_transform_process_gives_memory_back(queue, monkeypatch):
    """Arrow's own allocator would keep it: what is free after one object, the next needs."""
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)
    done = []
    worker = make(queue, processes=1, on_done=done.append)
    worker.start()
    queue.enqueue(RAW, "pool/1", "e")
    assert worker.drain(WAIT)
    worker.stop()
    assert [manifest.details["pool"] for manifest in done] == ["system"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc; glibc's allocator")
def test_an_idle_transform_process_gives_back_what_it_kept_for_the_next_object():
    process = TransformProcess(setups.Scripted())

    def own_mb():
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) / 1_000

    process.transform(RAW, "hoard/1", timeout_seconds=WAIT)
    assert own_mb() > 100
    until(lambda: own_mb() < 100)
    process.transform(RAW, "ok/1", timeout_seconds=WAIT)
    process.close()
    assert not process.alive


class FullDisk:
    """A queue's connection whose COMMITs fail, `times` after the first few, as on a full disk."""

    def __init__(self, connection, after, times):
        self._connection, self._turns = connection, iter([False] * after + [True] * times)

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, sql, *values):
        if sql == "COMMIT" and next(self._turns, False):
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(sql, *values)


@pytest.mark.parametrize(("after", "times"), [(0, 1), (0, 7), (1, 1), (3, 1)])
def test_threads_outlive_a_full_disk_under_the_queue(queue, monkeypatch, after, times):
    monkeypatch.setattr("lakelet.node.worker.RESTART_DELAY_SECONDS", 0.0)
    queue.enqueue_all((RAW, f"ok/{n}", "e") for n in range(3))
    queue._connection = FullDisk(queue._connection, after, times)
    worker = make(queue)
    worker.start()
    until(lambda: not queue.depth().pending)
    worker.stop()
    assert queue.depth().pending == 0
    assert "disk is full" in worker.stats.last_error


def test_a_process_that_dies_is_a_failed_attempt_and_is_replaced(queue):
    pids, failed = set(), []
    worker = make(
        queue,
        processes=1,
        on_done=lambda manifest: pids.add(manifest.details["pid"]),
        on_failed=lambda item, error, dead: failed.append((item.key, error.message)),
    )
    worker.start()
    queue.enqueue_all((RAW, key, "e") for key in ("ok/1", "die/1", "ok/2", "exit/1", "print/1"))
    assert worker.drain(WAIT)
    worker.stop()
    assert worker.stats.done == 3
    assert [key for key, _ in failed] == ["die/1", "exit/1"]
    assert "signal 6" in failed[0][1]
    assert len(pids) == 3
    assert os.getpid() not in pids


def test_a_process_beyond_its_memory_fails_alone(queue):
    failed = []
    worker = make(
        queue, processes=1, on_failed=lambda item, error, dead: failed.append(error.message)
    )
    worker.start()
    queue.enqueue_all([(RAW, "memory/1", "e"), (RAW, "ok/1", "e")])
    assert worker.drain(WAIT)
    worker.stop()
    assert worker.stats.done == 1
    assert failed[0].startswith("MemoryError")


def test_stop_gives_back_what_is_in_work(tmp_path, queue):
    worker = Worker(queue, setups.Scripted(str(tmp_path)), ManualClock(), processes=1)
    worker.start()
    queue.enqueue(RAW, "hang/1", "e")
    until(lambda: (tmp_path / "hanging").exists())
    worker.stop(grace_seconds=0.0)
    [item] = queue.pending()
    assert item.attempts == 0
    assert worker.stats.failed == 0


def test_an_object_without_end_is_killed_at_its_time_out(tmp_path):
    process = TransformProcess(setups.Scripted(str(tmp_path)))
    ticks = []
    with pytest.raises(TransformFailed, match=r"no end after 0\.2 s") as caught:
        process.transform(
            RAW, "hang/1", timeout_seconds=0.2, tick_seconds=0.05, on_tick=lambda: ticks.append(1)
        )
    assert caught.value.outcome is Outcome.RETRY
    assert ticks
    assert not process.alive


def test_a_set_up_that_fails_is_told_with_its_hint():
    with pytest.raises(ProcessUnavailable, match="no such declaration") as caught:
        TransformProcess(setups.broken_setup)
    assert caught.value.hint == "write one"


def test_a_process_that_cannot_start_says_how_it_ended():
    with pytest.raises(ProcessUnavailable, match="exit status 7"):
        TransformProcess(setups.dying_setup)


def test_the_objects_are_not_blamed_for_a_process_that_cannot_start(queue):
    worker = Worker(queue, setups.dying_setup, SystemClock(), processes=1)
    worker.start()
    queue.enqueue(RAW, "ok/1", "e")
    assert not worker.drain(WAIT)
    assert "exit status 7" in worker.stats.last_error
    worker.stop()
    [item] = queue.pending()
    assert item.attempts == 0


def test_nor_for_a_set_up_that_fails_in_this_process(queue):
    worker = Worker(queue, setups.broken_setup, ManualClock(), processes=0)
    queue.enqueue_all([(RAW, "ok/1", "e"), (RAW, "ok/2", "e")])
    assert worker.run_pending() == 1
    assert "no such declaration" in worker.stats.last_error
    assert [item.attempts for item in queue.pending()] == [0, 0]


def test_a_process_ends_when_its_parent_is_killed(tmp_path):
    program = (
        "from tests.node import setups\n"
        "from lakelet.node.transform_process import TransformProcess\n"
        f"process = TransformProcess(setups.Scripted({str(tmp_path)!r}))\n"
        "print(process.pid, flush=True)\n"
        "process.transform('b', 'hang/1', timeout_seconds=600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    )
    child = int(parent.stdout.readline())
    until(lambda: (tmp_path / "hanging").exists())
    parent.kill()
    parent.wait()
    until(lambda: not is_running(child))
    parent.stdout.close()


def until(condition):
    """Wait for what another process does; it tells nobody, so we must look."""
    never = threading.Event()
    for _ in range(WAIT * 100):
        if condition():
            return
        never.wait(0.01)
    raise AssertionError("it never happened")
