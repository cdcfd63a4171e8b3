"""What lies in the lake: buckets and objects, tables, columns, days."""

import gzip
import json
import zlib
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from lakelet.console.results import shown
from lakelet.model.errors import LakeletError

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Facts = dict[str, Any]
LISTED_MAX = 300
PREVIEW_ROWS = 20
PREVIEW_BYTES = 64_000
CALENDAR_DAYS = 26 * 7
# Below a megabyte, opening a file costs more than reading it (Athena's own advice is 128 MB).
SMALL_FILE_BYTES = 1_000_000
SMALL_FILES_MIN = 24


def data(node: "Node", bucket: str = "", prefix: str = "") -> Facts:
    """
    Returns:
        buckets; folders and objects under `prefix`; tables with their size by the day.
    """
    bucket = bucket or node.pipeline.transformed_bucket
    return {
        "buckets": node.store.list_buckets(),
        "listing": listing(node, bucket, prefix),
        "tables": [days(node, table["Name"]) for table in _tables(node)],
    }


def _tables(node: "Node") -> list[Facts]:
    found: list[Facts] = node.catalog.all_tables(node.pipeline.database)
    return [table for table in found if table.get("TableType") != "VIRTUAL_VIEW"]


def listing(node: "Node", bucket: str, prefix: str) -> Facts:
    """One folder. Raises BucketNotFound."""
    folders, objects = node.store.list_folder(bucket, prefix)
    return {
        "bucket": bucket,
        "prefix": prefix,
        "folders": folders[:LISTED_MAX],
        "objects": [
            {"key": o.key, "size_bytes": o.size_bytes, "modified_at": o.modified_at.isoformat()}
            for o in islice(objects, LISTED_MAX)
        ],
        "left_out": max(0, len(folders) - LISTED_MAX) + max(0, len(objects) - LISTED_MAX),
    }


def days(node: "Node", table: str) -> Facts:
    """A table's partitions by the day: files and bytes, and where small files pile up."""
    places = node.catalog.partition_places(node.pipeline.database, table)
    found = []
    for place in places[-CALENDAR_DAYS:]:
        bucket, _, prefix = str(place.location).removeprefix("s3://").partition("/")
        try:
            _, objects = node.store.list_folder(bucket, prefix.rstrip("/") + "/")
        except LakeletError:
            objects = []
        size_bytes = sum(o.size_bytes for o in objects)
        files = len(objects)
        small = files >= SMALL_FILES_MIN and size_bytes / files < SMALL_FILE_BYTES
        found.append(
            {
                "partition": "/".join(place.values),
                "day": _day(place.values),
                "files": files,
                "bytes": size_bytes,
                "small": small,
            }
        )
    return {"name": table, "partitions": len(places), "days": found}


def _day(values: tuple[str, ...]) -> str | None:
    try:
        return date(*(int(value) for value in values[-3:])).isoformat()
    except (ValueError, TypeError):
        return None


def day_rows(node: "Node", table: str) -> dict[str, tuple[int, int]]:
    """Rows, and those that came more than a day late, by ISO day; the last half year."""
    since = (node.clock.now() - timedelta(days=CALENDAR_DAYS)).date()
    sql = (
        "SELECT year, month, day, count(*) AS n,"
        " count_if(date_diff('hour', event_timestamp, received_at) >= 24) AS late"
        f" FROM {table} WHERE year || month || day >= '{since:%Y%m%d}' GROUP BY 1, 2, 3"
    )
    rows = node.query_arrow(sql).to_pylist()
    return {f"{r['year']}-{r['month']}-{r['day']}": (r["n"], r["late"]) for r in rows}


def columns(node: "Node", table: str) -> list[Facts]:
    """Each column's nulls, distinct values (approximate) and range, over the newest week."""
    since = (node.clock.now() - timedelta(days=7)).date()
    known = node.catalog.get_table(node.pipeline.database, table)
    names = [c["Name"] for c in known["StorageDescriptor"]["Columns"]]
    parts = ", ".join(
        f'count("{n}") AS n{i}, approx_distinct("{n}") AS d{i},'
        f' CAST(min("{n}") AS varchar) AS a{i}, CAST(max("{n}") AS varchar) AS z{i}'
        for i, n in enumerate(names)
    )
    sql = (
        f"SELECT count(*) AS total, {parts} FROM {table}"
        f" WHERE year || month || day >= '{since:%Y%m%d}'"
    )
    (row,) = node.query_arrow(sql).to_pylist()
    total = row["total"] or 0
    return [
        {
            "name": name,
            "type": known["StorageDescriptor"]["Columns"][i]["Type"],
            "null_share": 1 - row[f"n{i}"] / total if total else 0.0,
            "distinct": row[f"d{i}"],
            "least": row[f"a{i}"],
            "greatest": row[f"z{i}"],
        }
        for i, name in enumerate(names)
    ]


def preview(node: "Node", bucket: str, key: str) -> Facts:
    """What an object holds: Parquet's schema and first rows, or the beginning of a text."""
    info = node.store.head(bucket, key)
    facts: Facts = {"bucket": bucket, "key": key, "size_bytes": info.size_bytes, "etag": info.etag}
    if key.endswith(".parquet"):
        return facts | _parquet(node, bucket, key)
    head = node.store.get(bucket, key, size_bytes=PREVIEW_BYTES)
    return facts | {"text": _text(head)}


def _parquet(node: "Node", bucket: str, key: str) -> Facts:
    import pyarrow.parquet

    with node.store.open(bucket, key) as stream:
        file = pyarrow.parquet.ParquetFile(stream)
        meta = file.metadata
        head = next(file.iter_batches(PREVIEW_ROWS), None)
        groups = [meta.row_group(i) for i in range(min(20, meta.num_row_groups))]
        return {
            "rows": meta.num_rows,
            "created_by": meta.created_by,
            "row_groups": [
                {
                    "rows": group.num_rows,
                    "bytes": group.total_byte_size,
                    "compression": group.column(0).compression,
                }
                for group in groups
            ],
            "schema": [{"name": f.name, "type": str(f.type)} for f in file.schema_arrow],
            "first_rows": []
            if head is None
            else [{k: shown(v) for k, v in row.items()} for row in head.to_pylist()],
        }


def _text(head: bytes) -> str:
    if head[:2] == b"\x1f\x8b":
        inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            head = inflate.decompress(head, PREVIEW_BYTES)
        except (zlib.error, gzip.BadGzipFile):
            return "The object is no sound GZIP."
    lines = head.decode("utf-8", "replace").splitlines()
    return "\n".join(_pretty(line) for line in lines[:PREVIEW_ROWS])


def _pretty(line: str) -> str:
    try:
        return json.dumps(json.loads(line), ensure_ascii=False, indent=1)
    except ValueError:
        return line
