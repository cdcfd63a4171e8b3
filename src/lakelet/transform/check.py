"""Rows against a table's contract: typed columns, and the first thing wrong with each row."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.contract import Field, TableContract
from lakelet.model.schema import TIMESTAMP
from lakelet.transform.coerce import coerce, present
from lakelet.transform.instants import LEAST_US, MOST_US
from lakelet.transform.rows import Flaw, Rows

Tell = Callable[[int], Flaw]  # row -> the flaw, in words


@dataclass(slots=True)
class Checked:
    """n rows: a column a field (null where it did not fit), and a verdict each."""

    columns: dict[str, pa.Array]
    verdict: pa.Array | None = None  # int32 into `tells`; null where the row is good
    tells: list[Tell] = field(default_factory=list)

    def fail(self, mask: pa.Array, tell: Tell) -> None:
        """Rows of `mask` fail this test, unless they failed an earlier one."""
        if not pc.any(mask).as_py():
            return
        code = pa.scalar(len(self.tells), pa.int32())
        self.tells.append(tell)
        found = pc.if_else(mask, code, pa.scalar(None, pa.int32()))
        self.verdict = found if self.verdict is None else pc.coalesce(self.verdict, found)

    def flaws(self) -> Iterator[tuple[int, Flaw]]:
        if self.verdict is None:
            return
        rows = pc.indices_nonzero(pc.is_valid(self.verdict))
        codes = pc.take(self.verdict, rows)
        for row, code in zip(rows.to_pylist(), codes.to_pylist(), strict=True):
            yield row, self.tells[code](row)


def columns_of(rows: Rows, table: TableContract, names: frozenset[str]) -> dict[str, pa.Array]:
    """Some columns, typed, before any rule: what routing and dropping look at."""
    return {
        f.column: _with_default(coerce(rows.parts(f.path), f.type, f.arrow_type, rows.count), f)
        for f in table.fields
        if f.column in names
    }


def check(rows: Rows, table: TableContract, received_at: datetime) -> Checked:
    """Fields in declared order, each by type, required, enum, pattern, bounds; then the time."""
    checked = Checked({})
    for declared in table.fields:
        _check_field(checked, rows, declared)
    _check_time(checked, rows, table, received_at)
    return checked


def _with_default(values: pa.Array, declared: Field) -> pa.Array:
    if declared.default is None or not values.null_count:
        return values
    default = pa.scalar(str(declared.default)).cast(values.type)
    return pc.fill_null(values, default)


def _check_field(checked: Checked, rows: Rows, declared: Field) -> None:
    parts = rows.parts(declared.path)
    values = coerce(parts, declared.type, declared.arrow_type, rows.count)
    name = ".".join(declared.path)
    if values.null_count > rows.count - sum(len(p.values) - p.values.null_count for p in parts):
        unfit = pc.and_(pc.is_null(values), present(parts, rows.count))
        checked.fail(
            unfit,
            lambda row: Flaw(
                "type",
                f"{name}: {rows.show(declared.path, row)} is not a valid {declared.type}",
                name,
            ),
        )
        values = _default_where(values, declared, pc.invert(present(parts, rows.count)))
    else:
        values = _with_default(values, declared)
    checked.columns[declared.column] = values
    for mask, reason, what in _tests(declared, values):
        checked.fail(mask, _teller(rows, declared, reason, what))


def _default_where(values: pa.Array, declared: Field, absent: pa.Array) -> pa.Array:
    if declared.default is None:
        return values
    return pc.if_else(absent, pa.scalar(str(declared.default)).cast(values.type), values)


def _teller(rows: Rows, declared: Field, reason: str, what: str) -> Tell:
    name = ".".join(declared.path)
    return lambda row: Flaw(
        reason, f"{name}: {rows.show(declared.path, row)} {what}".replace(": null is", " is"), name
    )


def _tests(declared: Field, values: pa.Array) -> Iterator[tuple[pa.Array, str, str]]:
    """Where a value breaks a rule, the reason's code, and the rule in words."""
    if declared.required:
        yield _absent(values), "missing", "is missing"
    if declared.enum:
        options = pa.array([str(option) for option in declared.enum]).cast(values.type)
        outside = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, options)))
        yield outside, "enum", f"is none of {', '.join(map(str, declared.enum))}"
    if declared.pattern:
        matches = pc.match_substring_regex(values, rf"^(?:{declared.pattern})\z")
        yield _false(matches), "pattern", f"does not match {declared.pattern}"
    if declared.least is not None:
        least = pa.scalar(str(declared.least)).cast(values.type)
        yield _false(pc.greater_equal(values, least)), "bounds", f"is under {declared.least}"
    if declared.most is not None:
        most = pa.scalar(str(declared.most)).cast(values.type)
        yield _false(pc.less_equal(values, most)), "bounds", f"is over {declared.most}"


def _false(mask: pa.Array) -> pa.Array:
    return pc.fill_null(pc.invert(mask), False)


def _absent(values: pa.Array) -> pa.Array:
    """Null, or empty text: an empty id would make strangers duplicates of each other."""
    if pa.types.is_string(values.type):
        return pc.fill_null(pc.equal(pc.binary_length(values), 0), True)
    return pc.is_null(values)


def _check_time(checked: Checked, rows: Rows, table: TableContract, received_at: datetime) -> None:
    times, declared = checked.columns[table.event_time.column], None
    declared = table.field_of(table.event_time.column)
    naive = received_at.replace(tzinfo=None)
    bounds = table.event_time
    oldest = _clamped(naive, -timedelta(days=bounds.oldest_days))
    newest = _clamped(naive, timedelta(hours=bounds.ahead_hours))
    checked.fail(pc.is_null(times), _teller(rows, declared, "missing", "is missing"))
    checked.fail(
        pc.fill_null(pc.less(times, oldest), False),
        _teller(rows, declared, "event_time", f"is over {bounds.oldest_days} days before arrival"),
    )
    checked.fail(
        pc.fill_null(pc.greater(times, newest), False),
        _teller(rows, declared, "event_time", f"is over {bounds.ahead_hours} hours after arrival"),
    )


def _clamped(at: datetime, delta: timedelta) -> pa.Scalar:
    try:
        return pa.scalar(at + delta, TIMESTAMP)
    except OverflowError:
        return pa.scalar(LEAST_US if delta < timedelta() else MOST_US, pa.int64()).cast(TIMESTAMP)
