"""CREATE EXTERNAL TABLE: its clauses, and the Glue table that they mean."""

from collections.abc import Callable
from typing import Any

from lakelet.catalog.formats import CSV, FORMATS, JSON, LAZY_SERDE, PARQUET
from lakelet.query.errors import QueryFailed
from lakelet.query.statement import DDL, Statement
from lakelet.query.words import Words

Columns = list[dict[str, str]]

_STORED_AS = {"PARQUET": PARQUET, "TEXTFILE": CSV, "JSONFILE": JSON}
_DELIMITED = {
    ("FIELDS", "TERMINATED", "BY"): "field.delim",
    ("ESCAPED", "BY"): "escape.delim",
    ("COLLECTION", "ITEMS", "TERMINATED", "BY"): "collection.delim",
    ("MAP", "KEYS", "TERMINATED", "BY"): "mapkey.delim",
    ("LINES", "TERMINATED", "BY"): "line.delim",
    ("NULL", "DEFINED", "AS"): "serialization.null.format",
}


def create_table(words: Words, read_columns: Callable[[Words], Columns]) -> Statement:
    """The statement after CREATE EXTERNAL TABLE."""
    if_not_exists = words.skip("IF", "NOT", "EXISTS")
    table = words.table()
    clauses: dict[str, Any] = {"columns": read_columns(words) if words.peek("(") else []}
    while words.word:
        _clause(words, clauses, read_columns)
    if not clauses.get("location"):
        raise QueryFailed(
            "SYNTAX_ERROR",
            "CREATE EXTERNAL TABLE needs a LOCATION",
            hint="Add LOCATION 's3://bucket/prefix/'.",
        )
    details = {"table": table, "if_not_exists": if_not_exists, "input": _table_input(clauses)}
    return Statement(DDL, "CREATE_TABLE", details=details)


def _clause(
    words: Words, clauses: dict[str, Any], read_columns: Callable[[Words], Columns]
) -> None:
    if words.skip("COMMENT"):
        clauses["comment"] = words.text()
    elif words.skip("PARTITIONED", "BY"):
        clauses["keys"] = read_columns(words)
    elif words.skip("CLUSTERED", "BY"):
        # Buckets are a hint to writers; nothing here writes or prunes by them.
        words.parenthesised()
        words.want("INTO")
        words.take("a number")
        words.want("BUCKETS")
    elif words.skip("ROW", "FORMAT", "SERDE"):
        clauses["serde"] = words.text()
    elif words.skip("ROW", "FORMAT", "DELIMITED"):
        clauses.setdefault("serde", LAZY_SERDE)
        clauses["serde_properties"] = _delimiters(words)
    elif words.skip("WITH", "SERDEPROPERTIES"):
        clauses["serde_properties"] = words.properties()
    elif words.skip("STORED", "AS", "INPUTFORMAT"):
        clauses["input_format"] = words.text()
        words.want("OUTPUTFORMAT")
        clauses["output_format"] = words.text()
    elif words.skip("STORED", "AS"):
        clauses["stored_as"] = words.take("a format").upper()
    elif words.skip("LOCATION"):
        clauses["location"] = words.text()
    elif words.skip("TBLPROPERTIES"):
        clauses["properties"] = words.properties()
    else:
        raise words.error(
            "Expecting: COMMENT, PARTITIONED BY, ROW FORMAT, STORED AS, LOCATION, TBLPROPERTIES"
        )


def _delimiters(words: Words) -> dict[str, str]:
    found: dict[str, str] = {}
    while True:
        for start, key in _DELIMITED.items():
            if words.skip(*start):
                found[key] = words.text().replace("\\t", "\t")
                break
        else:
            return found


def _table_input(clauses: dict[str, Any]) -> dict[str, Any]:
    stored_as = clauses.get("stored_as")
    if stored_as and stored_as not in _STORED_AS:
        raise QueryFailed(
            "NOT_SUPPORTED",
            f"STORED AS {stored_as} is not supported here",
            hint=f"Use one of: {', '.join(_STORED_AS)}.",
        )
    chosen = FORMATS[_STORED_AS.get(stored_as or "", CSV)]
    serde = clauses.get("serde") or chosen.serde
    parameters = {"EXTERNAL": "TRUE", **clauses.get("properties", {})}
    properties = clauses.get("serde_properties")
    if properties is None:
        properties = dict(chosen.parameters) if stored_as else {}
        if not stored_as and not clauses.get("serde"):
            properties = {"serialization.format": "1"}
    return {
        "Description": clauses.get("comment"),
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": clauses.get("keys", []),
        "Parameters": parameters,
        "StorageDescriptor": {
            "Columns": clauses["columns"],
            "Location": clauses["location"],
            "InputFormat": clauses.get("input_format") or chosen.input,
            "OutputFormat": clauses.get("output_format") or chosen.output,
            "Compressed": False,
            "NumberOfBuckets": -1,
            "SerdeInfo": {"SerializationLibrary": serde, "Parameters": properties},
            "StoredAsSubDirectories": False,
        },
    }
