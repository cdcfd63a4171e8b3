"""The room's own state in SQLite: streams, and the ledger of deliveries."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Positions are counted within a stream's incarnation: a name may be deleted and
# created again, its deliveries stay in the ledger.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
  name TEXT PRIMARY KEY, incarnation BLOB NOT NULL, arn TEXT NOT NULL, status TEXT NOT NULL,
  version INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER,
  tags TEXT NOT NULL, encryption TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (
  incarnation BLOB NOT NULL, version INTEGER NOT NULL, config TEXT NOT NULL,
  PRIMARY KEY (incarnation, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cuts (
  incarnation BLOB NOT NULL, first_position INTEGER NOT NULL, end_position INTEGER NOT NULL,
  stream TEXT NOT NULL, version INTEGER NOT NULL, arrived_ms INTEGER NOT NULL,
  damaged_records INTEGER NOT NULL, dropped_records INTEGER NOT NULL, delivered_ms INTEGER,
  parted_records INTEGER,
  PRIMARY KEY (incarnation, first_position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cuts_by_stream ON cuts (stream);
CREATE INDEX IF NOT EXISTS cuts_damaged ON cuts (stream) WHERE damaged_records > 0;
CREATE TABLE IF NOT EXISTS objects (
  incarnation BLOB NOT NULL, first_position INTEGER NOT NULL, object_group TEXT NOT NULL,
  bucket TEXT NOT NULL, key TEXT NOT NULL, is_error INTEGER NOT NULL,
  etag TEXT, size_bytes INTEGER, records INTEGER, blank_records INTEGER,
  PRIMARY KEY (incarnation, first_position, object_group)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_by_key ON objects (key);
"""


def to_ms(at: datetime) -> int:
    """An instant as the tables hold it: milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


class Database:
    """One connection, shared by threads, one transaction at a time."""

    def __init__(self, path: Path | None) -> None:
        """Args: path: None for one in memory, as durable as its holder."""
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None
        )
        # FULL: a commit is on disk before an object is written or forgotten.
        self._connection.executescript(
            f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}"
        )
        self._add_what_came_later()

    def _add_what_came_later(self) -> None:
        """Columns that the tables of an older Lakelet lack; NULL is what nobody counted then."""
        with self.transaction() as db:
            columns = {row[1] for row in db.execute("PRAGMA table_info(cuts)")}
            if "parted_records" not in columns:
                db.execute("ALTER TABLE cuts ADD COLUMN parted_records INTEGER")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Durable when it ends well, undone when it doesn't."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        with self._lock:
            self._connection.close()
