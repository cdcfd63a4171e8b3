"""From names in a query to the tables of the catalog, each under a placeholder of its own.

A bound query is the user's tree in which every base table stands as `__scan_N`.
What a scan reads is decided later and put in as text: the tree never holds a
hundred thousand file names.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from sqlglot import exp

from lakelet.catalog import Catalog
from lakelet.query.errors import QueryFailed
from lakelet.query.information import INFORMATION_SCHEMA, information_table
from lakelet.query.parse import parse_query, position

CATALOG_NAME = "awsdatacatalog"
_VIEW_DEPTH_MAX = 32  # a view of a view of …: deeper ones are a circle
_VIEW_PREFIX, _VIEW_SUFFIX = "/* Presto View: ", " */"


@dataclass(frozen=True, slots=True)
class Scan:
    """One mention of a base table."""

    placeholder: str
    database: str
    table: Mapping[str, Any]  # Glue's Table structure

    @property
    def name(self) -> str:
        return f"{self.database}.{self.table['Name']}"

    @property
    def columns(self) -> dict[str, str]:
        """Hive type by name, without the partition keys."""
        columns = self.table["StorageDescriptor"]["Columns"]
        return {column["Name"]: column.get("Type") or "string" for column in columns}

    @property
    def keys(self) -> dict[str, str]:
        """Hive type of each partition key, in order."""
        keys = self.table.get("PartitionKeys") or []
        return {key["Name"]: key.get("Type") or "string" for key in keys}


@dataclass
class Bound:
    """A query whose every table is known."""

    tree: exp.Expr
    scans: dict[str, Scan] = field(default_factory=dict)  # by placeholder
    registered: dict[str, pa.Table] = field(default_factory=dict)  # information_schema


def bind(tree: exp.Expr, catalog: Catalog, database: str) -> Bound:
    """Resolve every table that `tree` names; the tree is changed in place.

    Raises:
        QueryFailed: TABLE_NOT_FOUND, SCHEMA_NOT_FOUND, CATALOG_NOT_FOUND.
    """
    bound = Bound(tree)
    # The root itself may be replaced (`TABLE events`), so it hangs in a holder.
    holder = exp.Paren(this=tree)
    _bind_tables(holder, bound, catalog, database, 0)
    for column in holder.find_all(exp.Column):
        if column.args.get("db"):
            # `shop.events.day`: the scan has the table's name as its alias, and no more.
            column.set("db", None)
            column.set("catalog", None)
    bound.tree = holder.this
    return bound


def _bind_tables(root: exp.Expr, bound: Bound, catalog: Catalog, database: str, depth: int) -> None:
    if depth > _VIEW_DEPTH_MAX:
        raise QueryFailed("NOT_SUPPORTED", "a view refers to itself, or views are nested too deep")
    for node in list(root.find_all(exp.Table)):
        if not isinstance(node.this, exp.Identifier):
            raise QueryFailed(
                "FUNCTION_NOT_FOUND",
                f"Table function '{node.this.sql()[:60]}' not registered",
                hint="Athena has UNNEST here, and no functions that read files.",
            )
        if not node.db and _is_cte(node):
            continue
        _bind_one(node, bound, catalog, database, depth)


def _is_cte(node: exp.Table) -> bool:
    """Whether a WITH around this mention defines its name."""
    name, parent = node.name.lower(), node.parent
    inside: exp.Expr = node
    while parent is not None:
        with_ = parent.args.get("with_") or parent.args.get("with")
        if isinstance(with_, exp.With):
            for cte in with_.expressions:
                if cte is inside and not with_.args.get("recursive"):
                    break  # a CTE sees only those before it
                if cte.alias.lower() == name:
                    return True
        if not isinstance(parent, exp.With):
            inside = parent
        parent = parent.parent
    return False


def _bind_one(node: exp.Table, bound: Bound, catalog: Catalog, database: str, depth: int) -> None:
    schema = (node.db or database).lower()
    name = node.name.lower()
    line, column = position(node)
    if node.catalog and node.catalog.lower() != CATALOG_NAME:
        raise QueryFailed(
            "CATALOG_NOT_FOUND",
            f"Catalog '{node.catalog}' does not exist",
            line=line,
            column=column,
            hint="There is one data catalog, AwsDataCatalog.",
        )
    if schema == INFORMATION_SCHEMA:
        rows = information_table(catalog, name)
        if rows is None:
            raise _no_table(schema, name, line, column)
        placeholder = f"__info_{len(bound.registered)}_"
        bound.registered[placeholder] = rows
        _put(node, exp.to_table(placeholder), name)
        return
    table = catalog.find_table(schema, name)
    if table is None:
        if not any(item["Name"] == schema for item in catalog.get_databases()[0]):
            raise QueryFailed(
                "SCHEMA_NOT_FOUND",
                f"Schema '{schema}' does not exist",
                line=line,
                column=column,
                hint="SHOW DATABASES lists what is there.",
            )
        raise _no_table(schema, name, line, column)
    if table.get("TableType") == "VIRTUAL_VIEW":
        _bind_view(node, table, bound, catalog, depth)
        return
    placeholder = f"__scan_{len(bound.scans)}_"
    bound.scans[placeholder] = Scan(placeholder, schema, table)
    _put(node, exp.to_table(placeholder), name)


def _put(node: exp.Table, target: exp.Expr, name: str) -> None:
    """Replace a mention, keeping its alias, or else its name, and what hangs on it."""
    alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name))
    target.set("alias", alias)
    for part in ("joins", "sample", "pivots", "laterals"):
        if node.args.get(part):
            target.set(part, node.args[part])
    node.replace(target)


def _no_table(schema: str, name: str, line: int | None, column: int | None) -> QueryFailed:
    return QueryFailed(
        "TABLE_NOT_FOUND",
        f"Table '{CATALOG_NAME}.{schema}.{name}' does not exist",
        line=line,
        column=column,
        hint=f"SHOW TABLES IN {schema} lists what is there.",
    )


# --- views --------------------------------------------------------------------------


def encode_view(sql: str, database: str, columns: list[dict[str, str]]) -> str:
    """A view's text as Athena keeps it in ViewOriginalText."""
    body = {
        "originalSql": sql,
        "catalog": CATALOG_NAME,
        "schema": database,
        "columns": columns,
    }
    return _VIEW_PREFIX + base64.b64encode(json.dumps(body).encode()).decode() + _VIEW_SUFFIX


def decode_view(text: str) -> tuple[str, str | None]:
    """(SQL, database) of a view; plain SQL, as Hive views have it, is taken as it is."""
    if not text.startswith(_VIEW_PREFIX):
        return text, None
    body = json.loads(base64.b64decode(text[len(_VIEW_PREFIX) : -len(_VIEW_SUFFIX)]))
    return body["originalSql"], body.get("schema")


def _bind_view(
    node: exp.Table, table: Mapping[str, Any], bound: Bound, catalog: Catalog, depth: int
) -> None:
    sql, schema = decode_view(table.get("ViewOriginalText") or "")
    view = exp.Subquery(this=parse_query(sql))
    _bind_tables(view, bound, catalog, schema or table["DatabaseName"], depth + 1)
    _put(node, view, table["Name"])
