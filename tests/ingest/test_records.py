"""Joined records behave as the list that they were made of."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.ingest.records import Records

LISTS = st.lists(st.binary(max_size=40), max_size=20)


@given(LISTS)
def test_they_are_the_sequence_they_were_made_of(given: list[bytes]) -> None:
    records = Records.of(given)
    assert records == given
    assert Records.of(records) is records
    assert (len(records), records.size_bytes) == (len(given), sum(map(len, given)))
    assert list(records.sizes) == [len(each) for each in given]
    assert bytes(records.payload) == b"".join(given)


@given(LISTS, st.slices(25))
def test_a_part_of_them(given: list[bytes], part: slice) -> None:
    assert Records.of(given)[part] == given[part]
    assert [Records.of(given)[i] for i in range(len(given))] == given


@given(st.lists(LISTS, max_size=5))
def test_joined_they_follow_each_other(parts: list[list[bytes]]) -> None:
    joined = Records.joined([Records.of(part) for part in parts])
    assert joined == [record for part in parts for record in part]


@given(st.lists(LISTS, max_size=9), st.integers(1, 200))
def test_in_runs_they_stay_in_order_and_no_run_is_smaller_than_asked(parts, size_bytes) -> None:
    runs = list(Records.in_runs(map(Records.of, parts), size_bytes))
    assert [each for run in runs for each in run] == [each for part in parts for each in part]
    assert all(run.size_bytes >= size_bytes for run in runs[:-1])
    largest = max((sum(map(len, part)) for part in parts), default=0)
    assert all(run.size_bytes < size_bytes + largest or not largest for run in runs)


@settings(deadline=None)  # the first call of all makes Arrow get ready
@given(LISTS, st.sampled_from([b"", b"\n", b"\r\n"]))
def test_a_delimiter_after_each(given: list[bytes], delimiter: bytes) -> None:
    joined = bytes(Records.of(given).with_each(delimiter))
    assert joined == b"".join(record + delimiter for record in given)


@given(st.lists(st.text(" \t\n\v\f\r\x1c\x85x", max_size=4).map(str.encode)))
def test_blank_ones_are_counted_as_python_sees_white_space(given: list[bytes]) -> None:
    assert Records.of(given).count_blank() == sum(not each.strip() for each in given)
