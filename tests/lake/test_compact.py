"""Compaction: fewer files, the same rows, and a ledger that still accounts for each."""

import pytest

from lakelet.lake.compact import apply_compaction, plan_compaction, read_compactions
from tests.lake.lake import DATA, NEW, OLD, PIPELINE, START, TestLake, event


def busy_lake(objects=6, contract=OLD):
    lake = TestLake(contract)
    for number in range(objects):
        lake.deliver([event(2 * number), event(2 * number + 1)])
        lake.pass_time(minutes=1)
    lake.pass_time(hours=2)
    return lake


def compact(lake, **options):
    plans = plan_compaction(lake.store, PIPELINE, lake.clock.now(), **options)
    return apply_compaction(lake.store, PIPELINE, lake.contract, plans, lake.clock)


def test_a_day_of_small_files_becomes_one_with_the_same_rows():
    lake = busy_lake()
    before = lake.read()
    [entry] = compact(lake)
    assert lake.read() == before
    assert lake.audit().balanced, lake.audit().findings
    assert len(lake.files()) == 6, "old files stay while somebody may be reading them"
    lake.settle()
    assert lake.files() == [entry.output.key]
    assert lake.read() == before
    found = lake.audit()
    assert found.balanced, found.findings
    assert (found.totals.rows, found.totals.accepted) == (12, 12)


def test_a_compacted_day_takes_in_what_comes_later():
    lake = busy_lake()
    compact(lake)
    lake.settle()
    for number in range(100, 104):
        lake.deliver([event(number)], at=START)
    lake.pass_time(hours=2)
    before = lake.read()
    [entry] = compact(lake)
    lake.settle()
    assert lake.files() == [entry.output.key]
    assert len(entry.parts) == 10
    assert len(list(read_compactions(lake.store, PIPELINE))) == 1
    assert lake.read() == before
    assert lake.audit().balanced, lake.audit().findings


def test_what_is_not_worth_it_or_too_young_is_left_alone():
    lake = busy_lake(3)
    assert compact(lake) == []
    lake = busy_lake(6)
    lake.clock.jump_wall(-2 * 3600)
    assert compact(lake) == []
    lake = busy_lake(6)
    assert compact(lake, target_size_bytes=100) == []


def test_large_days_become_several_files():
    lake = busy_lake(8)
    size = lake.store.head(DATA, lake.files()[0]).size_bytes
    entries = compact(lake, target_size_bytes=5 * size - 100)
    lake.settle()
    assert [len(entry.parts) for entry in entries] == [4, 4]
    assert lake.audit().balanced


def test_rows_of_two_contract_versions_lie_in_one_file():
    lake = TestLake()
    plain = event(1)
    del plain["product_price"]
    for number in range(4):
        lake.deliver([{**plain, "event_id": f"e{number}", "colour": "red"}])
    lake.contract = NEW
    key = lake.delivered[0].key
    lake.transform(key, NEW)
    lake.pass_time(hours=2)
    # `product_price` was a double and is text by now: such files stay apart.
    assert compact(lake) == []
    assert lake.audit().balanced


def test_columns_that_came_later_are_null_before():
    from dataclasses import replace

    [table] = OLD.tables
    colour = replace(table.field_of("browser"), name="colour", column="colour", path=("colour",))
    wider = replace(OLD, tables=(replace(table, fields=(*table.fields, colour)),))
    lake = TestLake()
    for number in range(2):
        lake.deliver([event(number, colour="red")])
    lake.contract = wider
    for number in range(2, 4):
        lake.deliver([event(number, colour="red")])
    lake.pass_time(hours=2)
    assert len(compact(lake)) == 1
    lake.settle()
    assert [row["colour"] for row in lake.read()] == [None, None, "red", "red"]


def test_duplicates_across_objects_go_where_nobody_could_see_them_before():
    lake = TestLake()
    for _ in range(4):
        lake.deliver([event(1), event(2)])
        lake.deliver([event(3)])
    lake.pass_time(hours=2)
    plans = plan_compaction(lake.store, PIPELINE, lake.clock.now())
    apply_compaction(lake.store, PIPELINE, OLD, plans, lake.clock, deduplicate=True)
    lake.settle()
    assert lake.ids() == ["e1", "e2", "e3"]
    found = lake.audit()
    assert found.balanced, found.findings
    assert (found.totals.rows, found.totals.duplicates) == (3, 9)


def test_a_failed_compaction_changes_nothing(monkeypatch):
    lake = busy_lake()
    plans = plan_compaction(lake.store, PIPELINE, lake.clock.now())
    before = list(lake.store.list(DATA))

    def fail(*args, **options):
        raise OSError("disk full")

    monkeypatch.setattr("lakelet.lake.merge.entry_key", fail)
    with pytest.raises(OSError, match="disk full"):
        apply_compaction(lake.store, PIPELINE, OLD, plans, lake.clock)
    assert list(lake.store.list(DATA)) == before
    monkeypatch.undo()
    assert apply_compaction(lake.store, PIPELINE, OLD, plans, lake.clock)
