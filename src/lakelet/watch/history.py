"""Measured values kept: SQLite, minute by minute, coarser with age as CloudWatch does."""

import json
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from lakelet.watch.names import Dimensions, dimensions_of
from lakelet.watch.registry import MINUTE_SECONDS, Datum, SeriesKey
from lakelet.watch.statistics import StatisticSet, decode_buckets, encode_buckets

DAY_SECONDS = 86_400

# CloudWatch keeps 1-minute points 15 days, 5-minute points 63, hours 455.
COARSER = (
    (MINUTE_SECONDS, 15 * DAY_SECONDS, 300),
    (300, 63 * DAY_SECONDS, 3600),
    (3600, 455 * DAY_SECONDS, None),
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL, name TEXT NOT NULL, dimensions TEXT NOT NULL,
    unit TEXT NOT NULL, last_at INTEGER NOT NULL,
    UNIQUE (namespace, name, dimensions)
);
CREATE TABLE IF NOT EXISTS points (
    series INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    period INTEGER NOT NULL, at INTEGER NOT NULL,
    count REAL NOT NULL, sum REAL NOT NULL, min REAL NOT NULL, max REAL NOT NULL, buckets BLOB,
    PRIMARY KEY (series, period, at)
) WITHOUT ROWID;
"""

_PERIODS = ", ".join(str(period) for period, _, _ in COARSER)
_Point = tuple[float, float, float, float, bytes | None]


class MetricHistory:
    """Series and their points. One connection, one lock; any thread may call."""

    def __init__(self, path: str = ":memory:") -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;" + _SCHEMA
        )
        self._ids: dict[SeriesKey, int] = {}

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def write(self, data: Iterable[Datum]) -> None:
        """Merge what was drained into its minutes, in one transaction."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for datum in data:
                    self._merge(self._id_of(datum), MINUTE_SECONDS, datum.minute_at, datum.values)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite may have rolled back by itself
                    self._db.execute("ROLLBACK")
                self._ids.clear()  # ids given inside the transaction are gone
                raise

    def _id_of(self, datum: Datum) -> int:
        key = datum.key
        if known := self._ids.get(key):
            self._db.execute(
                "UPDATE series SET last_at = max(last_at, ?) WHERE id = ?", (datum.minute_at, known)
            )
            return known
        (made,) = self._db.execute(
            "INSERT INTO series (namespace, name, dimensions, unit, last_at)"
            " VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET last_at = max(last_at, excluded.last_at) RETURNING id",
            (key.namespace, key.name, json.dumps(key.dimensions), datum.unit, datum.minute_at),
        ).fetchone()
        return self._ids.setdefault(key, int(made))

    def _merge(self, series: int, period: int, at: int, values: StatisticSet) -> None:
        row: _Point | None = self._db.execute(
            "SELECT count, sum, min, max, buckets FROM points"
            " WHERE series = ? AND period = ? AND at = ?",
            (series, period, at),
        ).fetchone()
        if row is not None:
            stored = _decoded(row)
            stored.merge(values)
            values = stored
        self._db.execute(
            "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(series, period, at, values.count, values.sum, values.min, values.max),
                encode_buckets(values),
            ),
        )

    def read(
        self,
        key: SeriesKey,
        start_at: int,
        end_at: int,
        period_seconds: int,
        *,
        unit: str | None = None,
    ) -> dict[int, StatisticSet]:
        """Points from `start_at` up to, not including, `end_at`, by the start of their period.

        Periods are aligned to Unix time, as CloudWatch aligns those of an hour or less.
        """
        first = start_at // period_seconds * period_seconds
        found: dict[int, StatisticSet] = defaultdict(StatisticSet)
        with self._lock:
            rows = self._db.execute(
                "SELECT p.at, p.count, p.sum, p.min, p.max, p.buckets"
                " FROM series s JOIN points p ON p.series = s.id"
                " WHERE s.namespace = ? AND s.name = ? AND s.dimensions = ?"
                # Naming the periods lets SQLite go to the range in each of them.
                f" AND p.period IN ({_PERIODS})"
                " AND (? IS NULL OR s.unit = ?) AND p.at >= ? AND p.at < ?",
                (
                    *(key.namespace, key.name, json.dumps(key.dimensions)),
                    *(unit, unit, first, end_at),
                ),
            ).fetchall()
        for at, *point in rows:
            count, total, least, most, buckets = point
            values = _decoded((count, total, least, most, buckets))
            found[at // period_seconds * period_seconds].merge(values)
        return dict(sorted(found.items()))

    def unit_of(self, key: SeriesKey) -> str | None:
        """None where the series was never seen."""
        with self._lock:
            row = self._db.execute(
                "SELECT unit FROM series WHERE namespace = ? AND name = ? AND dimensions = ?",
                (key.namespace, key.name, json.dumps(key.dimensions)),
            ).fetchone()
        return str(row[0]) if row else None

    def list_series(
        self,
        *,
        namespace: str | None = None,
        name: str | None = None,
        dimensions: Mapping[str, str | None] | None = None,
        since_at: int = 0,
    ) -> list[SeriesKey]:
        """Series that were written since; a dimension filter of None matches any value."""
        with self._lock:
            rows = self._db.execute(
                "SELECT namespace, name, dimensions FROM series"
                " WHERE (? IS NULL OR namespace = ?) AND (? IS NULL OR name = ?)"
                " AND last_at >= ? ORDER BY namespace, name, dimensions",
                (namespace, namespace, name, name, since_at),
            ).fetchall()
        keys = (SeriesKey(space, named, _dimensions(text)) for space, named, text in rows)
        return [key for key in keys if _matches(key, dimensions or {})]

    def tidy(self, now: datetime) -> int:
        """Merge aged points into coarser ones and forget the oldest; how many rows went.

        Doing it twice changes nothing: a point is merged and removed in one transaction.
        """
        removed = 0
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for period, kept_seconds, coarser in COARSER:
                    before = (int(now.timestamp()) - kept_seconds) // 3600 * 3600
                    removed += self._age(period, before, coarser)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite may have rolled back by itself
                    self._db.execute("ROLLBACK")
                raise
        return removed

    def _age(self, period: int, before: int, coarser: int | None) -> int:
        rows = self._db.execute(
            "SELECT series, at, count, sum, min, max, buckets FROM points"
            " WHERE period = ? AND at < ?",
            (period, before),
        ).fetchall()
        if coarser is not None:
            merged: dict[tuple[int, int], StatisticSet] = defaultdict(StatisticSet)
            for series, at, count, total, least, most, buckets in rows:
                point = _decoded((count, total, least, most, buckets))
                merged[series, at // coarser * coarser].merge(point)
            for (series, at), values in merged.items():
                self._merge(series, coarser, at, values)
        self._db.execute("DELETE FROM points WHERE period = ? AND at < ?", (period, before))
        return len(rows)

    def size_bytes(self) -> int:
        with self._lock:
            (size,) = self._db.execute(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            ).fetchone()
        return int(size)


def _decoded(row: _Point) -> StatisticSet:
    count, total, least, most, buckets = row
    return StatisticSet(count, total, least, most, decode_buckets(buckets, count, least))


def _dimensions(text: str) -> Dimensions:
    return dimensions_of(dict(json.loads(text)))


def _matches(key: SeriesKey, wanted: Mapping[str, str | None]) -> bool:
    has = key.dimension_map
    return all(
        name in has and (value is None or has[name] == value) for name, value in wanted.items()
    )
