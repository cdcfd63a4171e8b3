"""A small lake on disk, for tests of crawls and queries."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lakelet.model.ports import Clock
from lakelet.store.disk import DiskObjectStore

# Far past every folder's change time: a survey then trusts what it saw.
LATER_NS = 2_000_000_000 * 10**9

BUCKET = "lake"


def parquet(**columns) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def open_store(root: Path, clock: Clock) -> DiskObjectStore:
    store = DiskObjectStore(root / "buckets", clock)
    for bucket in (BUCKET, "results", "other"):
        store.create_bucket(bucket)
    return store


def put_day(store, day: str, body: bytes, *, table: str = "events", name: str = "a") -> str:
    """`day` is `2026-03-09`."""
    year, month, date = day.split("-")
    key = f"{table}/year={year}/month={month}/day={date}/{name}.parquet"
    store.put(BUCKET, key, body)
    return key
