"""From a statement's text to what it is. Trino's grammar here, Hive's in `ddl.py`."""

from collections.abc import Callable, Sequence
from functools import lru_cache

from sqlglot import exp

from lakelet.query.ddl import read_ddl
from lakelet.query.errors import QueryFailed
from lakelet.query.parse import parse_one, parse_query, tokens
from lakelet.query.statement import DDL, DML, UTILITY, Statement
from lakelet.query.words import Words

_REMEMBERED_COUNT = 256
_QUERY_WORDS = ("SELECT", "WITH", "VALUES", "TABLE", "(")


@lru_cache(maxsize=_REMEMBERED_COUNT)
def read_statement(sql: str) -> Statement:
    """Raises QueryFailed: SYNTAX_ERROR, NOT_SUPPORTED.

    A statement is read when it is started and again when it runs, and dashboards send
    the same ones all day: so it is kept, and whoever takes its tree copies it.
    """
    words = Words(sql, "trino")
    if not words.tokens:
        raise QueryFailed("SYNTAX_ERROR", "the statement is empty", line=1, column=1)
    if words.word in _QUERY_WORDS:
        return Statement(DML, "SELECT", parse_query(sql))
    for starts, read in _GRAMMAR:
        if words.skip(*starts):
            return read(words)
    statement = read_ddl(sql)
    if statement is None:
        raise words.error(f"Expecting: one of {', '.join(_STARTS)}")
    return statement


_STARTS = (
    *("ALTER", "CREATE", "DEALLOCATE", "DESCRIBE", "DROP", "EXECUTE", "EXPLAIN", "INSERT"),
    *("MSCK", "PREPARE", "SELECT", "SHOW", "TABLE", "UNLOAD", "VALUES", "WITH"),
)


def _create_table_as(words: Words) -> Statement:
    if_not_exists = words.skip("IF", "NOT", "EXISTS")
    table = words.table()
    properties = words.values() if words.skip("WITH") else {}
    words.want("AS")
    text = words.rest()
    no_data = False
    for ending in ("WITH NO DATA", "WITH DATA"):
        if text.upper().rstrip().endswith(ending):
            text = text.rstrip()[: -len(ending)]
            no_data = ending == "WITH NO DATA"
    details = {
        "table": table,
        "if_not_exists": if_not_exists,
        "properties": properties,
        "no_data": no_data,
    }
    return Statement(DDL, "CREATE_TABLE_AS_SELECT", parse_query(text), details)


def _create_view(replace: bool) -> Callable[[Words], Statement]:
    def read(words: Words) -> Statement:
        table = words.table()
        words.want("AS")
        text = words.rest()
        details = {"table": table, "replace": replace, "text": text}
        return Statement(DDL, "CREATE_VIEW", parse_query(text), details)

    return read


def _insert(words: Words) -> Statement:
    table = words.table()
    columns = None
    if words.peek("(") and not words.peek("(", "SELECT") and not words.peek("(", "WITH"):
        names = Words(words.parenthesised(), "trino")
        columns = [names.name()]
        while names.skip(","):
            columns.append(names.name())
    details = {"table": table, "columns": columns}
    return Statement(DML, "INSERT", parse_query(words.rest()), details)


def _unload(words: Words) -> Statement:
    query = words.parenthesised()
    words.want("TO")
    location = words.text()
    properties = words.values() if words.skip("WITH") else {}
    words.end()
    details = {"location": location, "properties": properties}
    return Statement(DML, "UNLOAD", parse_query(query), details)


def _explain(words: Words) -> Statement:
    analyze = words.skip("ANALYZE")
    words.skip("VERBOSE")
    options = words.parenthesised() if words.peek("(") and not words.peek("(", "SELECT") else ""
    return Statement(
        UTILITY,
        "EXPLAIN",
        parse_query(words.rest()),
        {"analyze": analyze, "options": options.upper()},
    )


def _prepare(words: Words) -> Statement:
    name = words.take("a name")
    words.want("FROM")
    text = words.rest()
    read_statement(text)
    return Statement(DDL, "PREPARE", details={"name": name, "text": text})


def _execute(words: Words) -> Statement:
    name = words.take("a name")
    values: list[str] = []
    if words.skip("USING"):
        tree = parse_one(f"SELECT {words.rest()}")
        values = [item.sql(dialect="trino") for item in tree.args["expressions"]]
    words.end()
    return Statement(DML, "EXECUTE", details={"name": name, "values": values})


def _deallocate(words: Words) -> Statement:
    name = words.take("a name")
    words.end()
    return Statement(DDL, "DEALLOCATE", details={"name": name})


_GRAMMAR: tuple[tuple[tuple[str, ...], Callable[[Words], Statement]], ...] = (
    (("CREATE", "TABLE"), _create_table_as),
    (("CREATE", "OR", "REPLACE", "VIEW"), _create_view(True)),
    (("CREATE", "VIEW"), _create_view(False)),
    (("INSERT", "INTO"), _insert),
    (("UNLOAD",), _unload),
    (("EXPLAIN",), _explain),
    (("PREPARE",), _prepare),
    (("EXECUTE",), _execute),
    (("DEALLOCATE", "PREPARE"), _deallocate),
)


def bind_parameters(sql: str, values: Sequence[str]) -> str:
    """A statement's text with constants in the places of its `?`s.

    sqlglot keeps no position of a placeholder and walks a tree in its own order, so
    they are counted in the text.

    Args:
        values: each the text of a constant: `'2026'`, `3`, `DATE '2026-03-09'`.
    Raises:
        QueryFailed: INVALID_PARAMETER_USAGE for more or fewer values than places, or a
        value that is no constant.
    """
    places = [token for token in tokens(sql) if token.text == "?" and sql[token.start] == "?"]
    if len(places) != len(values):
        raise QueryFailed(
            "INVALID_PARAMETER_USAGE",
            f"Incorrect number of parameters: expected {len(places)} but found {len(values)}",
            line=1,
            column=1,
        )
    parts, end = [], 0
    for place, value in zip(places, values, strict=True):
        parts += [sql[end : place.start], _checked_constant(value)]
        end = place.end + 1
    return "".join((*parts, sql[end:]))


_CONSTANT_NODES = (
    *(exp.Literal, exp.Neg, exp.Boolean, exp.Null, exp.Cast, exp.DataType, exp.DataTypeParam),
    *(exp.Array, exp.Interval, exp.Var, exp.Identifier, exp.Paren),
)


def _checked_constant(value: str) -> str:
    tree = parse_one(f"SELECT {value}")
    items = tree.args.get("expressions") or []
    plain = len(items) == 1 and all(isinstance(node, _CONSTANT_NODES) for node in items[0].walk())
    if not plain or set(tree.args) - {"expressions", "kind"} - _empty_arguments(tree):
        raise QueryFailed(
            "INVALID_PARAMETER_USAGE",
            f"Parameter {value[:60]!r} is not a constant",
            hint="Give SQL constants; text in single quotes: \"'2026'\".",
        )
    # Written anew, so that a comment in it can't swallow what follows.
    return f"({items[0].sql(dialect='trino', comments=False)})"


def _empty_arguments(tree: exp.Expr) -> set[str]:
    return {key for key, value in tree.args.items() if not value}
