"""Rows of several pieces as one, against the simple way: to sort (start, row) pairs."""

from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.transform import pieces as module
from lakelet.transform.pieces import EXTRAS, GoodRows, Piece
from lakelet.transform.rows import Rows

ROWS = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=60)


def piece(starts: list[int], good: list[bool] | None, extras: bool) -> Piece:
    rows = Rows(
        len(starts),
        {},
        lambda: (pa.array(starts, pa.int64()), pa.array(starts, pa.int64())),
        pa.array([f"x{at}" for at in starts], pa.string()) if extras else None,
    )
    columns = {
        "name": pa.array([f"row {at}" if at % 3 else None for at in starts], pa.string()),
        "number": pa.array(starts, pa.int32()),
        "list": pa.array([[at] for at in starts], pa.list_(pa.int64())),
    }
    return Piece(rows, columns, None if good is None else np.array(good, np.bool_))


@pytest.mark.parametrize("stretch_rows_min", [0, 2, 1000])
@given(rows=ROWS, all_good=st.booleans(), with_extras=st.sets(st.integers(0, 3)))
def test_in_the_order_of_their_bytes(
    stretch_rows_min: int,
    rows: list[tuple[int, bool, bool]],
    all_good: bool,
    with_extras: set[int],
) -> None:
    made = []
    for number in range(4):
        own = [(at, good) for at, (to, good, _) in enumerate(rows) if to == number]
        flags = None if all_good else [good for _, good in own]
        made.append(piece([at for at, _ in own], flags, number in with_extras))
    expected = [at for at, (_, good, _) in enumerate(rows) if good or all_good]
    with mock.patch.object(module, "_STRETCH_ROWS_MIN", stretch_rows_min):
        good = GoodRows(made)
        assert good.count == len(expected)
        assert good.column("number").to_pylist() == expected
        assert_columns(good, expected, rows, with_extras)
        if expected:
            kept = [rows[at][2] for at in expected]
            assert good.keep(pa.array(kept, pa.bool_())) == kept.count(False)
            left = [at for at, is_kept in zip(expected, kept, strict=True) if is_kept]
            assert_columns(good, left, rows, with_extras)


def assert_columns(
    good: GoodRows,
    expected: list[int],
    rows: list[tuple[int, bool, bool]],
    with_extras: set[int],
) -> None:
    columns = good.columns(["name", "number", "list"])
    assert columns["number"].to_pylist() == expected
    assert columns["name"].to_pylist() == [f"row {at}" if at % 3 else None for at in expected]
    assert columns["list"].to_pylist() == [[at] for at in expected]
    extras = [f"x{at}" if rows[at][0] in with_extras else None for at in expected]
    found = columns.get(EXTRAS)
    assert (found.to_pylist() if found is not None else [None] * len(expected)) == extras
    assert good.count == len(expected)


def test_a_few_rows_of_many_hold_no_more_than_themselves() -> None:
    """A slice would keep the whole block in memory."""
    starts = list(range(10_000))
    good = GoodRows([piece(starts, [at < 100 for at in starts], extras=False)])
    name = good.columns(["name"])["name"]
    assert sum(buffer.size for buffer in name.buffers() if buffer) < 4_000
