"""A Parquet object's footer, fetched without the rest of it."""

import io
import struct

import pyarrow as pa
import pyarrow.parquet as pq

from lakelet.model.errors import LakeletError
from lakelet.model.ports import ObjectStore

MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")  # the footer's length, then the magic
_GUESS_SIZE_BYTES = 64 * 1024  # most footers fit: one request instead of two


class NotParquet(LakeletError):
    code = "lake.not_parquet"


def open_footer(store: ObjectStore, bucket: str, key: str) -> pq.ParquetFile:
    """Schema, row groups and row count, in one or two ranged reads; rows can't be read.

    Raises NotParquet.
    """
    size_bytes = store.head(bucket, key).size_bytes
    guess = min(size_bytes, _GUESS_SIZE_BYTES)
    tail = store.get(bucket, key, offset_bytes=size_bytes - guess, size_bytes=guess)
    if len(tail) < _TAIL.size or tail[-4:] != MAGIC:
        raise NotParquet(f"{bucket}/{key} does not end as a Parquet file")
    needed = _TAIL.unpack(tail[-_TAIL.size :])[0] + _TAIL.size
    if needed > size_bytes:
        raise NotParquet(f"{bucket}/{key} has {size_bytes} bytes, its footer alone {needed}")
    if needed > guess:
        tail = store.get(bucket, key, offset_bytes=size_bytes - needed, size_bytes=needed)
    try:
        # The reader looks from the end; what comes before the footer it does not touch.
        return pq.ParquetFile(io.BytesIO(MAGIC + tail[-needed:]))
    except (OSError, ValueError) as error:
        raise NotParquet(f"{bucket}/{key}: {error}") from error


def row_count(store: ObjectStore, bucket: str, key: str) -> int:
    rows: int = open_footer(store, bucket, key).metadata.num_rows
    return rows


def read_schema(store: ObjectStore, bucket: str, key: str) -> pa.Schema:
    # Not `metadata.schema`, which holds the metadata and is held by it: see catalog/footers.py.
    return open_footer(store, bucket, key).schema_arrow.remove_metadata()
