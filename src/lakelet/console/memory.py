"""What the console remembers of a person's choices: a few texts by name, in SQLite."""

import sqlite3
import threading
from pathlib import Path


class Memory:
    """Any thread may call."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode=WAL;"
            "CREATE TABLE IF NOT EXISTS choices (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
        )

    def get(self, name: str) -> str | None:
        with self._lock:
            row = self._db.execute("SELECT value FROM choices WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str) -> None:
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO choices VALUES (?, ?)", (name, value))

    def close(self) -> None:
        with self._lock:
            self._db.close()
