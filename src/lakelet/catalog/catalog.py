"""The Data Catalog: one SQLite file behind Glue's operations."""

import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from lakelet.catalog.db import CATALOG_SCHEMA, Database
from lakelet.catalog.ensure import OwnedTables
from lakelet.catalog.folders import FolderMemory
from lakelet.catalog.tags import Tags
from lakelet.model.ports import Clock


class Catalog(OwnedTables):
    """Databases, tables, partitions, crawlers and tags.

    Methods bear Glue's names, take and return structures with botocore's field
    names, and raise `CatalogError`s under Glue's codes. Any thread may call any
    method; each is one transaction.

    Built as a line of small classes, one a file: Databases ← Tables ← Partitions
    ← Crawlers ← OwnedTables, each needing only what stands left of it.
    """

    def __init__(self, path: Path | str, clock: Clock) -> None:
        """Open or create; `path` may be ":memory:"."""
        self._db = Database(path, CATALOG_SCHEMA)
        self._clock = clock
        self.tags = Tags(self._db)
        self.folders = FolderMemory(self._db)
        # Held over a whole crawl: two at once would plan the same tables twice.
        self.crawl_turn = threading.Lock()

    def transaction(self) -> AbstractContextManager[None]:
        """Several calls as one: all or nothing, and no other thread between them."""
        return self._db.transaction()

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
