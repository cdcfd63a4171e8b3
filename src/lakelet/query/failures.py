"""DuckDB's errors in Athena's words, pointing at the user's text."""

import re
from typing import Any

import duckdb
from sqlglot import exp

from lakelet.model.errors import LakeletError
from lakelet.query.errors import FilesMoved, QueryCancelled, QueryFailed
from lakelet.query.parse import position

_OWN = re.compile(r"(HIVE_[A-Z_]+|[A-Z]+(?:_[A-Z]+)+): (.*)", re.DOTALL)


def translate(error: duckdb.Error, tree: exp.Expr | None, root: str = "\0") -> LakeletError:
    """What to tell of a DuckDB error.

    Args:
        tree: the statement as the user wrote it, to find positions in.
        root: the buckets' folder, which is `s3:/` to the user.
    """
    text = re.sub(r"^[A-Z][\w ]*Error: ", "", str(error)).split("\n\n")[0].strip()
    text = text.replace(f"{root}/", "s3://")
    if isinstance(error, duckdb.InterruptException):
        return QueryCancelled("Query cancelled by user")
    if "HIVE_BAD_DATA: " in text:
        return QueryFailed("HIVE_BAD_DATA", text.split("HIVE_BAD_DATA: ", 1)[1].split("\n")[0])
    if text.startswith("Division by zero"):
        return QueryFailed(
            "DIVISION_BY_ZERO",
            "Division by zero",
            hint="Divide by NULLIF(x, 0), or put the division into TRY().",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryFailed(
            "EXCEEDED_LOCAL_MEMORY_LIMIT",
            "Query exceeded per-node memory limit",
            hint="Read fewer partitions or columns, or give the node more memory.",
        )
    if isinstance(error, duckdb.IOException):
        return _file_trouble(text)
    for pattern, make in _RULES:
        found = pattern.search(text)
        if found:
            return make(found, tree)
    if isinstance(error, duckdb.ConversionException):
        return QueryFailed("INVALID_CAST_ARGUMENT", _first_line(text))
    if isinstance(error, duckdb.OutOfRangeException):
        return QueryFailed("NUMERIC_VALUE_OUT_OF_RANGE", _first_line(text))
    if isinstance(error, duckdb.BinderException | duckdb.ParserException):
        return QueryFailed("SYNTAX_ERROR", _first_line(text))
    if isinstance(error, duckdb.NotImplementedException):
        return QueryFailed("NOT_SUPPORTED", _first_line(text))
    if isinstance(error, duckdb.InvalidInputException):
        if "parquet" in text.lower() or "file" in text.lower():
            return QueryFailed("HIVE_BAD_DATA", _first_line(text))
        return QueryFailed("INVALID_FUNCTION_ARGUMENT", _first_line(text))
    return QueryFailed("GENERIC_INTERNAL_ERROR", _first_line(text))


def _file_trouble(text: str) -> LakeletError:
    if "No files found" in text or "No such file" in text:
        return FilesMoved(_first_line(text))
    return QueryFailed("HIVE_CANNOT_OPEN_SPLIT", _first_line(text))


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0]


def _at(tree: exp.Expr | None, name: str) -> dict[str, Any]:
    """Where a name first stands in the user's text."""
    if tree is not None:
        for node in tree.find_all(exp.Identifier, exp.Anonymous):
            if node.name.lower() == name.lower():
                holder = node.parent if isinstance(node.parent, exp.Column) else node
                line, column = position(holder)
                if line is not None:
                    return {"line": line, "column": column}
    return {"line": None, "column": None}


def _no_column(found: re.Match[str], tree: exp.Expr | None) -> QueryFailed:
    name = found["name"]
    return QueryFailed(
        "COLUMN_NOT_FOUND",
        f"Column '{name}' cannot be resolved or requester is not authorized to access "
        "requested resources",
        **_at(tree, name.rsplit(".", 1)[-1]),
        hint="DESCRIBE the table to see its columns.",
    )


def _ambiguous(found: re.Match[str], tree: exp.Expr | None) -> QueryFailed:
    name = found["name"]
    return QueryFailed("AMBIGUOUS_NAME", f"Column '{name}' is ambiguous", **_at(tree, name))


def _not_aggregate(found: re.Match[str], tree: exp.Expr | None) -> QueryFailed:
    name = found["name"]
    return QueryFailed(
        "EXPRESSION_NOT_AGGREGATE",
        f"'{name}' must be an aggregate expression or appear in GROUP BY clause",
        **_at(tree, name),
    )


def _no_function(found: re.Match[str], tree: exp.Expr | None) -> QueryFailed:
    name = found["name"].lower()
    return QueryFailed("FUNCTION_NOT_FOUND", f"Function '{name}' not registered", **_at(tree, name))


def _wrong_arguments(found: re.Match[str], tree: exp.Expr | None) -> QueryFailed:
    call = found["call"]
    name, _, arguments = call.replace("STRING_LITERAL", "VARCHAR").partition("(")
    return QueryFailed(
        "TYPE_MISMATCH",
        f"Unexpected parameters ({arguments.rstrip(')')}) for function {name.lower()}",
        **_at(tree, name),
    )


def _wrong_comparison(found: re.Match[str], tree: exp.Expr | None) -> QueryFailed:  # noqa: ARG001
    return QueryFailed(
        "TYPE_MISMATCH",
        f"Cannot compare values of type {found['left'].lower()} and type {found['right'].lower()}",
    )


_RULES = (
    (re.compile(r'Referenced column "(?P<name>[^"]+)" not found'), _no_column),
    (re.compile(r'Referenced table "(?P<name>[^"]+)" not found'), _no_column),
    (re.compile(r'does not have a column named "(?P<name>[^"]+)"'), _no_column),
    (re.compile(r'Could not find key "(?P<name>[^"]+)" in struct'), _no_column),
    (re.compile(r'Ambiguous reference to column name "(?P<name>[^"]+)"'), _ambiguous),
    (re.compile(r'column "?(?P<name>[^"]+?)"? must appear in the GROUP BY clause'), _not_aggregate),
    (re.compile(r"Function with name (?P<name>\S+) does not exist"), _no_function),
    (
        re.compile(r"No function matches the given name and argument types '(?P<call>[^']+)'"),
        _wrong_arguments,
    ),
    (
        re.compile(
            r'Could not choose a best candidate function for the function call "(?P<call>[^"]+)"'
        ),
        _wrong_arguments,
    ),
    (
        re.compile(r"Cannot compare values of type (?P<left>\S+) and type (?P<right>[^\s-]+)"),
        _wrong_comparison,
    ),
)
