"""Log events kept: groups and streams as CloudWatch Logs has them, in SQLite."""

import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lakelet.model.errors import LakeletError
from lakelet.model.ports import Clock
from lakelet.watch.log_filter import compile_pattern
from lakelet.watch.logs import group_of

RETENTION_DAYS = 7
PENDING_MAX = 10_000  # entries; what a second of the loudest trouble writes
_SCAN_ROWS = 1_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS groups (
    name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, retention_days INTEGER
);
CREATE TABLE IF NOT EXISTS streams (
    id INTEGER PRIMARY KEY, group_name TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE,
    name TEXT NOT NULL, created_ms INTEGER NOT NULL, first_ms INTEGER, last_ms INTEGER,
    UNIQUE (group_name, name)
);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL, ingested_ms INTEGER NOT NULL, message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_stream ON events (stream, at_ms, id);
"""


class LogGroupNotFound(LakeletError):
    code = "watch.no_such_log_group"
    aws_code = "ResourceNotFoundException"
    http_status = 400


class LogGroupExists(LakeletError):
    code = "watch.log_group_exists"
    aws_code = "ResourceAlreadyExistsException"
    http_status = 400


@dataclass(frozen=True, slots=True)
class LogGroup:
    name: str
    created_ms: int
    retention_days: int | None
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class LogStream:
    name: str
    created_ms: int
    first_ms: int | None
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class LogEvent:
    id: int
    stream: str
    at_ms: int
    ingested_ms: int
    message: str

    @property
    def cursor(self) -> tuple[int, int]:
        return self.at_ms, self.id


class LogBook:
    """One connection, one lock; any thread may call. `append` only queues."""

    def __init__(self, clock: Clock, path: str = ":memory:", *, node: str = "node") -> None:
        self._clock, self._node = clock, node
        self._pending: deque[tuple[str, int, str]] = deque()
        self.lost_count = 0  # entries that found the queue full
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;" + _SCHEMA
        )

    def close(self) -> None:
        with self._lock:
            self.flush()
            self._db.close()

    def append(self, component: str, at_ms: int, message: str) -> None:
        """Take an entry; it is on disk after the next `flush`."""
        if len(self._pending) >= PENDING_MAX:
            self.lost_count += 1
            return
        self._pending.append((component, at_ms, message))

    def flush(self) -> None:
        """Write what was taken, in one transaction."""
        with self._lock:
            taken = [self._pending.popleft() for _ in range(len(self._pending))]
            by_target: dict[tuple[str, str], list[tuple[int, str]]] = {}
            for component, at_ms, message in taken:
                day = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y/%m/%d")
                target = (group_of(component), f"{day}/{self._node}")
                by_target.setdefault(target, []).append((at_ms, message))
            for (group, stream), entries in by_target.items():
                self._ensure(group, stream)
                self.put(group, stream, entries)

    # --- groups and streams ---

    def create_group(self, name: str) -> None:
        """Raises LogGroupExists."""
        with self._lock:
            if self._group_exists(name):
                raise LogGroupExists("The specified log group already exists", hint="Use it.")
            self._insert_group(name, None)

    def create_stream(self, group: str, name: str) -> None:
        """Raises LogGroupNotFound, LogGroupExists."""
        with self._lock:
            self._require(group)
            if self._stream_id(group, name) is not None:
                raise LogGroupExists("The specified log stream already exists", hint="Use it.")
            self._insert_stream(group, name)

    def delete_group(self, name: str) -> None:
        with self._lock:
            self._require(name)
            self._db.execute("DELETE FROM groups WHERE name = ?", (name,))

    def set_retention(self, group: str, days: int | None) -> None:
        """None keeps for ever."""
        with self._lock:
            self._require(group)
            self._db.execute("UPDATE groups SET retention_days = ? WHERE name = ?", (days, group))

    def groups(self, prefix: str = "", pattern: str = "") -> list[LogGroup]:
        self.flush()
        with self._lock:
            rows = self._db.execute(
                "SELECT g.name, g.created_ms, g.retention_days, coalesce(("
                "  SELECT sum(length(e.message)) FROM streams s JOIN events e ON e.stream = s.id"
                "  WHERE s.group_name = g.name), 0)"
                " FROM groups g WHERE substr(g.name, 1, ?) = ? AND instr(lower(g.name), ?)"
                " ORDER BY g.name",
                (len(prefix), prefix, pattern.lower()),
            ).fetchall()
        return [LogGroup(*row) for row in rows]

    def streams(
        self, group: str, prefix: str = "", *, newest_first: bool = False
    ) -> list[LogStream]:
        """Raises LogGroupNotFound."""
        self.flush()
        order = "last_ms DESC, name" if newest_first else "name"
        with self._lock:
            self._require(group)
            rows = self._db.execute(
                "SELECT name, created_ms, first_ms, last_ms FROM streams"
                f" WHERE group_name = ? AND substr(name, 1, ?) = ? ORDER BY {order}",
                (group, len(prefix), prefix),
            ).fetchall()
        return [LogStream(*row) for row in rows]

    # --- events ---

    def put(self, group: str, stream: str, entries: Iterable[tuple[int, str]]) -> None:
        """Raises LogGroupNotFound for an unknown group or stream."""
        now_ms = int(self._clock.now().timestamp() * 1000)
        rows = [(at_ms, now_ms, message) for at_ms, message in entries]
        with self._lock:
            number = self._stream_id(group, stream)
            if number is None:
                self._require(group)
                raise LogGroupNotFound(
                    "The specified log stream does not exist.", hint="Create it first."
                )
            if not rows:
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    "INSERT INTO events (stream, at_ms, ingested_ms, message)"
                    f" VALUES ({number:d}, ?, ?, ?)",
                    rows,
                )
                first, last = min(r[0] for r in rows), max(r[0] for r in rows)
                self._db.execute(
                    "UPDATE streams SET first_ms = min(coalesce(first_ms, ?1), ?1),"
                    " last_ms = max(coalesce(last_ms, ?2), ?2) WHERE id = ?3",
                    (first, last, number),
                )
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite may have rolled back by itself
                    self._db.execute("ROLLBACK")
                raise

    def events(
        self,
        group: str,
        *,
        streams: Sequence[str] | None = None,
        stream_prefix: str = "",
        start_ms: int | None = None,
        end_ms: int | None = None,
        pattern: str = "",
        after: tuple[int, int] | None = None,
        before: tuple[int, int] | None = None,
        newest_first: bool = False,
        limit: int = 10_000,
    ) -> list[LogEvent]:
        """Events that pass, in time order (or its reverse), at most `limit`.

        Args:
            end_ms: not included.
            after, before: cursors of events, not included.
        Raises:
            LogGroupNotFound; PatternInvalid.
        """
        passes = compile_pattern(pattern)
        self.flush()
        with self._lock:
            self._require(group)
            sql, values = _select(
                *(group, streams, stream_prefix, start_ms, end_ms, after, before),
                newest_first=newest_first,
            )
            cursor = self._db.execute(sql, values)
            found: list[LogEvent] = []
            while len(found) < limit and (rows := cursor.fetchmany(_SCAN_ROWS)):
                found.extend(LogEvent(*row) for row in rows if passes(row[4]))
            cursor.close()
        return found[:limit]

    def tidy(self) -> int:
        """Forget what is older than its group keeps it; how many events went."""
        now = self._clock.now()
        removed = 0
        with self._lock:
            for name, days in self._db.execute(
                "SELECT name, retention_days FROM groups WHERE retention_days IS NOT NULL"
            ).fetchall():
                before_ms = int((now - timedelta(days=days)).timestamp() * 1000)
                removed += self._db.execute(
                    "DELETE FROM events WHERE at_ms < ? AND stream IN"
                    " (SELECT id FROM streams WHERE group_name = ?)",
                    (before_ms, name),
                ).rowcount
                self._db.execute(
                    "DELETE FROM streams WHERE group_name = ? AND last_ms < ?", (name, before_ms)
                )
        return removed

    def _ensure(self, group: str, stream: str) -> None:
        if not self._group_exists(group):
            self._insert_group(group, RETENTION_DAYS)
        if self._stream_id(group, stream) is None:
            self._insert_stream(group, stream)

    def _insert_group(self, name: str, retention_days: int | None) -> None:
        now_ms = int(self._clock.now().timestamp() * 1000)
        self._db.execute("INSERT INTO groups VALUES (?, ?, ?)", (name, now_ms, retention_days))

    def _insert_stream(self, group: str, name: str) -> None:
        now_ms = int(self._clock.now().timestamp() * 1000)
        self._db.execute(
            "INSERT INTO streams (group_name, name, created_ms) VALUES (?, ?, ?)",
            (group, name, now_ms),
        )

    def _group_exists(self, name: str) -> bool:
        row = self._db.execute("SELECT 1 FROM groups WHERE name = ?", (name,)).fetchone()
        return row is not None

    def _require(self, group: str) -> None:
        if not self._group_exists(group):
            raise LogGroupNotFound(
                "The specified log group does not exist.",
                hint="aws logs describe-log-groups lists those that do.",
            )

    def _stream_id(self, group: str, name: str) -> int | None:
        row = self._db.execute(
            "SELECT id FROM streams WHERE group_name = ? AND name = ?", (group, name)
        ).fetchone()
        return None if row is None else int(row[0])


def _select(
    group: str,
    streams: Sequence[str] | None,
    stream_prefix: str,
    start_ms: int | None,
    end_ms: int | None,
    after: tuple[int, int] | None,
    before: tuple[int, int] | None,
    *,
    newest_first: bool,
) -> tuple[str, list[str | int]]:
    clauses: list[str] = ["s.group_name = ?"]
    values: list[str | int] = [group]
    if streams is not None:
        clauses.append(f"s.name IN ({', '.join('?' * len(streams))})")
        values += streams
    if stream_prefix:
        clauses.append("substr(s.name, 1, ?) = ?")
        values += [len(stream_prefix), stream_prefix]
    for bound, test in ((start_ms, "e.at_ms >= ?"), (end_ms, "e.at_ms < ?")):
        if bound is not None:
            clauses.append(test)
            values.append(bound)
    for cursor, sign in ((after, ">"), (before, "<")):
        if cursor is not None:
            clauses.append(f"(e.at_ms, e.id) {sign} (?, ?)")
            values += cursor
    order = "DESC" if newest_first else "ASC"
    sql = (
        "SELECT e.id, s.name, e.at_ms, e.ingested_ms, e.message"
        " FROM streams s JOIN events e ON e.stream = s.id"
        f" WHERE {' AND '.join(clauses)} ORDER BY e.at_ms {order}, e.id {order}"
    )
    return sql, values
