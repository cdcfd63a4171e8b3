"""A query's tree to Arrow batches: planned, executed, and planned again if files moved."""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from lakelet.model.ports import Clock
from lakelet.query.errors import FilesMoved, QueryCancelled, QueryFailed
from lakelet.query.failures import translate
from lakelet.query.plan import Plan, Planner
from lakelet.query.sandbox import Sandbox
from lakelet.query.types import quote

_BATCH_ROWS = 65_536
_INTERRUPTS_MAX = 100
_INTERRUPT_SECONDS = 0.05
# Measured: binding costs some 80 µs a file.
_FILES_BOUND_TWICE_MAX = 16
_SMALL_ROWS_MAX = 100_000
_PLAN_ATTEMPTS_MAX = 5  # each after files moved under a running query


@dataclass
class Run:
    """A query under way: what stops it, and what it has measured so far."""

    cutoff_bytes: int | None = None
    cancelled: bool = False
    cursor: duckdb.DuckDBPyConnection | None = None
    statistics: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Stop it, and return once it has stopped, or after a few seconds.

        DuckDB forgets an interrupt that comes before its query has begun, so the word
        is said again until it is heard.
        """
        self.cancelled = True
        for _ in range(_INTERRUPTS_MAX):
            with self.lock:
                if self.cursor is not None:
                    self.cursor.interrupt()
            if self.ended.wait(_INTERRUPT_SECONDS):
                return

    def check(self) -> None:
        if self.cancelled:
            raise QueryCancelled("Query cancelled by user")


class Runner:
    """Runs trees in the sandbox."""

    def __init__(self, planner: Planner, sandbox: Sandbox, clock: Clock) -> None:
        self._planner = planner
        self._sandbox = sandbox
        self._clock = clock

    def plan(self, tree: exp.Expr, database: str, run: Run) -> Plan:
        """Plan, and note in `run` how long it took and what will be read.

        Raises:
            QueryFailed; QueryCancelled: it would read more than its cutoff; FilesMoved.
        """
        began = self._clock.monotonic()
        plan = self._planner.plan(tree, database, now=self._clock.now())
        run.statistics["QueryPlanningTimeInMillis"] = int((self._clock.monotonic() - began) * 1_000)
        if run.cutoff_bytes is not None and plan.scanned_bytes > run.cutoff_bytes:
            # Known before anything is read, so nothing is scanned and nothing billed.
            raise QueryCancelled(
                f"Query cancelled! : Bytes scanned limit was exceeded: the query reads "
                f"{plan.scanned_bytes} bytes, its workgroup allows {run.cutoff_bytes}"
            )
        return plan

    @contextmanager
    def answer(
        self,
        tree: exp.Expr,
        database: str,
        run: Run,
        casts: Sequence[tuple[str, str]] | None = None,
    ) -> Iterator[pa.RecordBatchReader]:
        """The answer's batches, as DuckDB makes them.

        A plan holds a list of files. If compaction or a replay takes one of these before
        it is opened, nothing of the answer has been used yet, and the query is planned
        afresh: the reader never sees half of a change.

        Args:
            casts: (name, DuckDB type) of each column that is wanted, by position.
        """
        cursor = self._sandbox.cursor()
        try:
            reader = self._start(cursor, tree, database, run, casts)
            with self._guard(tree, run):
                yield reader
        finally:
            with run.lock:
                run.cursor = None
            cursor.close()

    def _start(
        self,
        cursor: duckdb.DuckDBPyConnection,
        tree: exp.Expr,
        database: str,
        run: Run,
        casts: Sequence[tuple[str, str]] | None,
    ) -> pa.RecordBatchReader:
        for _ in range(_PLAN_ATTEMPTS_MAX - 1):
            try:
                return self._execute(cursor, tree, database, run, casts)
            except FilesMoved:
                run.check()
        return self._execute(cursor, tree, database, run, casts)

    def _execute(
        self,
        cursor: duckdb.DuckDBPyConnection,
        tree: exp.Expr,
        database: str,
        run: Run,
        casts: Sequence[tuple[str, str]] | None,
    ) -> pa.RecordBatchReader:
        plan = self.plan(tree, database, run)
        for name, table in plan.registered.items():
            cursor.register(name, table)
        with run.lock:
            run.check()
            run.cursor = cursor
        run.statistics["DataScannedInBytes"] = plan.scanned_bytes
        run.statistics["InputRows"] = plan.input_rows
        with self._guard(tree, run):
            if casts is None and plan.file_count > _FILES_BOUND_TWICE_MAX and _is_small(tree):
                return _execute_whole(cursor, plan.sql)
            relation = cursor.sql(plan.sql)
            if casts is not None:
                relation = relation.project(_project(relation, casts))
            elif any(str(kind) in _WIDE for kind in relation.types):
                relation = relation.project(_project(relation, _narrowed(relation)))
            return relation.to_arrow_reader(_BATCH_ROWS)

    @contextmanager
    def _guard(self, tree: exp.Expr, run: Run) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise translate(error, tree, self._sandbox.root) from error
        except (pa.ArrowException, OSError) as error:
            # An error inside a batch reaches us through Arrow's reader, as text.
            run.check()
            raise translate_text(str(error), tree, self._sandbox.root) from error

    def explain(self, tree: exp.Expr, database: str, *, analyze: bool, run: Run) -> str:
        """DuckDB's plan as text; with `analyze` the query is run and its operators timed."""
        plan = self.plan(tree, database, run)
        cursor = self._sandbox.cursor()
        try:
            for name, table in plan.registered.items():
                cursor.register(name, table)
            verb = "EXPLAIN ANALYZE" if analyze else "EXPLAIN"
            with self._guard(tree, run):
                rows = cursor.execute(f"{verb} {plan.sql}").fetchall()
        finally:
            cursor.close()
        if analyze:
            run.statistics["DataScannedInBytes"] = plan.scanned_bytes
        scans = [
            f"scan {scan.name}: {scan.partition_count} partitions, {scan.file_count} files, "
            f"{scan.scanned_bytes} bytes"
            for scan in plan.scans
        ]
        return "\n".join([*scans, *(str(row[-1]) for row in rows)])


def _is_small(tree: exp.Expr) -> bool:
    """Whether an answer is sure to fit in memory, whatever is read for it: a few rows, or
    one for each group."""
    limit = tree.args.get("limit")
    if isinstance(limit, exp.Limit) and isinstance(limit.expression, exp.Literal):
        return int(limit.expression.this) <= _SMALL_ROWS_MAX
    if not isinstance(tree, exp.Select):
        return False
    return bool(tree.args.get("group")) or any(
        item.find(exp.AggFunc) and not item.find(exp.Window) for item in tree.expressions
    )


def _execute_whole(cursor: duckdb.DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
    """An answer kept in memory as a whole.

    A relation streams, but DuckDB binds its query twice, and looks at each file both
    times; over thousands of files that is a good part of a short query's time.
    """
    with warnings.catch_warnings():
        # DuckDB points out the copy; it is what is wanted here.
        warnings.simplefilter("ignore", UserWarning)
        reader: pa.RecordBatchReader = cursor.execute(sql).to_arrow_reader(_BATCH_ROWS)
    wide = [str(column[1]) in _WIDE for column in cursor.description or ()]
    if not any(wide):
        return reader
    schema = pa.schema(
        [
            pa.field(item.name, pa.int64()) if is_wide else item
            for item, is_wide in zip(reader.schema, wide, strict=True)
        ]
    )
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in reader))


# DuckDB sums integers into 128 bits, where Athena's sum is a bigint.
_WIDE = frozenset(("HUGEINT", "UHUGEINT", "UBIGINT"))


def _narrowed(relation: duckdb.DuckDBPyRelation) -> list[tuple[str, str]]:
    return [
        (name, "BIGINT" if str(kind) in _WIDE else "")
        for name, kind in zip(relation.columns, relation.types, strict=True)
    ]


def _project(relation: duckdb.DuckDBPyRelation, casts: Sequence[tuple[str, str]]) -> str:
    """By position: an answer may have two columns of one name."""
    if len(casts) != len(relation.columns):
        raise QueryFailed(
            "TYPE_MISMATCH",
            f"Insert query has {len(relation.columns)} columns, the table takes {len(casts)}",
        )
    return ", ".join(
        f"CAST(#{index} AS {kind}) AS {quote(name)}" if kind else f"#{index} AS {quote(name)}"
        for index, (name, kind) in enumerate(casts, 1)
    )


def translate_text(text: str, tree: exp.Expr, root: str) -> Exception:
    """An error that lost its class on the way: DuckDB's text still names the kind."""
    kinds = {
        "Conversion Error": duckdb.ConversionException,
        "Out of Range Error": duckdb.OutOfRangeException,
        "Invalid Input Error": duckdb.InvalidInputException,
        "Out of Memory Error": duckdb.OutOfMemoryException,
        "IO Error": duckdb.IOException,
        "INTERRUPT": duckdb.InterruptException,
    }
    kind = next((kind for words, kind in kinds.items() if words in text), duckdb.Error)
    start = min((text.find(words) for words in kinds if words in text), default=0)
    return translate(kind(text[start:]), tree, root)
