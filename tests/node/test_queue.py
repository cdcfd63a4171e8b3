"""The transform queue: nothing announced is forgotten, nothing is done twice."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from lakelet.model.errors import ObjectNotFound
from lakelet.model.layout import manifest_key
from lakelet.model.manifest import Manifest, RawObject
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectInfo
from lakelet.node.queue import QueueCorrupt, TransformQueue
from lakelet.testing.clock import ManualClock

RAW = "clickstream-raw"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def queue(tmp_path, clock):
    opened = TransformQueue(tmp_path / "queue.sqlite", clock)
    yield opened
    opened.close()


def test_items_come_out_oldest_first_once(queue):
    for key in ("b.gz", "a.gz"):
        assert queue.enqueue(RAW, key, "e1")
    assert [queue.claim().key, queue.claim().key, queue.claim()] == ["b.gz", "a.gz", None]


@pytest.mark.parametrize("state", ["ready", "leased", "finished", "dead"])
def test_an_object_announced_twice_is_one_item(queue, state):
    queue.enqueue(RAW, "a.gz", "e1")
    if state != "ready":
        item = queue.claim()
        if state == "finished":
            queue.done(item)
        if state == "dead":
            queue.fail(item, "hopeless", retry=False)
    before = queue.depth()
    assert not queue.enqueue(RAW, "a.gz", "e1")
    assert queue.depth() == before


@pytest.mark.parametrize("state", ["ready", "leased", "finished", "dead"])
def test_a_replaced_object_is_transformed_again(queue, state):
    queue.enqueue(RAW, "a.gz", "e1")
    old = queue.claim() if state != "ready" else None
    if state == "finished":
        queue.done(old)
    if state == "dead":
        queue.fail(old, "hopeless", retry=False)
    assert queue.enqueue(RAW, "a.gz", "e2")
    if state == "leased":
        assert not queue.done(old), "the old bytes must not finish the new object"
        assert not queue.renew(old)
    new = queue.claim()
    assert (new.etag, new.attempts) == ("e2", 1)
    assert queue.done(new)
    assert queue.depth().pending == 0


def test_a_failure_is_retried_later_each_time_then_given_up(tmp_path, clock):
    queue = TransformQueue(
        tmp_path / "q.sqlite", clock, attempts_max=3, backoff_seconds=(2.0, 15.0)
    )
    queue.enqueue(RAW, "a.gz", "e1")
    for attempt, delay in ((1, 2.0), (2, 15.0)):
        item = queue.claim()
        assert item.attempts == attempt
        assert queue.fail(item, f"error {attempt}") == clock.now() + timedelta(seconds=delay)
        assert queue.claim() is None
        clock.advance(delay - 0.001)
        assert queue.claim() is None
        clock.advance(0.001)
    assert queue.fail(queue.claim(), "error 3") is None
    assert [letter.error for letter in queue.dead_letters()] == ["error 3"]
    clock.advance(1e6)
    assert queue.claim() is None
    queue.close()


def test_dead_letters_are_redriven_with_fresh_attempts(queue):
    for key in ("a.gz", "b.gz"):
        queue.enqueue(RAW, key, "e1")
        queue.fail(queue.claim(), "hopeless", retry=False)
    assert queue.redrive("b.gz") == 1
    assert queue.claim().attempts == 1
    assert queue.redrive() == 1
    assert queue.claim().key == "a.gz"


def test_a_lease_that_runs_out_is_a_failed_attempt(tmp_path, clock):
    queue = TransformQueue(tmp_path / "q.sqlite", clock, lease_seconds=60, attempts_max=2)
    queue.enqueue(RAW, "a.gz", "e1")
    first = queue.claim()
    clock.advance(59)
    assert queue.renew(first)
    clock.advance(59)
    assert queue.claim() is None, "renewed"
    clock.advance(1)
    second = queue.claim()
    assert second.attempts == 2
    assert not queue.done(first), "the lease is lost"
    clock.advance(60)
    assert queue.claim() is None
    assert "ran out" in queue.dead_letters()[0].error
    queue.close()


def test_a_wall_clock_set_back_does_not_strand_a_retry(queue, clock):
    queue.enqueue(RAW, "a.gz", "e1")
    queue.fail(queue.claim(), "once")
    clock.jump_wall(-86_400)
    assert queue.claim() is not None


def test_a_claim_given_back_costs_no_attempt(queue):
    queue.enqueue(RAW, "a.gz", "e1")
    queue.release(queue.claim())
    assert queue.claim().attempts == 1


def test_listeners_hear_of_work_not_of_repetition(queue):
    heard = []
    queue.on_change(lambda: heard.append(1))
    queue.enqueue(RAW, "a.gz", "e1")
    queue.enqueue(RAW, "a.gz", "e1")
    assert len(heard) == 1


def test_what_was_enqueued_outlives_kill_9(tmp_path, clock):
    path = tmp_path / "q.sqlite"
    program = (
        "import sys\n"
        "from lakelet.node.queue import TransformQueue\n"
        "from lakelet.store.clock import SystemClock\n"
        "queue = TransformQueue(sys.argv[1], SystemClock())\n"
        "for n in range(1_000_000):\n"
        "    queue.enqueue('clickstream-raw', f'{n}.gz', 'e')\n"
        "    if n == 0: queue.claim()\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
    said = [process.stdout.readline() for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    last = max(int(line) for line in said if line.endswith(b"\n"))
    queue = TransformQueue(path, clock)
    pending = queue.pending()
    assert {item.key for item in pending} >= {f"{n}.gz" for n in range(last + 1)}
    assert queue.claim().attempts == 1, "the attempt that the kill ended does not count"
    queue.close()


def test_a_file_that_is_no_queue_is_named(tmp_path, clock):
    path = tmp_path / "q.sqlite"
    path.write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(QueueCorrupt, match=r"q\.sqlite"):
        TransformQueue(path, clock)


class Objects:
    """As much of an ObjectStore as `reconcile` asks for, counting what it reads."""

    def __init__(self, clock):
        self.clock, self.objects, self.reads = clock, {}, 0

    def put(self, bucket, key, etag, body=b""):
        self.objects[bucket, key] = (etag, body)

    def list(self, bucket, prefix=""):
        for (name, key), (etag, body) in sorted(self.objects.items()):
            if name == bucket and key.startswith(prefix):
                yield ObjectInfo(name, key, len(body), etag, self.clock.now())

    def get(self, bucket, key):
        self.reads += 1
        if (bucket, key) not in self.objects:
            raise ObjectNotFound(key)
        return self.objects[bucket, key][1]


def test_reconcile_finds_what_was_never_announced(queue, clock):
    pipeline, store = Pipeline(), Objects(clock)

    def manifest(key, etag):
        raw = RawObject(RAW, key, etag, 1, clock.now())
        entry = Manifest(raw, 1, "", 0, 0, 0, 0)
        store.put(pipeline.transformed_bucket, manifest_key(key), "m", entry.encode())

    day = "year=2026/month=03/day=09/"
    for key in ("none.gz", "other-etag.gz", "unreadable.gz", "good.gz"):
        store.put(RAW, day + key, "e2")
    manifest(day + "other-etag.gz", "e1")
    manifest(day + "good.gz", "e2")
    store.put(pipeline.transformed_bucket, manifest_key(day + "unreadable.gz"), "m", b"{")
    errors = "errors/processing-failed/x.gz"  # what a stream gave up goes to quarantine
    for key in ("quarantine/reason=type/x.parquet", "_aside/x", "folder/", errors):
        store.put(RAW, key, "e")
    assert queue.reconcile(store, pipeline) == 4
    assert {item.key for item in queue.pending()} == {
        errors,
        *(day + key for key in ("none.gz", "other-etag.gz", "unreadable.gz")),
    }
    assert queue.reconcile(store, pipeline) == 0


def test_reconcile_reads_each_manifest_once(queue, clock):
    pipeline, store = Pipeline(), Objects(clock)
    for n in range(10):
        raw = RawObject(RAW, f"{n}.gz", "e", 1, clock.now())
        entry = Manifest(raw, 1, "", 0, 0, 0, 0).encode()
        store.put(RAW, f"{n}.gz", "e")
        store.put(pipeline.transformed_bucket, manifest_key(f"{n}.gz"), "m", entry)
    queue.reconcile(store, pipeline)
    assert store.reads == 10
    queue.reconcile(store, pipeline)
    assert store.reads == 10
