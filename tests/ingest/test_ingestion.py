"""Records in, objects out: what is acknowledged is in exactly one raw object."""

import asyncio
import gzip
import os
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from lakelet.ingest.assemble import Toolbox
from lakelet.ingest.errors import (
    DeliveryFailed,
    InvalidArgument,
    LogUnavailable,
    ResourceInUse,
    ResourceNotFound,
    ServiceUnavailable,
)
from lakelet.ingest.naming import position_of
from lakelet.model.layout import parse_delivered_name
from lakelet.model.pipeline import Pipeline, StreamSettings
from lakelet.node.ingestion import Ingestion
from lakelet.testing.clock import ManualClock
from lakelet.testing.files import FaultyFileSystem
from tests.ingest.fakes import FakeStore, wait_until

NAME = "clickstream"


class World:
    """Disk, bucket, state and clock outlive the ingestions that run on them."""

    def __init__(self, folder: Path, **settings) -> None:
        self.disk, self.store, self.clock = FaultyFileSystem(), FakeStore(), ManualClock()
        self.folder = folder
        self.pipeline = Pipeline(name=NAME, stream=StreamSettings(**settings))
        self.told: list[str] = []
        self.opened: list[Ingestion] = []

    def start(self, **options) -> Ingestion:
        ingestion = Ingestion(
            self.pipeline,
            files=self.disk,
            store=self.store,
            clock=self.clock,
            folder=self.folder,
            on_delivered=lambda delivery, _info: self.told.append(delivery.key),
            **options,
        )
        ingestion.start()
        self.opened.append(ingestion)
        return ingestion

    def records(self) -> list[bytes]:
        lines = []
        for (_, key), body in sorted(self.store.bodies.items()):
            if "/errors/" not in key:
                lines += gzip.decompress(body).splitlines()
        return lines


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    for ingestion in made.opened:
        if ingestion._is_open:
            ingestion.close(drain=False)


def test_a_record_id_names_its_place(world) -> None:
    ingestion = world.start()
    first = ingestion.put_blocking(NAME, [b"a", b"b"])
    second = ingestion.put_blocking(NAME, [b"c"])
    ids = [*first.record_ids(), *second.record_ids()]
    assert [int(each[32:], 16) for each in ids] == [0, 1, 2]
    assert len({each[:32] for each in ids}) == 1
    assert ingestion.position_next(NAME) == 3


def test_what_is_flushed_lies_under_the_arrival_date(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b'{"a":1}', b'{"a":2}'])
    ingestion.flush()
    ((bucket, key),) = world.store.bodies
    info = world.store.infos[bucket, key]
    assert bucket == "clickstream-raw"
    assert key.startswith("year=2026/month=03/day=09/clickstream-1-2026-03-09-14-30-00-")
    assert key.endswith(".gz")
    assert world.store.bodies[bucket, key][:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
    assert gzip.decompress(world.store.bodies[bucket, key]) == b'{"a":1}\n{"a":2}\n'
    assert (info.content_encoding, info.content_type) == ("gzip", "application/octet-stream")
    assert info.metadata["lakelet-first-position"] == "0"
    name = parse_delivered_name(key)
    assert name is not None
    assert (name.stream, name.version) == (NAME, 1)


def test_names_carry_positions_in_order(world) -> None:
    from uuid import UUID

    ingestion = world.start()
    for count in (3, 2, 4):
        ingestion.put_blocking(NAME, [b"x"] * count)
        ingestion.flush()
    ids = [UUID(parse_delivered_name(key).id) for key in world.store.names()]
    assert [position_of(each) for each in ids] == [0, 3, 5]
    assert {each.version for each in ids} == {8}


def test_the_ledger_accounts_for_every_position(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"a", b" ", b"", b"b"])
    ingestion.flush()
    ingestion.put_blocking(NAME, [b"c"])
    ingestion.flush()
    deliveries = list(ingestion.deliveries(NAME))
    spans = [(d.first_position, d.end_position, d.records, d.blank_records) for d in deliveries]
    assert spans == [(0, 4, 4, 2), (4, 5, 1, 0)]
    assert [d.key for d in deliveries] == world.store.names()
    assert [d.etag for d in deliveries] == [i.etag for i in world.store.infos.values()]
    assert ingestion.position_delivered(NAME) == ingestion.position_next(NAME) == 5
    assert list(ingestion.deliveries("another")) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only there has a thread its own priority")
def test_deliveries_stand_back_and_commits_do_not(world, monkeypatch) -> None:
    def niceness(real):
        def spy(*arguments, **options):
            seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return real(*arguments, **options)

        return spy

    seen: list[int] = []
    ingestion = world.start()
    monkeypatch.setattr(world.store, "put", niceness(world.store.put))
    log = ingestion._runtime(NAME).log
    monkeypatch.setattr(log, "append", niceness(log.append))
    ingestion.put_blocking(NAME, [b"a"])
    world.clock.advance(60)
    wait_until(lambda: len(seen) == 2)
    assert seen[0] == os.getpriority(os.PRIO_PROCESS, 0)
    assert seen[1] >= 10


def test_a_buffer_is_delivered_by_age(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"early"])
    world.clock.advance(59)
    ingestion.put_blocking(NAME, [b"late"])
    assert world.store.puts == []
    world.clock.advance(1)
    ingestion._wake_watcher()
    wait_until(lambda: world.told)
    assert world.records() == [b"early", b"late"]


def test_a_buffer_is_delivered_by_size(tmp_path) -> None:
    world = World(tmp_path, buffer_size_mb=1)
    ingestion = world.start()
    for _ in range(9):
        ingestion.put_blocking(NAME, [b"x" * 120_000])
    wait_until(lambda: world.told)
    (delivery,) = wait_for_deliveries(ingestion, 1)
    assert delivery.records == 9
    ingestion.close(drain=False)


def wait_for_deliveries(ingestion, count):
    wait_until(lambda: len(list(ingestion.deliveries())) >= count)
    return list(ingestion.deliveries())


def test_what_was_not_delivered_is_after_a_restart(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"a", b"b"])
    ingestion.close(drain=False)
    ingestion = world.start()
    assert ingestion.stats()[NAME].buffered_records == 2
    ingestion.put_blocking(NAME, [b"c"])
    ingestion.flush()
    assert world.records() == [b"a", b"b", b"c"]
    assert len(world.store.names()) == 1


def test_draining_leaves_nothing_behind(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"a"])
    ingestion.close(drain=True)
    assert world.records() == [b"a"]
    assert [path for path in world.disk.paths() if path.endswith(".seg")] == []


CRASH_POINTS = ["put", "told", "finish"]


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_delivery_cut_short_is_repeated_under_the_same_name(world, point, monkeypatch) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"a", b"b"])

    def crash(*_args, **_kwargs):
        raise KeyboardInterrupt

    target = {
        "put": (ingestion._deliverer.store, "put"),
        "told": (ingestion._deliverer, "on_delivered"),
        "finish": (ingestion._ledger, "finish"),
    }[point]
    with monkeypatch.context() as patch:
        patch.setattr(*target, crash)
        with pytest.raises(KeyboardInterrupt):
            ingestion.flush()
    before = dict(world.store.bodies)
    ingestion.close(drain=False)
    # More arrives before the retry, by another configuration: the old cut stays what it was.
    world.pipeline = Pipeline(name=NAME, stream=StreamSettings(prefix="elsewhere/"))
    world.clock.advance(3600)
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"c"])
    ingestion.flush()
    assert sorted(world.records()) == [b"a", b"b", b"c"]
    assert len(world.store.names()) == 2
    assert before.items() <= world.store.bodies.items()
    spans = [(d.first_position, d.end_position, d.records) for d in ingestion.deliveries()]
    assert spans == [(0, 2, 2), (2, 3, 1)]


def test_a_bucket_that_fails_delays_and_loses_nothing(world) -> None:
    ingestion = world.start()
    world.store.fail_after = 0
    ingestion.put_blocking(NAME, [b"a"])
    with pytest.raises(DeliveryFailed, match="No space"):
        ingestion.flush()
    ingestion.put_blocking(NAME, [b"b"])
    world.store.fail_after = None
    ingestion.flush()
    assert world.records() == [b"a", b"b"]
    assert ingestion.stats()[NAME].last_error == ""


def test_a_failing_delivery_says_why_and_since_when(world) -> None:
    ingestion = world.start()
    world.store.fail_after = 0
    ingestion.put_blocking(NAME, [b"a"])
    began = world.clock.now()
    for _ in range(2):
        with pytest.raises(DeliveryFailed, match="No space"):
            ingestion.flush()
        world.clock.advance(60)
    stats = ingestion.stats()[NAME]
    assert "No space" in stats.last_error
    assert stats.failing_since == began
    world.store.fail_after = None
    ingestion.flush()
    stats = ingestion.stats()[NAME]
    assert (stats.last_error, stats.failing_since) == ("", None)


def test_a_full_disk_is_503_and_heals_by_itself(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"a"])
    world.disk.capacity_bytes = 0
    for _ in range(3):
        with pytest.raises(LogUnavailable) as refused:
            ingestion.put_blocking(NAME, [b"b"])
        assert (refused.value.aws_code, refused.value.http_status) == (
            "ServiceUnavailableException",
            503,
        )
    world.disk.heal()
    assert ingestion.put_blocking(NAME, [b"c"]).first_position == 1
    ingestion.flush()
    assert world.records() == [b"a", b"c"]
    assert ingestion._runtime(NAME)._queued_bytes == 0


def test_a_power_failure_takes_nothing_acknowledged(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"a"])
    world.disk.fail("sync")
    with pytest.raises(LogUnavailable):
        ingestion.put_blocking(NAME, [b"refused"])
    ingestion.put_blocking(NAME, [b"b"])
    ingestion.close(drain=False)
    world.disk.crash()
    world.start().flush()
    assert world.records() == [b"a", b"b"]


def test_rotten_records_are_counted_not_hidden(world) -> None:
    ingestion = world.start()
    for record in (b"first", b"second", b"third"):
        ingestion.put_blocking(NAME, [record])
    (path,) = world.disk.paths()
    world.disk.flip(path, 48 + 4 + 5 + 48 + 6)
    ingestion.flush()
    assert world.records() == [b"first", b"third"]
    assert ingestion.stats()[NAME].damaged_records == 1
    assert ingestion.position_delivered(NAME) == 3
    assert world.disk.paths() == [path + ".damaged"]


@pytest.mark.parametrize("jump", [-86_400 * 30, 86_400 * 30])
def test_a_clock_that_jumps_neither_loses_nor_hurries(world, jump) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"before"])
    world.clock.jump_wall(jump)
    ingestion._wake_watcher()
    ingestion.put_blocking(NAME, [b"after"])
    assert world.store.puts == []
    world.clock.advance(60)
    ingestion._wake_watcher()
    wait_for_deliveries(ingestion, 1)
    assert world.records() == [b"before", b"after"]
    assert "2026-03-09" in world.store.names()[0]


@pytest.mark.parametrize("jump", [-86_400 * 30, 86_400 * 30])
def test_nor_over_a_restart(world, jump) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"before"])
    ingestion.close(drain=False)
    world.clock.jump_wall(jump)
    ingestion = world.start()
    world.clock.advance(60)
    ingestion._wake_watcher()
    wait_for_deliveries(ingestion, 1)
    assert world.records() == [b"before"]
    assert "2026-03-09" in world.store.names()[0]


def test_a_full_buffer_answers_503_until_it_is_delivered(world) -> None:
    ingestion = world.start(undelivered_bytes_max=1000)
    ingestion.put_blocking(NAME, [b"x" * 900])
    with pytest.raises(ServiceUnavailable, match="Slow down"):
        ingestion.put_blocking(NAME, [b"x" * 200])
    ingestion.put_blocking(NAME, [b"x" * 100])
    ingestion.flush()
    ingestion.put_blocking(NAME, [b"x" * 900])


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ([], "0 records"),
        ([b"x"] * 501, "501 records"),
        ([b"x", b"y" * 1_024_001], "record 1 has 1024001 bytes"),
        ([b"x" * 1_000_000] * 5, "5000000 bytes"),
    ],
)
def test_limits_refuse_the_whole_request(world, records, says) -> None:
    ingestion = world.start()
    with pytest.raises(InvalidArgument, match=says):
        ingestion.put_blocking(NAME, records)
    assert ingestion.position_next(NAME) == 0


def test_limits_are_met_exactly(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"x" * 1_024_000] * 4)
    ingestion.put_blocking(NAME, [b""] * 500)
    assert ingestion.position_next(NAME) == 504


def test_unknown_stream(world) -> None:
    ingestion = world.start()
    with pytest.raises(ResourceNotFound, match="nope") as refused:
        ingestion.put_blocking("nope", [b"x"])
    assert "clickstream" in refused.value.hint


def test_many_requests_share_a_sync_and_each_gets_its_own_positions(world) -> None:
    ingestion = world.start()

    async def flood() -> list[int]:
        results = await asyncio.gather(
            *(ingestion.put(NAME, [b"%d-%d" % (i, j) for j in range(3)]) for i in range(100))
        )
        return [result.first_position for result in results]

    world.disk.calls.clear()
    positions = asyncio.run(flood())
    assert sorted(positions) == list(range(0, 300, 3))
    assert sum(operation == "sync" for operation, _ in world.disk.calls) < 100
    ingestion.flush()
    lines = world.records()
    for i, first in enumerate(positions):
        assert lines[first : first + 3] == [b"%d-%d" % (i, j) for j in range(3)]


def test_a_failed_group_is_refused_to_each_of_its_requests(world) -> None:
    ingestion = world.start()
    world.disk.fail("sync", times=1000)

    async def flood() -> list[object]:
        puts = (ingestion.put(NAME, [b"%d" % i]) for i in range(50))
        return await asyncio.gather(*puts, return_exceptions=True)

    assert all(isinstance(each, LogUnavailable) for each in asyncio.run(flood()))
    world.disk.heal()
    ingestion.put_blocking(NAME, [b"kept"])
    ingestion.flush()
    assert world.records() == [b"kept"]


def test_after_closing_nothing_is_accepted(world) -> None:
    ingestion = world.start()
    ingestion.close(drain=False)
    with pytest.raises(ServiceUnavailable):
        ingestion.put_blocking(NAME, [b"x"])


def test_a_changed_declaration_is_a_new_version(world) -> None:
    world.start().close(drain=False)
    world.pipeline = Pipeline(name=NAME, stream=StreamSettings(buffer_size_mb=7))
    ingestion = world.start()
    stream = ingestion.streams.get(NAME)
    assert stream.version == 2
    assert stream.destination.hints.size_bytes == 7 * 1024 * 1024
    ingestion.put_blocking(NAME, [b"x"])
    ingestion.flush()
    assert "clickstream-2-" in world.store.names()[0]


def test_a_deleted_stream_delivers_what_it_holds_and_its_name_is_free(world) -> None:
    ingestion = world.start()
    request = {
        "DeliveryStreamName": "..",
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": "arn:aws:iam::000000000000:role/x",
            "BucketARN": "arn:aws:s3:::other",
            "Prefix": "p/",
        },
    }
    ingestion.streams.create(request)
    with pytest.raises(ResourceInUse):
        ingestion.streams.create(request)
    ingestion.put_blocking("..", [b"a", b"b"])
    ingestion.streams.delete("..")
    wait_until(lambda: ingestion.streams.find("..") is None)
    assert world.store.bodies["other", world.store.names()[0]] == b"ab"
    assert world.store.names()[0].startswith("p/2026/03/09/14/..-1-")
    ingestion.streams.create(request)
    assert ingestion.put_blocking("..", [b"c"]).first_position == 0
    ingestion.flush("..")
    assert len(set(world.store.names())) == 2


def test_a_ledger_of_an_older_lakelet_goes_on(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"a", b"b"])
    ingestion.flush()
    ingestion.close(drain=False)
    with closing(sqlite3.connect(world.folder / "ingest.sqlite")) as database:
        database.execute("ALTER TABLE cuts DROP COLUMN parted_records")
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"c"])
    ingestion.flush()
    done = list(ingestion.cuts())
    assert [(each.cut.first_position, each.cut.end_position) for each in done] == [(0, 2), (2, 3)]
    assert done[0].parted_records is None, "nobody counted then"


def test_stats_tell_what_waits(world) -> None:
    ingestion = world.start()
    ingestion.put_blocking(NAME, [b"abc", b"de"])
    world.clock.advance(7)
    stats = ingestion.stats()[NAME]
    assert (stats.accepted_records, stats.accepted_bytes, stats.buffered_records) == (2, 5, 2)
    assert (stats.buffered_bytes, stats.oldest_age_seconds) == (5, 7.0)
    ingestion.flush()
    stats = ingestion.stats()[NAME]
    assert (stats.buffered_records, stats.buffered_bytes, stats.oldest_age_seconds) == (0, 0, 0.0)
    assert (stats.delivered_records, stats.delivered_objects) == (2, 1)


def test_a_log_that_cannot_be_opened_is_503_until_it_can(world) -> None:
    ingestion = world.start()
    bucket = {"RoleARN": "arn:aws:iam::000000000000:role/x", "BucketARN": "arn:aws:s3:::other"}
    ingestion.streams.create(
        {"DeliveryStreamName": "second", "ExtendedS3DestinationConfiguration": bucket}
    )
    world.disk.fail("list")
    with pytest.raises(LogUnavailable, match="log of second can't be opened"):
        ingestion.put_blocking("second", [b"x"])
    assert ingestion.put_blocking("second", [b"x"]).first_position == 0


def test_a_disk_that_stalls_fills_no_memory(world, monkeypatch) -> None:
    ingestion = world.start()
    stalled, go_on = threading.Event(), threading.Event()
    log = ingestion._runtime(NAME).log

    def stall(real=log.append, *arguments):
        stalled.set()
        go_on.wait(30)
        return real(*arguments)

    monkeypatch.setattr(
        log, "append", lambda *arguments: stall(log.__class__.append, log, *arguments)
    )
    answers: list[object] = []
    refused = 0
    megabyte = [b"x" * 1_000_000] * 4
    for _ in range(30):
        try:
            ingestion.submit(NAME, megabyte, answers.append, None)
        except ServiceUnavailable:
            refused += 1
    assert stalled.wait(30)
    assert refused == 30 - 16  # 64 MiB hold sixteen requests of 4 MB
    go_on.set()
    wait_until(lambda: len(answers) == 16)
    assert not any(isinstance(each, BaseException) for each in answers)
    assert ingestion._runtime(NAME)._queued_bytes == 0


# --- streams do not wait for each other ---------------------------------------------


def create(ingestion: Ingestion, name: str, bucket: str, *, calls: str = "") -> None:
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{calls}"
    parameter = {"ParameterName": "LambdaArn", "ParameterValue": arn}
    processors = [{"Type": "Lambda", "Parameters": [parameter]}] if calls else []
    ingestion.streams.create(
        {
            "DeliveryStreamName": name,
            "ExtendedS3DestinationConfiguration": {
                "RoleARN": "arn:aws:iam::000000000000:role/x",
                "BucketARN": f"arn:aws:s3:::{bucket}",
                "BufferingHints": {"IntervalInSeconds": 0, "SizeInMBs": 1},
                "ProcessingConfiguration": {"Enabled": bool(calls), "Processors": processors},
            },
        }
    )


def test_a_stream_that_cannot_be_delivered_keeps_no_other_from_a_flush(world) -> None:
    ingestion = world.start()
    world.store.missing_buckets.add("gone")
    for name, bucket in (("aaa", "gone"), ("bbb", "lake"), ("ccc", "gone")):
        create(ingestion, name, bucket)
        ingestion.put_blocking(name, [name.encode()])
    with pytest.raises(DeliveryFailed, match=r"aaa: no bucket gone.*; ccc: no bucket gone"):
        ingestion.flush()
    assert world.store.bodies.keys() == {("lake", key) for key in world.store.names()}
    assert list(world.store.bodies.values()) == [b"bbb"]
    with pytest.raises(DeliveryFailed):
        ingestion.close(drain=True)
    world.store.missing_buckets.clear()
    world.start().flush()
    assert sorted(world.store.bodies.values()) == [b"aaa", b"bbb", b"ccc"]


def test_a_stream_deleted_under_a_flush_or_without_its_log_harms_no_other(
    world, monkeypatch
) -> None:
    ingestion = world.start()
    errors = {"aaa": ResourceNotFound("deleted"), "bbb": LogUnavailable("no disk")}
    for name in ("aaa", "bbb", "ccc"):
        create(ingestion, name, "lake")
        ingestion.put_blocking(name, [name.encode()])
    real = ingestion._runtime

    def found(name):
        if name in errors:
            raise errors[name]
        return real(name)

    monkeypatch.setattr(ingestion, "_runtime", found)
    with pytest.raises(DeliveryFailed) as failed:
        ingestion.flush()
    assert failed.value.streams == ("bbb",)
    assert b"ccc" in world.store.bodies.values()
    with pytest.raises(ResourceNotFound):
        ingestion.flush("aaa")


def test_functions_that_take_their_time_hold_up_their_own_streams_alone(world) -> None:
    may_answer, asked = threading.Event(), threading.Semaphore(0)

    def slow(event, _context):
        asked.release()
        assert may_answer.wait(60)
        return {"records": [{**each, "result": "Ok"} for each in event["records"]]}

    ingestion = world.start(toolbox=Toolbox({"slow": slow}))
    names = [f"slow-{n}" for n in range(6)]
    for name in names:
        create(ingestion, name, "lake", calls="slow")
        ingestion.put_blocking(name, [name.encode()])
    assert all(asked.acquire(timeout=20) for _ in names)
    create(ingestion, "quick", "lake")
    ingestion.put_blocking("quick", [b"q"])
    wait_until(lambda: list(world.store.bodies.values()) == [b"q"])
    may_answer.set()
    wait_until(lambda: len(world.store.bodies) == 7)


def test_what_is_no_exception_waits_and_is_told_like_one(world, monkeypatch, caplog) -> None:
    ingestion = world.start()
    attempts = []

    def leave(*_args, **_kwargs):
        attempts.append(1)
        raise SystemExit(3)

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "put", leave)
        create(ingestion, "s", "lake")
        ingestion.put_blocking("s", [b"a"])
        wait_until(lambda: ingestion.stats()["s"].last_error == "SystemExit: 3")
        ingestion._wake_watcher()
        wait_until(lambda: not ingestion._is_woken)
        assert len(attempts) == 1  # the clock stands still
    assert "delivery of s failed, and will be tried again" in caplog.text
    world.clock.advance(60)
    wait_until(lambda: list(world.store.bodies.values()) == [b"a"])
