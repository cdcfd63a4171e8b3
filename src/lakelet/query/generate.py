"""A bound tree as DuckDB's text."""

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from lakelet.query.functions import to_duckdb


def duckdb_sql(tree: exp.Expr, maps: frozenset[str] = frozenset()) -> str:
    """The tree itself is left as it is."""
    return to_duckdb(tree.copy(), maps).sql(dialect="duckdb", unsupported_level=ErrorLevel.IGNORE)
