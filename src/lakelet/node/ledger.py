"""Running totals of the manifests, so that a glance at the node costs no listing.

The manifests are the truth and `audit` reads them; this index only spares the
status line and the console from reading all of them every second.
"""

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

from lakelet.model.layout import MANIFEST_PREFIX
from lakelet.model.manifest import Manifest
from lakelet.model.ports import ObjectStore

_SCHEMA = """
CREATE TABLE IF NOT EXISTS manifests (
  raw_key TEXT PRIMARY KEY, events INT, rows INT, duplicates INT, quarantined TEXT,
  dropped TEXT, raw_bytes INT, inflated_bytes INT, output_bytes INT, received_at TEXT
) WITHOUT ROWID;
"""


class LedgerIndex:
    """Thread-safe; a manifest told twice counts once."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # It can be rebuilt, so it need not survive a power cut to the last row.
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; {_SCHEMA}")

    def record(self, manifest: Manifest) -> None:
        row = (
            manifest.raw.key,
            manifest.events,
            manifest.rows,
            manifest.duplicates,
            json.dumps(dict(manifest.quarantined)),
            json.dumps(dict(manifest.dropped)),
            manifest.raw.size_bytes,
            manifest.inflated_bytes,
            sum(output.size_bytes for output in manifest.outputs if not output.reason),
            manifest.raw.received_at.isoformat(),
        )
        with self._lock:
            self._db.execute(f"INSERT OR REPLACE INTO manifests VALUES (?{',?' * 9})", row)

    def totals(self) -> dict[str, Any]:
        with self._lock:
            sums = self._db.execute(
                "SELECT count(*), total(events), total(rows), total(duplicates), "
                "total(raw_bytes), total(inflated_bytes), total(output_bytes) FROM manifests"
            ).fetchone()
            quarantined = self._by_reason("quarantined")
            dropped = self._by_reason("dropped")
        names = (
            "objects", "events", "rows", "duplicates",
            "raw_bytes", "inflated_bytes", "output_bytes",
        )  # fmt: skip
        return {
            **{name: int(value) for name, value in zip(names, sums, strict=True)},
            "quarantined": quarantined,
            "dropped": dropped,
        }

    def by_day(self, limit: int = 31) -> list[dict[str, Any]]:
        """The ledger by day of arrival (UTC), newest first; `imbalance` is 0 where it adds up."""
        with self._lock:
            rows = self._db.execute(
                "SELECT substr(received_at, 1, 10) AS day, total(events), total(rows),"
                " total(duplicates),"
                " total((SELECT total(value) FROM json_each(quarantined))),"
                " total((SELECT total(value) FROM json_each(dropped)))"
                " FROM manifests GROUP BY 1 ORDER BY 1 DESC LIMIT ?",
                (limit,),
            ).fetchall()
        names = ("events", "rows", "duplicates", "quarantined", "dropped")
        days = [
            {"day": day, **{n: int(c) for n, c in zip(names, counts, strict=True)}}
            for day, *counts in rows
        ]
        return [
            day | {"imbalance": day["events"] - sum(int(day[name]) for name in names[1:])}
            for day in days
        ]

    def rebuild(self, store: ObjectStore, bucket: str) -> None:
        """Read manifests the index does not know: after an upgrade, a copy, a crash."""
        with self._lock:
            known = {row[0] for row in self._db.execute("SELECT raw_key FROM manifests")}
        for info in store.list(bucket, MANIFEST_PREFIX):
            if info.key[len(MANIFEST_PREFIX) : -len(".json")] in known:
                continue
            try:
                self.record(Manifest.decode(store.get(bucket, info.key)))
            except (ValueError, KeyError, TypeError):
                continue  # the audit names unreadable manifests

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _by_reason(self, column: str) -> dict[str, int]:
        rows = self._db.execute(
            f"SELECT each.key, sum(each.value) FROM manifests, json_each(manifests.{column}) each "
            "GROUP BY 1 ORDER BY 1"
        )
        return {reason: int(count) for reason, count in rows}
