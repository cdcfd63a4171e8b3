"""Which records go again, and when to stop: the decisions, driven by hand."""

from hypothesis import given
from hypothesis import strategies as st

from lakelet.producer.delivery import Answered, Refusal, Refused, RetryPolicy, Send, Wait, deliver
from lakelet.producer.records import Record
from lakelet.producer.running import run
from tests.producer.fakes import DOWN, INVALID, NO_SUCH_STREAM, OK, FakeStream, failing, poison

POLICY = RetryPolicy(first_seconds=0.1, most_seconds=20, attempts_max=5)
PATIENT = RetryPolicy(attempts_max=0)


def records(count):
    return [Record(b"%d" % number) for number in range(count)]


def through(stream, count, policy=PATIENT, **options):
    waits = []
    steps = deliver(records(count), policy, draw=lambda: 0.5, **options)
    return run(steps, stream, waits.append), waits


def test_only_the_failed_indices_go_again():
    stream = FakeStream([failing(1, 3), failing(0)])
    delivery, waits = through(stream, 5)
    assert stream.requests == [[b"0", b"1", b"2", b"3", b"4"], [b"1", b"3"], [b"1"]]
    assert sorted(stream.arrived) == [b"0", b"1", b"2", b"3", b"4"]
    assert (delivery.unsent, delivery.request_count, delivery.resent_count) == ((), 3, 3)
    assert len(waits) == 2


def test_backoff_doubles_up_to_its_bound_with_full_jitter():
    _, waits = through(FakeStream([DOWN] * 10), 1, RetryPolicy(0.1, 2.0, 0))
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert POLICY.wait_seconds(10_000, 0.999) < 20
    assert POLICY.wait_seconds(3, 0.0) == 0


def test_it_gives_up_after_attempts_without_progress_and_says_what_is_left():
    delivery, waits = through(FakeStream([failing(0, 1)], then=DOWN), 4, POLICY)
    assert delivery.unsent == (0, 1)
    assert (delivery.refusal, delivery.reason) == (Refusal.TRANSIENT, DOWN.reason)
    assert (delivery.request_count, len(waits)) == (5, 4)


def test_progress_starts_the_count_of_attempts_again():
    def one_taken(batch):
        return Answered(dict.fromkeys(range(1, len(batch)), "ServiceUnavailableException: slow"))

    delivery, _ = through(FakeStream(then=one_taken), 30, POLICY)
    assert (delivery.unsent, delivery.request_count) == ((), 30)


def test_a_refused_setup_is_not_hammered():
    stream = FakeStream(then=NO_SUCH_STREAM)
    delivery, waits = through(stream, 3)
    assert (delivery.unsent, delivery.refusal) == ((0, 1, 2), Refusal.SETUP)
    assert (len(stream.requests), waits) == (1, [])


def test_one_poisoned_record_does_not_take_the_others_along():
    stream = FakeStream(then=poison(b"13"))
    delivery, waits = through(stream, 64)
    assert delivery.rejected == {13: INVALID.reason}
    assert [int(data) for data in stream.arrived] == [n for n in range(64) if n != 13]
    assert (delivery.unsent, waits) == ((), [])
    assert len(stream.requests) <= 2 * 6 + 1


def test_an_empty_batch_asks_for_nothing():
    delivery, _ = through(FakeStream(), 0)
    assert delivery.request_count == 0


@st.composite
def replies(draw):
    """One request's fate: any subset fails, or all of it, taken or not."""
    kind = draw(st.sampled_from(["ok", "some", "down", "poison", "setup"]))
    return kind, draw(st.sets(st.integers(0, 20)))


@given(
    count=st.integers(0, 20),
    fates=st.lists(replies(), max_size=30),
    taken_though_refused=st.booleans(),
    attempts_max=st.integers(0, 4),
)
def test_every_record_is_acknowledged_rejected_or_handed_back(
    count, fates, taken_though_refused, attempts_max
):
    acknowledged = set()
    steps = deliver(records(count), RetryPolicy(attempts_max=attempts_max), draw=lambda: 0.0)
    pending = list(fates)
    reply = None
    previous_failed = None
    try:
        while True:
            step = steps.send(reply)
            reply = None
            if isinstance(step, Wait):
                continue
            assert isinstance(step, Send)
            asked = [int(record.data) for record in step.records]
            assert not acknowledged & set(asked), "an acknowledged record goes twice"
            if previous_failed is not None:
                assert asked == previous_failed, "just the failed indices, in order"
            kind, failed = pending.pop(0) if pending else ("ok", set())
            previous_failed = None
            if kind in ("ok", "some"):
                bad = {i: "InternalFailure: x" for i in failed if i < len(asked) and kind == "some"}
                acknowledged |= {n for i, n in enumerate(asked) if i not in bad}
                previous_failed = [n for i, n in enumerate(asked) if i in bad] or None
                reply = Answered(bad) if bad else OK
            else:
                reply = {"down": DOWN, "poison": INVALID, "setup": NO_SUCH_STREAM}[kind]
                assert isinstance(reply, Refused)
    except StopIteration as done:
        delivery = done.value
    ends = [acknowledged, set(delivery.rejected), set(delivery.unsent)]
    assert sorted(n for end in ends for n in end) == list(range(count))
