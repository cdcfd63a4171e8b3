"""What the audit adds up: deliveries, manifests, objects and compactions, as values."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from lakelet.model.layout import (
    COMPACTION_PREFIX,
    MANIFEST_PREFIX,
    QUARANTINE_PREFIX,
    RECEIPT_PREFIX,
    parse_delivered_name,
    raw_key_of_manifest,
)
from lakelet.model.manifest import Manifest, Output
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectInfo, ObjectStore
from lakelet.model.swap import View, read_view

Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]  # `map`, or an executor's


@dataclass(frozen=True, slots=True)
class Delivered:
    """One raw object of a delivery stream, as the stream's own ledger has it.

    The records at positions [first, end) of the log are a *cut*; it becomes one object, or
    several where a processor parts it.
    """

    first_position: int
    end_position: int
    records: int  # in this object, blank ones included
    blanks: int  # records of white space, or nothing: they hold no event
    key: str
    etag: str


@dataclass(frozen=True, slots=True)
class CutAccount:
    """What a stream wrote down of a cut as it delivered it, beside the objects.

    Processors may drop records and part them; each that went in is in the objects, or here.
    """

    first_position: int
    end_position: int
    dropped: int = 0
    parted: int | None = 0  # records more than came in; None: delivered before this was counted
    damaged: int = 0  # acknowledged, and no longer readable when their turn came
    outside: int = 0  # in buckets other than the raw zone's
    arrived_on: date | None = None

    def missing(self, in_objects: int) -> int:
        """Records that should be in its objects and are not; below 0, that should not."""
        if self.parted is None:
            return 0
        read = self.end_position - self.first_position - self.damaged
        return read - self.dropped + self.parted - in_objects - self.outside


@dataclass(frozen=True, slots=True)
class StreamLedger:
    """What a delivery stream has accepted in its life, and where it put it.

    A stream deleted and made again under its name has begun another life.
    """

    stream: str
    accepted: int  # records acknowledged: positions 0 … accepted - 1
    delivered: Sequence[Delivered]  # into the raw zone
    accounts: Sequence[CutAccount] = ()  # a cut without one was delivered as it came

    def cuts(self) -> Iterator[tuple[CutAccount, list[Delivered]]]:
        """Each cut with its objects, of which there may be none: in the order of the log."""
        objects: dict[tuple[int, int], list[Delivered]] = {}
        for entry in sorted(self.delivered, key=lambda entry: entry.key):
            objects.setdefault((entry.first_position, entry.end_position), []).append(entry)
        accounts = {(each.first_position, each.end_position): each for each in self.accounts}
        for span in sorted({*objects, *accounts}):
            yield accounts.get(span, CutAccount(*span)), objects.get(span, [])


@dataclass(frozen=True, slots=True)
class Part:
    """One file that a compaction took in: rows `kept` of `rows`, in the order of the parts."""

    raw_key: str
    key: str
    rows: int
    kept: int


@dataclass(frozen=True, slots=True)
class Compaction:
    """The ledger's entry for files of a day that became one."""

    table: str
    day: str
    output: Output
    parts: tuple[Part, ...]
    created_at: str

    @property
    def duplicates(self) -> int:
        return sum(part.rows - part.kept for part in self.parts)

    def encode(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Compaction":
        values = json.loads(data)
        values["output"] = Output(**values["output"])
        values["parts"] = tuple(Part(**part) for part in values["parts"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Counts:
    """What manifests add up to."""

    events: int = 0
    rows: int = 0
    duplicates: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, manifests: Sequence[Manifest]) -> "Counts":
        quarantined: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        for manifest in manifests:
            quarantined.update(manifest.quarantined)
            dropped.update(manifest.dropped)
        return cls(
            sum(manifest.events for manifest in manifests),
            sum(manifest.rows for manifest in manifests),
            sum(manifest.duplicates for manifest in manifests),
            dict(sorted(quarantined.items())),
            dict(sorted(dropped.items())),
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a replay or a reprocessing did, kept beside the manifests."""

    id: str
    kind: str  # "replay" or "reprocess"
    chosen_by: str  # the condition, or the days
    contract_version: int
    contract_fingerprint: str
    at: str
    objects: int
    changed: int  # objects of which something became different
    expired: tuple[str, ...]  # raw keys that retention has taken: left as they are
    before: Counts
    after: Counts
    raw_keys: tuple[str, ...] = ()  # of the objects
    dry_run: bool = False

    @property
    def rescued(self) -> int:
        """Rejects fewer than before."""
        return sum(self.before.quarantined.values()) - sum(self.after.quarantined.values())

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        return {**json.loads(self.encode()), "rescued": self.rescued}

    def encode(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Receipt":
        values = json.loads(data)
        values |= {name: Counts(**values[name]) for name in ("before", "after")}
        values |= {name: tuple(values[name]) for name in ("expired", "raw_keys")}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Books:
    """Everything the audit looks at. Keys are of the raw bucket, then of the transformed one."""

    manifests: Mapping[str, Manifest]  # by raw key
    unreadable: Sequence[str] = ()  # manifests' raw keys
    raw: Mapping[str, ObjectInfo] = field(default_factory=dict)
    quarantine: Mapping[str, ObjectInfo] = field(default_factory=dict)
    transformed: Mapping[str, ObjectInfo] = field(default_factory=dict)
    compactions: Sequence[Compaction] = ()
    receipts: Sequence[Receipt] = ()
    view: View = View()  # noqa: RUF009 - frozen; how the listings were seen
    day: date | None = None  # of arrival: then only its objects are here

    def covers(self, raw_key: str, arrived_at: datetime | None = None) -> bool:
        return self.day is None or arrival_day(raw_key, arrived_at) == self.day


def arrival_day(raw_key: str, otherwise: datetime | None = None) -> date | None:
    name = parse_delivered_name(raw_key)
    if name:
        return name.arrived_at.date()
    return otherwise.astimezone(UTC).date() if otherwise else None


def read_books(
    store: ObjectStore, pipeline: Pipeline, *, day: date | None = None, each: Each = map
) -> Books:
    """Read a lake's manifests and listings, as a reader sees them now.

    Args:
        day: only what arrived then; its raw objects' manifests alone are read.
        each: `map`, or an executor's, to read manifests side by side (they are many and small).
    """
    view = read_view(store, pipeline.transformed_bucket)
    raw, quarantine = _raw_zone(store, pipeline, view)
    data, manifest_infos, compaction_keys, receipt_keys = _transformed_zone(store, pipeline, view)
    books = Books({}, day=day)
    wanted = [
        info
        for info in manifest_infos
        if books.covers(raw_key_of_manifest(info.key), None)
        or parse_delivered_name(raw_key_of_manifest(info.key)) is None
    ]

    def read(info: ObjectInfo) -> Manifest | str:
        bucket, key = view.resolve(info.bucket, info.key)
        try:
            return Manifest.decode(store.get(bucket, key))
        except (ValueError, KeyError, TypeError):
            return raw_key_of_manifest(info.key)

    read_entries = list(each(read, wanted))
    manifests = {entry.raw.key: entry for entry in read_entries if isinstance(entry, Manifest)}
    return Books(
        manifests={
            key: entry
            for key, entry in manifests.items()
            if books.covers(key, entry.raw.received_at)
        },
        unreadable=[entry for entry in read_entries if isinstance(entry, str)],
        raw={key: info for key, info in raw.items() if books.covers(key, info.modified_at)},
        quarantine=quarantine,
        transformed=data,
        compactions=[
            Compaction.decode(store.get(*view.resolve(pipeline.transformed_bucket, key)))
            for key in compaction_keys
        ],
        receipts=[
            Receipt.decode(store.get(*view.resolve(pipeline.transformed_bucket, key)))
            for key in receipt_keys
        ],
        view=view,
        day=day,
    )


def read_manifests(
    store: ObjectStore, pipeline: Pipeline, *, each: Each = map
) -> Iterator[Manifest]:
    """Every readable manifest, as a reader sees them now, in the raw keys' order."""
    bucket = pipeline.transformed_bucket
    view = read_view(store, bucket)

    def read(info: ObjectInfo) -> Manifest | None:
        try:
            return Manifest.decode(store.get(*view.resolve(bucket, info.key)))
        except (ValueError, KeyError, TypeError):
            return None

    infos = view.visible(bucket, store.list(bucket, MANIFEST_PREFIX), MANIFEST_PREFIX)
    yield from (manifest for manifest in each(read, infos) if manifest)


def _raw_zone(
    store: ObjectStore, pipeline: Pipeline, view: View
) -> tuple[dict[str, ObjectInfo], dict[str, ObjectInfo]]:
    raw, quarantine = {}, {}
    bucket = pipeline.raw_bucket
    for info in view.visible(bucket, store.list(bucket)):
        if info.key.startswith(QUARANTINE_PREFIX):
            quarantine[info.key] = info
        elif not info.key.startswith(("_", ".")):
            raw[info.key] = info
    return raw, quarantine


def _transformed_zone(
    store: ObjectStore, pipeline: Pipeline, view: View
) -> tuple[dict[str, ObjectInfo], list[ObjectInfo], list[str], list[str]]:
    data, manifests, compactions, receipts = {}, [], [], []
    bucket = pipeline.transformed_bucket
    for info in view.visible(bucket, store.list(bucket)):
        if info.key.startswith(MANIFEST_PREFIX):
            manifests.append(info)
        elif info.key.startswith(COMPACTION_PREFIX):
            compactions.append(info.key)
        elif info.key.startswith(RECEIPT_PREFIX):
            receipts.append(info.key)
        elif not info.key.startswith(("_", ".")):
            data[info.key] = info
    return data, manifests, compactions, receipts
