"""information_schema: the catalog, as tables."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from lakelet.catalog import Catalog
from lakelet.catalog.types import parse_type
from lakelet.query.types import trino_type

INFORMATION_SCHEMA = "information_schema"
_CATALOG = "awsdatacatalog"


def information_table(catalog: Catalog, name: str) -> pa.Table | None:
    """The rows of information_schema.<name>; None where Athena has no such table."""
    if name == "schemata":
        rows: list[dict[str, Any]] = [
            {"catalog_name": _CATALOG, "schema_name": schema} for schema in _schemas(catalog)
        ]
        return _table(rows, ("catalog_name", "schema_name"))
    if name == "tables":
        rows = [_describe(table) for table in _tables(catalog)]
        return _table(rows, ("table_catalog", "table_schema", "table_name", "table_type"))
    if name == "views":
        rows = [
            {**_describe(table), "view_definition": table.get("ViewOriginalText")}
            for table in _tables(catalog)
            if table.get("TableType") == "VIRTUAL_VIEW"
        ]
        return _table(rows, ("table_catalog", "table_schema", "table_name", "view_definition"))
    if name == "columns":
        return _columns(catalog)
    return None


def _schemas(catalog: Catalog) -> list[str]:
    names: list[str] = []
    token = None
    while True:
        page, token = catalog.get_databases(token)
        names += [database["Name"] for database in page]
        if token is None:
            return names


def _tables(catalog: Catalog) -> Iterator[dict[str, Any]]:
    for schema in _schemas(catalog):
        yield from catalog.all_tables(schema)


def _describe(table: dict[str, Any]) -> dict[str, Any]:
    is_view = table.get("TableType") == "VIRTUAL_VIEW"
    return {
        "table_catalog": _CATALOG,
        "table_schema": table["DatabaseName"],
        "table_name": table["Name"],
        "table_type": "VIEW" if is_view else "BASE TABLE",
    }


def _columns(catalog: Catalog) -> pa.Table:
    rows = []
    for table in _tables(catalog):
        keys = table.get("PartitionKeys") or []
        columns = [*table["StorageDescriptor"]["Columns"], *keys]
        for index, column in enumerate(columns, 1):
            described = _describe(table)
            del described["table_type"]
            rows.append(
                {
                    **described,
                    "column_name": column["Name"],
                    "ordinal_position": index,
                    "column_default": None,
                    "is_nullable": "YES",
                    "data_type": trino_type(parse_type(column.get("Type") or "string")),
                    "comment": column.get("Comment"),
                    "extra_info": "partition key" if column in keys else None,
                }
            )
    names = (
        *("table_catalog", "table_schema", "table_name", "column_name", "ordinal_position"),
        *("column_default", "is_nullable", "data_type", "comment", "extra_info"),
    )
    return _table(rows, names)


def _table(rows: list[dict[str, Any]], names: tuple[str, ...]) -> pa.Table:
    schema = pa.schema(
        [(name, pa.int64() if name == "ordinal_position" else pa.string()) for name in names]
    )
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema)
