"""What a query asks of each scan: which columns, and which conditions hold for its rows.

sqlglot's optimizer qualifies a copy of the tree and pushes conditions and
projections down to the tables, through CTEs, views and subqueries. The copy only
answers these two questions; DuckDB gets the user's own tree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from lakelet.query.bind import Bound, Scan
from lakelet.query.parse import DIALECT

HIDDEN_COLUMNS = {"$path": "string"}  # of every table, if asked for by name


@dataclass
class Demand:
    """What one scan is asked for."""

    columns: set[str] = field(default_factory=set)
    # Conjuncts that name columns of this scan alone, under any table alias.
    conditions: list[exp.Expr] = field(default_factory=list)


def analyse(bound: Bound) -> dict[str, Demand]:
    """The demand on each scan, by placeholder.

    Where the optimizer can't follow a query (it knows no lateral column of some
    UNNEST, say), the answer is wider, never narrower: every column that is named
    anywhere, and the conditions beside the table's own FROM.
    """
    if not bound.scans:
        return {}
    mentioned = {column.name.lower() for column in bound.tree.find_all(exp.Column)}
    hidden = {name: kind for name, kind in HIDDEN_COLUMNS.items() if name in mentioned}
    schema: dict[str, Any] = {
        placeholder: {**scan.columns, **scan.keys, **hidden}
        for placeholder, scan in bound.scans.items()
    }
    for placeholder, rows in bound.registered.items():
        schema[placeholder] = dict.fromkeys(rows.schema.names, "string")
    try:
        tree = qualify(
            bound.tree.copy(),
            schema=schema,
            dialect=DIALECT,
            validate_qualify_columns=False,
            quote_identifiers=False,
        )
        tree = pushdown_projections(pushdown_predicates(tree, dialect=DIALECT))
        return _read(tree, bound.scans)
    except (SqlglotError, RecursionError, KeyError, AttributeError, ValueError):
        return _widely(bound)


def _read(tree: exp.Expr, scans: Mapping[str, Scan]) -> dict[str, Demand]:
    demands = {placeholder: Demand() for placeholder in scans}
    for scope in traverse_scope(tree):
        for alias, source in scope.sources.items():
            if not isinstance(source, exp.Table) or source.name not in demands:
                continue
            demand, scan = demands[source.name], scans[source.name]
            known = scan.columns.keys() | scan.keys.keys() | HIDDEN_COLUMNS.keys()
            for column in scope.columns:
                # An unqualified name that the optimizer left alone may be anybody's.
                if column.table in (alias, "") and column.name.lower() in known:
                    demand.columns.add(column.name.lower())
            if scope.expression.find(exp.Star) and _selects_star(scope.expression):
                demand.columns |= scan.columns.keys()
            demand.conditions += _conditions(scope.expression, source, alias)
    return demands


def _selects_star(select: exp.Expr) -> bool:
    return isinstance(select, exp.Select) and any(
        isinstance(item, exp.Star) or (isinstance(item, exp.Column) and item.is_star)
        for item in select.expressions
    )


def _conditions(select: exp.Expr, table: exp.Table, alias: str) -> list[exp.Expr]:
    """Conjuncts of WHERE and ON that must hold for each row which `table` gives."""
    if not isinstance(select, exp.Select):
        return []
    found = []
    where = select.args.get("where")
    if where:
        nullable = _may_be_null_extended(select, table)
        found += [item for item in _conjuncts(where.this) if not nullable or _rejects_null(item)]
    for join in select.args.get("joins") or []:
        on = join.args.get("on")
        # The condition of an inner or left join filters the rows of the joined side.
        if on and join.this is table and join.side in ("", "LEFT"):
            found += _conjuncts(on)
    return [
        conjunct
        for conjunct in found
        if not conjunct.find(exp.Subquery, exp.Select, exp.AggFunc, exp.Window)
        and {column.table for column in conjunct.find_all(exp.Column)} == {alias}
    ]


def _conjuncts(condition: exp.Expr) -> list[exp.Expr]:
    return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def _may_be_null_extended(select: exp.Select, table: exp.Table) -> bool:
    joins = select.args.get("joins") or []
    from_ = select.args.get("from_") or select.args.get("from")
    is_first = from_ is not None and from_.this is table
    for join in joins:
        if join.side == "FULL" or (join.side == "LEFT" and join.this is table):
            return True
        if join.side == "RIGHT" and (is_first or join.this is not table):
            return True
    return False


def _rejects_null(conjunct: exp.Expr) -> bool:
    """Whether a condition can't be true of a NULL: only plain comparisons, to be sure."""
    plain = (exp.EQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between, exp.In, exp.Like)
    if not isinstance(conjunct, plain):
        return False
    return not conjunct.find(exp.Coalesce, exp.Case, exp.If, exp.Is, exp.Not, exp.Anonymous)


def _widely(bound: Bound) -> dict[str, Demand]:
    names = {column.name.lower() for column in bound.tree.find_all(exp.Column)}
    everything = bool(bound.tree.find(exp.Star))
    demands = {}
    for placeholder, scan in bound.scans.items():
        known = scan.columns.keys() | scan.keys.keys() | HIDDEN_COLUMNS.keys()
        demand = Demand(set(scan.columns) if everything else set())
        demand.columns |= names & known
        node = next(node for node in bound.tree.find_all(exp.Table) if node.name == placeholder)
        select = node.find_ancestor(exp.Select)
        if select is not None and not select.args.get("joins"):
            copy = select.copy()
            for column in copy.find_all(exp.Column):
                if not column.table:
                    column.set("table", exp.to_identifier(node.alias))
            source = next(item for item in copy.find_all(exp.Table) if item.name == placeholder)
            demand.conditions = _conditions(copy, source, node.alias)
        demands[placeholder] = demand
    return demands
