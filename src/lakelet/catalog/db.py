"""SQLite for the catalog and for query state: one connection, one lock, short transactions."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

CATALOG_SCHEMA = """
CREATE TABLE IF NOT EXISTS databases (
    name TEXT PRIMARY KEY, created_at REAL NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tables (
    id INTEGER PRIMARY KEY, database TEXT NOT NULL, name TEXT NOT NULL,
    version INTEGER NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL,
    body BLOB NOT NULL, UNIQUE (database, name)
);
CREATE TABLE IF NOT EXISTS table_versions (
    table_id INTEGER NOT NULL, version INTEGER NOT NULL, updated_at REAL NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (table_id, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS partitions (
    table_id INTEGER NOT NULL, name TEXT NOT NULL, location TEXT NOT NULL,
    created_at REAL NOT NULL, body BLOB NOT NULL, PRIMARY KEY (table_id, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS crawlers (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, version INTEGER NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL, started_at REAL,
    body BLOB NOT NULL, last_crawl BLOB, metrics BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (
    arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (arn, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS schemas (
    id INTEGER PRIMARY KEY, columns TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS folders (
    bucket TEXT NOT NULL, prefix TEXT NOT NULL, stamp INTEGER, children BLOB NOT NULL,
    summary BLOB NOT NULL, PRIMARY KEY (bucket, prefix)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folder_files (
    bucket TEXT NOT NULL, prefix TEXT NOT NULL, files BLOB NOT NULL, PRIMARY KEY (bucket, prefix)
) WITHOUT ROWID;
"""

_LOCK_WAIT_MS = 10_000  # how long a second process waits for our short transactions


class Database:
    """SQLite behind a re-entrant lock.

    Every transaction of the catalog lasts milliseconds, so one connection that
    threads take in turn is faster than a pool and can't meet SQLITE_BUSY inside
    the process; `busy_timeout` covers other processes (the CLI beside a node).
    """

    def __init__(self, path: Path | str, schema: str) -> None:
        """`path` may be ":memory:"; a missing parent folder is made."""
        if str(path) != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute(f"PRAGMA busy_timeout={_LOCK_WAIT_MS}")
        self._connection.execute("PRAGMA journal_mode=WAL")
        # WAL with NORMAL can lose the newest commits in a power cut, never its
        # consistency; the catalog can be crawled again, so that is a fair price.
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(schema)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; a transaction inside another joins it."""
        with self._lock:
            if self._depth:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk shows at the COMMIT, and SQLite may have rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        with self._lock:
            found: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
            return found

    def run(self, sql: str, *values: Any) -> int:
        """Execute and return how many rows it changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def run_many(self, sql: str, values: Sequence[tuple[Any, ...]]) -> None:
        with self._lock, self.transaction():
            self._connection.executemany(sql, values)


_encoder = msgspec.json.Encoder(enc_hook=str)
_decoder = msgspec.json.Decoder()


def pack(value: Any) -> bytes:
    """A JSON document for a `body` column; instants become epoch seconds."""
    return _encoder.encode(_timeless(value))


def unpack(data: bytes) -> Any:
    return _decoder.decode(data)


def _timeless(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_timeless(item) for item in value]
    return value


def instant(epoch_seconds: float) -> datetime:
    return datetime.fromtimestamp(epoch_seconds, UTC)
