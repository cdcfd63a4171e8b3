"""The Spark job's decisions, without Spark: arguments, backlog, balance, compaction."""

import argparse
import json
import sys
import types
from datetime import date

import pytest

from lakelet.aws import glue_job
from lakelet.aws.backlog import Span, backlog, balanced
from lakelet.aws.runner import Runner
from lakelet.lake.rebuild import separate
from lakelet.model.ports import ObjectInfo
from tests.lake.lake import OLD, PIPELINE, RAW, START, TestLake, event


def keys(lake, span=Span(), **options):  # noqa: B008 - frozen
    return [info.key for info in backlog(lake.store, PIPELINE, span, **options)]


# --- arguments -------------------------------------------------------------------------


ARGUMENTS = ["job.py", "--JOB_NAME", "x", "--pipeline", "shop", "--bucket_suffix", "-1-eu",
             "--from", "2026-03-01", "--again", "true", "--enable-metrics", "true"]  # fmt: skip


def test_arguments_where_there_is_no_glue():
    parsed = glue_job.parse_arguments(ARGUMENTS)
    assert (parsed.pipeline, parsed.bucket_suffix) == ("shop", "-1-eu")
    assert parsed.span == Span(date(2026, 3, 1), None)
    assert (parsed.again, parsed.compact) == (True, False)


def test_arguments_by_glues_own_resolver(monkeypatch):
    """As awsglue has it: argparse, and every name asked for must be there."""

    def get_resolved_options(argv, names):
        parser = argparse.ArgumentParser()
        for name in names:
            parser.add_argument(f"--{name}", required=True)
        return vars(parser.parse_known_args(argv[1:])[0])

    utils = types.ModuleType("awsglue.utils")
    utils.getResolvedOptions = get_resolved_options
    monkeypatch.setitem(sys.modules, "awsglue", types.ModuleType("awsglue"))
    monkeypatch.setitem(sys.modules, "awsglue.utils", utils)
    parsed = glue_job.parse_arguments(ARGUMENTS)
    assert (parsed.bucket_suffix, parsed.span.first) == ("-1-eu", date(2026, 3, 1))


# --- what is to do ------------------------------------------------------------------------


def test_only_what_no_manifest_speaks_for():
    lake = TestLake()
    lake.deliver([event(1)])
    lake.pass_time(seconds=1)
    waiting = lake.deliver([event(2)], transform=False)
    lake.give_up([{}])
    assert keys(lake) == [waiting]
    assert len(keys(lake, again=True)) == 2


def test_what_was_replaced_is_looked_at_again():
    lake = TestLake()
    key = lake.deliver([event(1)])
    lake.pass_time(seconds=1)
    lake.store.put(RAW, key, b"{}")
    assert keys(lake) == [key]


def test_days_of_arrival():
    lake = TestLake()
    for _ in range(3):
        lake.deliver([event(1)], transform=False)
        lake.pass_time(days=1)
    first, middle, last = keys(lake)
    day = START.date()
    assert keys(lake, Span(day, day)) == [first]
    assert keys(lake, Span(first=date(2026, 3, 10))) == [middle, last]
    assert keys(lake, Span(last=date(2026, 3, 10))) == [first, middle]


def test_tasks_are_balanced_by_bytes():
    infos = [ObjectInfo("b", f"{n}", size, "e", START) for n, size in enumerate([9, 1, 5, 4, 1])]
    big = [ObjectInfo(i.bucket, i.key, i.size_bytes * 10**9, "e", START) for i in infos]
    assert sorted(sum(i.size_bytes for i in part) // 10**9 for part in balanced(big, 2)) == [10, 10]
    assert sorted(i.key for part in balanced(big, 2) for i in part) == list("01234")
    assert len(balanced(big, 100)) == 5
    assert balanced([], 3) == [[]]


# --- one object -----------------------------------------------------------------------------


def test_one_objects_failure_is_one_result(monkeypatch):
    lake = TestLake()
    key = lake.deliver([event(1)], transform=False)
    runner = Runner(lake.store, PIPELINE, OLD)
    good = glue_job.transform_one(runner, key, again=False)
    missing = glue_job.transform_one(runner, "gone.gz", again=False)

    def fail(*args, **options):
        raise ValueError("secret@example.com")

    monkeypatch.setattr("lakelet.aws.runner.process", fail)
    strange = glue_job.transform_one(runner, key, again=True)
    assert strange["error"] == "ValueError"
    for row in (good, missing, strange):
        assert list(row) == glue_job.RESULT_SCHEMA.names
    summary = glue_job.summarise([good, missing, strange])
    assert (summary.objects, summary.events, summary.rows) == (3, 1, 1)
    assert set(summary.failed) == {"gone.gz", key}
    assert summary.failed["gone.gz"].startswith("store.no_such_key")
    assert json.dumps(dict(summary.failed))


# --- compaction on the way ---------------------------------------------------------------------


@pytest.fixture
def compacted():
    """Six objects, one event in all of them: functions on AWS share no memory."""
    lake = TestLake()
    for number in range(6):
        lake.deliver([event(0), event(number)] if number else [event(0)])
        lake.pass_time(minutes=1)
    lake.pass_time(hours=2)
    runner = Runner(lake.store, PIPELINE, OLD)
    assert glue_job.compact(runner, Span(), lake.clock) == 6
    return lake, runner


def test_after_compaction_each_event_is_there_once(compacted):
    lake, runner = compacted
    assert lake.ids() == [f"e{n}" for n in range(6)]
    assert len(lake.files()) == 1
    found = lake.audit()
    assert found.balanced, found.findings
    assert glue_job.compact(runner, Span(), lake.clock) == 0


def test_a_compacted_object_transformed_again_is_not_there_twice(compacted):
    lake, runner = compacted
    again = [lake.delivered[0].key, lake.delivered[3].key]
    for key in again:
        glue_job.transform_one(runner, key, again=True)
    assert {finding.code for finding in lake.audit().findings} == {"output.twice"}
    separate(lake.store, PIPELINE, frozenset(again), lake.clock.now())
    # The duplicates that compaction had found are back until the next one finds them again.
    assert sorted(set(lake.ids())) == [f"e{n}" for n in range(6)]
    found = lake.audit()
    assert found.balanced, found.findings
