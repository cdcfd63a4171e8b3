"""Partitions of the Data Catalog: one row each, named by its values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lakelet.catalog.databases import CATALOG_ID, Shape
from lakelet.catalog.db import instant, pack, unpack
from lakelet.catalog.errors import AlreadyExists, CatalogError, EntityNotFound, InvalidInput
from lakelet.catalog.expression import compile_expression
from lakelet.catalog.names import SEPARATOR, fold_columns, partition_name, partition_values
from lakelet.catalog.paging import page
from lakelet.catalog.tables import Tables

CREATE_MAX = 100  # BatchCreatePartition and BatchUpdatePartition
DELETE_MAX = 25  # BatchDeletePartition
GET_MAX = 1_000  # BatchGetPartition, and one page of GetPartitions


@dataclass(frozen=True, slots=True)
class PartitionPlace:
    """What planning a query needs of a partition, and no more."""

    values: tuple[str, ...]  # in the order of the table's keys
    location: str


class Partitions(Tables):
    """Single, batched and filtered operations on partitions."""

    def create_partition(self, database: str, table: str, partition_input: Shape) -> None:
        """Raises AlreadyExists, EntityNotFound (the table), InvalidInput."""
        with self._db.transaction():
            owner = self.get_table(database, table)
            identity = self.table_id(database, table)
            body = _normal_partition(owner, partition_input)
            name = partition_name(body["Values"])
            if self._partition_row(identity, name):
                raise AlreadyExists(f"Partition {body['Values']} of {table} already exists.")
            self._write(identity, name, body, self._clock.now().timestamp())

    def batch_create_partition(
        self, database: str, table: str, inputs: Sequence[Shape]
    ) -> list[Shape]:
        """Create up to 100; what fails is answered alone, as `PartitionError`s."""
        _at_most(inputs, CREATE_MAX, "BatchCreatePartition")
        return self._each(inputs, lambda item: self.create_partition(database, table, item))

    def get_partition(self, database: str, table: str, values: Sequence[str]) -> Shape:
        """Raises EntityNotFound."""
        identity = self.table_id(database, table)
        row = self._partition_row(identity, partition_name(values))
        if row is None:
            raise _no_partition(table, values)
        return _partition(database, table, row)

    def get_partitions(
        self,
        database: str,
        table: str,
        expression: str | None = None,
        token: str | None = None,
        max_results: int | None = None,
        *,
        exclude_column_schema: bool = False,
        segment: tuple[int, int] | None = None,
    ) -> tuple[list[Shape], str | None]:
        """Partitions in the order of their values.

        Args:
            expression: Glue's filter language, such as `year = '2026' AND month >= '03'`.
            segment: (number, total), to read disjoint parts in parallel.
        """
        owner = self.get_table(database, table)
        identity = self.table_id(database, table)
        names = [
            name
            for (name,) in self._db.rows(
                "SELECT name FROM partitions WHERE table_id = ? ORDER BY name", identity
            )
        ]
        if expression and expression.strip():
            keys = {key["Name"]: key.get("Type") or "string" for key in owner["PartitionKeys"]}
            keep = compile_expression(expression, keys)
            names = [name for name in names if keep(partition_values(name))]
        if segment:
            number, total = segment
            names = names[number::total]
        chosen, following = page(names, token, max_results, GET_MAX)
        found = [
            _partition(database, table, row)
            for name in chosen
            if (row := self._partition_row(identity, name))
        ]
        if exclude_column_schema:
            for item in found:
                item.get("StorageDescriptor", {}).pop("Columns", None)
        return found, following

    def batch_get_partition(
        self, database: str, table: str, keys: Sequence[Shape]
    ) -> tuple[list[Shape], list[Shape]]:
        """(found, unprocessed keys); absent partitions are in neither, as in Glue."""
        _at_most(keys, GET_MAX, "BatchGetPartition")
        identity = self.table_id(database, table)
        rows = (self._partition_row(identity, partition_name(key["Values"])) for key in keys)
        return [_partition(database, table, row) for row in rows if row], []

    def update_partition(
        self, database: str, table: str, values: Sequence[str], partition_input: Shape
    ) -> None:
        """Replace a partition, its values too. Raises EntityNotFound, AlreadyExists."""
        with self._db.transaction():
            owner = self.get_table(database, table)
            identity = self.table_id(database, table)
            row = self._partition_row(identity, partition_name(values))
            if row is None:
                raise _no_partition(table, values)
            body = _normal_partition(owner, {"Values": list(values), **partition_input})
            name = partition_name(body["Values"])
            if name != row[0]:
                if self._partition_row(identity, name):
                    raise AlreadyExists(f"Partition {body['Values']} of {table} already exists.")
                self._remove(identity, row[0])
            self._write(identity, name, body, row[1])

    def batch_update_partition(
        self, database: str, table: str, entries: Sequence[Shape]
    ) -> list[Shape]:
        """Up to 100 of `{PartitionValueList, PartitionInput}`; failures are answered alone."""
        _at_most(entries, CREATE_MAX, "BatchUpdatePartition")
        failures = []
        for entry in entries:
            values = entry["PartitionValueList"]
            try:
                self.update_partition(database, table, values, entry["PartitionInput"])
            except CatalogError as error:
                failures.append({"PartitionValueList": values, "ErrorDetail": _detail(error)})
        return failures

    def delete_partition(self, database: str, table: str, values: Sequence[str]) -> None:
        """The catalog's row alone: data stays where it is. Raises EntityNotFound."""
        if not self._remove(self.table_id(database, table), partition_name(values)):
            raise _no_partition(table, values)

    def batch_delete_partition(
        self, database: str, table: str, keys: Sequence[Shape]
    ) -> list[Shape]:
        """Up to 25; failures are answered alone."""
        _at_most(keys, DELETE_MAX, "BatchDeletePartition")
        return self._each(keys, lambda key: self.delete_partition(database, table, key["Values"]))

    # --- what other rooms ask ---------------------------------------------------------

    def partition_places(
        self, database: str, table: str, leading: Sequence[str] = ()
    ) -> list[PartitionPlace]:
        """Values and location of each partition, in the order of their values.

        `leading` fixes the values of the first keys: then SQLite reads only their
        range of its primary key, however many partitions the table has.
        """
        identity = self.table_id(database, table)
        where = "table_id = ?"
        bounds: list[Any] = [identity]
        if leading:
            prefix = partition_name(leading)
            # Rows of exactly these values, or of these followed by more.
            where += " AND (name = ? OR (name >= ? AND name < ?))"
            bounds += [prefix, prefix + SEPARATOR, prefix + chr(ord(SEPARATOR) + 1)]
        rows = self._db.rows(
            f"SELECT name, location FROM partitions WHERE {where} ORDER BY name", *bounds
        )
        return [PartitionPlace(tuple(partition_values(name)), location) for name, location in rows]

    def put_partitions(self, database: str, table: str, inputs: Iterable[Shape]) -> int:
        """Create or replace any number of partitions at once; returns how many were new."""
        with self._db.transaction():
            owner = self.get_table(database, table)
            identity = self.table_id(database, table)
            now = self._clock.now().timestamp()
            before = self.count_partitions(database, table)
            rows = []
            for item in inputs:
                body = _normal_partition(owner, item)
                location = (body.get("StorageDescriptor") or {}).get("Location") or ""
                rows.append((identity, partition_name(body["Values"]), location, now, pack(body)))
            self._db.run_many(_UPSERT, rows)
            return self.count_partitions(database, table) - before

    def count_partitions(self, database: str, table: str) -> int:
        row = self._db.row(
            "SELECT count(*) FROM partitions WHERE table_id = ?", self.table_id(database, table)
        )
        return int(row[0]) if row else 0

    # --- inside -----------------------------------------------------------------------

    def _partition_row(self, identity: int, name: str) -> tuple[Any, ...] | None:
        return self._db.row(
            "SELECT name, created_at, body FROM partitions WHERE table_id = ? AND name = ?",
            *(identity, name),
        )

    def _write(self, identity: int, name: str, body: Shape, created_at: float) -> None:
        location = (body.get("StorageDescriptor") or {}).get("Location") or ""
        self._db.run(_UPSERT, identity, name, location, created_at, pack(body))

    def _remove(self, identity: int, name: str) -> bool:
        return bool(
            self._db.run("DELETE FROM partitions WHERE table_id = ? AND name = ?", identity, name)
        )

    def _each(self, items: Sequence[Shape], act: Any) -> list[Shape]:
        failures = []
        with self._db.transaction():
            for item in items:
                try:
                    act(item)
                except CatalogError as error:
                    failures.append(
                        {"PartitionValues": item.get("Values", []), "ErrorDetail": _detail(error)}
                    )
        return failures


_UPSERT = (
    "INSERT INTO partitions VALUES (?, ?, ?, ?, ?) ON CONFLICT (table_id, name)"
    " DO UPDATE SET location = excluded.location, body = excluded.body"
)


def _normal_partition(owner: Shape, partition_input: Shape) -> Shape:
    """A PartitionInput whose storage inherits what it leaves out from its table."""
    values = partition_input.get("Values") or []
    keys = owner.get("PartitionKeys", [])
    if len(values) != len(keys):
        raise InvalidInput(
            f"{len(values)} values for the {len(keys)} partition keys of {owner['Name']}.",
            hint=f"Give one value for each of: {', '.join(key['Name'] for key in keys) or '-'}.",
        )
    body = {**partition_input, "Values": [str(value) for value in values]}
    storage = dict(body.get("StorageDescriptor") or {})
    table_storage = owner["StorageDescriptor"]
    if not storage.get("Location") and table_storage.get("Location"):
        root = table_storage["Location"].rstrip("/")
        path = "/".join(
            f"{key['Name']}={value}" for key, value in zip(keys, body["Values"], strict=True)
        )
        storage["Location"] = f"{root}/{path}/"
    if "Columns" in storage:
        storage["Columns"] = fold_columns(storage["Columns"])
    body["StorageDescriptor"] = storage
    return body


def _partition(database: str, table: str, row: tuple[Any, ...]) -> Shape:
    _, created_at, body = row
    return {
        **unpack(body),
        "DatabaseName": database.lower(),
        "TableName": table.lower(),
        "CatalogId": CATALOG_ID,
        "CreationTime": instant(created_at),
    }


def _no_partition(table: str, values: Sequence[str]) -> EntityNotFound:
    return EntityNotFound(
        f"Partition {list(values)} of {table} not found.", hint="GetPartitions lists what is there."
    )


def _detail(error: CatalogError) -> Shape:
    return {"ErrorCode": error.aws_code, "ErrorMessage": error.message}


def _at_most(items: Sequence[Any], count_max: int, operation: str) -> None:
    if len(items) > count_max:
        raise InvalidInput(
            f"{operation} was given {len(items)} items, more than {count_max}.",
            hint=f"Send them in batches of {count_max}.",
        )
