"""What a plain file cannot say of itself: ETag, content type, metadata, tags.

One SQLite table beside the files. A row counts only while the file has the size and
modification time that the row was written for, so a file that somebody replaced by hand
never answers with the old one's ETag.

`synchronous=NORMAL` in WAL mode: a commit does not sync, so a put pays for one fsync, its
data's. A power cut may cost the last rows, never a consistent table: the objects are still
there, whole; their ETag is computed anew, and only a content type or metadata given in
those seconds falls back to the defaults.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakelet.model.errors import StorageFull
from lakelet.store.headers import DEFAULT_CONTENT_TYPE

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  modified_at_ns INTEGER NOT NULL,
  etag TEXT NOT NULL,
  content_type TEXT NOT NULL,
  content_encoding TEXT,
  metadata TEXT NOT NULL DEFAULT '{}',
  tags TEXT NOT NULL DEFAULT '{}',
  further TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
"""
_SCHEMA_VERSION = 2
_COLUMNS = (
    "size_bytes, modified_at_ns, etag, content_type, content_encoding, metadata, tags, further"
)
_PAGE_SIZE = 1000
_BUSY_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one version of one file."""

    size_bytes: int
    modified_at_ns: int
    etag: str
    content_type: str = DEFAULT_CONTENT_TYPE
    content_encoding: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    further: Mapping[str, str] = field(default_factory=dict)  # other headers, by lower-case name

    def is_of(self, size_bytes: int, modified_at_ns: int) -> bool:
        return self.size_bytes == size_bytes and self.modified_at_ns == modified_at_ns


class ObjectIndex:
    """Any thread, any process: each thread has its own connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise  # locked, unreadable: another process may be living in it
            # Torn or foreign: everything in it can be computed again, so begin anew.
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._open()

    def get(self, bucket: str, key: str) -> Row | None:
        found = (
            self._open()
            .execute(f"SELECT {_COLUMNS} FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
            .fetchone()
        )
        return _row(found) if found else None

    def get_each(self, bucket: str, keys: Sequence[str]) -> dict[str, Row]:
        """Those that have a row; at most 1,000 at once."""
        marks = ", ".join("?" * len(keys))
        found = self._open().execute(
            f"SELECT key, {_COLUMNS} FROM objects WHERE bucket = ? AND key IN ({marks})",
            (bucket, *keys),
        )
        return {key: _row(values) for key, *values in found}

    def put(self, bucket: str, key: str, row: Row) -> None:
        self._insert("INSERT OR REPLACE", "", bucket, key, row)

    def put_if_stale(self, bucket: str, key: str, row: Row) -> None:
        """Keep a computed row, unless the file's writer has left its own meanwhile."""
        stale = (
            "ON CONFLICT DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", "))
            + " WHERE objects.size_bytes != excluded.size_bytes"
            " OR objects.modified_at_ns != excluded.modified_at_ns"
        )
        self._insert("INSERT", stale, bucket, key, row)

    def _insert(self, verb: str, otherwise: str, bucket: str, key: str, row: Row) -> None:
        texts = [json.dumps(dict(part)) for part in (row.metadata, row.tags, row.further)]
        values = (
            *(bucket, key, row.size_bytes, row.modified_at_ns, row.etag),
            *(row.content_type, row.content_encoding, *texts),
        )
        try:
            self._open().execute(
                f"{verb} INTO objects (bucket, key, {_COLUMNS}) "
                f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {otherwise}",
                values,
            )
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            raise StorageFull(
                f"No room is left on the disk to note the metadata of {key!r}.",
                hint="Free some space, then send it again: the same bytes replace themselves.",
            ) from error

    def delete(self, bucket: str, key: str) -> None:
        self._open().execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key))

    def delete_bucket(self, bucket: str) -> None:
        self._open().execute("DELETE FROM objects WHERE bucket = ?", (bucket,))

    def rows(self, bucket: str, prefix: str, start_after: str) -> Iterator[tuple[str, Row]]:
        """In key order, from `prefix` on; read in pages, so that no snapshot stays open."""
        after, comparison = (start_after, ">") if start_after >= prefix else (prefix, ">=")
        while True:
            page = (
                self._open()
                .execute(
                    f"SELECT key, {_COLUMNS} FROM objects WHERE bucket = ? AND key {comparison} ? "
                    f"ORDER BY key LIMIT {_PAGE_SIZE}",
                    (bucket, after),
                )
                .fetchall()
            )
            for key, *values in page:
                if not key.startswith(prefix):
                    return
                yield key, _row(values)
            if len(page) < _PAGE_SIZE:
                return
            after, comparison = page[-1][0], ">"

    def close(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        self._local = threading.local()

    def _open(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            return connection
        connection = sqlite3.connect(
            self._path,
            timeout=_BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            check_same_thread=False,  # only `close` crosses threads
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            _ensure_schema(connection)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        with self._lock:
            self._connections.append(connection)
        self._local.connection = connection
        return connection


def _ensure_schema(connection: sqlite3.Connection) -> None:
    """A table of another version is dropped: nearly all of it can be computed again."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == _SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")  # of two processes that start at once, one does this
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != _SCHEMA_VERSION:
        connection.execute("DROP TABLE IF EXISTS objects")
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _row(values: Sequence[Any]) -> Row:
    *plain, metadata, tags, further = values
    texts = (metadata, tags, further)
    return Row(*plain, *({} if text == "{}" else json.loads(text) for text in texts))
