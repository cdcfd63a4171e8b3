"""What crawls and queries learnt of each folder, so that the next one need not look again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from lakelet.catalog.db import Database
from lakelet.catalog.footers import Columns, FileFacts


class Summary(msgspec.Struct, frozen=True):
    """A folder's own files, without those further down."""

    file_count: int = 0
    size_bytes: int = 0
    rows: int = 0
    schema_ids: tuple[int, ...] = ()  # most frequent first
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class FolderState:
    """One folder as last seen.

    `stamp` is the folder's change time where it can be trusted: None means look
    again. A folder seen in the very moment it changed may change once more under
    the same time stamp, so a survey keeps no stamp for it.
    """

    prefix: str
    stamp: int | None
    children: tuple[str, ...]  # whole prefixes
    summary: Summary
    files: tuple[FileFacts, ...] | None = field(default=None, repr=False)  # None: unchanged


class Schema(msgspec.Struct, frozen=True):
    format: str
    columns: Columns


class FolderMemory:
    """Folders, their files' facts, and the distinct schemas these share."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._schemas: dict[int, Schema] = {}
        self._schema_ids: dict[Schema, int] = {}

    def schema_id(self, schema: Schema) -> int:
        """A number for a schema: the same for every file that has it."""
        known = self._schema_ids.get(schema)
        if known is not None:
            return known
        text = msgspec.json.encode(schema).decode()
        with self._db.transaction():
            self._db.run("INSERT OR IGNORE INTO schemas (columns) VALUES (?)", text)
            row = self._db.row("SELECT id FROM schemas WHERE columns = ?", text)
        assert row is not None  # noqa: S101 - just inserted, in the same transaction
        self._remember(row[0], schema)
        return int(row[0])

    def schema(self, schema_id: int) -> Schema:
        if schema_id not in self._schemas:
            row = self._db.row("SELECT columns FROM schemas WHERE id = ?", schema_id)
            if row is None:
                raise KeyError(schema_id)
            self._remember(schema_id, msgspec.json.decode(row[0], type=Schema))
        return self._schemas[schema_id]

    def _remember(self, schema_id: int, schema: Schema) -> None:
        self._schemas[schema_id] = schema
        self._schema_ids[schema] = schema_id

    def under(self, bucket: str, prefix: str) -> dict[str, FolderState]:
        """Every remembered folder at or below `prefix`, without files."""
        rows = self._db.rows(
            "SELECT prefix, stamp, children, summary FROM folders"
            " WHERE bucket = ? AND prefix >= ? AND prefix < ?",
            *(bucket, prefix, prefix + "\U0010ffff"),
        )
        return {
            row[0]: FolderState(row[0], row[1], _CHILDREN.decode(row[2]), _SUMMARY.decode(row[3]))
            for row in rows
        }

    def state(self, bucket: str, prefix: str) -> FolderState | None:
        row = self._db.row(
            "SELECT stamp, children, summary FROM folders WHERE bucket = ? AND prefix = ?",
            *(bucket, prefix),
        )
        if row is None:
            return None
        return FolderState(prefix, row[0], _CHILDREN.decode(row[1]), _SUMMARY.decode(row[2]))

    def files(self, bucket: str, prefix: str) -> tuple[FileFacts, ...]:
        row = self._db.row(
            "SELECT files FROM folder_files WHERE bucket = ? AND prefix = ?", bucket, prefix
        )
        return _FILES.decode(row[0]) if row else ()

    def save(self, bucket: str, states: Iterable[FolderState]) -> None:
        with self._db.transaction():
            for state in states:
                self._db.run(
                    "INSERT OR REPLACE INTO folders VALUES (?, ?, ?, ?, ?)",
                    *(bucket, state.prefix, state.stamp),
                    *(
                        msgspec.msgpack.encode(state.children),
                        msgspec.msgpack.encode(state.summary),
                    ),
                )
                if state.files is not None:
                    self._db.run(
                        "INSERT OR REPLACE INTO folder_files VALUES (?, ?, ?)",
                        *(bucket, state.prefix, msgspec.msgpack.encode(state.files)),
                    )

    def forget(self, bucket: str, prefixes: Sequence[str]) -> None:
        pairs = [(bucket, prefix) for prefix in prefixes]
        self._db.run_many("DELETE FROM folders WHERE bucket = ? AND prefix = ?", pairs)
        self._db.run_many("DELETE FROM folder_files WHERE bucket = ? AND prefix = ?", pairs)


_CHILDREN = msgspec.msgpack.Decoder(tuple[str, ...])
_SUMMARY = msgspec.msgpack.Decoder(Summary)
_FILES = msgspec.msgpack.Decoder(tuple[FileFacts, ...])
