"""Runs what the query room has queued, a few at a time."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lakelet.query import QueryEngine

log = logging.getLogger("lakelet.query")

# DuckDB spreads one query over all cores; a few more keep short ones from queueing
# behind a long one.
CONCURRENT_QUERIES_MAX = 4


class QueryRunner:
    """Threads that call `engine.run`; more queries than threads stay QUEUED, as in Athena."""

    def __init__(self, engine: QueryEngine, *, on_ended: Callable[[str, str], None]) -> None:
        """`on_ended(execution_id, state)` is called on a query's thread."""
        self._engine, self._on_ended = engine, on_ended
        self._pool = ThreadPoolExecutor(CONCURRENT_QUERIES_MAX, "query")

    def start(self) -> None:
        """Take up what a former life had queued."""
        for execution_id in self._engine.recover():
            self.submit(execution_id)

    def submit(self, execution_id: str) -> None:
        self._pool.submit(self._run, execution_id)

    def stop(self) -> None:
        """What runs may end; what is queued stays so, and the next start takes it up."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, execution_id: str) -> None:
        try:
            self._on_ended(execution_id, self._engine.run(execution_id))
        except Exception:
            # The execution says FAILED to whoever asks; a person should know as well.
            log.exception("query %s failed unexpectedly", execution_id)
