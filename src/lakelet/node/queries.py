"""Runs what the query room has queued, a few at a time."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lakelet.query import QueryEngine
from lakelet.query.errors import QueryFailed

log = logging.getLogger("lakelet.query")

# DuckDB spreads one query over all cores; a few more keep short ones from queueing
# behind a long one.
CONCURRENT_QUERIES_MAX = 4
GRACE_SECONDS = 5.0


class QueryRunner:
    """Threads that call `engine.run`; more queries than threads stay QUEUED, as in Athena."""

    def __init__(self, engine: QueryEngine, *, on_ended: Callable[[str, str], None]) -> None:
        """`on_ended(execution_id, state)` is called on a query's thread."""
        self._engine, self._on_ended = engine, on_ended
        self._changed = threading.Condition()
        self._running: set[str] = set()
        self._pool = ThreadPoolExecutor(CONCURRENT_QUERIES_MAX, "query")

    def start(self) -> None:
        """Take up what a former life had queued."""
        for execution_id in self._engine.recover():
            self.submit(execution_id)

    def submit(self, execution_id: str) -> None:
        self._pool.submit(self._run, execution_id)

    def run_here(self, sql: str, *, database: str, workgroup: str) -> None:
        """A statement that writes, on the caller's thread. Raises QueryFailed."""
        execution_id = self._engine.start(sql, database=database, workgroup=workgroup)
        self._run(execution_id)
        status = self._engine.get(execution_id)["Status"]
        if status["State"] != "SUCCEEDED":
            code, _, message = status.get("StateChangeReason", "").partition(": ")
            raise QueryFailed(code or "GENERIC_INTERNAL_ERROR", message)

    def stop(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        """What runs may end within the grace, then it is cancelled; what is queued stays
        so, and the next start takes it up."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            self._changed.wait_for(lambda: not self._running, grace_seconds)
            overdue = list(self._running)
        for execution_id in overdue:
            log.warning("query %s is cancelled: the node stops", execution_id)
            self._engine.cancel(execution_id)
        self._pool.shutdown(wait=True)

    def _run(self, execution_id: str) -> None:
        with self._changed:
            self._running.add(execution_id)
        try:
            self._on_ended(execution_id, self._engine.run(execution_id))
        except Exception:
            # The execution says FAILED to whoever asks; a person should know as well.
            log.exception("query %s failed unexpectedly", execution_id)
        finally:
            with self._changed:
                self._running.discard(execution_id)
                self._changed.notify_all()
