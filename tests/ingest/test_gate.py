"""Quotas, and faults on demand."""

import pytest

from lakelet.ingest.errors import InvalidArgument, ServiceUnavailable
from lakelet.ingest.gate import INJECTED, SLOW_DOWN, Faults, Gate, Quotas, parse_faults
from lakelet.ingest.put import PutResult
from lakelet.model.pipeline import Pipeline
from lakelet.node.ingestion import Ingestion
from lakelet.testing.clock import ManualClock
from lakelet.testing.files import FaultyFileSystem
from tests.ingest.fakes import FakeStore


def gate(**faults) -> Gate:
    made = Gate()
    made.set(Faults(**faults))
    return made


def refused(made: Gate, count: int, size: int = 1, now: float = 0.0) -> list[int]:
    return sorted(made.refusals([size] * count, now))


def test_nothing_set_nothing_checked() -> None:
    assert Gate().is_open
    assert gate(delivery_delay_seconds=5).is_open
    assert not gate(fail_count=1, fail_of=2).is_open


def test_k_of_the_next_n_fail_across_requests_and_then_no_more() -> None:
    made = gate(fail_count=3, fail_of=10)
    found = [len(refused(made, 5)), len(refused(made, 5)), len(refused(made, 50))]
    assert sum(found[:2]) == 3
    assert found[2] == 0


def test_the_same_seed_fails_the_same_records() -> None:
    first, again, other = (gate(fail_count=3, fail_of=20, seed=seed) for seed in (1, 1, 2))
    chosen = refused(first, 20)
    assert chosen == refused(again, 20)
    assert chosen != refused(other, 20)


def test_repeated_faults_go_on() -> None:
    made = gate(fail_count=1, fail_of=4, repeat=True)
    assert [len(refused(made, 4)) for _ in range(5)] == [1] * 5


def test_a_quota_lets_a_second_through_and_refills_with_time() -> None:
    made = gate(quotas=Quotas(records_per_second=10))
    assert refused(made, 12) == [10, 11]
    assert refused(made, 1, now=0.05) == [0]
    assert refused(made, 8, now=0.55) == [5, 6, 7]
    assert refused(made, 20, now=100.0) == list(range(10, 20))


def test_bytes_and_requests() -> None:
    assert refused(gate(quotas=Quotas(bytes_per_second=100)), 4, size=30) == [3]
    made = gate(quotas=Quotas(requests_per_second=1))
    made.refusals([1], 0.0)
    with pytest.raises(ServiceUnavailable, match="Slow down"):
        made.refusals([1], 0.5)
    made.refusals([1], 1.5)


def test_faults_come_and_go_and_quotas_stay() -> None:
    made = Gate(Quotas(records_per_second=10, bytes_per_second=100))
    assert refused(made, 12) == [10, 11]
    made.set(Faults(fail_count=1, fail_of=5, quotas=Quotas(records_per_second=4)))
    assert made.quotas == Quotas(records_per_second=4, bytes_per_second=100)
    assert len(refused(made, 5)) == 1, "the one that fails is no record of the four"
    made.set(Faults(quotas=Quotas(records_per_second=50, requests_per_second=1)))
    assert made.quotas == Quotas(100, 1, 10), "the tighter of each"
    made.set(Faults())
    assert not made.is_open
    assert refused(made, 12) == [10, 11]


def test_a_record_larger_than_the_quota_is_not_refused_for_ever() -> None:
    made = gate(quotas=Quotas(bytes_per_second=10))
    assert refused(made, 1, size=25) == []
    assert refused(made, 1, size=25, now=1.0) == [0]
    assert refused(made, 1, size=25, now=2.6) == []


def test_faults_are_read_from_json() -> None:
    assert parse_faults({"fail": [2, 5], "bytes_per_second": 9}) == Faults(
        fail_count=2, fail_of=5, quotas=Quotas(bytes_per_second=9)
    )
    for wrong in (
        *({"fial": [1, 2]}, {"fail": 3}, {"fail": [3, 2]}, {"seed": "x"}),
        *({"fail": [1, float("inf")]}, {"bytes_per_second": float("nan")}),
    ):
        with pytest.raises(InvalidArgument):
            parse_faults(wrong)
    with pytest.raises(InvalidArgument):
        parse_faults({"delivery_delay_seconds": -1})


@pytest.fixture
def ingestion():
    made = Ingestion(
        Pipeline(), files=FaultyFileSystem(), store=FakeStore(), clock=ManualClock(), folder=None
    )
    made.start()
    yield made
    made.close(drain=False)


def test_a_batch_answers_for_each_of_its_records(ingestion) -> None:
    ingestion.set_faults("clickstream", Faults(fail_count=2, fail_of=5, seed=3))
    result = ingestion.put_blocking("clickstream", [b"%d" % i for i in range(5)])
    ids = result.record_ids()
    assert result.failed_count == 2
    assert [index for index, each in enumerate(ids) if each is None] == sorted(result.refused)
    assert [int(each[32:], 16) for each in ids if each] == [0, 1, 2]
    assert set(result.refused.values()) == {INJECTED}
    assert ingestion.position_next("clickstream") == 3


def test_a_batch_of_which_nothing_is_taken(ingestion) -> None:
    ingestion.set_faults("clickstream", Faults(quotas=Quotas(records_per_second=1)))
    ingestion.put_blocking("clickstream", [b"x"])
    result = ingestion.put_blocking("clickstream", [b"y", b"z"])
    assert result.record_ids() == [None, None]
    assert set(result.refused.values()) == {SLOW_DOWN}
    assert ingestion.position_next("clickstream") == 1
    ingestion.set_faults("clickstream", Faults())
    assert ingestion.put_blocking("clickstream", [b"w"]).failed_count == 0


def test_quotas_are_each_streams_own() -> None:
    ingestion = Ingestion(
        Pipeline(),
        files=FaultyFileSystem(),
        store=FakeStore(),
        clock=ManualClock(),
        folder=None,
        quotas=Quotas(records_per_second=2),
    )
    ingestion.start()
    bucket = {"RoleARN": "arn:aws:iam::000000000000:role/x", "BucketARN": "arn:aws:s3:::other"}
    ingestion.streams.create(
        {"DeliveryStreamName": "second", "ExtendedS3DestinationConfiguration": bucket}
    )
    for _ in range(2):
        for stream in ("clickstream", "second"):
            result = ingestion.put_blocking(stream, [b"x"] * 3)
            assert list(result.refused.values()) == [SLOW_DOWN]
            ingestion.set_faults(stream, Faults(fail_count=1, fail_of=1))
            ingestion.set_faults(stream, Faults())
    ingestion.close(drain=False)


def test_deliveries_come_late_when_asked(ingestion) -> None:
    ingestion.set_faults("clickstream", Faults(delivery_delay_seconds=30))
    ingestion.put_blocking("clickstream", [b"x"])
    runtime = ingestion._runtime("clickstream")
    assert runtime.due_in(ingestion._clock.monotonic()) == 90.0
    for _ in range(6):  # over the buffer's size: full, and late all the same
        ingestion.put_blocking("clickstream", [b"x" * 1_000_000])
    assert runtime.due_in(ingestion._clock.monotonic()) == 30.0
    assert list(ingestion.deliveries()) == []
    ingestion.flush()  # whoever asks for it gets it
    assert sum(each.records for each in ingestion.deliveries()) == 7


@pytest.mark.parametrize(("first", "count"), [(0, 1), (255, 2), (2**48 - 3, 3), (7, 500)])
def test_record_ids_are_the_incarnation_and_the_position(first, count) -> None:
    result = PutResult(bytes(range(16)), first, count)
    head = bytes(range(16)).hex()
    assert result.record_ids() == [f"{head}{first + i:016x}" for i in range(count)]
