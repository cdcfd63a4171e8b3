"""DuckDB, locked in: it may read the buckets and nothing else on this machine."""

import threading
from collections.abc import Sequence
from pathlib import Path

import duckdb

from lakelet.query.macros import MACROS


class Sandbox:
    """One locked DuckDB instance; a query takes a cursor of it.

    Three walls stand one behind the other. The planner binds tables only from the
    catalog and lets through only functions that Athena has; DuckDB is told which
    folders it may touch, and refuses the rest; and its configuration is locked, so
    that no statement can take that back.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        threads: int | None = None,
        memory_limit: str | None = None,
        spill_folder: Path | None = None,
    ) -> None:
        """
        Args:
            folders: what queries may read, with everything under them.
            memory_limit: "2GB", "60%"; DuckDB's default is 80 % of the machine.
            spill_folder: where sorts and joins that outgrow memory go; nowhere if None.
        """
        self.root = str(folders[0])
        self._connection = duckdb.connect(":memory:")
        self._lock = threading.Lock()
        settings = {
            "TimeZone": "UTC",
            "integer_division": True,  # 5 / 2 is 2 in Athena
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            # Objects are replaced under their keys; a block of the old one must not be
            # served for the new one, and the kernel caches pages already.
            "enable_external_file_cache": False,
            "parquet_metadata_cache": False,
            "temp_directory": str(spill_folder) if spill_folder else "",
            "allowed_directories": [str(folder) for folder in folders],
        }
        if threads:
            settings["threads"] = threads
        if memory_limit:
            settings["memory_limit"] = memory_limit
        for name, value in settings.items():
            self._connection.execute(f"SET GLOBAL {name} = {_literal(value)}")
        for macro in MACROS:
            self._connection.execute(f"CREATE MACRO {macro}")
        self._connection.execute("SET GLOBAL enable_external_access = false")
        self._connection.execute("SET GLOBAL lock_configuration = true")

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection to the same instance, for one thread."""
        with self._lock:
            return self._connection.cursor()

    def close(self) -> None:
        self._connection.close()


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return "'" + str(value).replace("'", "''") + "'"
