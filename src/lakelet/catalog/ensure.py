"""Tables that the contract owns: their columns come from it, never from a crawler.

Two owners of one table fight over types and locations, run after run. So a table
made here carries its owner in its parameters, and a crawl leaves such a table's
definition alone: it brings partitions only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from lakelet.catalog.crawlers import Crawlers
from lakelet.catalog.databases import Shape
from lakelet.catalog.formats import PARQUET, storage_descriptor
from lakelet.catalog.types import from_arrow

OWNER_PARAMETER = "lakelet.owner"
CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str  # Hive's name: bigint, array<string>
    comment: str = ""

    def shape(self) -> Shape:
        shape = {"Name": self.name, "Type": self.type}
        return shape | ({"Comment": self.comment} if self.comment else {})


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table as its owner wants it."""

    name: str
    columns: tuple[Column, ...]
    partition_keys: tuple[Column, ...] = ()
    format: str = PARQUET
    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_arrow(
        cls, name: str, schema: pa.Schema, partition_keys: Sequence[str] = (), **rest: Any
    ) -> "TableSpec":
        """Columns from an Arrow schema; partition keys are strings, and no columns."""
        columns = tuple(
            Column(
                item.name.lower(),
                str(from_arrow(item.type)),
                ((item.metadata or {}).get(b"comment", b"")).decode(),
            )
            for item in schema
            if item.name not in partition_keys
        )
        keys = tuple(Column(key, "string") for key in partition_keys)
        return cls(name, columns, keys, **rest)

    def table_input(self, location: str) -> Shape:
        storage = storage_descriptor(self.format)
        storage["Columns"] = [column.shape() for column in self.columns]
        storage["Location"] = location
        return {
            "Name": self.name,
            "Description": self.description or None,
            "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": storage,
            "PartitionKeys": [key.shape() for key in self.partition_keys],
            "Parameters": {
                "EXTERNAL": "TRUE",
                "classification": self.format,
                OWNER_PARAMETER: CONTRACT,
                **self.parameters,
            },
        }


class OwnedTables(Crawlers):
    def ensure_table(self, database: str, spec: TableSpec, location: str) -> str:
        """Make the catalog's table what its owner says; a no-op where it is so already.

        Args:
            location: `s3://bucket/prefix/` of its partitions.
        Returns:
            "created", "updated" or "unchanged".
        Raises:
            EntityNotFound: the database; InvalidInput: other partition keys, while
            partitions exist.
        """
        wanted = spec.table_input(location if location.endswith("/") else f"{location}/")
        with self._db.transaction():
            found = self.find_table(database, spec.name)
            if found is None:
                self.create_table(database, wanted)
                return "created"
            if _same(found, wanted):
                return "unchanged"
            # What others added to the parameters (statistics, projection) stays.
            wanted["Parameters"] = {**(found.get("Parameters") or {}), **wanted["Parameters"]}
            self.update_table(database, wanted)
            return "updated"


def is_owned(table: Shape) -> bool:
    """Whether a table's definition belongs to the contract."""
    return (table.get("Parameters") or {}).get(OWNER_PARAMETER) == CONTRACT


def _same(found: Shape, wanted: Shape) -> bool:
    storage, wished = found["StorageDescriptor"], wanted["StorageDescriptor"]
    return (
        all(storage.get(key) == wished.get(key) for key in wished)
        and found.get("PartitionKeys", []) == wanted["PartitionKeys"]
        and (found.get("Description") or None) == wanted["Description"]
        and wanted["Parameters"].items() <= (found.get("Parameters") or {}).items()
    )
