"""DDL carried out on the catalog; answers are lines, as Hive prints them."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from lakelet.catalog import Catalog
from lakelet.catalog.crawl import split_location
from lakelet.catalog.errors import AlreadyExists, CatalogError, EntityNotFound
from lakelet.catalog.expression import compile_expression
from lakelet.catalog.footers import is_data_name
from lakelet.model.errors import BucketNotFound
from lakelet.model.ports import ObjectStore
from lakelet.query.bind import decode_view
from lakelet.query.errors import QueryFailed
from lakelet.query.show_create import create_statement
from lakelet.query.statement import Statement

Shape = dict[str, Any]
Lines = list[Sequence[str]]


class Ddl:
    """One DDL or UTILITY statement against one catalog."""

    def __init__(self, catalog: Catalog, store: ObjectStore, database: str) -> None:
        self._catalog = catalog
        self._store = store
        self._database = database

    def apply(self, statement: Statement) -> Lines:
        """Raises QueryFailed."""
        act: Callable[[Shape], Lines | None] = getattr(self, f"_{statement.kind.lower()}")
        try:
            return act(statement.details) or []
        except EntityNotFound as error:
            name = "TABLE_NOT_FOUND" if "able" in error.message else "SCHEMA_NOT_FOUND"
            raise QueryFailed(name, error.message, hint=error.hint) from error
        except AlreadyExists as error:
            raise QueryFailed("TABLE_ALREADY_EXISTS", error.message, hint=error.hint) from error
        except CatalogError as error:
            raise QueryFailed("SYNTAX_ERROR", error.message, hint=error.hint) from error

    def _where(self, table: tuple[str | None, str]) -> tuple[str, str]:
        return table[0] or self._database, table[1]

    def _table(self, table: tuple[str | None, str]) -> Shape:
        return self._catalog.get_table(*self._where(table))

    # --- databases --------------------------------------------------------------------

    def _create_database(self, details: Shape) -> None:
        body = {
            "Name": details["name"],
            "Description": details.get("comment"),
            "LocationUri": details.get("location"),
            "Parameters": details.get("properties"),
        }
        try:
            self._catalog.create_database(body)
        except AlreadyExists as error:
            if not details["if_not_exists"]:
                raise QueryFailed("SCHEMA_ALREADY_EXISTS", error.message) from error

    def _drop_database(self, details: Shape) -> None:
        name = details["name"]
        if self._catalog.find_database(name) is None:
            if details["if_exists"]:
                return
            raise QueryFailed("SCHEMA_NOT_FOUND", f"Schema '{name}' does not exist")
        tables = self._catalog.all_tables(name)
        if tables and not details["cascade"]:
            raise QueryFailed(
                "SYNTAX_ERROR",
                f"Database {name} is not empty: it has {len(tables)} tables",
                hint="Add CASCADE to drop them too; their data stays.",
            )
        self._catalog.delete_database(name)

    def _alter_database(self, details: Shape) -> None:
        found = self._catalog.get_database(details["name"])
        parameters = {**(found.get("Parameters") or {}), **details["properties"]}
        keep = {key: found.get(key) for key in ("Name", "Description", "LocationUri")}
        self._catalog.update_database(details["name"], {**keep, "Parameters": parameters})

    # --- tables -----------------------------------------------------------------------

    def _create_table(self, details: Shape) -> None:
        database, name = self._where(details["table"])
        try:
            self._catalog.create_table(database, {"Name": name, **details["input"]})
        except AlreadyExists:
            if not details["if_not_exists"]:
                raise

    def _drop_table(self, details: Shape) -> None:
        database, name = self._where(details["table"])
        table = self._catalog.find_table(database, name)
        if table is None:
            if details["if_exists"]:
                return
            raise QueryFailed("TABLE_NOT_FOUND", f"Table {database}.{name} does not exist")
        if table.get("TableType") == "VIRTUAL_VIEW":
            raise QueryFailed(
                "SYNTAX_ERROR", f"{database}.{name} is a view", hint="Write DROP VIEW."
            )
        self._catalog.delete_table(database, name)

    def _drop_view(self, details: Shape) -> None:
        database, name = self._where(details["table"])
        table = self._catalog.find_table(database, name)
        if table is None or table.get("TableType") != "VIRTUAL_VIEW":
            if details["if_exists"] and table is None:
                return
            raise QueryFailed("TABLE_NOT_FOUND", f"View '{database}.{name}' does not exist")
        self._catalog.delete_table(database, name)

    def _change(self, details: Shape, change: Callable[[Shape], Shape]) -> None:
        """Update a table by a function of its definition."""
        database, _ = self._where(details["table"])
        with self._catalog.transaction():
            table = self._table(details["table"])
            self._catalog.update_table(database, {**table_input(table), **change(table)})

    def _alter_table_add_columns(self, details: Shape) -> None:
        def change(table: Shape) -> Shape:
            storage = table["StorageDescriptor"]
            columns = [*storage["Columns"], *details["columns"]]
            return {"StorageDescriptor": {**storage, "Columns": columns}}

        self._change(details, change)

    def _alter_table_replace_columns(self, details: Shape) -> None:
        self._change(
            details,
            lambda table: {
                "StorageDescriptor": {
                    **table["StorageDescriptor"],
                    "Columns": details["columns"],
                }
            },
        )

    def _alter_table_change_column(self, details: Shape) -> None:
        def change(table: Shape) -> Shape:
            storage = table["StorageDescriptor"]
            if details["old"] not in [column["Name"] for column in storage["Columns"]]:
                raise QueryFailed("COLUMN_NOT_FOUND", f"Column '{details['old']}' does not exist")
            columns = [
                details["column"] if column["Name"] == details["old"] else column
                for column in storage["Columns"]
            ]
            return {"StorageDescriptor": {**storage, "Columns": columns}}

        self._change(details, change)

    def _alter_table_set_properties(self, details: Shape) -> None:
        self._change(
            details,
            lambda table: {
                "Parameters": {**(table.get("Parameters") or {}), **details["properties"]}
            },
        )

    def _alter_table_set_location(self, details: Shape) -> None:
        split_location(details["location"])
        if details.get("spec"):
            values = self._values(self._table(details["table"]), details["spec"])
            where = self._where(details["table"])
            partition = self._catalog.get_partition(*where, values)
            storage = {**partition["StorageDescriptor"], "Location": details["location"]}
            self._catalog.update_partition(
                *where, values, {"Values": values, "StorageDescriptor": storage}
            )
            return
        self._change(
            details,
            lambda table: {
                "StorageDescriptor": {
                    **table["StorageDescriptor"],
                    "Location": details["location"],
                }
            },
        )

    # --- partitions -------------------------------------------------------------------

    def _values(self, table: Shape, spec: dict[str, str]) -> list[str]:
        keys = [key["Name"] for key in table.get("PartitionKeys", [])]
        if sorted(spec) != sorted(keys):
            raise QueryFailed(
                "SYNTAX_ERROR",
                f"partition keys {sorted(spec)} were given, the table has {keys}",
            )
        return [spec[key] for key in keys]

    def _alter_table_add_partition(self, details: Shape) -> None:
        table = self._table(details["table"])
        where = self._where(details["table"])
        with self._catalog.transaction():
            for spec, location in details["partitions"]:
                values = self._values(table, spec)
                storage = dict(table["StorageDescriptor"])
                storage["Location"] = location
                try:
                    self._catalog.create_partition(
                        *where, {"Values": values, "StorageDescriptor": storage}
                    )
                except AlreadyExists:
                    if not details["if_not_exists"]:
                        raise

    def _alter_table_drop_partition(self, details: Shape) -> None:
        table = self._table(details["table"])
        where = self._where(details["table"])
        keys = {key["Name"]: key.get("Type") or "string" for key in table["PartitionKeys"]}
        with self._catalog.transaction():
            for condition in details["conditions"]:
                keep = compile_expression(condition, keys)
                doomed = [
                    place.values
                    for place in self._catalog.partition_places(*where)
                    if keep(place.values)
                ]
                if not doomed and not details["if_exists"]:
                    raise QueryFailed("SYNTAX_ERROR", f"no partition matches {condition}")
                for values in doomed:
                    self._catalog.delete_partition(*where, values)

    def _alter_table_rename_partition(self, details: Shape) -> None:
        table = self._table(details["table"])
        where = self._where(details["table"])
        before = self._values(table, details["spec"])
        partition = self._catalog.get_partition(*where, before)
        self._catalog.update_partition(
            *where,
            before,
            {
                "Values": self._values(table, details["to"]),
                "StorageDescriptor": partition["StorageDescriptor"],
            },
        )

    def _msck_repair_table(self, details: Shape) -> Lines:
        """Add a partition for each `key=value` folder that the catalog lacks."""
        table = self._table(details["table"])
        where = self._where(details["table"])
        keys = [key["Name"] for key in table.get("PartitionKeys", [])]
        if not keys:
            return []
        bucket, prefix = split_location(table["StorageDescriptor"]["Location"])
        known = {place.values for place in self._catalog.partition_places(*where)}
        found = [
            (values, folder)
            for values, folder in self._partition_folders(bucket, prefix, keys)
            if values not in known
        ]
        self._catalog.put_partitions(
            *where,
            [
                {
                    "Values": list(values),
                    "StorageDescriptor": {
                        **table["StorageDescriptor"],
                        "Location": f"s3://{bucket}/{folder}",
                    },
                }
                for values, folder in found
            ],
        )
        if not found:
            return []
        names = [f"{where[1]}:{folder[len(prefix) :].rstrip('/')}" for _, folder in found]
        lines: Lines = [("Partitions not in metastore:", *names)]
        lines += [(f"Repair: Added partition to metastore {name}",) for name in names]
        return lines

    def _partition_folders(
        self, bucket: str, prefix: str, keys: Sequence[str]
    ) -> list[tuple[tuple[str, ...], str]]:
        level: list[tuple[tuple[str, ...], str]] = [((), prefix)]
        for key in keys:
            deeper = []
            for values, folder in level:
                for child in self._folders(bucket, folder):
                    name, sign, value = child[len(folder) :].rstrip("/").partition("=")
                    if sign and name.lower() == key:
                        deeper.append(((*values, value), child))
            level = deeper
        return level

    def _folders(self, bucket: str, prefix: str) -> list[str]:
        listing = getattr(self._store, "list_folder", None)
        try:
            if listing is not None:
                return [child for child in listing(bucket, prefix)[0] if is_data_name(_last(child))]
            keys = (info.key[len(prefix) :] for info in self._store.list(bucket, prefix))
            names = sorted({key.partition("/")[0] for key in keys if "/" in key})
        except BucketNotFound:
            return []
        return [f"{prefix}{name}/" for name in names if is_data_name(name)]

    # --- looking ----------------------------------------------------------------------

    def _show_databases(self, details: Shape) -> Lines:
        names: list[str] = []
        token = None
        while True:
            found, token = self._catalog.get_databases(token)
            names += [database["Name"] for database in found]
            if token is None:
                return _matching(names, details["pattern"])

    def _show_tables(self, details: Shape) -> Lines:
        return self._names(details, views=None)

    def _show_views(self, details: Shape) -> Lines:
        return self._names(details, views=True)

    def _names(self, details: Shape, views: bool | None) -> Lines:
        database = details["database"] or self._database
        if self._catalog.find_database(database) is None:
            raise QueryFailed("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist")
        names = [
            table["Name"]
            for table in self._catalog.all_tables(database)
            if views is None or (table.get("TableType") == "VIRTUAL_VIEW") == views
        ]
        return _matching(names, details["pattern"])

    def _show_partitions(self, details: Shape) -> Lines:
        table = self._table(details["table"])
        keys = [key["Name"] for key in table.get("PartitionKeys", [])]
        if not keys:
            raise QueryFailed("SYNTAX_ERROR", f"Table {table['Name']} is not a partitioned table")
        wanted = details["spec"].items()
        places = self._catalog.partition_places(*self._where(details["table"]))
        return [
            ("/".join(f"{key}={value}" for key, value in zip(keys, place.values, strict=True)),)
            for place in places
            if wanted <= dict(zip(keys, place.values, strict=True)).items()
        ]

    def _show_columns(self, details: Shape) -> Lines:
        return [(column["Name"],) for column in all_columns(self._table(details["table"]))]

    def _show_table_properties(self, details: Shape) -> Lines:
        parameters = self._table(details["table"]).get("Parameters") or {}
        if details["key"]:
            return [(parameters.get(details["key"], ""),)]
        return [(f"{key}\t{value}",) for key, value in sorted(parameters.items())]

    def _show_create_table(self, details: Shape) -> Lines:
        table = self._table(details["table"])
        if table.get("TableType") == "VIRTUAL_VIEW":
            return self._show_create_view(details)
        return [(line,) for line in create_statement(table).split("\n")]

    def _show_create_view(self, details: Shape) -> Lines:
        table = self._table(details["table"])
        if table.get("TableType") != "VIRTUAL_VIEW":
            raise QueryFailed("SYNTAX_ERROR", f"{table['Name']} is a table, not a view")
        sql, _ = decode_view(table.get("ViewOriginalText") or "")
        return [(f"CREATE VIEW {table['DatabaseName']}.{table['Name']} AS",), (sql,)]

    def _describe_table(self, details: Shape) -> Lines:
        table = self._table(details["table"])
        if details["column"]:
            found = [c for c in all_columns(table) if c["Name"] == details["column"]]
            if not found:
                raise QueryFailed("COLUMN_NOT_FOUND", f"Column '{details['column']}' is not there")
            return [_described(found[0])]
        lines: Lines = [_described(column) for column in all_columns(table)]
        keys = table.get("PartitionKeys") or []
        if keys:
            lines += [("\t ",), ("# Partition Information\t ",), _HEADER, ("\t ",)]
            lines += [_described(key) for key in keys]
        if details["extended"]:
            lines += [("\t ",), ("Detailed Table Information", repr(table_input(table)))]
        return lines


_HEADER = ("# col_name", "data_type", "comment")
_INPUT_KEYS = (
    *("Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys"),
    *("ViewOriginalText", "ViewExpandedText", "TableType", "Parameters"),
)


def table_input(table: Shape) -> Shape:
    return {key: table[key] for key in _INPUT_KEYS if key in table}


def all_columns(table: Shape) -> list[Shape]:
    return [*table["StorageDescriptor"]["Columns"], *(table.get("PartitionKeys") or [])]


def _described(column: Shape) -> tuple[str, str, str]:
    """Hive pads each field to twenty letters; clients strip them again."""
    return (
        f"{column['Name']:<20}",
        f"{column.get('Type', ''):<20}",
        f"{column.get('Comment') or '':<20}",
    )


def _last(prefix: str) -> str:
    return prefix.rstrip("/").rsplit("/", 1)[-1]


def _matching(names: Sequence[str], pattern: str | None) -> Lines:
    """Names that match Hive's pattern: `*` for any letters, `|` between choices."""
    if pattern is None:
        return [(name,) for name in names]
    # `.*` and SQL's `%` reach us from clients that build one or the other.
    spelled = re.sub(r"(?<!\.)\*", ".*", pattern).replace("%", ".*")
    try:
        regex = re.compile(spelled, re.IGNORECASE)
    except re.error as error:
        raise QueryFailed("SYNTAX_ERROR", f"pattern {pattern!r}: {error}") from error
    return [(name,) for name in names if regex.fullmatch(name)]
