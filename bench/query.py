"""SQL through the Athena API against bare DuckDB on the same files, side by side.

Run: python bench/query.py [--days 1000]

To hold (DESIGN.md): wall ≤ 1.15 × bare DuckDB + 30 ms; one day of 1,000 days and 100,000
files reads only that day's files and is planned in ≤ 100 ms.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from lake_days import BUCKET, day_folder, make_lake
from lakelet.catalog import Catalog
from lakelet.catalog.crawl import apply_crawl, plan_crawl
from lakelet.query import QueryEngine
from lakelet.store.clock import SystemClock
from lakelet.store.disk import DiskObjectStore

DAY = "year = '2024' AND month = '01' AND day = '02'"
MONTH = "year = '2024' AND month = '01'"
QUERIES = {
    "count a day": f"SELECT count(*) FROM events WHERE {DAY}",
    "events by type, a day": f"SELECT event_type, count(*) FROM events WHERE {DAY} GROUP BY 1",
    "revenue, a month": f"SELECT day, sum(revenue) FROM events WHERE {MONTH} GROUP BY 1",
    "top products, a month": (
        "SELECT product_name, sum(revenue) r, count(DISTINCT user_id) u FROM events"
        f" WHERE {MONTH} AND event_type = 'purchase' GROUP BY 1 ORDER BY r DESC, 1 LIMIT 10"
    ),
    "rows of a day": f"SELECT event_id, page_url, product_price FROM events WHERE {DAY}",
}


def bare(connection: duckdb.DuckDBPyConnection, buckets: Path, sql: str) -> Callable[[], object]:
    """What a person who knows the layout would write: a glob over just these folders."""
    folder = "events/year=2024/month=01/*" if MONTH in sql and DAY not in sql else day_folder(1)
    files = f"read_parquet('{buckets}/{BUCKET}/{folder}/*.parquet', hive_partitioning = true)"
    plain = sql.replace("FROM events", f"FROM {files}").replace("'01'", "1").replace("'02'", "2")
    plain = plain.replace("'2024'", "2024")
    return lambda: connection.sql(plain).fetchall()


def through_api(engine: QueryEngine, sql: str) -> tuple[Callable[[], object], dict[str, int]]:
    """StartQueryExecution, run, GetQueryExecution and the first page of GetQueryResults."""
    last: dict[str, int] = {}

    def run() -> object:
        execution_id = engine.start(sql, database="bench")
        state = engine.run(execution_id)
        execution = engine.get(execution_id)
        assert state == "SUCCEEDED", execution["Status"]
        last.update(execution["Statistics"])
        return engine.results(execution_id)

    return run, last


def paired(one: Callable[[], object], other: Callable[[], object], rounds: int) -> list[float]:
    """Median seconds of each, taken in turn so that a noisy neighbour meets both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for index, act in enumerate((one, other)):
            began = time.perf_counter()
            act()
            times[index].append(time.perf_counter() - began)
    return [statistics.median(found) for found in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--files", type=int, default=100, help="files a day")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        make_lake(root / "buckets", given.days, given.files)
        clock = SystemClock()
        store = DiskObjectStore(root / "buckets", clock)
        store.create_bucket("results")
        catalog = Catalog(root / "catalog.sqlite", clock)
        crawler = {
            "Name": "bench",
            "DatabaseName": "bench",
            "Targets": {"S3Targets": [{"Path": f"s3://{BUCKET}/"}]},
        }
        time.sleep(2.1)  # a folder's stamp is trusted two seconds after its last change
        apply_crawl(plan_crawl(store, catalog, crawler, now_ns=time.time_ns()), catalog)
        engine = QueryEngine(
            catalog, store, root / "queries.sqlite", clock, results_bucket="results"
        )
        connection = duckdb.connect(":memory:")
        print(f"{given.days} days x {given.files} files; medians of {given.rounds}")
        print(
            f"{'query':24}{'bare':>10}{'Athena':>10}{'planning':>10}"
            f"{'over 1.15x':>12}{'scanned':>12}"
        )
        for name, sql in QUERIES.items():
            run, last = through_api(engine, sql)
            bare_seconds, seconds = paired(
                bare(connection, root / "buckets", sql), run, given.rounds
            )
            over_ms = (seconds - 1.15 * bare_seconds) * 1_000
            print(
                f"{name:24}{bare_seconds * 1e3:8.1f}ms{seconds * 1e3:8.1f}ms"
                f"{last['QueryPlanningTimeInMillis']:8}ms{over_ms:10.1f}ms"
                f"{last['DataScannedInBytes']:12,}"
            )
        print("to hold: planning of a day ≤ 100 ms, over 1.15 x bare ≤ 30 ms")


if __name__ == "__main__":
    main()
