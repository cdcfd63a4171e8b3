"""Which partitions a scan must read: decided in the catalog, before any file is looked for."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa
from sqlglot import exp

from lakelet.catalog import Catalog
from lakelet.catalog.expression import NULL_PARTITION, NotAPredicate, Test, compile_tree
from lakelet.catalog.partitions import PartitionPlace
from lakelet.query.analyse import Demand
from lakelet.query.bind import Scan
from lakelet.query.errors import QueryFailed
from lakelet.query.generate import duckdb_sql
from lakelet.query.parse import position
from lakelet.query.projection import project
from lakelet.query.types import duckdb_type, quote

Places = Sequence[PartitionPlace]


def prune(
    catalog: Catalog,
    scan: Scan,
    demand: Demand,
    cursor: Callable[[], duckdb.DuckDBPyConnection],
    now: datetime,
) -> list[PartitionPlace]:
    """The partitions that a scan's conditions let through; of an unpartitioned table, one
    without values.

    Equality on the leading keys becomes a range of SQLite's index. What remains is
    asked of each partition's values: plain comparisons here, anything else that
    names only partition keys (`date(year || '-' || month || …)`) in DuckDB itself,
    so that every condition means just what it means in the query.
    """
    keys = scan.keys
    if not keys:
        location = scan.table["StorageDescriptor"].get("Location") or ""
        return [PartitionPlace((), location)]
    conditions = [item for item in demand.conditions if _only_of(item, keys)]
    for condition in conditions:
        _refuse_number_for_text(condition, keys)
    tests, others = _compile(conditions, keys)
    projected = project(scan.table, keys, conditions, now)
    if projected is not None:
        places = projected
    else:
        leading = _leading_values(conditions, keys)
        places = catalog.partition_places(scan.database, scan.table["Name"], leading)
    places = [place for place in places if all(test(place.values) for test in tests)]
    if others and places:
        places = _ask_duckdb(places, others, keys, cursor())
    return places


def _only_of(condition: exp.Expr, keys: Mapping[str, str]) -> bool:
    names = {column.name.lower() for column in condition.find_all(exp.Column)}
    return bool(names) and names <= keys.keys() and not condition.find(exp.Rand, exp.Uuid)


def _compile(
    conditions: Sequence[exp.Expr], keys: Mapping[str, str]
) -> tuple[list[Test], list[exp.Expr]]:
    tests, others = [], []
    for condition in conditions:
        try:
            tests.append(compile_tree(condition, keys))
        except NotAPredicate:
            others.append(condition)
    return tests, others


def _leading_values(conditions: Sequence[exp.Expr], keys: Mapping[str, str]) -> list[str]:
    """Values that equality fixes for the first keys, as long as they are text."""
    fixed = {}
    for condition in conditions:
        if not isinstance(condition, exp.EQ):
            continue
        column, literal = condition.left, condition.right
        if isinstance(literal, exp.Column):
            column, literal = literal, column
        if isinstance(column, exp.Column) and isinstance(literal, exp.Literal):
            fixed[column.name.lower()] = literal.this
    leading = []
    for name, kind in keys.items():
        # '03' and 3 are one number and two texts: only text is looked up by its letters.
        if name not in fixed or kind != "string":
            break
        leading.append(fixed[name])
    return leading


def _refuse_number_for_text(condition: exp.Expr, keys: Mapping[str, str]) -> None:
    """`month = 3` on a text key: Athena refuses it, and so do we: '03' would be missed."""
    comparisons = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
    for node in condition.find_all(*comparisons):
        sides = (node.left, node.right)
        for column, literal in (sides, sides[::-1]):
            if (
                isinstance(column, exp.Column)
                and isinstance(literal, exp.Literal)
                and literal.is_number
                and keys.get(column.name.lower()) == "string"
            ):
                line, at = position(node)
                number = "integer" if literal.is_int else "decimal"
                raise QueryFailed(
                    "TYPE_MISMATCH",
                    f"Cannot apply operator: varchar {_SIGNS[type(node)]} {number}",
                    line=line,
                    column=at,
                    hint=f"{column.name} is text: compare it with '{literal.this}', "
                    "zero-padded as in its folder.",
                )


_SIGNS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}


def _ask_duckdb(
    places: Places,
    conditions: Sequence[exp.Expr],
    keys: Mapping[str, str],
    cursor: duckdb.DuckDBPyConnection,
) -> list[PartitionPlace]:
    """Evaluate conditions over the values, a row a partition."""
    columns = {
        name: pa.array([_value(place.values[index]) for place in places], pa.string())
        for index, name in enumerate(keys)
    }
    columns["__index"] = pa.array(range(len(places)), pa.int64())
    cursor.register("__places", pa.table(columns))
    try:
        typed = ", ".join(
            f"CAST({quote(name)} AS {duckdb_type(kind)}) AS {quote(name)}"
            for name, kind in keys.items()
        )
        tests = " AND ".join(f"({duckdb_sql(_unqualified(item))})" for item in conditions)
        sql = f"SELECT __index FROM (SELECT {typed}, __index FROM __places) WHERE {tests}"
        chosen = cursor.execute(sql).fetchall()
    except duckdb.Error:
        # Such a condition fails over the rows too, and there with the user's own text.
        return list(places)
    finally:
        cursor.unregister("__places")
    return [places[index] for (index,) in sorted(chosen)]


def _value(text: str) -> str | None:
    return None if text == NULL_PARTITION else text


def _unqualified(condition: exp.Expr) -> exp.Expr:
    copy = condition.copy()
    for column in copy.find_all(exp.Column):
        column.set("table", None)
    return copy
