"""Many Parquet objects of one day into one, and that one without some of them again.

A merged object is its parts laid end to end, in order; the compaction's entry has each
part's row count, so a part can be cut out by counting.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakelet.lake.footer import read_schema
from lakelet.lake.ledger import Compaction, Part
from lakelet.model.layout import compacted_key, compaction_key
from lakelet.model.manifest import Output
from lakelet.model.ports import ObjectStore
from lakelet.transform import parquet_writer

# Rows gathered until they make a row group worth pruning by.
ROW_GROUP_SIZE_BYTES = 64 << 20

# Rows of one part → those to keep.
Keep = Callable[[pa.Table, Part], pa.Table]


def keep_all(rows: pa.Table, part: Part) -> pa.Table:  # noqa: ARG001
    return rows


@dataclass(frozen=True, slots=True)
class Source:
    """One object to merge, and the parts it holds: itself, or what was merged into it."""

    key: str
    size_bytes: int
    parts: tuple[Part, ...]
    entry_key: str = ""  # of the compaction that made it


def merge(
    store: ObjectStore,
    bucket: str,
    table: str,
    day: date,
    sources: Sequence[Source],
    *,
    now: datetime,
    keep: Keep = keep_all,
    without: frozenset[str] = frozenset(),
) -> Compaction | None:
    """Write the merged object and its entry, delete what went in; through a `Staging`.

    Args:
        keep: drops rows of a part: duplicates of earlier parts.
        without: raw keys whose parts are left out.
    Returns:
        The entry; None where nothing was left to merge.
    """
    parts = [p for source in sources for p in source.parts if p.raw_key not in without]
    for source in sources:
        if source.entry_key:
            store.delete(bucket, source.entry_key)
    made = _write(store, bucket, table, day, sources, parts, now, keep, without) if parts else None
    for source in sources:
        if made is None or source.key != made.output.key:
            store.delete(bucket, source.key)
    return made


def _write(
    store: ObjectStore,
    bucket: str,
    table: str,
    day: date,
    sources: Sequence[Source],
    parts: Sequence[Part],
    now: datetime,
    keep: Keep,
    without: frozenset[str],
) -> Compaction:
    name = hashlib.sha256("\n".join(part.key for part in parts).encode()).hexdigest()[:24]
    key = compacted_key(table, day, name)
    schema = common_schema([read_schema(store, bucket, source.key) for source in sources])
    sink = parquet_writer(store, bucket, key, schema)
    kept: list[Part] = []
    waiting: list[pa.Table] = []
    try:
        for part, rows in read_parts(store, bucket, sources):
            if part.raw_key in without:
                continue
            chosen = keep(rows, part)
            # Kept rows of an earlier merge may be fewer than the original file's.
            kept.append(Part(part.raw_key, part.key, part.rows, chosen.num_rows))
            waiting.append(aligned(chosen, schema))
            if sum(rows.nbytes for rows in waiting) >= ROW_GROUP_SIZE_BYTES:
                sink.write(pa.concat_tables(waiting))
                waiting = []
        sink.write(pa.concat_tables(waiting) if waiting else schema.empty_table())
        size_bytes = sink.close()
    except BaseException:
        sink.abort()
        raise
    rows = sum(part.kept for part in kept)
    output = Output(bucket, key, rows, size_bytes, table=table, day=day.isoformat())
    entry = Compaction(table, day.isoformat(), output, tuple(kept), now.isoformat())
    store.put(bucket, entry_key(entry), entry.encode(), content_type="application/json")
    return entry


def entry_key(entry: Compaction) -> str:
    return compaction_key(entry.table, date.fromisoformat(entry.day), entry.output.key)


def source_of(entry: Compaction) -> Source:
    return Source(entry.output.key, entry.output.size_bytes, entry.parts, entry_key(entry))


def read_parts(
    store: ObjectStore, bucket: str, sources: Sequence[Source]
) -> Iterator[tuple[Part, pa.Table]]:
    """Each part's rows; one object in memory at a time."""
    for source in sources:
        rows = pq.ParquetFile(BytesIO(store.get(bucket, source.key))).read()
        at = 0
        for part in source.parts:
            yield part, rows.slice(at, part.kept)
            at += part.kept


def common_schema(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Every column of any, the newest's order first. Raises pa.ArrowTypeError on a clash."""
    return pa.unify_schemas(list(reversed(schemas)))


def aligned(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows with every column of `schema`; NULL where they had none."""
    columns: list[Any] = [
        rows.column(field.name)
        if field.name in rows.schema.names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
