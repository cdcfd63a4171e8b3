"""Tables → Parquet objects: Snappy, whole or not at all, the same bytes every time."""

from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakelet.model.ports import ObjectStore, ObjectWriter

CONTENT_TYPE = "application/vnd.apache.parquet"


class TableSink(Protocol):
    """One Parquet object in the making."""

    def write(self, table: pa.Table) -> None:
        """Append rows; each call may become a row group of its own."""
        ...

    def close(self) -> int:
        """The object is there, whole; its size in bytes."""
        ...

    def abort(self) -> None:
        """Nothing is there. Allowed after `close`, when it does nothing."""
        ...


class TableWriter(Protocol):
    """How Parquet is written: by pyarrow here, by awswrangler on AWS."""

    def __call__(
        self, store: ObjectStore, bucket: str, key: str, schema: pa.Schema
    ) -> TableSink: ...


def parquet_writer(store: ObjectStore, bucket: str, key: str, schema: pa.Schema) -> TableSink:
    """Straight into the store, row group by row group."""
    return _ParquetSink(store.writer(bucket, key, content_type=CONTENT_TYPE), schema)


class _ParquetSink:
    def __init__(self, target: ObjectWriter, schema: pa.Schema) -> None:
        self._target, self._schema = target, schema
        self._counted = _Counted(target)
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = self._open(table)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def _open(self, first: pa.Table) -> pq.ParquetWriter:
        return pq.ParquetWriter(
            pa.PythonFile(self._counted, mode="w"),
            self._schema,
            compression="snappy",
            use_dictionary=_dictionary_columns(first),
            write_statistics=True,
            store_schema=False,
            memory_pool=pa.system_memory_pool(),
        )

    def close(self) -> int:
        (self._writer or self._open(self._schema.empty_table())).close()
        self._target.commit()
        return self._counted.size_bytes

    def abort(self) -> None:
        self._target.abort()


_SAMPLE_ROWS = 4_096


def _dictionary_columns(first: pa.Table) -> list[str]:
    """Text and days, but not where the first rows are all distinct, as ids are: pages of them
    fall back by themselves, after the work of a dictionary was done for nothing."""
    sample = first.slice(0, _SAMPLE_ROWS)
    return [
        c.name
        for c in first.schema
        if (pa.types.is_string(c.type) or pa.types.is_date(c.type))
        and not (sample.num_rows > 1 and pc.count_distinct(sample[c.name]).as_py() == len(sample))
    ]


class _Counted:
    """The little of a Python file that Arrow's writer asks for."""

    closed = False

    def __init__(self, target: ObjectWriter) -> None:
        self._target, self.size_bytes = target, 0

    def write(self, data: Any) -> int:
        size_bytes = len(data)
        self._target.write(data)
        self.size_bytes += size_bytes
        return size_bytes

    def tell(self) -> int:
        return self.size_bytes

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
