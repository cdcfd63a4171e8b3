"""Seen keys: the answer of a dictionary that forgets nothing, from files that merge."""

import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.lake import seen
from lakelet.lake.seen import SeenStore, open_seen_keys
from lakelet.model.contract import Contract, Deduplicate, EventTime, TableContract
from lakelet.testing.clock import ManualClock

WINDOW = timedelta(hours=72)
AT = datetime(2026, 3, 9, tzinfo=UTC)


def store_in(folder, clock=None):
    return SeenStore(folder, {"events": WINDOW}, clock or ManualClock())


def claim(store, keys, owner, *, hours=0):
    """`hours` after AT, for all keys or one each."""
    each = hours if isinstance(hours, list) else [hours] * len(keys)
    times = pa.array([AT + timedelta(hours=h) for h in each], pa.timestamp("us", "UTC"))
    return store.claim("events", pa.array(keys, pa.string()), times, owner).to_pylist()


def test_the_first_owner_keeps_a_key(tmp_path):
    store = store_in(tmp_path)
    assert claim(store, ["a", "b"], "one") == [True, True]
    assert claim(store, ["b", "c", "a"], "two") == [False, True, False]
    assert claim(store, ["c", "b"], "one") == [False, True]


def test_asking_twice_answers_the_same(tmp_path):
    store = store_in(tmp_path)
    claim(store, ["a"], "one")
    first = claim(store, ["a", "b"], "two")
    assert first == claim(store, ["a", "b"], "two") == [False, True]


def test_a_key_is_free_again_beyond_the_window(tmp_path):
    store = store_in(tmp_path)
    assert claim(store, ["a"], "one", hours=0) == [True]
    assert claim(store, ["a"], "two", hours=72) == [False]
    assert claim(store, ["a"], "three", hours=72.001) == [True]
    assert claim(store, ["a"], "four", hours=-72.001) == [True]
    assert claim(store, ["a"], "one", hours=0) == [True], "what it had, it keeps"


def test_claims_outlive_the_process_that_made_them(tmp_path):
    claim(store_in(tmp_path), ["a"], "one")
    assert claim(store_in(tmp_path), ["a"], "two") == [False]


def test_tables_are_apart(tmp_path):
    store = SeenStore(tmp_path, {"events": WINDOW, "vitals": WINDOW}, ManualClock())
    keys, times = pa.array(["a"]), pa.array([AT])
    assert store.claim("events", keys, times, "one").to_pylist() == [True]
    assert store.claim("vitals", keys, times, "two").to_pylist() == [True]


def test_nothing_claimed_is_nothing_answered(tmp_path):
    assert claim(store_in(tmp_path), [], "one") == []


def test_keys_that_are_no_utf8_or_no_text(tmp_path):
    store = store_in(tmp_path)
    assert claim(store, ["", "ä", "\x00", "a" * 100_000], "one") == [True] * 4
    numbers, times = pa.array([1, 2]), pa.array([AT, AT])
    assert store.claim("events", numbers, times, "one").to_pylist() == [True, True]
    assert store.claim("events", numbers, times, "two").to_pylist() == [False, False]


def test_files_stay_few_however_many_claims(tmp_path):
    store = store_in(tmp_path)
    for number in range(300):
        claim(store, [f"{number}-{n}" for n in range(3)], str(number))
    runs = list(tmp_path.rglob("*.run"))
    assert len(runs) < 3 * seen.MERGE_COUNT
    assert sum(run.stat().st_size for run in runs) == 300 * 3 * 32 + 16 * len(runs)
    for number in (0, 150, 299):
        assert claim(store, [f"{number}-1"], "late") == [False]


def test_merged_in_parts_it_is_the_same_file(tmp_path, monkeypatch):
    files = []
    for folder, part_keys in ((tmp_path / "one", 1 << 30), (tmp_path / "many", 5)):
        monkeypatch.setattr(seen, "_PART_KEYS", part_keys)
        store = store_in(folder)
        for number in range(seen.MERGE_COUNT):
            # "again": the same key for each, a window apart
            claim(store, ["again", *(f"{number}-{n}" for n in range(40))], str(number),
                  hours=[100 * number, *[0] * 40])  # fmt: skip
        (run,) = folder.rglob("*.run")
        files.append(run.read_bytes())
    assert files[0] == files[1]


def test_a_merge_takes_memory_for_a_part_only(tmp_path, monkeypatch):
    monkeypatch.setattr(seen, "_PART_KEYS", 1 << 12)
    store = store_in(tmp_path)
    keys = [[f"{number}-{n}" for n in range(1 << 15)] for number in range(seen.MERGE_COUNT)]
    for number in range(seen.MERGE_COUNT - 1):
        claim(store, keys[number], str(number))
    real, peaks = store._merge, []

    def measured(bucket):
        tracemalloc.start()  # NumPy tells it what it allocates
        real(bucket)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    monkeypatch.setattr(store, "_merge", measured)
    claim(store, keys[-1], "last")
    (run,) = tmp_path.rglob("*.run")
    assert run.stat().st_size > 32 << 18
    assert peaks[0] < run.stat().st_size / 8


def test_old_buckets_go_and_their_keys_with_them(tmp_path):
    clock = ManualClock(AT)
    store = store_in(tmp_path, clock)
    claim(store, ["a"], "one")
    clock.advance(WINDOW.total_seconds())
    claim(store, ["b"], "two")
    assert claim(store, ["a"], "two") == [False], "a window is not over before its end"
    clock.advance(WINDOW.total_seconds() / seen.BUCKETS_PER_WINDOW)
    claim(store, ["c"], "two")
    assert claim(store, ["a"], "three") == [True]
    assert claim(store, ["b"], "three") == [False]
    assert len([p for p in (tmp_path / "events").iterdir() if p.is_dir()]) == 2


def test_a_merge_cut_short_changes_no_answer(tmp_path, monkeypatch):
    store = store_in(tmp_path)
    monkeypatch.setattr(seen.Path, "unlink", lambda *a, **k: None)  # killed before the deletes
    for number in range(20):
        claim(store, [str(number)], str(number))
    monkeypatch.undo()
    again = store_in(tmp_path)
    for number in range(20):
        assert claim(again, [str(number)], str(number)) == [True]
        assert claim(again, [str(number)], "other") == [False]


def test_processes_take_turns(tmp_path):
    """Each key is claimed by two processes at once; exactly one gets it."""
    program = (
        "import sys, datetime, pyarrow as pa\n"
        "from pathlib import Path\n"
        "from lakelet.lake.seen import SeenStore\n"
        "from lakelet.store.clock import SystemClock\n"
        "s = SeenStore(Path(sys.argv[1]), {'e': datetime.timedelta(hours=1)}, SystemClock())\n"
        "t = pa.array([datetime.datetime(2026, 1, 1)] * 50)\n"
        "for n in range(40):\n"
        "    keys = pa.array([f'{n}-{k}' for k in range(50)])\n"
        "    print(s.claim('e', keys, t, sys.argv[2]).true_count)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    processes = [
        subprocess.Popen([*command, owner], stdout=subprocess.PIPE) for owner in ("one", "two")
    ]
    counts = [list(map(int, process.communicate()[0].split())) for process in processes]
    assert [a + b for a, b in zip(*counts, strict=True)] == [50] * 40


def test_a_contract_says_which_tables_and_windows(tmp_path):
    table = TableContract("events", (), EventTime("at"), deduplicate=Deduplicate("id", 72))
    declared = Contract(1, (table,))
    store = open_seen_keys(tmp_path, declared, ManualClock())
    assert claim(store, ["a"], "one") == [True]
    assert claim(store, ["a"], "two", hours=72) == [False]


class Reference:
    """The rule, said once more and simply."""

    def __init__(self):
        self.claims = {}

    def claim(self, keys, owner, hours):
        answer = []
        for key, hour in zip(keys, hours, strict=True):
            entries = self.claims.setdefault(key, set())
            near = [o for o, h in entries if abs(h - hour) <= 72 and o != owner]
            if (owner, hour) in entries:
                answer.append(True)
            else:
                answer.append(not near)
                if not near:
                    entries.add((owner, hour))
        return answer


calls = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 300), max_size=8),
        st.sampled_from(["one", "two", "three"]),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(calls)
def test_any_course_of_claims_answers_as_the_rule_says(tmp_path_factory, course):
    store, reference = store_in(tmp_path_factory.mktemp("seen")), Reference()
    for claims, owner in course:
        keys, hours = list(claims), list(claims.values())
        assert claim(store, keys, owner, hours=hours) == reference.claim(keys, owner, hours)


def test_a_damaged_file_is_named(tmp_path):
    claim(store_in(tmp_path), ["a"], "one")
    [run] = tmp_path.rglob("*.run")
    run.write_bytes(run.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"000000000001\.run is no run"):
        claim(store_in(tmp_path), ["a"], "one")
