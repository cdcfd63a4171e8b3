"""The newest accepted records, without what is personal in them; the newest rejects."""

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from lakelet.model.contract import Contract
from lakelet.node.tables import quarantine_table_name
from lakelet.watch.redaction import redact

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Facts = dict[str, Any]
RECORDS_MAX = 100
EVENTS_A_RECORD_MAX = 5
REJECTS_MAX = 12
MASK = "•••"


def live(node: "Node", after: int | str = -1) -> Facts:
    """
    Args:
        after: the position that a former answer ended at; -1 for the newest.
    Returns:
        position: where to go on. events: position and event, oldest first, masked;
        what was delivered and removed from the log meanwhile is left out.
        skipped: how many were passed over because more came than anybody can read.
    """
    stream = node.pipeline.name
    if node.ingestion.streams.find(stream) is None:  # deleted through the API
        return {"position": 0, "events": [], "skipped": 0}
    end = node.ingestion.position_next(stream)
    wanted = int(after) if int(after) >= 0 else end - RECORDS_MAX
    first = max(0, wanted, end - RECORDS_MAX)
    masker = Masker(node.contract)
    events = [
        {"position": position, "event": event}
        for position, record in node.ingestion.tail(stream, first, end)
        for event in masker.events(record)
    ]
    return {
        "position": end,
        "events": events,
        "skipped": max(0, first - int(after)) if int(after) >= 0 else 0,
    }


def rejects(node: "Node") -> list[Facts]:
    """The newest, with their reason and no original."""
    sql = (
        "SELECT received_at, reason, message, field, size_bytes"
        f" FROM {quarantine_table_name(node.pipeline)}"
        f" ORDER BY received_at DESC LIMIT {REJECTS_MAX}"
    )
    return [
        {
            **row,
            "received_at": row["received_at"].isoformat(),
            "message": redact(row["message"] or ""),
        }
        for row in node.query_arrow(sql).to_pylist()
    ]


class Masker:
    """Hides what the contract calls personal, and addresses anywhere."""

    def __init__(self, contract: Contract) -> None:
        self._names = {
            field.path[-1].lower()
            for table in contract.tables
            for field in table.fields
            if field.personal
        }
        self._globs = [glob.lower() for glob, _ in contract.field_patterns]

    def events(self, record: bytes) -> list[Any]:
        """The events of a record; a text that says so where it is no JSON."""
        decoder, text, at = json.JSONDecoder(), record.decode("utf-8", "replace"), 0
        found: list[Any] = []
        while len(found) < EVENTS_A_RECORD_MAX:
            while at < len(text) and text[at] in " \t\r\n,\ufeff":
                at += 1
            if at >= len(text):
                break
            try:
                value, at = decoder.raw_decode(text, at)
            except (ValueError, RecursionError):
                found.append(f"{len(record):,} bytes that are no JSON")
                break
            found.append(self.masked(value))
        return found

    def masked(self, value: Any, name: str = "") -> Any:
        if name and self._is_personal(name.lower()):
            return None if value is None else MASK
        if isinstance(value, dict):
            return {key: self.masked(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.masked(inner) for inner in value[:20]]
        return redact(value) if isinstance(value, str) else value

    def _is_personal(self, name: str) -> bool:
        return name in self._names or any(fnmatchcase(name, glob) for glob in self._globs)
