"""Query executions: their states, kept so that a restart still knows them."""

import hashlib
import uuid
from typing import Any

from lakelet.catalog.db import Database, instant, pack, unpack
from lakelet.catalog.paging import page
from lakelet.model.ports import Clock
from lakelet.query.errors import InvalidRequest, QueryFailed

Shape = dict[str, Any]

QUEUED, RUNNING = "QUEUED", "RUNNING"
SUCCEEDED, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"
FINAL = frozenset((SUCCEEDED, FAILED, CANCELLED))

_PAGE = 50
BATCH_MAX = 50  # BatchGetQueryExecution
HISTORY_DAYS = 45  # as long as Athena remembers an execution

_INSIDE = "Lakelet"  # what only we read lies under this key of the body


class Executions:
    """A table of executions. States only move forward: QUEUED → RUNNING → a final one."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def add(self, body: Shape, token: str | None) -> str:
        """Queue an execution; the id of an earlier one where its token was used already.

        Raises:
            InvalidRequest: the token came with another request before.
        """
        with self._db.transaction():
            if token:
                row = self._db.row("SELECT id, body FROM executions WHERE token = ?", token)
                if row:
                    self._same_request(unpack(row[1]), body, token)
                    return str(row[0])
            identity = body.get("QueryExecutionId") or new_id()
            body = {**body, "QueryExecutionId": identity}
            now = self._clock.now().timestamp()
            self._db.run(
                "INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?)",
                *(identity, body["WorkGroup"], now, QUEUED, token, pack(body)),
            )
        return str(identity)

    @staticmethod
    def _same_request(before: Shape, now: Shape, token: str) -> None:
        if (before["Query"], before["WorkGroup"]) != (now["Query"], now["WorkGroup"]):
            raise InvalidRequest(
                f"Idempotent parameters do not match: ClientRequestToken {token} was used for "
                "another query.",
                hint="Give each query a token of its own.",
            )

    def get(self, identity: str) -> Shape:
        """A `QueryExecution` structure. Raises InvalidRequest for an unknown id."""
        row = self._row(identity)
        body = unpack(row[2])
        body.pop(_INSIDE, None)
        status = dict(body.get("Status") or {})
        status["State"] = row[1]
        status["SubmissionDateTime"] = instant(row[0])
        if isinstance(status.get("CompletionDateTime"), int | float):
            status["CompletionDateTime"] = instant(status["CompletionDateTime"])
        return {**body, "Status": status}

    def inside(self, identity: str) -> Shape:
        """What a run left for reading its results: columns, kind, row count."""
        found: Shape = unpack(self._row(identity)[2]).get(_INSIDE) or {}
        return found

    def state(self, identity: str) -> str:
        return str(self._row(identity)[1])

    def newest(
        self, workgroup: str, token: str | None = None, max_results: int | None = None
    ) -> tuple[list[str], str | None]:
        """Ids, the newest first."""
        rows = self._db.rows(
            "SELECT id FROM executions WHERE workgroup = ? ORDER BY submitted_at DESC, id",
            workgroup,
        )
        return page([identity for (identity,) in rows], token, max_results, _PAGE)

    def begin(self, identity: str) -> bool:
        """QUEUED → RUNNING; False where it was cancelled meanwhile, or runs already."""
        changed = self._db.run(
            "UPDATE executions SET state = ? WHERE id = ? AND state = ?", RUNNING, identity, QUEUED
        )
        return bool(changed)

    def finish(
        self,
        identity: str,
        state: str,
        *,
        reason: str | None = None,
        error: QueryFailed | None = None,
        statistics: Shape | None = None,
        changes: Shape | None = None,
        inside: Shape | None = None,
    ) -> None:
        """Write the end; one that has ended already stays as it ended."""
        with self._db.transaction():
            row = self._row(identity)
            if row[1] in FINAL:
                return
            body = {**unpack(row[2]), **(changes or {})}
            status: Shape = {"CompletionDateTime": self._clock.now().timestamp()}
            if reason:
                status["StateChangeReason"] = reason
            if error is not None:
                status["AthenaError"] = {
                    "ErrorCategory": error.kind.category,
                    "ErrorType": error.kind.type,
                    "Retryable": error.kind.retryable,
                    "ErrorMessage": error.reason,
                }
            body["Status"] = status
            body["Statistics"] = statistics or {}
            body[_INSIDE] = inside or {}
            self._db.run(
                "UPDATE executions SET state = ?, body = ? WHERE id = ?",
                *(state, pack(body), identity),
            )

    def cancel(self, identity: str) -> str:
        """QUEUED becomes CANCELLED here; returns the state that it had."""
        with self._db.transaction():
            state = self.state(identity)
            if state == QUEUED:
                self.finish(identity, CANCELLED, reason="Query cancelled by user")
            return state

    # --- answers that may be given again ------------------------------------------------

    def offer(self, identity: str) -> None:
        """Let a SUCCEEDED query's answer be reused."""
        body = unpack(self._row(identity)[2])
        now = self._clock.now().timestamp()
        self._db.run(
            "INSERT OR REPLACE INTO reusable VALUES (?, ?, ?)", _digest(body), now, identity
        )

    def reusable(self, body: Shape, age_max_minutes: int) -> str | None:
        """The newest answer to the same question, not older than asked for."""
        oldest = self._clock.now().timestamp() - age_max_minutes * 60
        row = self._db.row(
            "SELECT id FROM reusable WHERE digest = ? AND finished_at >= ?"
            " ORDER BY finished_at DESC LIMIT 1",
            *(_digest(body), oldest),
        )
        return str(row[0]) if row else None

    def recover(self) -> list[str]:
        """After a restart: what ran is FAILED, since nobody knows how far it came; the ids
        of what was still queued are returned, oldest first, to be run."""
        with self._db.transaction():
            running = self._db.rows("SELECT id FROM executions WHERE state = ?", RUNNING)
            error = QueryFailed("GENERIC_INTERNAL_ERROR", "the node stopped while the query ran")
            for (identity,) in running:
                self.finish(identity, FAILED, reason=error.reason, error=error)
            queued = self._db.rows(
                "SELECT id FROM executions WHERE state = ? ORDER BY submitted_at", QUEUED
            )
        return [identity for (identity,) in queued]

    def forget_old(self) -> int:
        """Drop executions past Athena's history; returns how many."""
        oldest = self._clock.now().timestamp() - HISTORY_DAYS * 86_400
        self._db.run("DELETE FROM reusable WHERE finished_at < ?", oldest)
        return self._db.run("DELETE FROM executions WHERE submitted_at < ?", oldest)

    def _row(self, identity: str) -> tuple[Any, ...]:
        row = self._db.row(
            "SELECT submitted_at, state, body FROM executions WHERE id = ?", identity
        )
        if row is None:
            raise InvalidRequest(
                f"QueryExecution {identity} was not found", hint="ListQueryExecutions names them."
            )
        return row


def new_id() -> str:
    return str(uuid.uuid4())


def _digest(body: Shape) -> str:
    """The question: Athena reuses among equal texts of one workgroup and database."""
    parts = (
        body["Query"].strip(),
        body["WorkGroup"],
        body["QueryExecutionContext"]["Database"],
        repr(body.get("ExecutionParameters") or []),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
