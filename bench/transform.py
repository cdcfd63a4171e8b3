"""Raw .gz to partitioned Parquet: ours beside others' ways, in one run, with ratios.

    python bench/transform.py [--events 200000] [--rounds 3] [--spark] [--memory]

Ways:
    lakelet     the node's own worker and its processes, objects queued: contract, personal
                data, duplicates, quarantine, manifest, fsync
    floor       inflate, parse and encode with the same libraries, and nothing else
    duckdb      COPY of the same columns on two threads: types, the contract's checks, computed
                columns, emails out, first of each id. Less than ours still: what fails a check
                is lost, undeclared fields too, one bad line stops it, no ledger, no fsync
    per-record  a Lambda of the usual kind: json.loads a line, a dict an event, pandas,
                awswrangler (on a tenth of the events: it is slow)
    spark       PySpark local[2], the same columns (--spark, where pyspark is installed: pip
                install 'lakelet[spark]'), on an object of 5 MB and on one of 1 GB

Ways take turns, and the best round of each counts: on a shared machine noise only slows, and
in the first round our processes start.
"""

import argparse
import contextlib
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq
from isal import igzip

from lakelet.contract import load_declaration
from lakelet.model.manifest import Manifest
from lakelet.node.ahead import ahead
from lakelet.node.queue import TransformQueue
from lakelet.node.transform_process import ENVIRONMENT
from lakelet.node.worker import LocalTransform, Worker
from lakelet.store.clock import SystemClock
from lakelet.store.disk import DiskObjectStore
from lakelet.testing.traffic import TrafficMix, generate
from lakelet.transform import process, raw_object

DECLARATION = load_declaration(None)
PIPELINE, CONTRACT = DECLARATION.pipeline, DECLARATION.contract
UNTIL = datetime(2026, 3, 9, 12, tzinfo=UTC)
NAME = "clickstream-1-2026-03-09-12-00-00-00000000-0000-4000-8000-{:012d}.gz"
CLEAN = TrafficMix(late=0, duplicate=0, broken=0, undeclared=0)
MIXES = {
    "clean": CLEAN,
    "1 % broken": TrafficMix(late=0, duplicate=0, broken=0.01, undeclared=0),
    "20 % undeclared": TrafficMix(late=0, duplicate=0, broken=0, undeclared=0.2),
    "as in life": TrafficMix(),
}


@dataclass(frozen=True)
class Sample:
    """Some events as raw objects in a folder: one large, or many of 5 MB."""

    folder: Path
    keys: tuple[str, ...]
    events: int
    size_bytes: int

    @property
    def paths(self) -> list[Path]:
        return [self.folder / PIPELINE.raw_bucket / key for key in self.keys]


def write_sample(folder: Path, lines: list[bytes], size_bytes_max: int) -> Sample:
    store = DiskObjectStore(folder)
    for bucket in PIPELINE.buckets:
        store.create_bucket(bucket)
    keys, part, size_bytes = [], list[bytes](), 0
    for line in [*lines, b""]:
        if size_bytes > size_bytes_max or (not line and part):
            keys.append("year=2026/month=03/day=09/" + NAME.format(len(keys)))
            store.put(PIPELINE.raw_bucket, keys[-1], gzip.compress(b"\n".join(part), 6))
            part, size_bytes = [], 0
        part.append(line)
        size_bytes += len(line) + 1
    return Sample(folder, tuple(keys), len(lines), sum(map(len, lines)) + len(lines))


def traffic(count: int, mix: TrafficMix) -> list[bytes]:
    return list(generate(count, until=UNTIL, mix=mix))


# --- the ways -----------------------------------------------------------------------


class Workers:
    """The node's worker over each sample; its processes stay from round to round."""

    def __init__(self) -> None:
        self._by_folder: dict[Path, tuple[TransformQueue, Worker, list[Manifest]]] = {}
        self._round = 0

    def __call__(self, sample: Sample) -> list[Manifest]:
        if sample.folder not in self._by_folder:
            self._by_folder[sample.folder] = self._started(sample.folder)
        queue, worker, manifests = self._by_folder[sample.folder]
        manifests.clear()
        self._round += 1  # told as the ETag: the queue remembers what is done
        queue.enqueue_all((PIPELINE.raw_bucket, key, str(self._round)) for key in sample.keys)
        if not worker.drain(600) or len(manifests) != len(sample.keys):
            raise SystemExit(f"the worker did not end: {worker.stats}")
        return manifests

    def _started(self, folder: Path) -> tuple[TransformQueue, Worker, list[Manifest]]:
        manifests: list[Manifest] = []
        queue = TransformQueue(folder / "queue.sqlite", SystemClock())
        setup = LocalTransform(folder, PIPELINE, CONTRACT)
        worker = Worker(queue, setup, SystemClock(), on_done=manifests.append)
        worker.start()
        return queue, worker, manifests

    def stop(self) -> None:
        for queue, worker, _ in self._by_folder.values():
            worker.stop()
            queue.close()
        self._by_folder.clear()


lakelet = Workers()


_TEXT = [
    *("event_id", "event_type", "timestamp", "user_id", "session_id", "page_url", "product_id"),
    *("product_name", "product_category", "search_query", "device_type", "browser", "country"),
    *("city", "ip_address", "email"),
]
FLOOR_SCHEMA = pa.schema(
    [(name, pa.string()) for name in _TEXT]
    + [("product_price", pa.float64()), ("quantity", pa.int64())]
    + [("search_results_count", pa.int64())]
)


def floor(sample: Sample) -> None:
    options = pj.ParseOptions(explicit_schema=FLOOR_SCHEMA, unexpected_field_behavior="ignore")
    for number, path in enumerate(sample.paths):
        data = igzip.decompress(path.read_bytes())
        table = pj.read_json(
            pa.BufferReader(data),
            read_options=pj.ReadOptions(block_size=2 << 20),
            parse_options=options,
        )
        pq.write_table(table, sample.folder / f"floor-{number}.parquet", compression="snappy")


EMAIL = r"[A-Za-z0-9._%+-]+(@|%40)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
DUCKDB_COPY = """
COPY (
  SELECT event_id, event_type, event_timestamp, user_id, session_id,
    regexp_replace(page_url, '{email}', '***', 'g') AS page_url,
    product_id, product_name, product_category, product_price, quantity,
    regexp_replace(search_query, '{email}', '***', 'g') AS search_query,
    search_results_count, device_type, browser, country, city,
    CASE WHEN event_type = 'purchase'
      THEN coalesce(product_price, 0) * coalesce(quantity, 1) ELSE 0 END AS revenue,
    hour(event_timestamp)::INTEGER AS hour, dayname(event_timestamp) AS day_of_week,
    event_timestamp::DATE AS event_date, NULL::VARCHAR AS properties,
    TIMESTAMP '2026-03-09 12:00:00' AS received_at,
    strftime(event_timestamp, '%Y') AS year, strftime(event_timestamp, '%m') AS month,
    strftime(event_timestamp, '%d') AS day
  FROM (
    SELECT *, "timestamp" AS event_timestamp
    FROM read_json({paths}, format = 'newline_delimited', compression = 'gzip', columns = {{
      event_id: 'VARCHAR', event_type: 'VARCHAR', "timestamp": 'TIMESTAMP', user_id: 'VARCHAR',
      session_id: 'VARCHAR', page_url: 'VARCHAR', product_id: 'VARCHAR', product_name: 'VARCHAR',
      product_category: 'VARCHAR', product_price: 'DOUBLE', quantity: 'INTEGER',
      search_query: 'VARCHAR', search_results_count: 'INTEGER', device_type: 'VARCHAR',
      browser: 'VARCHAR', country: 'VARCHAR', city: 'VARCHAR' }})
    WHERE event_id <> '' AND event_type <> ''
      AND event_timestamp BETWEEN TIMESTAMP '2026-03-09 12:00:00' - INTERVAL 3650 DAY
        AND TIMESTAMP '2026-03-09 12:00:00' + INTERVAL 24 HOUR
    QUALIFY row_number() OVER (PARTITION BY event_id) = 1)
) TO '{target}' (FORMAT parquet, COMPRESSION snappy, PARTITION_BY (year, month, day))
"""


def with_duckdb(sample: Sample) -> None:
    import duckdb

    target = sample.folder / "duckdb"
    shutil.rmtree(target, ignore_errors=True)
    paths = str([str(path) for path in sample.paths])
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute(DUCKDB_COPY.format(paths=paths, target=target, email=EMAIL))


def per_record(sample: Sample) -> None:
    """What a first version of such a Lambda looks like, with the same columns to fill."""
    import awswrangler
    import boto3
    import pandas

    pattern = re.compile(EMAIL)
    for path in sample.paths:
        records = []
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            event = json.loads(line)
            at = datetime.fromisoformat(event["timestamp"])
            price, quantity = event.get("product_price"), event.get("quantity")
            price = float(price) if price is not None else None
            quantity = int(quantity) if quantity is not None else None
            purchase = event["event_type"] == "purchase"
            record = {name: event.get(name) for name in _TEXT[:-2] if name != "timestamp"}
            record["page_url"] = pattern.sub("***", record["page_url"] or "")
            record |= {
                "event_timestamp": at.replace(tzinfo=None),
                "product_price": price,
                "quantity": quantity,
                "search_results_count": event.get("search_results_count"),
                "revenue": (price or 0) * (quantity or 1) if purchase else 0.0,
                "hour": at.hour,
                "day_of_week": at.strftime("%A"),
                "event_date": at.date(),
                "year": at.strftime("%Y"),
                "month": at.strftime("%m"),
                "day": at.strftime("%d"),
            }
            records.append(record)
        frame = pandas.DataFrame(records).drop_duplicates("event_id")
        awswrangler.s3.to_parquet(
            frame,
            "s3://bench/events/",
            dataset=True,
            mode="append",
            partition_cols=["year", "month", "day"],
            compression="snappy",
            boto3_session=boto3.Session(region_name="us-east-1"),
        )


SPARK_SCHEMA = (
    ", ".join(f"{name} STRING" for name in _TEXT if name != "timestamp")
    + ", timestamp TIMESTAMP, product_price DOUBLE, quantity INT, search_results_count INT"
)


def with_spark(sample: Sample) -> None:
    """On two cores, in a session that is there already but for the first call; the columns of
    ours, without the contract's checks, emails in URLs, quarantine and ledger."""
    from pyspark.sql import SparkSession, functions

    builder = SparkSession.builder.master("local[2]").config("spark.driver.host", "127.0.0.1")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1")
    builder = builder.config("spark.ui.enabled", False)
    spark = builder.config("spark.ui.showConsoleProgress", False).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.conf.set("spark.sql.shuffle.partitions", 2)
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    frame = spark.read.schema(SPARK_SCHEMA).json([str(path) for path in sample.paths])
    frame = frame.dropDuplicates(["event_id"]).drop("ip_address", "email")
    at = functions.col("timestamp")
    is_purchase = functions.col("event_type") == "purchase"
    revenue = functions.col("product_price") * functions.col("quantity")
    frame = frame.withColumn("revenue", functions.when(is_purchase, revenue).otherwise(0.0))
    frame = frame.withColumn("hour", functions.hour(at)).withColumn(
        "event_date", functions.to_date(at)
    )
    for name, pattern in (
        ("year", "yyyy"),
        ("month", "MM"),
        ("day", "dd"),
        ("day_of_week", "EEEE"),
    ):
        frame = frame.withColumn(name, functions.date_format(at, pattern))
    frame.write.mode("overwrite").partitionBy("year", "month", "day").parquet(
        str(sample.folder / "spark")
    )


# --- measuring ------------------------------------------------------------------------


def best_rates(
    ways: dict[str, Callable[[Sample], object]], samples: dict[str, Sample], rounds: int
) -> dict[str, float]:
    """Events a second, the best of the rounds; the ways take turns."""
    rates = dict.fromkeys(ways, 0.0)
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way(samples[name])
            rates[name] = max(rates[name], samples[name].events / (time.perf_counter() - started))
    return rates


@contextlib.contextmanager
def emulated_s3() -> Iterator[None]:
    """awswrangler writes to S3 only, so it gets one in this process: its cost is small."""
    from moto import mock_aws

    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with mock_aws():
        import boto3

        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="bench")
        yield


def compare_ways(root: Path, events: int, rounds: int) -> None:
    lines = traffic(events, CLEAN)
    sizes = {"one object": 1 << 40, "5 MB objects": 5 << 20}
    for title, size_bytes_max in sizes.items():
        whole = write_sample(root / title.replace(" ", "-"), lines, size_bytes_max)
        small = write_sample(root / f"{title}-tenth", lines[: events // 10], size_bytes_max)
        ways: dict[str, Callable[[Sample], object]] = {
            "lakelet": lakelet,
            "floor": floor,
            "duckdb": with_duckdb,
            "per-record": per_record,
        }
        with emulated_s3():
            samples = {name: small if name == "per-record" else whole for name in ways}
            rates = best_rates(ways, samples, rounds)
        lakelet.stop()
        print(f"\n{title}: {events:,} clean events, {whole.size_bytes / 1e6:.0f} MB inflated")
        for name, rate in rates.items():
            print(
                f"  {name:<12}{rate:>12,.0f} events/s   lakelet is {rates['lakelet'] / rate:.2f} x"
            )


def compare_spark(root: Path, rounds: int, rounds_of_100_mb: int) -> None:
    lines = traffic(200_000, CLEAN)
    few = lines[: 5_000_000 * len(lines) // sum(map(len, lines))]
    small = write_sample(root / "spark-small", few, 1 << 40)
    started = time.perf_counter()
    with_spark(small)
    first_seconds = time.perf_counter() - started
    samples = {"5 MB": small, "1 GB": _large_sample(root / "spark-large", lines, rounds_of_100_mb)}
    print(f"\nbeside Spark (whose start and first 5 MB object took {first_seconds:.1f} s)")
    for title, sample in samples.items():
        ways = {"lakelet": lakelet, "spark": with_spark}
        times = rounds if title == "5 MB" else 2
        rates = best_rates(ways, dict.fromkeys(ways, sample), times)
        lakelet.stop()
        ratio = rates["lakelet"] / rates["spark"]
        print(
            f"  {title}: lakelet {rates['lakelet']:,.0f} events/s, spark {rates['spark']:,.0f}:"
            f" {ratio:.1f} x"
        )


def compare_mixes(root: Path, events: int, rounds: int) -> None:
    samples = {
        name: write_sample(root / f"mix-{number}", traffic(events, mix), 1 << 40)
        for number, (name, mix) in enumerate(MIXES.items())
    }
    rates = best_rates(dict.fromkeys(MIXES, lakelet), samples, rounds)
    print(f"\nmixes, one object of {events:,} events")
    for name, rate in rates.items():
        (manifest,) = lakelet(samples[name])
        assert manifest.imbalance() == 0
        print(
            f"  {name:<16}{rate:>12,.0f} events/s   {rate / rates['clean']:.2f} x clean"
            f"   ({manifest.rows:,} rows, {manifest.quarantined_count:,} quarantined)"
        )
    lakelet.stop()


# --- memory and import, each in a process of its own -------------------------------------


def peak_memory_mb(*arguments: str) -> float:
    command, environment = [sys.executable, __file__, *arguments], {**ENVIRONMENT, **os.environ}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout.split()[-1])


def measure_memory(root: Path, rounds_of_100_mb: int) -> None:
    lines = traffic(200_000, CLEAN)
    count = 5_000_000 * len(lines) // sum(map(len, lines))
    small = write_sample(root / "small", lines[:count], 1 << 40)
    base_mb = peak_memory_mb("--import-only")
    used_mb = peak_memory_mb("--one", str(small.folder)) - base_mb
    inflated_mb = small.size_bytes / 1e6
    print(f"\nmemory (peak, above {base_mb:.0f} MB of imports)")
    print(
        f"  {inflated_mb:.0f} MB object: {used_mb:.0f} MB, {used_mb / inflated_mb:.1f} x inflated"
    )
    large = _large_sample(root / "large", lines, rounds_of_100_mb)
    total_mb = peak_memory_mb("--one", str(large.folder))
    print(f"  {large.size_bytes / 1e6:,.0f} MB object: {total_mb:.0f} MB in all")


def _large_sample(folder: Path, lines: list[bytes], rounds: int) -> Sample:
    """The same traffic again and again, every event with an id of its own."""
    store = DiskObjectStore(folder)
    for bucket in PIPELINE.buckets:
        store.create_bucket(bucket)
    key = "year=2026/month=03/day=09/" + NAME.format(0)
    text, size_bytes = b"\n".join(lines) + b"\n", 0
    with store.writer(PIPELINE.raw_bucket, key) as writer:
        for number in range(rounds):
            again = re.sub(rb'("event_id": ?").{4}', rb"\g<1>%04x" % number, text)
            size_bytes += len(again)
            writer.write(igzip.compress(again, compresslevel=1))
        writer.commit()
    return Sample(folder, (key,), len(lines) * rounds, size_bytes)


def transform_one(folder: Path) -> None:
    """As the worker's process does it, whose environment is ours here."""
    store = DiskObjectStore(folder)
    key = next(store.list(PIPELINE.raw_bucket)).key
    raw = raw_object(store, PIPELINE.raw_bucket, key)
    process(store, PIPELINE, CONTRACT, raw, each=ahead)
    print_peak()


def print_peak() -> None:
    """VmHWM: unlike ru_maxrss it does not begin with what the parent had at the fork."""
    status = Path("/proc/self/status").read_text("utf-8")
    print(int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024)


def measure_import() -> None:
    code = (
        "import time, pyarrow, pyarrow.compute, pyarrow.json, pyarrow.parquet\n"
        "started = time.perf_counter()\n"
        "import lakelet.transform\n"
        "print(time.perf_counter() - started)"
    )
    seconds = min(
        float(subprocess.check_output([sys.executable, "-c", code], text=True)) for _ in range(3)
    )
    print(f"\ncold import of our part, pyarrow aside: {seconds * 1e3:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spark", action="store_true", help="only beside Spark, up to 1 GB")
    parser.add_argument("--memory", action="store_true", help="only peak memory, up to 1 GB")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--import-only", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        transform_one(chosen.one)
        return
    if chosen.import_only:
        print_peak()
        return
    with tempfile.TemporaryDirectory(prefix="lakelet-bench-") as folder:
        if chosen.memory:
            measure_memory(Path(folder), 14)
            return
        if chosen.spark:
            compare_spark(Path(folder), chosen.rounds, 14)
            return
        compare_ways(Path(folder), chosen.events, chosen.rounds)
        compare_mixes(Path(folder), chosen.events, chosen.rounds)
        measure_import()


if __name__ == "__main__":
    main()
