"""Nothing is lost, nothing is silent: the engine against streams that fail."""

import threading
from glob import glob

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.producer.delivery import RetryPolicy
from lakelet.producer.engine import Engine
from lakelet.producer.errors import BufferFull, FlushTimeout, ProducerClosed, SpoolFull
from lakelet.producer.frames import decode_frames
from lakelet.producer.settings import Failure, Fate, ProducerSettings
from lakelet.testing.clock import ManualClock
from tests.producer.fakes import DOWN, NO_SUCH_STREAM, OK, FakeStream, failing, poison

# No test waits so long: it only ends one that hangs.
PATIENCE_SECONDS = 20


class Bench:
    """An engine whose waits pass at once and move the clock."""

    def __init__(self, stream, clock=None, *, drains=True, **options):
        self.clock = clock or ManualClock()
        self.stream = stream
        self.failures: list[Failure] = []
        options = {"linger_seconds": 1e9, "retry": RetryPolicy(attempts_max=3), **options}
        self.settings = ProducerSettings(**options)
        self.waited_seconds = 0.0
        self.on_wait = lambda: None
        self.engine = Engine(
            "clicks",
            stream,
            self.settings,
            self.clock,
            on_error=self.failures.append,
            wait=self.wait,
            draw=lambda: 0.5,
        )
        if not drains:  # the test takes the spool's steps itself
            self.engine._drainer.start = lambda: None
        self.engine.start()

    def drain(self):
        while self.engine._drainer.drain_chunk():
            pass

    def wait(self, seconds):
        self.clock.advance(seconds)
        self.waited_seconds += seconds
        self.on_wait()

    def send(self, *numbers):
        for number in numbers:
            self.engine.offer(b"%d\n" % number, PATIENCE_SECONDS)

    def flush(self):
        self.engine.flush(PATIENCE_SECONDS)

    def close(self, seconds=5.0):
        self.engine.close(seconds)

    def arrived(self):
        return [int(line) for data in self.stream.arrived for line in data.split()]


def assert_accounted_for(stats):
    ends = stats.acknowledged + stats.rejected + stats.lost + stats.spooled_now + stats.buffered
    assert stats.accepted == ends, stats


def until(condition):
    """Another thread is at work; events, not time, end the wait in a passing run."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.002)):
        if condition():
            return
        pause.wait(0.002)
    raise AssertionError("it did not come true")


def test_events_arrive_in_order_in_full_batches():
    bench = Bench(FakeStream())
    bench.send(*range(1203))
    bench.flush()
    bench.close()
    assert bench.arrived() == list(range(1203))
    assert len(bench.stream.requests) <= 4
    stats = bench.engine.stats
    assert (stats.acknowledged, stats.buffered, stats.requests) == (
        1203,
        0,
        len(bench.stream.requests),
    )
    assert bench.failures == []


def test_a_batch_that_is_not_full_goes_once_it_lingered():
    bench = Bench(FakeStream(), linger_seconds=0.001)
    bench.clock.advance(1)
    bench.send(1)
    bench.clock.advance(0.002)
    until(lambda: bench.arrived() == [1])
    bench.close()


def test_packed_events_are_lines_of_one_record():
    bench = Bench(FakeStream(), pack_bytes=5120)
    bench.send(*range(3000))
    bench.flush()
    bench.close()
    assert bench.arrived() == list(range(3000))
    assert all(len(data) <= 5120 for data in bench.stream.arrived)
    assert len(bench.stream.arrived) < 10
    assert bench.engine.stats.acknowledged == 3000


def test_without_a_spool_an_outage_is_waited_out_and_told_once():
    bench = Bench(FakeStream([DOWN] * 40))
    bench.send(1, 2)
    bench.flush()
    assert bench.arrived() == [1, 2]
    assert [(f.error.code, f.fate) for f in bench.failures] == [
        ("producer.stream_unavailable", None)
    ]
    bench.stream.script = [NO_SUCH_STREAM] * 3
    bench.send(3)
    bench.flush()
    assert [f.error.code for f in bench.failures][1:] == ["producer.stream_refused"]
    bench.close()
    assert_accounted_for(bench.engine.stats)


def test_a_full_buffer_holds_the_caller_and_then_raises():
    gate = threading.Event()
    stream = FakeStream(before_answer=lambda: gate.wait(PATIENCE_SECONDS))
    bench = Bench(stream, buffer_bytes_max=10)
    bench.send(1111, 2222)  # 5 bytes each
    with pytest.raises(BufferFull, match="10 of 10 bytes"):
        bench.engine.offer(b"3333\n", 0)
    freed = []
    assert not bench.engine.offer_nowait(b"3333\n", lambda: freed.append(1))
    gate.set()
    bench.flush()
    assert freed == [1]
    bench.send(3333)
    bench.close()
    assert bench.arrived() == [1111, 2222, 3333]


def test_an_event_larger_than_the_buffer_passes_alone():
    bench = Bench(FakeStream(), buffer_bytes_max=3)
    bench.send(123456, 234567)
    bench.close()
    assert bench.arrived() == [123456, 234567]


def test_flush_says_when_time_ran_out():
    gate = threading.Event()
    bench = Bench(FakeStream(before_answer=lambda: gate.wait(PATIENCE_SECONDS)))
    bench.send(1)
    with pytest.raises(FlushTimeout, match="1 events"):
        bench.engine.flush(0)
    gate.set()
    bench.flush()
    bench.close()


def test_after_close_nothing_is_accepted_and_close_may_be_called_again():
    bench = Bench(FakeStream())
    bench.close()
    bench.close()
    with pytest.raises(ProducerClosed):
        bench.send(1)
    with pytest.raises(ProducerClosed):
        bench.engine.offer_nowait(b"1", lambda: None)


def test_without_a_spool_what_does_not_go_before_the_deadline_is_handed_back():
    bench = Bench(FakeStream(then=DOWN))
    bench.send(1, 2)
    bench.close(seconds=3.0)
    (lost,) = [failure for failure in bench.failures if failure.fate is Fate.LOST]
    assert lost.records == (b"1\n", b"2\n")
    assert bench.engine.stats.lost == 2
    assert_accounted_for(bench.engine.stats)


def test_closing_does_not_wait_for_a_setup_that_nobody_will_mend():
    bench = Bench(FakeStream(then=NO_SUCH_STREAM))
    bench.send(1)
    bench.close(seconds=1e6)
    (lost,) = bench.failures
    assert (lost.fate, lost.error.code) == (Fate.LOST, "producer.stream_refused")
    assert len(bench.stream.requests) == 1
    assert_accounted_for(bench.engine.stats)


def test_one_poisoned_record_is_rejected_and_handed_back():
    bench = Bench(FakeStream(then=poison(b"13")))
    bench.send(*range(20))
    bench.close()
    assert bench.arrived() == [n for n in range(20) if n != 13]
    (failure,) = bench.failures
    assert (failure.fate, failure.records) == (Fate.REJECTED, (b"13\n",))
    assert_accounted_for(bench.engine.stats)


def test_a_callback_that_raises_and_a_transport_that_breaks_do_not_stop_the_sending():
    def broken(records):
        raise RuntimeError("not foreseen")

    bench = Bench(FakeStream([broken]))
    told = []

    def on_error(failure):
        told.append(failure)
        raise ValueError("the caller's own")

    bench.engine._report._on_error = on_error
    bench.send(1)
    bench.flush()
    bench.send(2)
    bench.flush()
    assert bench.arrived() == [2]
    assert (told[0].fate, told[0].records) == (Fate.LOST, (b"1\n",))
    bench.close()
    assert_accounted_for(bench.engine.stats)


# --- with a spool -----------------------------------------------------------------


def test_an_outage_goes_to_disk_and_comes_back_in_order(tmp_path):
    stream = FakeStream(then=DOWN)
    bench = Bench(stream, spool_folder=tmp_path)
    for number in range(10):
        bench.send(number)
        bench.flush()
    assert bench.arrived() == []
    assert bench.engine.stats.spooled_now == 10
    assert_accounted_for(bench.engine.stats)
    stream.then = OK
    until(lambda: bench.engine.stats.spooled_now == 0)
    bench.send(10)
    bench.flush()
    until(lambda: bench.engine.stats.acknowledged == 11)
    assert bench.arrived() == list(range(11))
    assert [failure.fate for failure in bench.failures] == [Fate.SPOOLED]
    bench.close()
    assert_accounted_for(bench.engine.stats)
    assert list(tmp_path.glob("*/*")) == []


def test_while_anything_is_on_disk_newer_events_queue_behind_it(tmp_path):
    bench = Bench(FakeStream([DOWN] * 3), drains=False, spool_folder=tmp_path)
    bench.send(1)
    bench.flush()
    bench.send(2)
    bench.flush()
    assert (bench.arrived(), bench.engine.stats.spooled_now) == ([], 2)
    bench.drain()
    bench.send(3)
    bench.flush()
    assert bench.arrived() == [1, 2, 3]
    bench.close()
    assert bench.engine.stats.spooled == 2


def test_what_an_earlier_process_left_goes_before_anything_new(tmp_path):
    bench = Bench(FakeStream(then=DOWN), spool_folder=tmp_path)
    bench.send(1)
    bench.close()
    successor = Bench(FakeStream(), drains=False, spool_folder=tmp_path)
    successor.send(2)
    successor.flush()
    assert successor.arrived() == []
    successor.drain()
    assert successor.arrived() == [1, 2]
    successor.close()


def test_closing_in_an_outage_leaves_the_events_for_the_next_process(tmp_path):
    bench = Bench(FakeStream(then=DOWN), spool_folder=tmp_path)
    bench.send(1, 2, 3)
    bench.close()
    assert bench.engine.stats.spooled_now == 3
    assert_accounted_for(bench.engine.stats)
    successor = Bench(FakeStream(), spool_folder=tmp_path)
    successor.send(4)
    successor.flush()
    until(lambda: successor.engine.stats.recovered == 3 and not successor.engine.stats.spooled_now)
    assert successor.arrived() == [1, 2, 3, 4], "older events go first"
    successor.close()
    assert list(tmp_path.glob("*/*")) == []


def test_orphans_that_appear_later_are_adopted_too(tmp_path):
    clock = ManualClock()
    survivor = Bench(FakeStream(), clock, spool_folder=tmp_path, adopt_interval_seconds=0.001)
    bench = Bench(FakeStream(then=DOWN), ManualClock(), spool_folder=tmp_path)
    bench.send(7)
    bench.close()
    clock.advance(1)
    until(lambda: survivor.engine.stats.recovered == 1)
    assert survivor.arrived() == [7]
    survivor.close()


def test_a_full_spool_turns_into_backpressure_and_loses_nothing(tmp_path):
    stream = FakeStream(then=DOWN)
    bench = Bench(stream, spool_folder=tmp_path, spool_bytes_max=100)
    told = threading.Event()
    bench.on_wait = told.set
    sender = threading.Thread(target=lambda: [(bench.send(n), bench.flush()) for n in range(30)])
    sender.start()
    until(lambda: bench.engine.stats.spool_bytes > 80)
    stream.then = OK
    sender.join(PATIENCE_SECONDS)
    bench.flush()
    until(lambda: bench.engine.stats.acknowledged == 30)
    assert sorted(set(bench.arrived())) == list(range(30))
    bench.close()
    assert bench.engine.stats.lost == 0


def test_a_spool_that_cannot_be_made_is_told_and_only_then_are_events_lost(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    bench = Bench(FakeStream(then=DOWN), spool_folder=blocked)
    bench.send(1)
    bench.close(seconds=3.0)
    (lost,) = [failure for failure in bench.failures if failure.fate is Fate.LOST]
    assert lost.records == (b"1\n",)
    assert isinstance(lost.error, SpoolFull)


def test_rejected_records_are_kept_beside_the_spool(tmp_path):
    bench = Bench(FakeStream(then=poison(b"13")), spool_folder=tmp_path)
    bench.send(12, 13)
    bench.close()
    assert bench.arrived() == [12]
    (kept,) = tmp_path.glob("*/*/rejected.frames")
    assert [r.data for r in decode_frames(kept.read_bytes(), records_max=9).records] == [b"13\n"]
    assert str(kept.parent) in bench.failures[0].error.hint
    # The folder outlives adoption as long as a person has not looked.
    Bench(FakeStream(), spool_folder=tmp_path).close()
    assert kept.exists()


def test_a_poisoned_record_does_not_block_the_spool(tmp_path):
    bench = Bench(FakeStream(then=DOWN), spool_folder=tmp_path)
    bench.send(12, 13, 14)
    bench.close()
    successor = Bench(FakeStream(then=poison(b"13")), spool_folder=tmp_path)
    until(lambda: successor.engine.stats.recovered == 2)
    successor.close()
    assert successor.arrived() == [12, 14]
    assert successor.engine.stats.rejected == 1


def test_a_request_that_hangs_past_the_deadline_leaves_its_batch_on_disk(tmp_path):
    gate, asked = threading.Event(), threading.Event()

    def hang():
        asked.set()
        gate.wait(PATIENCE_SECONDS)

    bench = Bench(FakeStream(before_answer=hang), spool_folder=tmp_path)
    bench.send(1)
    flusher = threading.Thread(target=bench.flush)
    flusher.start()
    asked.wait(PATIENCE_SECONDS)
    bench.send(2)
    bench.close(seconds=0)
    assert bench.engine.stats.spooled_now == 2
    gate.set()
    flusher.join(PATIENCE_SECONDS)
    successor = Bench(FakeStream(), spool_folder=tmp_path)
    until(lambda: successor.engine.stats.recovered == 2)
    successor.close()
    assert successor.arrived() == [1, 2]


# --- whatever happens -------------------------------------------------------------

fates = st.one_of(
    st.just(OK),
    st.just(DOWN),
    st.just(NO_SUCH_STREAM),
    st.sets(st.integers(0, 40), min_size=1, max_size=10).map(lambda some: failing(*some)),
)


@settings(max_examples=100, deadline=None)
@given(
    lives=st.lists(
        st.tuples(st.lists(fates, max_size=8), st.lists(st.integers(1, 60), max_size=4)),
        min_size=1,
        max_size=4,
    ),
    pack_bytes=st.sampled_from([0, 40]),
    taken_though_refused=st.booleans(),
)
def test_over_several_lives_and_any_failures_every_event_arrives(
    tmp_path_factory, lives, pack_bytes, taken_though_refused
):
    folder = tmp_path_factory.mktemp("spool")
    stream = FakeStream(taken_though_refused=taken_though_refused)
    sent = 0
    for script, bursts in lives:
        stream.script = list(script)
        bench = Bench(stream, spool_folder=folder, pack_bytes=pack_bytes)
        for burst in bursts:
            bench.send(*range(sent, sent + burst))
            sent += burst
            bench.flush()
        bench.close()
        assert bench.engine.stats.lost == bench.engine.stats.rejected == 0
        assert_accounted_for(bench.engine.stats)
    stream.script = []
    last = Bench(stream, spool_folder=folder)
    # Not Path.glob, which raises where a folder goes while it looks, as adopted ones do.
    until(lambda: not glob(f"{folder}/*/*/*.spool"))  # noqa: PTH207
    last.close()
    arrived = last.arrived()
    assert sorted(set(arrived)) == list(range(sent))
    for request in stream.requests:
        assert len(request) <= 500
    if not taken_though_refused and all(reply in (OK, DOWN) for s, _ in lives for reply in s):
        assert arrived == list(range(sent)), "whole outages neither double nor reorder"
