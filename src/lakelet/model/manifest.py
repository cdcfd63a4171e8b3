"""The ledger's entry: what became of one raw object, to the last event."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

FORMAT = 1


@dataclass(frozen=True, slots=True)
class RawObject:
    """A raw-zone object, as a transform is told of it."""

    bucket: str
    key: str
    etag: str
    size_bytes: int  # as stored, compressed
    received_at: datetime  # from the delivered name, else the object's modification


@dataclass(frozen=True, slots=True)
class Output:
    """One Parquet object: rows of one table and day, or one reason's rejects."""

    bucket: str
    key: str
    rows: int
    size_bytes: int
    table: str = ""  # "" for quarantine
    day: str = ""  # ISO date of the partition
    reason: str = ""  # "" for a table


@dataclass(frozen=True, slots=True)
class Manifest:
    """Counts of events; `events` is always the sum of the other four."""

    raw: RawObject
    contract_version: int
    contract_fingerprint: str
    inflated_bytes: int
    events: int
    rows: int
    duplicates: int
    quarantined: Mapping[str, int] = field(default_factory=dict)  # by reason code
    dropped: Mapping[str, int] = field(default_factory=dict)  # by the contract's rule
    outputs: tuple[Output, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)  # runner, retries, receipts

    @property
    def quarantined_count(self) -> int:
        return sum(self.quarantined.values())

    @property
    def dropped_count(self) -> int:
        return sum(self.dropped.values())

    def imbalance(self) -> int:
        """Events unaccounted for (positive) or counted twice (negative)."""
        ends = self.rows + self.duplicates + self.quarantined_count + self.dropped_count
        return self.events - ends

    def encode(self) -> bytes:
        """Deterministic JSON: the same manifest is the same bytes."""
        values = asdict(self)
        values["raw"]["received_at"] = self.raw.received_at.isoformat()
        return json.dumps({"format": FORMAT, **values}, sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Manifest":
        """Raises ValueError or KeyError where `data` is no manifest."""
        values = json.loads(data)
        if values.pop("format") != FORMAT:
            raise ValueError("a manifest of another format")
        raw = values.pop("raw")
        received_at = datetime.fromisoformat(raw.pop("received_at")).astimezone(UTC)
        outputs = tuple(Output(**output) for output in values.pop("outputs"))
        return cls(raw=RawObject(**raw, received_at=received_at), outputs=outputs, **values)
