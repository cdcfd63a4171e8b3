"""Hive's DDL, as Athena takes it, read into plain values."""

from collections.abc import Callable
from typing import Any

from lakelet.catalog.errors import CatalogError
from lakelet.catalog.types import parse_type
from lakelet.query.ddl_table import create_table
from lakelet.query.errors import QueryFailed
from lakelet.query.statement import DDL, UTILITY, Statement
from lakelet.query.words import Words

Details = dict[str, Any]


def read_ddl(sql: str) -> Statement | None:
    """None for a statement of another kind. Raises QueryFailed: SYNTAX_ERROR."""
    words = Words(sql)
    for starts, read in _GRAMMAR:
        if words.skip(*starts):
            try:
                statement = read(words)
            except CatalogError as error:
                raise QueryFailed("SYNTAX_ERROR", error.message, hint=error.hint) from error
            words.end()
            return statement
    return None


# --- databases ----------------------------------------------------------------------


def _create_database(words: Words) -> Statement:
    if_not_exists = words.skip("IF", "NOT", "EXISTS")
    details: Details = {"name": words.name(), "if_not_exists": if_not_exists}
    while words.word:
        if words.skip("COMMENT"):
            details["comment"] = words.text()
        elif words.skip("LOCATION"):
            details["location"] = words.text()
        else:
            words.want("WITH", "DBPROPERTIES")
            details["properties"] = words.properties()
    return Statement(DDL, "CREATE_DATABASE", details=details)


def _drop_database(words: Words) -> Statement:
    if_exists = words.skip("IF", "EXISTS")
    name = words.name()
    cascade = words.skip("CASCADE")
    words.skip("RESTRICT")
    details: Details = {"name": name, "if_exists": if_exists, "cascade": cascade}
    return Statement(DDL, "DROP_DATABASE", details=details)


def _alter_database(words: Words) -> Statement:
    name = words.name()
    words.want("SET", "DBPROPERTIES")
    details: Details = {"name": name, "properties": words.properties()}
    return Statement(DDL, "ALTER_DATABASE", details=details)


# --- tables -------------------------------------------------------------------------


def _drop(kind: str) -> Callable[[Words], Statement]:
    def read(words: Words) -> Statement:
        if_exists = words.skip("IF", "EXISTS")
        return Statement(DDL, kind, details={"table": words.table(), "if_exists": if_exists})

    return read


def _alter_table(words: Words) -> Statement:
    table = words.table()
    if words.skip("ADD"):
        return _alter_add(words, table)
    if words.skip("DROP"):
        return _alter_drop(words, table)
    if words.skip("SET", "LOCATION"):
        details: Details = {"table": table, "location": words.text()}
        return Statement(DDL, "ALTER_TABLE_SET_LOCATION", details=details)
    if words.skip("SET", "TBLPROPERTIES"):
        details = {"table": table, "properties": words.properties()}
        return Statement(DDL, "ALTER_TABLE_SET_PROPERTIES", details=details)
    if words.skip("REPLACE", "COLUMNS"):
        details = {"table": table, "columns": read_columns(words)}
        return Statement(DDL, "ALTER_TABLE_REPLACE_COLUMNS", details=details)
    if words.skip("CHANGE"):
        return _alter_change(words, table)
    if words.skip("RENAME", "PARTITION") or words.peek("PARTITION"):
        return _alter_one_partition(words, table)
    raise words.error("Expecting: ADD, DROP, SET, REPLACE, CHANGE, RENAME, PARTITION")


def _alter_add(words: Words, table: tuple[str | None, str]) -> Statement:
    if words.skip("COLUMNS"):
        details: Details = {"table": table, "columns": read_columns(words)}
        return Statement(DDL, "ALTER_TABLE_ADD_COLUMNS", details=details)
    if_not_exists = words.skip("IF", "NOT", "EXISTS")
    partitions = []
    while words.skip("PARTITION"):
        spec = _partition_spec(words)
        partitions.append((spec, words.text() if words.skip("LOCATION") else None))
        words.skip(",")
    if not partitions:
        raise words.error("Expecting: PARTITION, COLUMNS")
    details = {"table": table, "partitions": partitions, "if_not_exists": if_not_exists}
    return Statement(DDL, "ALTER_TABLE_ADD_PARTITION", details=details)


def _alter_drop(words: Words, table: tuple[str | None, str]) -> Statement:
    if_exists = words.skip("IF", "EXISTS")
    conditions = []
    while words.skip("PARTITION"):
        # `(year = '2020', month > '01')`: commas mean AND.
        conditions.append(_comma_conditions(words))
        words.skip(",")
    if not conditions:
        raise words.error("Expecting: PARTITION")
    details: Details = {"table": table, "conditions": conditions, "if_exists": if_exists}
    return Statement(DDL, "ALTER_TABLE_DROP_PARTITION", details=details)


def _alter_change(words: Words, table: tuple[str | None, str]) -> Statement:
    words.skip("COLUMN")
    old = words.name()
    first = words.at
    new = words.name()
    words.at = first
    column = _column(words)
    details: Details = {"table": table, "old": old, "column": {**column, "Name": new}}
    return Statement(DDL, "ALTER_TABLE_CHANGE_COLUMN", details=details)


def _alter_one_partition(words: Words, table: tuple[str | None, str]) -> Statement:
    words.skip("PARTITION")
    spec = _partition_spec(words)
    if words.skip("RENAME"):
        pass
    if words.skip("TO"):
        words.want("PARTITION")
        details: Details = {"table": table, "spec": spec, "to": _partition_spec(words)}
        return Statement(DDL, "ALTER_TABLE_RENAME_PARTITION", details=details)
    words.want("SET", "LOCATION")
    details = {"table": table, "spec": spec, "location": words.text()}
    return Statement(DDL, "ALTER_TABLE_SET_LOCATION", details=details)


def _partition_spec(words: Words) -> dict[str, str]:
    spec: dict[str, str] = {}
    words.want("(")
    while not words.skip(")"):
        if spec:
            words.want(",")
        key = words.name()
        words.want("=")
        words.skip("DATE")
        spec[key] = words.text()
    return spec


def _comma_conditions(words: Words) -> str:
    words.want("(")
    parts, first, depth = [], words.at, 1
    while depth:
        word = words.take(")")
        depth += (word == "(") - (word == ")")
        if (word == "," and depth == 1) or not depth:
            parts.append(words.slice(first, words.at - 1))
            first = words.at
    return " AND ".join(f"({part})" for part in parts)


# --- columns ------------------------------------------------------------------------


def read_columns(words: Words) -> list[dict[str, str]]:
    """`(name type [COMMENT 'text'], …)`."""
    columns: list[dict[str, str]] = []
    words.want("(")
    while not words.skip(")"):
        if columns:
            words.want(",")
        columns.append(_column(words))
    return columns


def _column(words: Words) -> dict[str, str]:
    name = words.name()
    words.skip(":")
    first, depth = words.at, 0
    while depth or words.word not in (",", ")", "COMMENT", ""):
        word = words.take("a type")
        depth += word.count("<") + word.count("(") - word.count(">") - word.count(")")
    column = {"Name": name, "Type": str(parse_type(words.slice(first, words.at)))}
    if words.skip("COMMENT"):
        column["Comment"] = words.text()
    return column


# --- looking ------------------------------------------------------------------------


def _show_databases(words: Words) -> Statement:
    words.skip("LIKE")
    pattern = words.text() if words.word else None
    return Statement(UTILITY, "SHOW_DATABASES", details={"pattern": pattern})


def _show_in(kind: str) -> Callable[[Words], Statement]:
    def read(words: Words) -> Statement:
        database = words.name() if words.skip("IN") or words.skip("FROM") else None
        words.skip("LIKE")
        pattern = words.text() if words.word else None
        return Statement(UTILITY, kind, details={"database": database, "pattern": pattern})

    return read


def _show_partitions(words: Words) -> Statement:
    table = words.table()
    spec = _partition_spec(words) if words.skip("PARTITION") else {}
    return Statement(UTILITY, "SHOW_PARTITIONS", details={"table": table, "spec": spec})


def _show_columns(words: Words) -> Statement:
    if not words.skip("IN"):
        words.want("FROM")
    database, name = words.table()
    if words.skip("IN") or words.skip("FROM"):
        database = words.name()
    return Statement(UTILITY, "SHOW_COLUMNS", details={"table": (database, name)})


def _show_properties(words: Words) -> Statement:
    table = words.table()
    key = None
    if words.skip("("):
        key = words.text()
        words.want(")")
    return Statement(UTILITY, "SHOW_TABLE_PROPERTIES", details={"table": table, "key": key})


def _of_table(type_: str, kind: str) -> Callable[[Words], Statement]:
    return lambda words: Statement(type_, kind, details={"table": words.table()})


def _describe(words: Words) -> Statement:
    extended = words.skip("EXTENDED") or words.skip("FORMATTED")
    table = words.table()
    if words.skip("PARTITION"):
        _partition_spec(words)
    column = words.name() if words.word else None
    details: Details = {"table": table, "extended": extended, "column": column}
    return Statement(UTILITY, "DESCRIBE_TABLE", details=details)


# The longest beginnings come first where one begins like another.
_GRAMMAR: tuple[tuple[tuple[str, ...], Callable[[Words], Statement]], ...] = (
    (("CREATE", "DATABASE"), _create_database),
    (("CREATE", "SCHEMA"), _create_database),
    (("CREATE", "EXTERNAL", "TABLE"), lambda words: create_table(words, read_columns)),
    (("DROP", "DATABASE"), _drop_database),
    (("DROP", "SCHEMA"), _drop_database),
    (("DROP", "TABLE"), _drop("DROP_TABLE")),
    (("DROP", "VIEW"), _drop("DROP_VIEW")),
    (("ALTER", "DATABASE"), _alter_database),
    (("ALTER", "SCHEMA"), _alter_database),
    (("ALTER", "TABLE"), _alter_table),
    (("MSCK", "REPAIR", "TABLE"), _of_table(DDL, "MSCK_REPAIR_TABLE")),
    (("SHOW", "DATABASES"), _show_databases),
    (("SHOW", "SCHEMAS"), _show_databases),
    (("SHOW", "TABLES"), _show_in("SHOW_TABLES")),
    (("SHOW", "VIEWS"), _show_in("SHOW_VIEWS")),
    (("SHOW", "PARTITIONS"), _show_partitions),
    (("SHOW", "COLUMNS"), _show_columns),
    (("SHOW", "CREATE", "TABLE"), _of_table(UTILITY, "SHOW_CREATE_TABLE")),
    (("SHOW", "CREATE", "VIEW"), _of_table(UTILITY, "SHOW_CREATE_VIEW")),
    (("SHOW", "TBLPROPERTIES"), _show_properties),
    (("DESCRIBE",), _describe),
    (("DESC",), _describe),
)
