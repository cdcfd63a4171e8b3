"""A change of many objects: a reader sees all of it or nothing, whenever it looks."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.lake.swap import GRACE, LEFT_AFTER, Staging, settle, sweep
from lakelet.model.errors import ObjectNotFound
from lakelet.model.layout import ASIDE_PREFIX, SWAP_PREFIX
from lakelet.model.swap import Swap, View, read_swaps, read_view
from lakelet.testing.clock import ManualClock
from tests.lake.lake import Cut, KillableStore

DATA, RAW = "lake-transformed", "lake-raw"
BEFORE = {(DATA, "a"): b"a1", (DATA, "b"): b"b1", (DATA, "c"): b"c1", (RAW, "q"): b"q1"}
AFTER = {(DATA, "a"): b"a2", (DATA, "c"): b"c1", (DATA, "d"): b"d2", (RAW, "q"): b"q2"}


def lake():
    store = KillableStore(ManualClock())
    for bucket in (DATA, RAW):
        store.create_bucket(bucket)
    for (bucket, key), body in BEFORE.items():
        store.put(bucket, key, body)
    store.clock.advance(1)
    return store


def seen_by_a_reader(store, view=None):
    view = view or read_view(store, DATA)
    return {
        (bucket, info.key): store.get(*view.resolve(bucket, info.key))
        for bucket in (DATA, RAW)
        for info in view.visible(bucket, store.list(bucket))
        if not info.key.startswith("_")
    }


def stage(store):
    staging = Staging(store, DATA, "one")
    staging.put(DATA, "a", b"a2")
    staging.delete(DATA, "b")
    staging.put(RAW, "q", b"q2")
    with staging.writer(DATA, "d") as writer:
        writer.write(b"d2")
        writer.commit()
    return staging


def test_a_change_is_seen_from_its_commit_on():
    store = lake()
    staging = stage(store)
    assert seen_by_a_reader(store) == BEFORE
    assert {key: staging.get(*key) for key in AFTER} == AFTER
    assert [info.key for info in staging.list(DATA) if info.key[0] != "_"] == ["a", "c", "d"]
    with pytest.raises(ObjectNotFound):
        staging.get(DATA, "b")
    staging.commit(store.clock.now())
    assert seen_by_a_reader(store) == AFTER


def test_settled_it_is_plain_files():
    store = lake()
    stage(store).commit(store.clock.now())
    assert settle(store, DATA, store.clock.now()) == []
    store.clock.advance(GRACE.total_seconds())
    assert settle(store, DATA, store.clock.now()) == ["one"]
    plain = {
        (bucket, info.key): store.get(bucket, info.key)
        for bucket in (DATA, RAW)
        for info in store.list(bucket)
        if not info.key.startswith(ASIDE_PREFIX)
    }
    assert plain == AFTER
    store.clock.advance(LEFT_AFTER.total_seconds() + 1)
    assert sweep(store, (DATA, RAW), DATA, store.clock.now()) == 3
    assert not list(store.list(RAW, "_")) + list(store.list(DATA, "_"))


@pytest.mark.parametrize("killed_after", range(9))
def test_a_settling_cut_short_shows_nothing_and_is_done_again(killed_after):
    store = lake()
    stage(store).commit(store.clock.now())
    store.clock.advance(GRACE.total_seconds())
    looks = []
    store.on_change = lambda: looks.append(seen_by_a_reader(store))
    store.changes_left = killed_after
    try:
        settle(store, DATA, store.clock.now())
    except Cut:
        assert seen_by_a_reader(store) == AFTER
    store.changes_left = 10**9
    settle(store, DATA, store.clock.now())
    assert read_swaps(store, DATA) == []
    assert seen_by_a_reader(store) == AFTER
    assert all(look == AFTER for look in looks)


@pytest.mark.parametrize("killed_after", range(4))
def test_a_staging_cut_short_shows_nothing(killed_after):
    store = lake()
    store.changes_left = killed_after
    with pytest.raises(Cut):
        stage(store).commit(store.clock.now())
    store.changes_left = 10**9
    assert seen_by_a_reader(store) == BEFORE
    store.clock.advance(LEFT_AFTER.total_seconds() + 1)
    sweep(store, (DATA, RAW), DATA, store.clock.now())
    stage(store).commit(store.clock.now())
    assert seen_by_a_reader(store) == AFTER


def test_a_reader_that_looked_before_the_settling_can_still_read_after():
    store = lake()
    stage(store).commit(store.clock.now())
    store.clock.advance(GRACE.total_seconds())
    view = read_view(store, DATA)
    settle(store, DATA, store.clock.now())
    assert seen_by_a_reader(store, view) == AFTER


def test_what_was_written_since_the_commit_is_kept():
    store = lake()
    stage(store).commit(store.clock.now())
    store.clock.advance(5)
    store.put(DATA, "a", b"a3")
    store.put(DATA, "b", b"b3")
    store.clock.advance(GRACE.total_seconds())
    settle(store, DATA, store.clock.now())
    assert (store.get(DATA, "a"), store.get(DATA, "b")) == (b"a3", b"b3")


def test_changes_stack_and_settle_in_their_order():
    store = lake()
    stage(store).commit(store.clock.now())
    store.clock.advance(1)
    second = Staging(store, DATA, "two")
    assert {key: second.get(*key) for key in AFTER} == AFTER
    second.put(DATA, "a", b"a3")
    second.delete(DATA, "d")
    second.put(DATA, "b", b"b3")
    second.commit(store.clock.now())
    wanted = {**AFTER, (DATA, "a"): b"a3", (DATA, "b"): b"b3"}
    del wanted[DATA, "d"]
    assert seen_by_a_reader(store) == wanted
    store.clock.advance(GRACE.total_seconds() - 1)
    assert settle(store, DATA, store.clock.now()) == ["one"]
    assert seen_by_a_reader(store) == wanted
    store.clock.advance(1)
    assert settle(store, DATA, store.clock.now()) == ["two"]
    assert seen_by_a_reader(store) == wanted
    plain = {info.key: store.get(DATA, info.key) for info in store.list(DATA)}
    assert {k: v for k, v in plain.items() if k[0] != "_"} == {
        "a": b"a3", "b": b"b3", "c": b"c1",
    }  # fmt: skip


def test_an_abandoned_change_leaves_nothing():
    store = lake()
    staging = stage(store)
    assert not staging.is_empty
    staging.abandon()
    assert staging.is_empty
    assert not list(store.list(DATA, "_")) + list(store.list(RAW, "_"))


def test_an_entry_reads_back_as_it_was_written():
    store = lake()
    swap = stage(store).commit(store.clock.now() + timedelta(microseconds=7))
    assert Swap.decode(swap.encode()) == swap
    assert [info.key for info in store.list(DATA, SWAP_PREFIX)] == [swap.key]


keys = st.sampled_from("abcde")
steps = st.lists(st.tuples(st.sampled_from(["put", "delete"]), keys), max_size=12)


@given(st.lists(steps, min_size=1, max_size=3), st.integers(0, 3))
def test_any_changes_are_what_the_plain_store_would_have_become(courses, settled_between):
    store, plain = lake(), dict(BEFORE)
    for number, course in enumerate(courses):
        staging = Staging(store, DATA, f"change-{number}")
        for at, (verb, key) in enumerate(course):
            if verb == "put":
                body = b"%d %d" % (number, at)
                staging.put(DATA, key, body)
                plain[DATA, key] = body
            else:
                staging.delete(DATA, key)
                plain.pop((DATA, key), None)
        assert seen_by_a_reader(staging, View()) == plain
        staging.commit(store.clock.now())
        assert seen_by_a_reader(store) == plain
        store.clock.advance(GRACE.total_seconds() / 2)
        if settled_between > number:
            settle(store, DATA, store.clock.now())
            assert seen_by_a_reader(store) == plain
    store.clock.advance(GRACE.total_seconds())
    settle(store, DATA, store.clock.now())
    assert seen_by_a_reader(store, View()) == plain
