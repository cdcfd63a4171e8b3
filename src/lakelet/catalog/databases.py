"""Databases of the Data Catalog."""

from typing import Any

from lakelet.catalog.db import Database, instant, pack, unpack
from lakelet.catalog.errors import AlreadyExists, EntityNotFound
from lakelet.catalog.names import fold
from lakelet.catalog.paging import page
from lakelet.model.ports import Clock

# We have one catalog; AWS names it after the account.
CATALOG_ID = "000000000000"

_PAGE = 100  # GetDatabases answers at most 100 a page

Shape = dict[str, Any]  # a structure with the names of botocore's Glue model


class Databases:
    """CreateDatabase, GetDatabase(s), UpdateDatabase, DeleteDatabase."""

    _db: Database
    _clock: Clock

    def create_database(self, database_input: Shape) -> None:
        """Raises AlreadyExists, InvalidInput."""
        name = fold(database_input.get("Name"), "Database")
        now = self._clock.now().timestamp()
        body = pack({**database_input, "Name": name})
        with self._db.transaction():
            if self._has_database(name):
                raise AlreadyExists(f"Database {name} already exists.")
            self._db.run("INSERT INTO databases VALUES (?, ?, ?)", name, now, body)

    def ensure_database(self, name: str, description: str = "") -> None:
        """Create it, unless it is there."""
        with self._db.transaction():
            if not self._has_database(fold(name, "Database")):
                self.create_database({"Name": name, "Description": description or None})

    def get_database(self, name: str) -> Shape:
        """A `Database` structure. Raises EntityNotFound."""
        row = self._db.row("SELECT body, created_at FROM databases WHERE name = ?", name.lower())
        if row is None:
            raise _no_database(name)
        return _database(*row)

    def find_database(self, name: str) -> Shape | None:
        row = self._db.row("SELECT body, created_at FROM databases WHERE name = ?", name.lower())
        return _database(*row) if row else None

    def get_databases(
        self, token: str | None = None, max_results: int | None = None
    ) -> tuple[list[Shape], str | None]:
        rows = self._db.rows("SELECT body, created_at FROM databases ORDER BY name")
        found, following = page(rows, token, max_results, _PAGE)
        return [_database(*row) for row in found], following

    def update_database(self, name: str, database_input: Shape) -> None:
        """Replace description, location and parameters; the name stays. Raises EntityNotFound."""
        name = fold(name, "Database")
        changed = self._db.run(
            "UPDATE databases SET body = ? WHERE name = ?",
            pack({**database_input, "Name": name}),
            name,
        )
        if not changed:
            raise _no_database(name)

    def delete_database(self, name: str) -> None:
        """With its tables and their partitions, as Glue does. Raises EntityNotFound."""
        name = fold(name, "Database")
        with self._db.transaction():
            if not self._db.run("DELETE FROM databases WHERE name = ?", name):
                raise _no_database(name)
            inside = "(SELECT id FROM tables WHERE database = ?)"
            self._db.run(f"DELETE FROM partitions WHERE table_id IN {inside}", name)
            self._db.run(f"DELETE FROM table_versions WHERE table_id IN {inside}", name)
            self._db.run("DELETE FROM tables WHERE database = ?", name)

    def _has_database(self, name: str) -> bool:
        return self._db.row("SELECT 1 FROM databases WHERE name = ?", name) is not None

    def _require_database(self, name: str) -> str:
        folded = fold(name, "Database")
        if not self._has_database(folded):
            raise _no_database(name)
        return folded


def _no_database(name: str) -> EntityNotFound:
    return EntityNotFound(
        f"Database {name.lower()} not found.", hint="GetDatabases lists what is there."
    )


def _database(body: bytes, created_at: float) -> Shape:
    return {**unpack(body), "CreateTime": instant(created_at), "CatalogId": CATALOG_ID}
