"""What one raw object becomes, gathered until it is worth a row group."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.layout import quarantine_key, transformed_key
from lakelet.model.manifest import Output
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectStore
from lakelet.transform.core import Transformed
from lakelet.transform.parquet import TableSink, TableWriter

# Rows wait until one output has this much, so that an object of a thousand days
# keeps few files open, and all outputs together stay within the second bound.
ROW_GROUP_SIZE_BYTES = 16 << 20
WAITING_SIZE_BYTES_MAX = 32 << 20


Item = TypeVar("Item")
Result = TypeVar("Result")


class Each(Protocol):
    """`map`, or something like it that works ahead and on several items at once."""

    def __call__(
        self, function: Callable[[Item], Result], items: Iterator[Item], /
    ) -> Iterator[Result]: ...


@dataclass(slots=True)
class _Waiting:
    output: Output
    schema: pa.Schema
    tables: list[pa.Table] = field(default_factory=list)
    size_bytes: int = 0
    rows: int = 0
    sink: TableSink | None = None


class Outputs:
    """Every Parquet object that one raw object becomes."""

    def __init__(
        self,
        store: ObjectStore,
        pipeline: Pipeline,
        raw_key: str,
        arrived_on: date,
        write_table: TableWriter,
    ) -> None:
        self._store, self._pipeline, self._write_table = store, pipeline, write_table
        self._raw_key, self._arrived_on = raw_key, arrived_on
        self._waiting: dict[tuple[str, str], _Waiting] = {}  # (bucket, key)

    def add(self, transformed: Transformed) -> None:
        for (table, day), rows in transformed.tables.items():
            key = transformed_key(table, day, self._raw_key)
            output = Output(
                self._pipeline.transformed_bucket, key, 0, 0, table=table, day=day.isoformat()
            )
            self._append(output, rows)
        for reason, rows in _by_reason(transformed.rejects):
            key = quarantine_key(reason, self._arrived_on, self._raw_key)
            self._append(Output(self._pipeline.raw_bucket, key, 0, 0, reason=reason), rows)

    def _append(self, output: Output, rows: pa.Table) -> None:
        waiting = self._waiting.setdefault(
            (output.bucket, output.key), _Waiting(output, rows.schema)
        )
        waiting.tables.append(rows)
        waiting.size_bytes += rows.nbytes
        waiting.rows += rows.num_rows
        if waiting.size_bytes >= ROW_GROUP_SIZE_BYTES:
            self._flush(waiting)
        elif sum(w.size_bytes for w in self._waiting.values()) > WAITING_SIZE_BYTES_MAX:
            self._flush(max(self._waiting.values(), key=lambda w: w.size_bytes))

    def _flush(self, waiting: _Waiting) -> TableSink:
        if waiting.sink is None:
            output = waiting.output
            waiting.sink = self._write_table(self._store, output.bucket, output.key, waiting.schema)
        if waiting.tables:
            waiting.sink.write(pa.concat_tables(waiting.tables))
        waiting.tables, waiting.size_bytes = [], 0
        return waiting.sink

    def close(self, each: Each = map) -> tuple[Output, ...]:
        """Every object is there now, in key order."""
        return tuple(each(self._close, iter([w for _, w in sorted(self._waiting.items())])))

    def _close(self, waiting: _Waiting) -> Output:
        size_bytes, planned = self._flush(waiting).close(), waiting.output
        waiting.sink = None
        return Output(
            planned.bucket,
            planned.key,
            waiting.rows,
            size_bytes,
            table=planned.table,
            day=planned.day,
            reason=planned.reason,
        )

    def abort(self) -> None:
        for waiting in self._waiting.values():
            if waiting.sink is not None:
                waiting.sink.abort()


def _by_reason(rejects: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    if not rejects.num_rows:
        return
    reasons = rejects["reason"]
    for reason in sorted(reasons.unique().to_pylist()):
        mask = pc.equal(reasons, reason)
        yield reason, rejects.filter(mask)
