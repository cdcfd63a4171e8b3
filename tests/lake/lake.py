"""A lake in memory, filled by the real transform: for tests of what tends it."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from lakelet.contract import load_declaration, read_contract
from lakelet.lake.audit import audit, parquet_rows
from lakelet.lake.ledger import Delivered, StreamLedger, read_books
from lakelet.lake.swap import GRACE, settle
from lakelet.model.pipeline import Pipeline
from lakelet.model.swap import read_view
from lakelet.model.toml import load
from lakelet.testing.clock import ManualClock
from lakelet.testing.objects import MemoryObjectStore
from lakelet.transform import process, raw_object

PIPELINE = Pipeline()
RAW, DATA = PIPELINE.raw_bucket, PIPELINE.transformed_bucket
START = datetime(2026, 3, 9, 12, tzinfo=UTC)
OLD = load_declaration(None).contract

_TEXT = """
version = 2
event_time = { field = "timestamp", oldest_days = 3650, ahead_hours = 24 }
deduplicate = { field = "event_id", window_hours = 72 }
[fields]
event_id = { type = "string", required = true }
event_type = { type = "string", required = true }
timestamp = { type = "timestamp", required = true, column = "event_timestamp" }
user_id = { type = "string" }
product_price = { type = "string" }
quantity = { type = "int" }
colour = { type = "string" }
"""
# The price may be anything by now, and colour is a column of its own.
NEW = read_contract(load(_TEXT, "new.toml"))


def event(number, *, at=START, **fields):
    return {
        "event_id": f"e{number}",
        "event_type": "purchase",
        "timestamp": at.isoformat(),
        "product_price": 2.5,
        "quantity": 2,
        **fields,
    }


class Cut(Exception):
    """Here the process was killed."""


class KillableStore(MemoryObjectStore):
    """Dies before its n-th change; `on_change` looks on before each."""

    def __init__(self, clock=None):
        super().__init__(clock)
        self.changes_left = 10**9
        self.on_change = lambda: None

    def _change(self):
        self.on_change()
        self.changes_left -= 1
        if self.changes_left < 0:
            raise Cut

    def put(self, *args, **options):
        self._change()
        return super().put(*args, **options)

    def writer(self, *args, **options):
        self._change()
        return super().writer(*args, **options)

    def delete(self, bucket, key):
        self._change()
        super().delete(bucket, key)


class TestLake:
    """Raw objects go in; what a reader and the audit say comes out."""

    __test__ = False

    def __init__(self, contract=OLD):
        self.clock = ManualClock(START)
        self.store = KillableStore(self.clock)
        self.contract = contract
        self.delivered = []
        self.accepted = 0
        for bucket in PIPELINE.buckets:
            self.store.create_bucket(bucket)

    def deliver(self, events, *, at=None, transform=True):
        """One raw object of these events (dicts, or bytes as they are). Returns its key."""
        at = at or self.clock.now()
        records = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
        key = (
            f"year={at:%Y}/month={at:%m}/day={at:%d}/clickstream-1-{at:%Y-%m-%d-%H-%M-%S}"
            f"-00000000-0000-4000-8000-{len(self.delivered):012x}.gz"
        )
        info = self.store.put(RAW, key, gzip.compress(b"\n".join(records) + b"\n", mtime=0))
        self._enter(key, info.etag, len(records))
        if transform:
            self.transform(key)
        return key

    def give_up(self, documents, *, kind="processing-failed"):
        """An object below the error prefix. Returns its key."""
        at = self.clock.now()
        key = f"errors/{kind}/year={at:%Y}/month={at:%m}/day={at:%d}/x-{len(self.delivered)}.gz"
        body = b"\n".join(json.dumps(document).encode() for document in documents)
        info = self.store.put(RAW, key, gzip.compress(body, mtime=0))
        self._enter(key, info.etag, len(documents))
        return key

    def _enter(self, key, etag, count):
        first = self.accepted
        self.accepted += count
        self.delivered.append(Delivered(first, self.accepted, count, 0, key, etag))

    def transform(self, key, contract=None):
        raw = raw_object(self.store, RAW, key)
        self.pass_time(milliseconds=1)
        return process(self.store, PIPELINE, contract or self.contract, raw)

    def audit(self):
        return audit(
            read_books(self.store, PIPELINE),
            PIPELINE,
            self.clock.now(),
            streams=[StreamLedger("clickstream", self.accepted, self.delivered)],
            pending=set(),
            rows_of=parquet_rows(self.store),
        )

    def read(self, table="events"):
        """Rows as a reader sees them now, by event id."""
        view = read_view(self.store, DATA)
        prefix = f"{table}/"
        rows = []
        for info in view.visible(DATA, self.store.list(DATA, prefix), prefix):
            data = self.store.get(*view.resolve(DATA, info.key))
            rows += pq.ParquetFile(BytesIO(data)).read().to_pylist()
        return sorted(rows, key=lambda row: row["event_id"])

    def ids(self):
        return [row["event_id"] for row in self.read()]

    def files(self):
        return [info.key for info in self.store.list(DATA, "events/")]

    def settle(self):
        self.clock.advance(GRACE.total_seconds())
        return settle(self.store, DATA, self.clock.now())

    def pass_time(self, **amount):
        self.clock.advance(timedelta(**amount).total_seconds())


def table_of(data: bytes) -> pa.Table:
    return pq.ParquetFile(BytesIO(data)).read()
