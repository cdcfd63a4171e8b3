"""Tables of the Data Catalog and the archive of their versions."""

import re
from typing import Any

from lakelet.catalog.databases import CATALOG_ID, Databases, Shape
from lakelet.catalog.db import instant, pack, unpack
from lakelet.catalog.errors import AlreadyExists, EntityNotFound, InvalidInput, VersionMismatch
from lakelet.catalog.names import fold, fold_columns
from lakelet.catalog.paging import page
from lakelet.catalog.types import parse_type

_PAGE = 100  # GetTables and GetTableVersions answer at most 100 a page
_DATES = ("LastAccessTime", "LastAnalyzedTime")


class Tables(Databases):
    """CreateTable, GetTable(s), UpdateTable, DeleteTable, versions, SearchTables."""

    def create_table(self, database: str, table_input: Shape) -> None:
        """Raises EntityNotFound (the database), AlreadyExists, InvalidInput."""
        body = normal_table(table_input)
        now = self._clock.now().timestamp()
        with self._db.transaction():
            database = self._require_database(database)
            if self._table_row(database, body["Name"]):
                raise AlreadyExists(f"Table {database}.{body['Name']} already exists.")
            self._db.run(
                "INSERT INTO tables (database, name, version, created_at, updated_at, body)"
                " VALUES (?, ?, 0, ?, ?, ?)",
                *(database, body["Name"], now, now, pack(body)),
            )

    def get_table(self, database: str, name: str) -> Shape:
        """A `Table` structure. Raises EntityNotFound."""
        row = self._table_row(database.lower(), name.lower())
        if row is None:
            raise self._no_table(database, name)
        return _table(database.lower(), row)

    def find_table(self, database: str, name: str) -> Shape | None:
        row = self._table_row(database.lower(), name.lower())
        return _table(database.lower(), row) if row else None

    def get_tables(
        self,
        database: str,
        expression: str | None = None,
        token: str | None = None,
        max_results: int | None = None,
    ) -> tuple[list[Shape], str | None]:
        """Tables in name order; `expression` is a regular expression over whole names,
        in which Athena's and Hive's `*` stands for `.*`."""
        database = self._require_database(database)
        rows = self._db.rows(f"{_SELECT} WHERE database = ? ORDER BY name", database)
        if expression:
            pattern = _name_pattern(expression)
            rows = [row for row in rows if pattern.fullmatch(row[1])]
        found, following = page(rows, token, max_results, _PAGE)
        return [_table(database, row) for row in found], following

    def all_tables(self, database: str) -> list[Shape]:
        """Every table, without pages; [] where the database is absent."""
        rows = self._db.rows(f"{_SELECT} WHERE database = ? ORDER BY name", database.lower())
        return [_table(database.lower(), row) for row in rows]

    def update_table(
        self,
        database: str,
        table_input: Shape,
        *,
        skip_archive: bool = False,
        version_id: str | None = None,
    ) -> None:
        """Replace a table's definition; the former one goes to the archive.

        Raises:
            EntityNotFound; InvalidInput (among others, a change of partition keys while
            partitions exist); VersionMismatch (`version_id` is not the newest).
        """
        body = normal_table(table_input)
        with self._db.transaction():
            database = self._require_database(database)
            row = self._table_row(database, body["Name"])
            if row is None:
                raise self._no_table(database, body["Name"])
            identity, _, version, _, updated_at, before = row
            if version_id is not None and version_id != str(version):
                raise VersionMismatch(
                    f"Table {database}.{body['Name']} is at version {version}, not {version_id}.",
                    hint="Read the table again and repeat the change on what it is now.",
                )
            self._refuse_new_keys(identity, unpack(before), body)
            if not skip_archive:
                self._db.run(
                    "INSERT INTO table_versions VALUES (?, ?, ?, ?)",
                    *(identity, version, updated_at, before),
                )
            self._db.run(
                "UPDATE tables SET version = ?, updated_at = ?, body = ? WHERE id = ?",
                *(version + 1, self._clock.now().timestamp(), pack(body), identity),
            )

    def delete_table(self, database: str, name: str) -> None:
        """With its partitions and versions. Raises EntityNotFound."""
        with self._db.transaction():
            identity = self.table_id(database, name)
            self._db.run("DELETE FROM partitions WHERE table_id = ?", identity)
            self._db.run("DELETE FROM table_versions WHERE table_id = ?", identity)
            self._db.run("DELETE FROM tables WHERE id = ?", identity)

    def table_id(self, database: str, name: str) -> int:
        """The row that partitions refer to. Raises EntityNotFound."""
        row = self._table_row(database.lower(), name.lower())
        if row is None:
            raise self._no_table(database, name)
        return int(row[0])

    # --- versions -----------------------------------------------------------------

    def get_table_versions(
        self,
        database: str,
        name: str,
        token: str | None = None,
        max_results: int | None = None,
    ) -> tuple[list[Shape], str | None]:
        """`TableVersion` structures, the newest first."""
        newest = self.get_table(database, name)
        archived = self._db.rows(
            "SELECT version, updated_at, body FROM table_versions WHERE table_id = ?"
            " ORDER BY version DESC",
            self.table_id(database, name),
        )
        versions = [{"Table": newest, "VersionId": newest["VersionId"]}]
        versions += [_archived(newest, *row) for row in archived]
        return page(versions, token, max_results, _PAGE)

    def get_table_version(self, database: str, name: str, version_id: str | None = None) -> Shape:
        """Raises EntityNotFound for a version that never was, or is archived no more."""
        newest = self.get_table(database, name)
        if version_id is None or version_id == newest["VersionId"]:
            return {"Table": newest, "VersionId": newest["VersionId"]}
        row = self._db.row(
            "SELECT version, updated_at, body FROM table_versions"
            " WHERE table_id = ? AND version = ?",
            *(self.table_id(database, name), _version_number(version_id)),
        )
        if row is None:
            raise EntityNotFound(f"Table {database}.{name} has no version {version_id}.")
        return _archived(newest, *row)

    def delete_table_version(self, database: str, name: str, version_id: str) -> None:
        """Forget one archived version. Raises EntityNotFound, InvalidInput (the newest)."""
        if self.get_table(database, name)["VersionId"] == version_id:
            raise InvalidInput(
                f"Version {version_id} of {database}.{name} is its newest.",
                hint="Only archived versions can be deleted.",
            )
        gone = self._db.run(
            "DELETE FROM table_versions WHERE table_id = ? AND version = ?",
            *(self.table_id(database, name), _version_number(version_id)),
        )
        if not gone:
            raise EntityNotFound(f"Table {database}.{name} has no version {version_id}.")

    # --- search -------------------------------------------------------------------

    def search_tables(
        self,
        text: str | None = None,
        filters: list[Shape] | None = None,
        token: str | None = None,
        max_results: int | None = None,
    ) -> tuple[list[Shape], str | None]:
        """Tables of every database that hold `text` in names, columns or description
        and match each filter (`Key` name, databaseName, owner, classification …)."""
        rows = self._db.rows(
            "SELECT id, name, version, created_at, updated_at, body, database FROM tables"
            " ORDER BY database, name"
        )
        tables = (_table(row[6], row[:6]) for row in rows)
        found = [
            table
            for table in tables
            if _holds_text(table, text) and all(_matches(table, item) for item in filters or ())
        ]
        return page(found, token, max_results, _PAGE)

    # --- inside -------------------------------------------------------------------

    def _table_row(self, database: str, name: str) -> tuple[Any, ...] | None:
        return self._db.row(f"{_SELECT} WHERE database = ? AND name = ?", database, name)

    def _no_table(self, database: str, name: str) -> EntityNotFound:
        self._require_database(database)
        return EntityNotFound(
            f"Table {database.lower()}.{name.lower()} not found.",
            hint="GetTables lists what is there.",
        )

    def _refuse_new_keys(self, identity: int, before: Shape, after: Shape) -> None:
        """Partitions are named by their keys' values: with other keys they'd mean nothing."""
        keys = [key["Name"] for key in before.get("PartitionKeys", ())]
        wanted = [key["Name"] for key in after.get("PartitionKeys", ())]
        if keys == wanted:
            return
        if self._db.row("SELECT 1 FROM partitions WHERE table_id = ? LIMIT 1", identity):
            raise InvalidInput(
                f"Partition keys {keys} cannot become {wanted} while partitions exist.",
                hint="Delete the partitions first, or create another table.",
            )


_SELECT = "SELECT id, name, version, created_at, updated_at, body FROM tables"


def normal_table(table_input: Shape) -> Shape:
    """A TableInput with folded names and checked types. Raises InvalidInput."""
    name = fold(table_input.get("Name"), "Table")
    body = {**table_input, "Name": name}
    storage = dict(body.get("StorageDescriptor") or {})
    storage["Columns"] = fold_columns(storage.get("Columns") or [])
    body["StorageDescriptor"] = storage
    body["PartitionKeys"] = fold_columns(body.get("PartitionKeys") or [])
    # Raises for a key that is a column too; the order is of no matter here.
    fold_columns([*storage["Columns"], *body["PartitionKeys"]])
    if body.get("TableType") != "VIRTUAL_VIEW":
        for column in (*storage["Columns"], *body["PartitionKeys"]):
            if column.get("Type"):
                parse_type(column["Type"])
    return body


def _table(database: str, row: tuple[Any, ...]) -> Shape:
    _, _, version, created_at, updated_at, body = row
    return {
        **_with_dates(unpack(body)),
        "DatabaseName": database,
        "CatalogId": CATALOG_ID,
        "VersionId": str(version),
        "CreateTime": instant(created_at),
        "UpdateTime": instant(updated_at),
        "IsRegisteredWithLakeFormation": False,
    }


def _archived(newest: Shape, version: int, updated_at: float, body: bytes) -> Shape:
    table = {
        **_with_dates(unpack(body)),
        "DatabaseName": newest["DatabaseName"],
        "CatalogId": CATALOG_ID,
        "VersionId": str(version),
        "CreateTime": newest["CreateTime"],
        "UpdateTime": instant(updated_at),
    }
    return {"Table": table, "VersionId": str(version)}


def _with_dates(body: Shape) -> Shape:
    for key in _DATES:
        if isinstance(body.get(key), int | float):
            body[key] = instant(body[key])
    return body


def _version_number(version_id: str) -> int:
    if not version_id.isdigit():
        raise InvalidInput(f"VersionId {version_id!r} is not a number.")
    return int(version_id)


def _name_pattern(expression: str) -> re.Pattern[str]:
    # SHOW TABLES 'ev*' and Glue's Expression 'ev.*' both reach us here.
    spelled = re.sub(r"(?<![.\])])\*", ".*", expression)
    try:
        return re.compile(spelled, re.IGNORECASE)
    except re.error as error:
        raise InvalidInput(f"Expression {expression!r} is no pattern: {error}.") from error


def _holds_text(table: Shape, text: str | None) -> bool:
    if not text:
        return True
    names = [table["Name"], table["DatabaseName"], table.get("Description") or ""]
    names += [column["Name"] for column in table["StorageDescriptor"]["Columns"]]
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return text[1:-1].lower() in (name.lower() for name in names)
    return any(text.lower() in name.lower() for name in names)


def _matches(table: Shape, condition: Shape) -> bool:
    key = condition.get("Key", "")
    fields = {
        "name": table["Name"],
        "databasename": table["DatabaseName"],
        "owner": table.get("Owner"),
        "description": table.get("Description"),
    }
    actual = fields.get(key.lower(), (table.get("Parameters") or {}).get(key))
    wanted = str(condition.get("Value", ""))
    return actual is not None and wanted.lower() in str(actual).lower()
