"""A query made ready: bound, analysed, pruned, tied to files, and written for DuckDB."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import duckdb
import pyarrow as pa
from sqlglot import exp

from lakelet.catalog import Catalog
from lakelet.catalog.crawl import split_location
from lakelet.catalog.formats import PARQUET, format_of
from lakelet.model.ports import ObjectStore
from lakelet.query.analyse import Demand, analyse
from lakelet.query.bind import Bound, bind
from lakelet.query.files import FileFinder, PlainFiles
from lakelet.query.generate import duckdb_sql
from lakelet.query.names import hide_path, name_outputs
from lakelet.query.prune import prune
from lakelet.query.scan import PlannedScan, plan_scan


@dataclass(frozen=True, slots=True)
class Plan:
    """DuckDB's text with what it needs, and what it will read."""

    sql: str
    registered: dict[str, pa.Table]
    scans: tuple[PlannedScan, ...]

    @property
    def scanned_bytes(self) -> int:
        return sum(scan.scanned_bytes for scan in self.scans)

    @property
    def file_count(self) -> int:
        return sum(scan.file_count for scan in self.scans)

    @property
    def input_rows(self) -> int:
        """Rows of the files that are read, where their footers say."""
        return sum(scan.rows for scan in self.scans)


class Planner:
    """Plans queries over one catalog and store."""

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        cursor: Callable[[], duckdb.DuckDBPyConnection],
        journal_buckets: Sequence[str] = (),
    ) -> None:
        """
        Args:
            journal_buckets: buckets whose swap journal is always asked, besides those
                of the query's tables: it may speak of objects in other buckets.
        """
        self._journal_buckets = tuple(journal_buckets)
        self._catalog = catalog
        self._store = cast("PlainFiles", store)
        self._finder = FileFinder(store, catalog)
        self._cursor = cursor

    def plan(self, tree: exp.Expr, database: str, *, now: datetime) -> Plan:
        """Raises QueryFailed; FilesMoved where planning again will help."""
        now_ns = int(now.timestamp() * 1_000_000) * 1_000
        bound = bind(name_outputs(tree.copy()), self._catalog, database)
        demands = analyse(bound)
        hide_path(bound, demands)
        sql = duckdb_sql(bound.tree, _map_columns(bound))
        planned = []
        view = self._finder.view((*self._journal_buckets, *_buckets(bound)))
        for placeholder, scan in bound.scans.items():
            demand = demands.get(placeholder, Demand())
            places = prune(self._catalog, scan, demand, self._cursor, now)
            files = self._finder.files(places, view, now_ns=now_ns)
            if format_of(scan.table["StorageDescriptor"]) == PARQUET:
                self._finder.require_footers(files)
            ready = plan_scan(scan, demand, files, self._catalog.folders, self._store, len(places))
            sql = sql.replace(placeholder, ready.sql)
            planned.append(ready)
        return Plan(sql, bound.registered, tuple(planned))


def _buckets(bound: Bound) -> list[str]:
    locations = (
        scan.table["StorageDescriptor"].get("Location") or "" for scan in bound.scans.values()
    )
    return [split_location(location)[0] for location in locations if location]


def _map_columns(bound: Bound) -> frozenset[str]:
    return frozenset(
        name
        for scan in bound.scans.values()
        for name, kind in scan.columns.items()
        if kind.lower().startswith("map<")
    )
