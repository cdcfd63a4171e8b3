"""One question to Athena, answered as an Arrow table."""

import time
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lakelet.model.errors import LakeletError, Outcome

POLL_SECONDS = 0.5
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class QueryFailed(LakeletError):
    """Athena ended it; the message is Athena's own."""

    code = "aws.query_failed"


class QueryTimedOut(LakeletError):
    code = "aws.query_timed_out"
    outcome = Outcome.UNKNOWN


def run_query(
    athena: Any,
    sql: str,
    *,
    database: str,
    workgroup: str,
    pause: Callable[[float], None] = time.sleep,
    wait_seconds: float = 1800.0,
) -> pa.Table:
    """Columns in the query's own types; what Arrow has no word for stays text.

    Raises:
        QueryFailed; QueryTimedOut: it may still be running.
    """
    execution = athena.start_query_execution(
        QueryString=sql, QueryExecutionContext={"Database": database}, WorkGroup=workgroup
    )["QueryExecutionId"]
    waited = 0.0
    while True:
        status = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
        if status["State"] in ENDED:
            break
        if waited >= wait_seconds:
            raise QueryTimedOut(
                f"Query {execution} still runs after {wait_seconds:g} s.",
                hint=f"aws athena get-query-execution --query-execution-id {execution}",
            )
        pause(POLL_SECONDS)
        waited += POLL_SECONDS
    if status["State"] != "SUCCEEDED":
        raise QueryFailed(
            status.get("StateChangeReason", f"The query was {status['State'].lower()}."),
            hint=f"Query execution {execution}, workgroup {workgroup}.",
        )
    return _table(_pages(athena, execution))


def _pages(athena: Any, execution: str) -> Iterator[dict[str, Any]]:
    request: dict[str, Any] = {"QueryExecutionId": execution}
    while True:
        page = athena.get_query_results(**request)
        yield page
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def _table(pages: Iterator[dict[str, Any]]) -> pa.Table:
    columns: list[tuple[str, str]] = []
    rows: list[list[str | None]] = []
    for number, page in enumerate(pages):
        found = page["ResultSet"]
        if number == 0:
            described = found.get("ResultSetMetadata", {}).get("ColumnInfo", [])
            columns = [(one["Name"], one["Type"]) for one in described]
        values = [[cell.get("VarCharValue") for cell in row["Data"]] for row in found["Rows"]]
        # The first row of a SELECT's first page is its header; DDL has none.
        is_header = number == 0 and values and values[0] == [name for name, _ in columns]
        rows += values[1:] if is_header else values
    by_column = list(zip(*rows, strict=True)) or [()] * len(columns)
    arrays = [_array(cells, kind) for cells, (_, kind) in zip(by_column, columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=[name for name, _ in columns])


_READERS: dict[str, tuple[pa.DataType, Callable[[str], Any]]] = {
    "tinyint": (pa.int8(), int),
    "smallint": (pa.int16(), int),
    "integer": (pa.int32(), int),
    "int": (pa.int32(), int),
    "bigint": (pa.int64(), int),
    "float": (pa.float32(), float),
    "double": (pa.float64(), float),
    "boolean": (pa.bool_(), lambda text: text.lower() == "true"),
    "date": (pa.date32(), date.fromisoformat),
    "timestamp": (pa.timestamp("us"), datetime.fromisoformat),
}


def _array(cells: tuple[str | None, ...], kind: str) -> pa.Array:
    if kind == "decimal":
        return pa.array([None if cell is None else Decimal(cell) for cell in cells])
    arrow, read = _READERS.get(kind, (pa.string(), str))
    return pa.array([None if cell is None else read(cell) for cell in cells], arrow)
