"""Rows by day: the same rows however they lie, and no small part pins a large whole."""

from datetime import date, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.transform.days import by_day

FIRST = date(2026, 3, 9)


def split(days: list[int]) -> dict[date, list[int]]:
    """Row numbers by day."""
    rows = pa.table({"n": range(len(days)), "text": [f"row {n}" for n in range(len(days))]})
    column = pa.array([FIRST + timedelta(day) for day in days], pa.date32())
    found = list(by_day(rows, column))
    assert [day for day, _ in found] == sorted({day for day, _ in found})
    for _, own in found:
        assert own["text"].to_pylist() == [f"row {n}" for n in own["n"].to_pylist()]
    return {day: own["n"].to_pylist() for day, own in found}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=300))
def test_every_row_once_in_the_order_it_had(days: list[int]) -> None:
    expected: dict[date, list[int]] = {}
    for n, day in enumerate(days):
        expected.setdefault(FIRST + timedelta(day), []).append(n)
    assert split(days) == expected


@pytest.mark.parametrize("stragglers", [1, 100])
def test_a_straggler_does_not_hold_the_block_it_came_in(stragglers: int) -> None:
    days = [1] * 10_000
    days[:: 10_000 // stragglers] = [0] * stragglers
    rows = pa.table({"text": ["x" * 100] * len(days)})
    column = pa.array([FIRST + timedelta(day) for day in days], pa.date32())
    (_, few), (_, many) = by_day(rows, column)
    assert few.num_rows == stragglers and many.num_rows == 10_000 - stragglers
    held = sum(b.size for c in few["text"].chunks for b in c.buffers() if b is not None)
    assert held < 1_000_000 / 2
