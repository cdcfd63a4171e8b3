"""Rows by the day they belong to, with as little copying as that takes."""

from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

# A slice is free, but holds all that it was cut from; a copy of fewer rows than this part of
# the whole is the cheaper way to keep them, and no straggler of an old day pins a block.
_SLICED_PART_MIN = 2
_RUNS_MAX = 64


def by_day(rows: pa.Table, days: pa.Array) -> Iterator[tuple[date, pa.Table]]:
    """Rows of each day, earliest day first, in the order they had; linear however many days.

    Args:
        rows: at least one.
        days: date32, one a row.
    """
    least, most = (pc.min_max(days)[end].as_py() for end in ("min", "max"))
    if least == most:
        yield least, rows
        return
    runs = pc.run_end_encode(days)
    if len(runs.values) <= _RUNS_MAX:
        yield from _of_runs(rows, runs)
        return
    grouped = pc.sort_indices(days)  # stable, so the order within a day stays
    counts = sorted(
        (entry["values"], entry["counts"]) for entry in pc.value_counts(days).to_pylist()
    )
    at = 0
    for day, count in counts:
        yield day, rows.take(grouped[at : at + count])
        at += count


def _of_runs(rows: pa.Table, runs: pa.RunEndEncodedArray) -> Iterator[tuple[date, pa.Table]]:
    """Events come nearly in the order of their time: few stretches, each of one day."""
    stretches: dict[date, list[pa.Table]] = {}
    start = 0
    for day, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        stretches.setdefault(day, []).append(rows.slice(start, end - start))
        start = end
    for day, own in sorted(stretches.items()):
        whole = pa.concat_tables(own)
        if whole.num_rows * _SLICED_PART_MIN < rows.num_rows:
            whole = _copied(whole)
        yield day, whole


def _copied(rows: pa.Table) -> pa.Table:
    # One chunk is joined too, which copies its slice and no more.
    columns = [pa.concat_arrays(column.chunks) for column in rows.columns]
    return pa.table(columns, schema=rows.schema)
