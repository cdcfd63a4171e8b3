"""A lake as its users hold it: the same few verbs, whether a node serves it or not."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import pyarrow as pa

Event = Mapping[str, Any] | bytes | str
Progress = Callable[[dict[str, Any]], None]


class Caller(Protocol):
    """How a lake's verbs reach it: in this process, or through a node's door."""

    def call(
        self, name: str, arguments: Mapping[str, Any], on_progress: Progress | None = None
    ) -> Any:
        """Run an operation of `node.operations`; its answer is JSON-able."""
        ...

    def query(self, sql: str, database: str | None) -> pa.Table: ...

    def put(self, records: list[bytes], stream: str | None = None) -> int: ...

    def close(self) -> None: ...


class Lake:
    """One lake. Make it with `lakelet.open`; use it in a `with` block, or `close` it."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def put(self, events: Iterable[Event], *, stream: str | None = None) -> int:
        """Accept events: dicts (`event_id` and `timestamp` are filled in where they
        are absent), or JSON as bytes or text.

        On return they are on disk and will become rows, counted duplicates or
        quarantined originals; `query` sees them after `flush`, or by itself where
        no node serves the lake.

        Args:
            stream: a delivery stream; by default the pipeline's own.
        Returns:
            How many records were accepted: all of them.
        Raises:
            LakeletError where one cannot be taken (over 1,000 KiB, or the disk is
            full); the message says how many before it were.
        """
        if isinstance(events, Mapping | bytes | str):
            events = [events]
        return self._caller.put([_to_record(event) for event in events], stream)

    def query(self, sql: str, *, database: str | None = None) -> pa.Table:
        """Answer Athena SQL as an Arrow table (`.to_pandas()`, `.to_pylist()`)."""
        return self._caller.query(sql, database)

    def flush(self) -> None:
        """Deliver, transform and crawl what is buffered; then `query` sees it."""
        self._caller.call("flush", {})

    def crawl(self) -> list[str]:
        """Look at the transformed zone anew; one line for each thing that changed."""
        lines: list[str] = self._caller.call("crawl", {})
        return lines

    def status(self) -> dict[str, Any]:
        """Counts of every stage, and the addresses to go on with."""
        report: dict[str, Any] = self._caller.call("status", {})
        return report

    def audit(self, *, day: str | None = None, deep: bool = False) -> dict[str, Any]:
        """The ledger, added up; `balanced` is False where a record is unaccounted for."""
        report: dict[str, Any] = self._caller.call("audit", {"day": day, "deep": deep})
        return report

    def call(self, name: str, *, on_progress: Progress | None = None, **arguments: Any) -> Any:
        """Any other operation by name: replay, reprocess, quarantine, …"""
        return self._caller.call(name, arguments, on_progress)

    def close(self) -> None:
        self._caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _to_record(event: Event) -> bytes:
    """A dict without `event_id` or `timestamp` gets them, as a producer's does."""
    from lakelet.producer.records import Encoding, encode_event

    return encode_event(
        event,
        Encoding(delimiter=b""),
        new_event_id=lambda: str(uuid.uuid4()),
        now=lambda: datetime.now(UTC),
    )


def open(path: str | Path = "./lake", *, config: str | Path | None = None) -> Lake:  # noqa: A001
    """Open a lake folder, made if it is not there; a node that holds it is used.

    Raises:
        DataFolderError where the folder cannot be written.
        DeclarationError where `config` is wrong.
    """
    from lakelet.node.connect import connect

    return connect(Path(path), config=Path(config) if config else None, create=True)
