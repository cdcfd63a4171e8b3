"""Parquet on AWS: written by awswrangler, to the key we name."""

from typing import Any

import pyarrow as pa

from lakelet.model.ports import ObjectStore
from lakelet.transform import TableSink, parquet_writer

# As `transform.parquet` writes: awswrangler's own defaults round timestamps to milliseconds
# and follow Parquet 1.0.
_PARQUET_OPTIONS = {
    "coerce_timestamps": None,
    "flavor": None,
    "version": "2.6",
    "write_statistics": True,
    "store_schema": False,
}


def wrangler_writer(session: Any = None) -> "_Wrangler":
    """A TableWriter. `session` is a boto3 session; by default boto3's own."""
    return _Wrangler(session)


class _Wrangler:
    def __init__(self, session: Any) -> None:
        self._session = session

    def __call__(self, store: ObjectStore, bucket: str, key: str, schema: pa.Schema) -> TableSink:
        return _Sink(self._session, store, bucket, key, schema)


class _Sink:
    """Nearly every object is one row group, and that awswrangler writes. It takes a whole
    data frame, so an object that comes in several is streamed, as it is everywhere else."""

    def __init__(
        self, session: Any, store: ObjectStore, bucket: str, key: str, schema: pa.Schema
    ) -> None:
        self._session, self._store = session, store
        self._bucket, self._key, self._schema = bucket, key, schema
        self._only: pa.Table | None = None
        self._streamed: TableSink | None = None

    def write(self, table: pa.Table) -> None:
        if self._streamed is None and self._only is None:
            self._only = table
            return
        if self._streamed is None:
            self._streamed = parquet_writer(self._store, self._bucket, self._key, self._schema)
            self._streamed.write(self._only)
            self._only = None
        self._streamed.write(table)

    def close(self) -> int:
        if self._streamed is not None:
            return self._streamed.close()
        self._write_whole(self._schema.empty_table() if self._only is None else self._only)
        self._only = None
        return self._store.head(self._bucket, self._key).size_bytes

    def abort(self) -> None:
        self._only = None
        if self._streamed is not None:
            self._streamed.abort()

    def _write_whole(self, table: pa.Table) -> None:
        import awswrangler as wr  # a second and a half: not before there is a row to write
        import pandas as pd

        # Arrow's own types inside the frame: NumPy's would turn a missing int into a float.
        frame = table.to_pandas(types_mapper=pd.ArrowDtype)
        wr.s3.to_parquet(
            frame,
            path=f"s3://{self._bucket}/{self._key}",
            index=False,
            compression="snappy",
            boto3_session=self._session,
            pyarrow_additional_kwargs={**_PARQUET_OPTIONS, "schema": self._schema},
        )
