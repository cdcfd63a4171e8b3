"""Tags of resources, by ARN. The table `tags` is in the caller's SQLite file."""

from collections.abc import Mapping, Sequence

from lakelet.catalog.db import Database


class Tags:
    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add; a key that is there gets the new value."""
        self._db.run_many(
            "INSERT INTO tags VALUES (?, ?, ?)"
            " ON CONFLICT (arn, key) DO UPDATE SET value = excluded.value",
            [(arn, key, value) for key, value in tags.items()],
        )

    def remove(self, arn: str, keys: Sequence[str]) -> None:
        self._db.run_many(
            "DELETE FROM tags WHERE arn = ? AND key = ?", [(arn, key) for key in keys]
        )

    def get(self, arn: str) -> dict[str, str]:
        return dict(self._db.rows("SELECT key, value FROM tags WHERE arn = ? ORDER BY key", arn))
