"""Answers of queries as typed Arrow tables, a few of them at hand for paging and charts."""

import threading
from collections import OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.types

from lakelet.model.errors import LakeletError

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

KEPT_BYTES_MAX = 512_000_000
PAGE_ROWS_MAX = 1_000

_TYPES = {
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ms"),
}


class ResultGone(LakeletError):
    """A query's answer cannot be read (any more)."""

    code = "console.result"
    http_status = 404


class Results:
    """Tables by execution id; the least used go first. Any thread may call."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._lock = threading.Lock()
        self._tables: OrderedDict[str, Any] = OrderedDict()

    def table(self, execution_id: str) -> Any:
        """The whole answer.

        Raises:
            ResultGone; InvalidRequest for an unknown id.
        """
        with self._lock:
            if execution_id in self._tables:
                self._tables.move_to_end(execution_id)
                return self._tables[execution_id]
        table = self._read(execution_id)
        with self._lock:
            self._tables[execution_id] = table
            while len(self._tables) > 1 and self._kept_bytes() > KEPT_BYTES_MAX:
                self._tables.popitem(last=False)
        return table

    def _kept_bytes(self) -> int:
        return sum(int(table.nbytes) for table in self._tables.values())

    def page(self, execution_id: str, start: int, end: int) -> dict[str, Any]:
        """Rows [start, end) as texts by column name, and how many there are."""
        table = self.table(execution_id)
        end = min(end, start + PAGE_ROWS_MAX)
        part = table.slice(start, max(0, end - start))
        columns = [column.to_pylist() for column in part.columns]
        rows = [
            {f"c{i}": shown(column[row]) for i, column in enumerate(columns)}
            for row in range(part.num_rows)
        ]
        return {"rows": rows, "total": table.num_rows}

    def _read(self, execution_id: str) -> Any:
        execution = self._node.engine.get(execution_id)
        if execution["Status"]["State"] != "SUCCEEDED":
            raise ResultGone(
                f"Query {execution_id} is {execution['Status']['State']}: it has no answer.",
                hint="Run it again.",
            )
        first = self._node.engine.results(execution_id, max_results=2)
        columns = first["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        location = execution["ResultConfiguration"]["OutputLocation"]
        if not columns or not location.endswith(".csv"):
            rows = first["ResultSet"]["Rows"]
            lines = [row["Data"][0].get("VarCharValue", "") for row in rows]
            return pa.table({"result": pa.array(lines, pa.string())})
        bucket, _, key = location.removeprefix("s3://").partition("/")
        # Two columns may share a name; positions cannot.
        names = [f"c{i}" for i in range(len(columns))]
        types = {n: _TYPES.get(c["Type"], pa.string()) for n, c in zip(names, columns, strict=True)}
        with self._node.store.open(bucket, key) as file:
            table = pa.csv.read_csv(
                file,
                read_options=pa.csv.ReadOptions(column_names=names, skip_rows=1),
                parse_options=pa.csv.ParseOptions(newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(
                    column_types=types,
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=[""],
                ),
            )
        return table.rename_columns([column["Name"] for column in columns])


def shown(value: Any) -> str | None:
    """As a cell shows it; None is NULL."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")  # as Athena writes it
    return str(value)


def is_numeric(kind: Any) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )
