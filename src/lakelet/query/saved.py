"""Queries kept by name: named queries, and prepared statements of a workgroup."""

from collections.abc import Mapping, Sequence
from typing import Any

from lakelet.catalog.db import Database, instant, pack, unpack
from lakelet.catalog.paging import page
from lakelet.model.ports import Clock
from lakelet.query.errors import InvalidRequest, ResourceNotFound
from lakelet.query.executions import new_id
from lakelet.query.workgroups import PRIMARY

Shape = dict[str, Any]

_PAGE = 50


class SavedQueries:
    """Named queries by id; prepared statements by workgroup and name."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    # --- named queries ----------------------------------------------------------------

    def create_named(self, request: Mapping[str, Any]) -> str:
        """Takes CreateNamedQuery's request; the same token gives the same id again."""
        token = request.get("ClientRequestToken")
        workgroup = request.get("WorkGroup") or PRIMARY
        with self._db.transaction():
            if token:
                row = self._db.row("SELECT id FROM named_queries WHERE token = ?", token)
                if row:
                    return str(row[0])
            identity = new_id()
            body = {key: request.get(key) for key in _NAMED_KEYS}
            body |= {"NamedQueryId": identity, "WorkGroup": workgroup}
            self._db.run(
                "INSERT INTO named_queries VALUES (?, ?, ?, ?)",
                *(identity, workgroup, token, pack(body)),
            )
        return identity

    def named(self, identity: str) -> Shape:
        """A `NamedQuery` structure. Raises InvalidRequest."""
        row = self._db.row("SELECT body FROM named_queries WHERE id = ?", identity)
        if row is None:
            raise InvalidRequest(f"NamedQuery {identity} was not found")
        body: Shape = unpack(row[0])
        return body

    def named_ids(
        self, workgroup: str | None, token: str | None = None, max_results: int | None = None
    ) -> tuple[list[str], str | None]:
        rows = self._db.rows(
            "SELECT id FROM named_queries WHERE workgroup = ? ORDER BY id", workgroup or PRIMARY
        )
        return page([identity for (identity,) in rows], token, max_results, _PAGE)

    def update_named(self, request: Mapping[str, Any]) -> None:
        identity = request["NamedQueryId"]
        with self._db.transaction():
            body = self.named(identity)
            body |= {key: request[key] for key in _NAMED_KEYS if request.get(key) is not None}
            self._db.run("UPDATE named_queries SET body = ? WHERE id = ?", pack(body), identity)

    def delete_named(self, identity: str) -> None:
        if not self._db.run("DELETE FROM named_queries WHERE id = ?", identity):
            raise InvalidRequest(f"NamedQuery {identity} was not found")

    # --- prepared statements ----------------------------------------------------------

    def put_prepared(
        self, workgroup: str, name: str, sql: str, description: str = "", *, is_new: bool
    ) -> None:
        """Create or replace. Raises InvalidRequest (there already), ResourceNotFound."""
        with self._db.transaction():
            exists = self._prepared_row(workgroup, name) is not None
            if is_new and exists:
                raise InvalidRequest(f"Prepared statement {name} already exists.")
            if not is_new and not exists:
                raise _no_statement(name)
            body = {
                "StatementName": name,
                "QueryStatement": sql,
                "WorkGroupName": workgroup,
                "Description": description or None,
            }
            self._db.run(
                "INSERT OR REPLACE INTO prepared VALUES (?, ?, ?, ?)",
                *(workgroup, name, self._clock.now().timestamp(), pack(body)),
            )

    def prepared(self, workgroup: str, name: str) -> Shape:
        """A `PreparedStatement` structure. Raises ResourceNotFound."""
        row = self._prepared_row(workgroup, name)
        if row is None:
            raise _no_statement(name)
        return {**unpack(row[1]), "LastModifiedTime": instant(row[0])}

    def prepared_many(
        self, workgroup: str, names: Sequence[str]
    ) -> tuple[list[Shape], list[Shape]]:
        """(found, unprocessed), as BatchGetPreparedStatement answers."""
        found, missing = [], []
        for name in names:
            try:
                found.append(self.prepared(workgroup, name))
            except ResourceNotFound as error:
                missing.append(
                    {
                        "StatementName": name,
                        "ErrorCode": error.aws_code,
                        "ErrorMessage": error.message,
                    }
                )
        return found, missing

    def prepared_summaries(
        self, workgroup: str, token: str | None = None, max_results: int | None = None
    ) -> tuple[list[Shape], str | None]:
        rows = self._db.rows(
            "SELECT name, modified_at FROM prepared WHERE workgroup = ? ORDER BY name", workgroup
        )
        summaries = [{"StatementName": name, "LastModifiedTime": instant(at)} for name, at in rows]
        return page(summaries, token, max_results, _PAGE)

    def delete_prepared(self, workgroup: str, name: str) -> None:
        if not self._db.run(
            "DELETE FROM prepared WHERE workgroup = ? AND name = ?", workgroup, name
        ):
            raise _no_statement(name)

    def _prepared_row(self, workgroup: str, name: str) -> tuple[Any, ...] | None:
        return self._db.row(
            "SELECT modified_at, body FROM prepared WHERE workgroup = ? AND name = ?",
            *(workgroup, name),
        )


_NAMED_KEYS = ("Name", "Description", "Database", "QueryString")


def _no_statement(name: str) -> ResourceNotFound:
    return ResourceNotFound(
        f"Prepared statement {name} was not found", hint="ListPreparedStatements names them."
    )
