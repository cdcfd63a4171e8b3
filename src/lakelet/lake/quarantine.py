"""The quarantine: what could not become a row, read, summarised and chosen from by SQL."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakelet.model.errors import LakeletError
from lakelet.model.layout import QUARANTINE_PREFIX
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectStore
from lakelet.model.schema import QUARANTINE_SCHEMA
from lakelet.model.swap import read_view

SAMPLE_SIZE_BYTES_MAX = 300
_BATCH_ROWS = 50_000  # rows asked about at once: enough to make the asking cheap

# What a condition can speak of: the table's columns, and the day of arrival as a date.
CONDITION_COLUMNS = (*QUARANTINE_SCHEMA.names, "year", "month", "day")

Predicate = Callable[[pa.Table], pa.Array]


class ConditionRefused(LakeletError):
    """A `--where` that is no condition on the quarantine table."""

    code = "lake.condition_refused"
    aws_code = "InvalidRequestException"
    http_status = 400


@dataclass(slots=True)
class Reason:
    """What was rejected for one reason, with a sample of it."""

    reason: str
    count: int = 0
    objects: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    fields: Counter[str] = field(default_factory=Counter)
    sample: bytes = b""
    sample_message: str = ""
    sample_source: str = ""

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "reason": self.reason,
            "count": self.count,
            "objects": self.objects,
            "first_at": self.first_at.isoformat() if self.first_at else None,
            "last_at": self.last_at.isoformat() if self.last_at else None,
            "fields": dict(self.fields.most_common(10)),
            "sample": self.sample.decode("utf-8", "backslashreplace"),
            "message": self.sample_message,
            "source": self.sample_source,
        }


def read_rejects(
    store: ObjectStore, pipeline: Pipeline, where: Predicate | None = None
) -> Iterator[pa.Table]:
    """Rejects as a reader sees them now, QUARANTINE_SCHEMA, in batches; by reason, then day."""
    batch: list[pa.Table] = []
    for rejects in _files(store, pipeline):
        batch.append(rejects)
        if sum(table.num_rows for table in batch) >= _BATCH_ROWS:
            yield from _chosen(batch, where)
            batch = []
    yield from _chosen(batch, where)


def _files(store: ObjectStore, pipeline: Pipeline) -> Iterator[pa.Table]:
    bucket = pipeline.raw_bucket
    view = read_view(store, pipeline.transformed_bucket)
    for info in view.visible(bucket, store.list(bucket, QUARANTINE_PREFIX), QUARANTINE_PREFIX):
        data = store.get(*view.resolve(bucket, info.key))
        yield pq.ParquetFile(BytesIO(data)).read().select(QUARANTINE_SCHEMA.names)


def _chosen(batch: list[pa.Table], where: Predicate | None) -> Iterator[pa.Table]:
    if not batch:
        return
    rejects = pa.concat_tables(batch).cast(QUARANTINE_SCHEMA)
    if where is not None:
        rejects = rejects.filter(where(rejects))
    if rejects.num_rows:
        yield rejects


def summarise(rejects: Iterator[pa.Table]) -> list[Reason]:
    """One entry a reason, most frequent first."""
    reasons: dict[str, Reason] = {}
    objects: dict[str, set[str]] = {}
    for table in rejects:
        for name in table["reason"].unique().to_pylist():
            rows = table.filter(pc.equal(table["reason"], name))
            found = reasons.setdefault(name, _begin(name, rows))
            found.count += rows.num_rows
            objects.setdefault(name, set()).update(rows["source_key"].unique().to_pylist())
            ends = pc.min_max(rows["received_at"]).as_py()
            found.first_at = min(found.first_at or ends["min"], ends["min"])
            found.last_at = max(found.last_at or ends["max"], ends["max"])
            for entry in rows["field"].drop_null().value_counts().to_pylist():
                found.fields[entry["values"]] += entry["counts"]
    for name, found in reasons.items():
        found.objects = len(objects[name])
    return sorted(reasons.values(), key=lambda found: (-found.count, found.reason))


def _begin(name: str, rows: pa.Table) -> Reason:
    first = rows.slice(0, 1).to_pylist()[0]
    return Reason(
        name,
        sample=first["raw"][:SAMPLE_SIZE_BYTES_MAX],
        sample_message=first["message"],
        sample_source=f"{first['source_key']} at byte {first['offset_bytes']}",
    )


def sources(rejects: Iterator[pa.Table]) -> dict[str, Counter[str]]:
    """Raw key → how many rejects of each reason."""
    found: dict[str, Counter[str]] = {}
    for table in rejects:
        counted = table.group_by(["source_key", "reason"]).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            found.setdefault(row["source_key"], Counter())[row["reason"]] += row["count_all"]
    return found


# --- a condition, as people write it ------------------------------------------------------


def compile_condition(text: str) -> Predicate:
    """SQL on the quarantine table's columns, as Athena writes it, made into a filter.

    `year`, `month` and `day` are the arrival's; `day` is a whole date as text, so that
    `day >= '2026-03-01'` means what it says.

    Raises ConditionRefused, which points at what is not understood.
    """
    import sqlglot
    from sqlglot import exp

    try:
        parsed = sqlglot.parse_one(f"SELECT 1 WHERE {text}", read="athena")
    except sqlglot.errors.SqlglotError as error:
        problem = str(error).split("\n")[0]
        raise ConditionRefused(f"{text!r} is no condition: {problem}", hint=_hint(())) from error
    where = parsed.args.get("where") if isinstance(parsed, exp.Select) else None
    extra = [
        name
        for name, value in parsed.args.items()
        if value and name not in ("where", "expressions", "kind")
    ]
    if where is None or extra or parsed.find(exp.Subquery, exp.Table) is not None:
        raise ConditionRefused(f"{text!r} is more than a condition", hint=_hint(()))
    condition = where.this
    for column in condition.find_all(exp.Column):
        name = column.name.lower()
        if name not in CONDITION_COLUMNS or column.table:
            raise ConditionRefused(
                f"the quarantine has no column {column.sql()!r}", hint=_hint(CONDITION_COLUMNS)
            )
    return _Condition(condition.sql(dialect="duckdb"), text)


def _hint(columns: Sequence[str]) -> str:
    known = f" Columns: {', '.join(columns)}." if columns else ""
    return f"For example: --where \"reason = 'type' AND day >= '2026-03-01'\".{known}"


_SANDBOX: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "lock_configuration": True,
    "threads": 1,
}


class _Condition:
    """Asks DuckDB, which is given the rows and no way to anything else."""

    def __init__(self, sql: str, text: str) -> None:
        self._sql, self._text = sql, text

    def __call__(self, rejects: pa.Table) -> pa.Array:
        import duckdb

        arrived = rejects["received_at"]
        parts: Mapping[str, str] = {"year": "%Y", "month": "%m", "day": "%Y-%m-%d"}
        for name, pattern in parts.items():
            rejects = rejects.append_column(name, pc.strftime(arrived, format=pattern))
        question = (
            f"SELECT coalesce(CAST(({self._sql}) AS boolean), false) AS chosen FROM quarantine"
        )
        with duckdb.connect(":memory:", config=dict(_SANDBOX)) as connection:
            connection.register("quarantine", rejects)
            try:
                answer: pa.Table = connection.sql(question).to_arrow_table()
            except duckdb.Error as error:
                raise ConditionRefused(
                    f"{self._text!r} cannot be asked: {str(error).splitlines()[0]}",
                    hint=_hint(CONDITION_COLUMNS),
                ) from error
        return answer.column("chosen").combine_chunks()


def on_day(day: date) -> Predicate:
    """Rejects that arrived on one day."""
    return compile_condition(f"day = '{day.isoformat()}'")
