"""Athena's SQL text to a tree, with errors that point at the place."""

import logging
from collections.abc import Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokenizer_core import Token

from lakelet.query.dialect import AthenaQueries
from lakelet.query.errors import QueryFailed

# sqlglot warns on stderr of what it keeps as text; those statements have parsers of
# their own here (ddl.py), so the warning says nothing.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

DIALECT = AthenaQueries
QUERY_BYTES_MAX = 262_144  # Athena's quota of a query's length


def tokens(sql: str) -> list[Token]:
    """Raises QueryFailed: SYNTAX_ERROR."""
    try:
        return list(sqlglot.tokenize(sql, read="trino"))
    except TokenError as error:
        raise QueryFailed("SYNTAX_ERROR", str(error).split("\n")[0]) from error


def parse_query(sql: str) -> exp.Expr:
    """One SELECT, VALUES, TABLE or WITH. Raises QueryFailed: SYNTAX_ERROR."""
    tree = parse_one(sql)
    if not isinstance(tree, exp.Query | exp.Table | exp.Values):
        raise QueryFailed("SYNTAX_ERROR", f"a query is wanted here, not {tree.key.upper()}")
    return tree


def parse_one(sql: str) -> exp.Expr:
    try:
        trees: Sequence[exp.Expr | None] = sqlglot.parse(sql, read=DIALECT)
    except ParseError as error:
        raise _syntax_error(sql, error) from error
    except SqlglotError as error:
        raise QueryFailed("SYNTAX_ERROR", str(error).split("\n")[0]) from error
    found = [tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon)]
    if not found:
        raise QueryFailed("SYNTAX_ERROR", "the statement is empty", line=1, column=1)
    if len(found) > 1:
        raise QueryFailed(
            "SYNTAX_ERROR",
            "only one SQL statement is allowed",
            hint="Start a query execution for each statement.",
        )
    return found[0]


def _syntax_error(sql: str, error: ParseError) -> QueryFailed:
    at = error.errors[0] if error.errors else {}
    near = at.get("highlight") or ""
    line, end = at.get("line"), at.get("col")
    # sqlglot's column is that of the token's last letter; Athena names its first.
    column = max(1, end - len(near) + 1) if end else None
    what = f"mismatched input '{near}'" if near else "unexpected end"
    detail = str(at.get("description") or "").rstrip(".")
    if detail and "Invalid expression" not in detail:
        what = f"{what}. {detail}"
    if line is None:
        return QueryFailed("SYNTAX_ERROR", what)
    if not near:
        line, column = sql.count("\n") + 1, len(sql.rsplit("\n", 1)[-1]) + 1
    return QueryFailed("SYNTAX_ERROR", what, line=line, column=column)


def position(node: exp.Expr) -> tuple[int | None, int | None]:
    """(line, column) where the text of `node` begins, 1-based; Nones if unknown."""
    best: tuple[int, int] | None = None
    for part in node.find_all(exp.Identifier, exp.Star, exp.Anonymous):
        meta = part.meta
        if "line" not in meta:
            continue
        size = meta["end"] - meta["start"]
        here = (meta["line"], max(1, meta["col"] - size))
        best = min(best, here) if best else here
    return best or (None, None)
