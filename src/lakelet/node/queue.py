"""Which raw objects wait to be transformed, kept on disk: a kill -9 forgets none of them.

An item is one raw object. It walks ready → leased → finished; a failure sends it back to
ready with a delay, and after `attempts_max` of them to the dead letters, where it stays
until a person redrives it. Finished items are remembered by ETag, so that a raw object
announced twice is transformed once and `reconcile` need not read every manifest again.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakelet.model.errors import LakeletError, ObjectNotFound
from lakelet.model.layout import (
    MANIFEST_PREFIX,
    is_error_key,
    is_raw_event_key,
    manifest_key,
    raw_key_of_manifest,
)
from lakelet.model.manifest import Manifest
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import Clock, ObjectStore

LEASE_SECONDS = 60.0  # a guess: long against a worker's renewals (every few seconds)
ATTEMPTS_MAX = 3  # as Lambda: one call and two retries
BACKOFF_SECONDS = (2.0, 15.0, 60.0, 300.0)  # Lambda waits 60 s and 120 s; a person is nearer here

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket      TEXT NOT NULL,
    key         TEXT NOT NULL,
    etag        TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('ready', 'leased', 'dead')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_at      REAL NOT NULL,           -- ready: not before; leased: until
    enqueued_at REAL NOT NULL,
    lease       INTEGER NOT NULL DEFAULT 0,
    error       TEXT NOT NULL DEFAULT '',
    UNIQUE (bucket, key)
);
CREATE INDEX IF NOT EXISTS items_by_state ON items (state, due_at);
CREATE TABLE IF NOT EXISTS finished (
    bucket TEXT NOT NULL,
    key    TEXT NOT NULL,
    etag   TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
"""


class QueueCorrupt(LakeletError):
    """The queue's file is no database. Nothing is lost: `reconcile` refills a new one."""

    code = "node.queue_corrupt"


@dataclass(frozen=True, slots=True)
class Item:
    """One raw object that waits, runs or has been given up."""

    bucket: str
    key: str
    etag: str
    attempts: int  # begun so far
    enqueued_at: datetime
    due_at: datetime  # ready: not before; leased: held until
    lease: int  # says which claim a `done` or `fail` belongs to
    error: str = ""  # of the last failure


@dataclass(frozen=True, slots=True)
class Depth:
    """How many items are in each state."""

    ready: int
    leased: int
    dead: int

    @property
    def pending(self) -> int:
        return self.ready + self.leased


class TransformQueue:
    """A queue of raw objects in one SQLite file (WAL, synchronous=FULL). Thread-safe."""

    def __init__(
        self,
        path: Path | str,
        clock: Clock,
        *,
        lease_seconds: float = LEASE_SECONDS,
        attempts_max: int = ATTEMPTS_MAX,
        backoff_seconds: tuple[float, ...] = BACKOFF_SECONDS,
    ) -> None:
        """Opens or creates the file. Leases of a former life are given back at once:
        one node holds a data folder, so whoever held them is gone, and what ended the
        node says nothing about the object.

        Raises QueueCorrupt.
        """
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._attempts_max = attempts_max
        self._backoff_seconds = backoff_seconds
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._connection = _open(path)
        with self._transaction() as do:
            do(
                "UPDATE items SET state = 'ready', due_at = 0, attempts = attempts - 1"
                " WHERE state = 'leased'"
            )

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def on_change(self, listener: Callable[[], None]) -> None:
        """`listener()` after each call that made work claimable, on the caller's thread."""
        self._listeners.append(listener)

    # --- in --------------------------------------------------------------------

    def enqueue(self, bucket: str, key: str, etag: str) -> bool:
        """Durable on return. False where the very object is known: waiting, dead or finished."""
        return self.enqueue_all([(bucket, key, etag)]) == 1

    def enqueue_all(self, objects: Iterable[tuple[str, str, str]]) -> int:
        """(bucket, key, etag) each; one transaction. Returns how many were new."""
        now = self._clock.now().timestamp()
        with self._transaction() as do:
            new = sum(_enqueue(do, *item, now=now) for item in objects)
        if new:
            self._notify()
        return new

    def reconcile(self, store: ObjectStore, pipeline: Pipeline) -> int:
        """Enqueue every raw object that has no manifest, or one of another ETag.

        What an arrival's announcement should have done: for the crash between an object's
        delivery and its `enqueue`, and for objects that came without us (`aws s3 sync`).
        Returns how many were enqueued.
        """
        manifests = {
            raw_key_of_manifest(info.key)
            for info in store.list(pipeline.transformed_bucket, MANIFEST_PREFIX)
        }
        bucket, prefix = pipeline.raw_bucket, pipeline.stream.error_prefix
        with self._lock:
            rows = self._connection.execute(
                "SELECT key, etag FROM finished WHERE bucket = ?", (bucket,)
            )
            finished = dict(rows.fetchall())
        missing: list[tuple[str, str, str]] = []
        known: list[tuple[str, str, str]] = []
        for info in store.list(bucket):
            if not (
                is_raw_event_key(info.key, error_prefix=prefix)
                or is_error_key(info.key, error_prefix=prefix)
            ):
                continue
            item = (bucket, info.key, info.etag)
            spoken_of = None
            if info.key in manifests:
                spoken_of = finished.get(info.key)
                if spoken_of != info.etag:
                    spoken_of = _manifest_etag(store, pipeline, info.key)
            (known if spoken_of == info.etag else missing).append(item)
        with self._transaction() as do:
            do("DELETE FROM finished WHERE bucket = ?", (bucket,))
            for item in known:
                do("INSERT OR REPLACE INTO finished VALUES (?, ?, ?)", item)
        return self.enqueue_all(missing)

    # --- out -------------------------------------------------------------------

    def claim(self) -> Item | None:
        """The item that has waited longest and is due, leased to the caller; or None.

        A lease that ran out is a failed attempt: nobody answered for it.
        """
        now = self._clock.now().timestamp()
        # An item due further ahead than any delay of ours was put off under a wall clock
        # that has since been set back: it must not wait for that clock to return.
        horizon = now + max(self._backoff_seconds, default=0.0) + self._lease_seconds
        with self._transaction() as do:
            do(
                "UPDATE items SET state = 'dead', error = 'the lease ran out unanswered'"
                " WHERE state = 'leased' AND due_at <= ? AND attempts >= ?",
                (now, self._attempts_max),
            )
            row = do(
                "SELECT sequence FROM items WHERE state IN ('ready', 'leased')"
                " AND (due_at <= ? OR due_at > ?) ORDER BY sequence LIMIT 1",
                (now, horizon),
            ).fetchone()
            if row is None:
                return None
            do(
                "UPDATE items SET state = 'leased', attempts = attempts + 1, lease = lease + 1,"
                " due_at = ? WHERE sequence = ?",
                (now + self._lease_seconds, row[0]),
            )
            return _item(do(f"SELECT {_COLUMNS} FROM items WHERE sequence = ?", row).fetchone())

    def renew(self, item: Item) -> bool:
        """Hold a claim for another lease. False where it is no longer the caller's."""
        until = self._clock.now().timestamp() + self._lease_seconds
        with self._transaction() as do:
            changed = do(f"UPDATE items SET due_at = ? WHERE {_HELD}", (until, *_held(item)))
            return changed.rowcount == 1

    def done(self, item: Item) -> bool:
        """Forget a claim, remember its ETag. False, and nothing happens, where the object
        was replaced or the lease lost meanwhile: another claim will answer for it."""
        with self._transaction() as do:
            if do(f"DELETE FROM items WHERE {_HELD}", _held(item)).rowcount != 1:
                return False
            do(
                "INSERT OR REPLACE INTO finished VALUES (?, ?, ?)",
                (item.bucket, item.key, item.etag),
            )
            return True

    def fail(self, item: Item, error: str, *, retry: bool = True) -> datetime | None:
        """Put a claim off, or away: returns when it is due again, None where it is dead.

        `retry=False` for what will fail again however often it is tried.
        """
        now = self._clock.now().timestamp()
        dead = not retry or item.attempts >= self._attempts_max
        delay = self._backoff_seconds[min(item.attempts, len(self._backoff_seconds)) - 1]
        due_at = now + (0.0 if dead else delay)
        with self._transaction() as do:
            do(
                f"UPDATE items SET state = ?, due_at = ?, error = ? WHERE {_HELD}",
                ("dead" if dead else "ready", due_at, error, *_held(item)),
            )
        if dead:
            return None
        self._notify()
        return _instant(due_at)

    def release(self, item: Item) -> None:
        """Give a claim back unused: the attempt does not count."""
        with self._transaction() as do:
            do(
                "UPDATE items SET state = 'ready', due_at = 0, attempts = attempts - 1"
                f" WHERE {_HELD}",
                _held(item),
            )

    # --- look ------------------------------------------------------------------

    def depth(self) -> Depth:
        with self._lock:
            rows = self._connection.execute("SELECT state, count(*) FROM items GROUP BY state")
            counts = dict(rows.fetchall())
        return Depth(*(counts.get(state, 0) for state in ("ready", "leased", "dead")))

    def next_due_at(self) -> datetime | None:
        """When `claim` may next find something; None where nothing waits."""
        with self._lock:
            row = self._connection.execute(
                "SELECT min(due_at) FROM items WHERE state IN ('ready', 'leased')"
            ).fetchone()
        return None if row[0] is None else _instant(row[0])

    def oldest_enqueued_at(self) -> datetime | None:
        """For the age of the backlog: the metric to alarm on."""
        with self._lock:
            row = self._connection.execute(
                "SELECT min(enqueued_at) FROM items WHERE state IN ('ready', 'leased')"
            ).fetchone()
        return None if row[0] is None else _instant(row[0])

    def pending(self) -> list[Item]:
        """Ready and leased, oldest first."""
        return self._items("state IN ('ready', 'leased')")

    def dead_letters(self) -> list[Item]:
        return self._items("state = 'dead'")

    def redrive(self, key: str | None = None) -> int:
        """Dead letters (all, or those of one key) are ready again, with fresh attempts."""
        now = self._clock.now().timestamp()
        with self._transaction() as do:
            changed = do(
                "UPDATE items SET state = 'ready', attempts = 0, due_at = ?"
                " WHERE state = 'dead' AND (?2 IS NULL OR key = ?2)",
                (now, key),
            ).rowcount
        if changed:
            self._notify()
        return changed

    def _items(self, condition: str) -> list[Item]:
        with self._lock:
            rows = self._connection.execute(
                f"SELECT {_COLUMNS} FROM items WHERE {condition} ORDER BY sequence"
            )
            return [_item(row) for row in rows.fetchall()]

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk shows at the COMMIT, and SQLite may have rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


_COLUMNS = "bucket, key, etag, attempts, enqueued_at, due_at, lease, error"
_HELD = "bucket = ? AND key = ? AND lease = ? AND state = 'leased'"


def _held(item: Item) -> tuple[str, str, int]:
    return item.bucket, item.key, item.lease


def _enqueue(
    do: Callable[..., sqlite3.Cursor], bucket: str, key: str, etag: str, *, now: float
) -> bool:
    where = "bucket = ? AND key = ? AND etag = ?"
    for table in ("items", "finished"):
        if do(f"SELECT 1 FROM {table} WHERE {where}", (bucket, key, etag)).fetchone():
            return False
    # A replaced object starts over. Its lease number grows, so that a claim on the old
    # bytes can no longer finish it.
    do(
        "INSERT INTO items (bucket, key, etag, state, due_at, enqueued_at)"
        " VALUES (?, ?, ?, 'ready', ?, ?)"
        " ON CONFLICT (bucket, key) DO UPDATE SET etag = excluded.etag, state = 'ready',"
        " attempts = 0, lease = lease + 1, due_at = excluded.due_at, error = ''",
        (bucket, key, etag, now, now),
    )
    return True


def _manifest_etag(store: ObjectStore, pipeline: Pipeline, raw_key: str) -> str | None:
    """The ETag a manifest speaks of; None where it can't be read, so that it is made anew."""
    try:
        data = store.get(pipeline.transformed_bucket, manifest_key(raw_key))
        return Manifest.decode(data).raw.etag
    except (ObjectNotFound, ValueError, KeyError, TypeError):
        return None


def _open(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise QueueCorrupt(
            f"{path} is no queue: {error}.",
            hint="Move the file away and start again: what waits is found from the raw zone.",
        ) from error
    return connection


def _item(row: tuple[str, str, str, int, float, float, int, str]) -> Item:
    bucket, key, etag, attempts, enqueued_at, due_at, lease, error = row
    return Item(bucket, key, etag, attempts, _instant(enqueued_at), _instant(due_at), lease, error)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
