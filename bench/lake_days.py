"""A lake of many days and files, made quickly: one Parquet body, linked under many names."""

import io
import os
import shutil
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BUCKET = "bench-transformed"
FIRST_DAY = date(2024, 1, 1)


def body(rows: int = 200) -> bytes:
    """A file as the transform writes it: 21 columns, Snappy."""
    columns = {
        "event_id": [f"e-{n}" for n in range(rows)],
        "event_type": [("page_view", "add_to_cart", "purchase")[n % 3] for n in range(rows)],
        "event_timestamp": pa.array([n * 1_000_000 for n in range(rows)], pa.timestamp("us")),
        "product_price": [n * 0.5 for n in range(rows)],
        "quantity": pa.array([n % 7 for n in range(rows)], pa.int32()),
        "revenue": [n * 1.5 for n in range(rows)],
        "hour": pa.array([n % 24 for n in range(rows)], pa.int32()),
    }
    texts = (
        *("user_id", "session_id", "page_url", "product_id", "product_name", "product_category"),
        *("search_query", "device_type", "browser", "country", "city", "day_of_week"),
        *("properties", "referrer"),
    )
    columns |= {name: [f"{name}-{n % 50}" for n in range(rows)] for name in texts}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="snappy")
    return sink.getvalue()


def day_folder(index: int) -> str:
    day = FIRST_DAY + timedelta(days=index)
    return f"events/year={day.year}/month={day.month:02}/day={day.day:02}"


def add_day(buckets: Path, index: int, files: int, data: Path) -> None:
    folder = buckets / BUCKET / day_folder(index)
    folder.mkdir(parents=True)
    # A hard link costs no data blocks; to a reader it is a file like any other. ext4 allows
    # 65,000 links to one file, so each day begins a file of its own.
    first = folder / "part-0000.snappy.parquet"
    shutil.copyfile(data, first)
    for number in range(1, files):
        os.link(first, folder / f"part-{number:04}.snappy.parquet")


def make_lake(buckets: Path, days: int, files_per_day: int) -> Path:
    """Returns the file that all others are copies of."""
    data = buckets.parent / "body.parquet"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_bytes(body())
    for index in range(days):
        add_day(buckets, index, files_per_day, data)
    return data
