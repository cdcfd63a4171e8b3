"""The query engine: StartQueryExecution to GetQueryResults, without HTTP and threads."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pyarrow as pa

from lakelet.catalog import Catalog
from lakelet.catalog.db import Database
from lakelet.catalog.tags import Tags
from lakelet.model.errors import BucketNotFound, LakeletError, ObjectNotFound
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import Clock, ObjectStore
from lakelet.query.errors import InvalidRequest, QueryCancelled, QueryFailed
from lakelet.query.executions import (
    CANCELLED,
    FAILED,
    RUNNING,
    SUCCEEDED,
    Executions,
    Shape,
    new_id,
)
from lakelet.query.files import PlainFiles
from lakelet.query.parse import QUERY_BYTES_MAX
from lakelet.query.perform import Outcome, Performer, answer_location
from lakelet.query.plan import Planner
from lakelet.query.results import (
    ROWS_MAX,
    Place,
    read_csv_page,
    read_lines_page,
    shape_rows,
)
from lakelet.query.running import Run, Runner
from lakelet.query.sandbox import Sandbox
from lakelet.query.saved import SavedQueries
from lakelet.query.state import STATE_SCHEMA
from lakelet.query.statement import UTILITY, Statement
from lakelet.query.statements import read_statement
from lakelet.query.workgroups import ENGINE, PRIMARY, Workgroups

DEFAULT_DATABASE = "default"


class QueryEngine:
    """Athena's operations on one catalog and one store.

    `start` only writes an execution down; who owns the threads calls `run` with its
    id. Any method may be called from any thread.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        state_path: Path | str,
        clock: Clock,
        *,
        results_bucket: str,
        default_database: str = DEFAULT_DATABASE,
        folders: Sequence[Path] | None = None,
        journal_buckets: Sequence[str] = (),
        threads: int | None = None,
        memory_limit: str | None = None,
        spill_folder: Path | None = None,
    ) -> None:
        """
        Args:
            store: its objects must be plain files (`path(bucket, key)`).
            state_path: of the SQLite file; may be ":memory:".
            results_bucket: where answers go if neither client nor workgroup says.
            default_database: where names are looked up if a client names no database.
                Athena's is `default`; a node's is its pipeline's, which is what is meant.
            folders: what DuckDB may read; by default the folder of all buckets.
            journal_buckets: see `Planner`.
        """
        self._catalog = catalog
        self._store = store
        self._clock = clock
        self._default_database = default_database
        self._db = Database(state_path, STATE_SCHEMA)
        self._executions = Executions(self._db, clock)
        self.tags = Tags(self._db)
        self.saved = SavedQueries(self._db, clock)
        self.workgroups = Workgroups(self._db, clock, results_bucket)
        plain = cast("PlainFiles", store)
        self._sandbox = Sandbox(
            folders or [plain.path(results_bucket, "x").parent.parent],
            threads=threads,
            memory_limit=memory_limit,
            spill_folder=spill_folder,
        )
        planner = Planner(catalog, store, self._sandbox.cursor, journal_buckets)
        runner = Runner(planner, self._sandbox, clock)
        self._performer = Performer(catalog, store, runner, self.saved)
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._sandbox.close()
        self._db.close()

    def ensure_workgroup(self, pipeline: Pipeline) -> None:
        """The workgroup that a declaration asks for: its own results prefix, enforced."""
        configuration: Shape = {
            "EnforceWorkGroupConfiguration": True,
            "ResultConfiguration": {
                "OutputLocation": f"s3://{pipeline.results_bucket}/{pipeline.workgroup_name}/"
            },
        }
        if pipeline.workgroup.bytes_scanned_cutoff:
            configuration["BytesScannedCutoffPerQuery"] = pipeline.workgroup.bytes_scanned_cutoff
        self.workgroups.ensure(
            pipeline.workgroup_name, configuration, f"Queries of the pipeline {pipeline.name}."
        )

    # --- executions -------------------------------------------------------------------

    def start(
        self,
        sql: str,
        *,
        database: str | None = None,
        catalog: str | None = None,
        workgroup: str | None = None,
        output_location: str | None = None,
        token: str | None = None,
        parameters: Sequence[str] = (),
        reuse_max_age_minutes: int | None = None,
    ) -> str:
        """Queue a query and return its id. Raises InvalidRequest.

        Text that can't be read is queued too: it ends FAILED with its SYNTAX_ERROR.
        """
        if len(sql.encode()) > QUERY_BYTES_MAX:
            raise InvalidRequest(
                f"The query is {len(sql.encode())} bytes, more than {QUERY_BYTES_MAX}.",
                hint="Put long lists into a table and join it.",
            )
        if not sql.strip():
            raise InvalidRequest("The query is empty.")
        workgroup = workgroup or PRIMARY
        limits = self.workgroups.limits(workgroup, output_location)
        identity = new_id()
        statement = _read(sql)
        body: Shape = {
            "QueryExecutionId": identity,
            "Query": sql,
            "StatementType": statement.type if statement else "DML",
            "SubstatementType": statement.kind if statement else None,
            "ResultConfiguration": {
                "OutputLocation": answer_location(statement, limits.output_location, identity)
            },
            "ResultReuseConfiguration": {
                "ResultReuseByAgeConfiguration": {
                    "Enabled": reuse_max_age_minutes is not None,
                    "MaxAgeInMinutes": reuse_max_age_minutes,
                }
            },
            "QueryExecutionContext": {
                # awswrangler sends it in backticks for DDL.
                "Database": (database or self._default_database).strip('`"').lower(),
                "Catalog": (catalog or "awsdatacatalog").lower(),
            },
            "WorkGroup": workgroup,
            "EngineVersion": ENGINE,
            "ExecutionParameters": list(parameters) or None,
        }
        return self._executions.add(body, token)

    def run(self, execution_id: str) -> str:
        """Carry an execution out, blocking; returns the state it ended in. Never raises for
        what is the query's own fault."""
        if not self._executions.begin(execution_id):
            return self._executions.state(execution_id)
        started = self._clock.monotonic()
        body = self._executions.get(execution_id)
        submitted_at = body["Status"]["SubmissionDateTime"]
        queued_ms = max(0, int((self._clock.now() - submitted_at).total_seconds() * 1_000))
        with self._running(execution_id) as run:
            run.statistics["QueryQueueTimeInMillis"] = queued_ms
            try:
                if self._reuse(body, run, started):
                    return SUCCEEDED
                limits = self.workgroups.limits(body["WorkGroup"], None)
                run.cutoff_bytes = limits.cutoff_bytes
                outcome = self._performer.perform(body, run)
            except QueryCancelled as error:
                self._end(execution_id, CANCELLED, run, started, reason=error.message)
            except QueryFailed as error:
                self._end(execution_id, FAILED, run, started, reason=error.reason, error=error)
            except LakeletError as error:
                failed = QueryFailed("GENERIC_INTERNAL_ERROR", error.message)
                self._end(execution_id, FAILED, run, started, reason=failed.reason, error=failed)
            except Exception as error:
                failed = QueryFailed("GENERIC_INTERNAL_ERROR", f"{type(error).__name__}: {error}")
                self._end(execution_id, FAILED, run, started, reason=failed.reason, error=failed)
                raise
            else:
                self._end(execution_id, SUCCEEDED, run, started, outcome=outcome)
                if outcome.file == "csv":
                    self._executions.offer(execution_id)
        return self._executions.state(execution_id)

    def cancel(self, execution_id: str) -> None:
        """Stop a query that is queued or running; one that has ended stays as it is."""
        if self._executions.cancel(execution_id) != RUNNING:
            return
        with self._lock:
            run = self._runs.get(execution_id)
        if run is not None:
            run.cancel()

    def runtime_statistics(self, execution_id: str) -> Shape:
        """GetQueryRuntimeStatistics' `QueryRuntimeStatistics`. Raises InvalidRequest."""
        statistics = self.get(execution_id).get("Statistics") or {}
        inside = self._executions.inside(execution_id)
        timeline = {key: value for key, value in statistics.items() if key.endswith("InMillis")}
        return {
            "Timeline": timeline,
            "Rows": {
                "InputRows": inside.get("input_rows", 0),
                "InputBytes": statistics.get("DataScannedInBytes", 0),
                "OutputRows": inside.get("rows", 0),
                "OutputBytes": inside.get("output_bytes", 0),
            },
        }

    def get(self, execution_id: str) -> Shape:
        """A `QueryExecution` structure. Raises InvalidRequest."""
        return self._executions.get(execution_id)

    def list_executions(
        self,
        workgroup: str | None = None,
        token: str | None = None,
        max_results: int | None = None,
    ) -> tuple[list[str], str | None]:
        workgroup = workgroup or PRIMARY
        self.workgroups.get(workgroup)
        return self._executions.newest(workgroup, token, max_results)

    def recover(self) -> list[str]:
        """Call once after a restart, before any `run`; returns the ids still to be run."""
        self._executions.forget_old()
        return self._executions.recover()

    # --- answers ----------------------------------------------------------------------

    def results(
        self, execution_id: str, token: str | None = None, max_results: int | None = None
    ) -> Shape:
        """GetQueryResults: a page of the answer, its first row the header for a SELECT.

        Raises:
            InvalidRequest: not SUCCEEDED, or its file has expired.
        """
        execution = self.get(execution_id)
        state = execution["Status"]["State"]
        if state != SUCCEEDED:
            raise InvalidRequest(
                f"Query did not finish successfully. Final query state: {state}"
                if state in (FAILED, CANCELLED)
                else f"Query has not yet finished. Current state: {state}",
                hint="Ask GetQueryExecution for its state first.",
            )
        inside = self._executions.inside(execution_id)
        place = Place.of(execution["ResultConfiguration"]["OutputLocation"])
        rows_max = min(max_results or ROWS_MAX, ROWS_MAX)
        rows: list[list[str | None]] = []
        following = None
        if inside.get("file") == "csv":
            rows, following = read_csv_page(self._store, place, token, rows_max)
        elif inside.get("file") == "txt":
            rows, following = read_lines_page(self._store, place, token, rows_max)
        return {
            "UpdateCount": inside.get("update_count", 0),
            "ResultSet": {
                "Rows": shape_rows(rows),
                "ResultSetMetadata": {"ColumnInfo": inside.get("columns", [])},
            },
            "NextToken": following,
        }

    def query_arrow(
        self, sql: str, *, database: str | None = None, parameters: Sequence[str] = ()
    ) -> pa.Table:
        """A query's answer as Arrow, with no execution kept and no file written.

        Raises:
            QueryFailed: with what Athena would give as StateChangeReason.
        """
        return self._performer.arrow(
            sql, (database or DEFAULT_DATABASE).lower(), Run(), list(parameters)
        )

    def gives_table(self, sql: str) -> bool:
        """Whether `query_arrow` answers it: SELECT, EXPLAIN, SHOW, DESCRIBE and DDL. The
        others (CTAS, INSERT, UNLOAD) write, and need an execution. Raises QueryFailed."""
        statement = read_statement(sql)
        return statement.kind in ("SELECT", "EXPLAIN") or statement.type == UTILITY

    def estimate(self, sql: str, *, database: str | None = None) -> int | None:
        """Bytes that a SELECT would scan (it is planned, not run); None for other statements.

        Raises QueryFailed.
        """
        return self._performer.scanned_bytes(sql, (database or DEFAULT_DATABASE).lower())

    # --- inside -----------------------------------------------------------------------

    def _reuse(self, body: Shape, run: Run, started: float) -> bool:
        """Answer from an earlier run, if the client allows it and there is one."""
        wanted = (body.get("ResultReuseConfiguration") or {}).get("ResultReuseByAgeConfiguration")
        if not wanted or not wanted.get("Enabled"):
            return False
        earlier = self._executions.reusable(body, wanted.get("MaxAgeInMinutes", 60))
        if earlier is None:
            return False
        before = self.get(earlier)["ResultConfiguration"]
        try:
            place = Place.of(before["OutputLocation"])
            self._store.head(place.bucket, place.key)
        except (ObjectNotFound, BucketNotFound):
            return False
        run.statistics["ResultReuseInformation"] = {"ReusedPreviousResult": True}
        self._executions.finish(
            body["QueryExecutionId"],
            SUCCEEDED,
            statistics=self._statistics(run, started),
            changes={"ResultConfiguration": before},
            inside=self._executions.inside(earlier),
        )
        return True

    @contextmanager
    def _running(self, execution_id: str) -> Iterator[Run]:
        run = Run()
        with self._lock:
            self._runs[execution_id] = run
        try:
            yield run
        finally:
            run.ended.set()
            with self._lock:
                del self._runs[execution_id]

    def _end(
        self,
        execution_id: str,
        state: str,
        run: Run,
        started: float,
        *,
        reason: str | None = None,
        error: QueryFailed | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        statistics = self._statistics(run, started)
        inside: Shape = {"input_rows": run.statistics.get("InputRows", 0)}
        if outcome is not None:
            inside |= outcome.inside()
            if outcome.manifest:
                statistics["DataManifestLocation"] = outcome.manifest
        self._executions.finish(
            execution_id, state, reason=reason, error=error, statistics=statistics, inside=inside
        )

    def _statistics(self, run: Run, started: float) -> Shape:
        """QueryExecutionStatistics; planning is a part of the engine's time, as in Athena."""
        engine_ms = int((self._clock.monotonic() - started) * 1_000)
        measured = {key: value for key, value in run.statistics.items() if key != "InputRows"}
        return {
            "DataScannedInBytes": 0,
            "QueryPlanningTimeInMillis": 0,
            "ResultReuseInformation": {"ReusedPreviousResult": False},
            "ServicePreProcessingTimeInMillis": 0,
            "ServiceProcessingTimeInMillis": 0,
            **measured,
            "EngineExecutionTimeInMillis": engine_ms,
            "TotalExecutionTimeInMillis": engine_ms + measured["QueryQueueTimeInMillis"],
        }


def _read(sql: str) -> Statement | None:
    """None for text that can't be read: its run will say why."""
    try:
        return read_statement(sql)
    except QueryFailed:
        return None
