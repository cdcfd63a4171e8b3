"""The ledger, added up: is every accepted record a row, a counted duplicate, a quarantined
original, a drop the contract asked for, or still on its way?

Two units meet at a raw object. Up to it the ledger counts *records*: positions of the
delivery stream's log, delivered object by object. From it on it counts *events*: a record
may hold several (an array, a joined batch) or none (white space). What ties both is the
object's ETag: the stream vouches that these bytes hold so many records, the manifest that
the same bytes held so many events.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lakelet.lake.checks import (
    Finding,
    RowCounter,
    check_manifests,
    check_orphans,
    check_outputs,
    check_positions,
    check_raw,
    check_transformed_at_all,
    deliveries,
    parts_by_key,
)
from lakelet.lake.errors_zone import error_type
from lakelet.lake.footer import row_count
from lakelet.lake.ledger import Books, StreamLedger, arrival_day
from lakelet.model.layout import is_error_key, is_raw_event_key
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectStore


@dataclass(frozen=True, slots=True)
class Totals:
    """Records on the left of the raw zone, events on its right."""

    accepted: int = 0  # records acknowledged
    buffered: int = 0  # of them, not delivered yet
    outside: int = 0  # of them, delivered into other buckets
    blanks: int = 0  # delivered records that hold no event
    delivered_objects: int = 0
    events: int = 0
    joined: int = 0  # events beyond one a record, over delivered objects; may be negative
    elsewhere: int = 0  # events of raw objects that no stream of ours delivered
    rows: int = 0
    duplicates: int = 0
    untransformed: int = 0  # delivered records whose object waits for its transform
    quarantined: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        return self.buffered + self.untransformed

    @property
    def left(self) -> int:
        return self.accepted + self.joined + self.elsewhere

    @property
    def right(self) -> int:
        ends = self.rows + self.duplicates + sum(self.quarantined.values())
        return ends + sum(self.dropped.values()) + self.blanks + self.outside + self.in_flight


@dataclass(frozen=True, slots=True)
class Audit:
    """The sum, and every imbalance, in the order of the road."""

    totals: Totals
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def balanced(self) -> bool:
        return not self.findings

    @property
    def line(self) -> str:
        """`N accepted = rows + duplicates + quarantined + dropped by contract`, in figures."""
        totals = self.totals
        ends = [
            f"{totals.rows:,} rows",
            f"{totals.duplicates:,} duplicates",
            f"{sum(totals.quarantined.values()):,} quarantined",
            f"{sum(totals.dropped.values()):,} dropped by contract",
        ]
        if totals.blanks:
            ends.append(f"{totals.blanks:,} blank")
        if totals.outside:
            ends.append(f"{totals.outside:,} in other buckets")
        if totals.in_flight:
            ends.append(f"{totals.in_flight:,} in flight")
        sign = "=" if totals.left == totals.right else "≠"
        return f"{self._left()} {sign} {' + '.join(ends)}"

    def _left(self) -> str:
        totals = self.totals
        if not (totals.joined or totals.elsewhere):
            return f"{totals.accepted:,} accepted"
        if not totals.accepted:
            return f"{totals.elsewhere:,} events in raw objects"
        parts = [f"{totals.accepted:,} accepted"]
        if totals.joined:
            parts.append(f"{totals.joined:,} more events than records")
        if totals.elsewhere:
            parts.append(f"{totals.elsewhere:,} events in objects put by others")
        return " + ".join(parts)

    def report(self) -> dict[str, Any]:
        """JSON-able."""
        totals = self.totals
        return {
            "balanced": self.balanced,
            "line": self.line,
            "problems": [str(finding) for finding in self.findings],
            "notes": list(self.notes),
            "accepted": totals.accepted,
            "in_flight": totals.in_flight,
            "blank": totals.blanks,
            "outside": totals.outside,
            "events": totals.events,
            "rows": totals.rows,
            "duplicates": totals.duplicates,
            "quarantined": dict(sorted(totals.quarantined.items())),
            "dropped": dict(sorted(totals.dropped.items())),
        }


def audit(
    books: Books,
    pipeline: Pipeline,
    now: datetime,
    *,
    streams: Sequence[StreamLedger] = (),
    pending: Set[str] | None = None,
    dead: Set[str] = frozenset(),
    rows_of: RowCounter | None = None,
) -> Audit:
    """Add up a lake's books.

    Args:
        streams: the delivery streams' own ledgers; () where there is no log to compare
            (on AWS): then every raw object counts as it lies.
        pending: raw keys that wait for their transform, or are in work; None where there
            is no queue to ask.
        dead: raw keys in the dead letters: safe, but somebody must act.
        rows_of: reads a Parquet footer; None compares sizes with the listing only.
    """
    streams = [_of_day(stream, books) for stream in streams]
    waiting = None if pending is None else pending | dead
    count_rows = rows_of and (lambda bucket, key: rows_of(*books.view.resolve(bucket, key)))
    findings = [
        *(finding for stream in streams for finding in check_positions(stream, books)),
        *check_raw(books, pipeline, now, streams),
        *check_transformed_at_all(books, pipeline, now, waiting),
        *check_manifests(books),
        *check_outputs(books, pipeline, now, count_rows),
        *check_orphans(books),
    ]
    totals = _totals(books, pipeline, streams, waiting)
    if totals.left != totals.right and not findings:
        findings.append(
            Finding("total", "the whole", f"{totals.left:,} on the left, {totals.right:,} right")
        )
    notes = _notes(books, pipeline, totals, dead)
    return Audit(totals, tuple(findings), (*notes, *_unproved(streams)))


def persistent(run: Callable[[], Audit], *, attempts: int = 3) -> Audit:
    """Audit a lake in motion: what one look caught between two states, the next does not.

    Returns the last audit, with only the findings that every look had.
    """
    latest = run()
    findings = latest.findings
    for _ in range(attempts - 1):
        if not findings:
            break
        latest = run()
        seen = set(latest.findings)
        findings = tuple(finding for finding in findings if finding in seen)
    return replace(latest, findings=findings)


def parquet_rows(store: ObjectStore) -> RowCounter:
    """Row counts from footers, for `rows_of`."""
    return lambda bucket, key: row_count(store, bucket, key)


def _of_day(stream: StreamLedger, books: Books) -> StreamLedger:
    if books.day is None:
        return stream
    cuts = [
        (cut, objects)
        for cut, objects in stream.cuts()
        if (arrival_day(objects[0].key) if objects else cut.arrived_on) == books.day
    ]
    return StreamLedger(
        stream.stream,
        sum(cut.end_position - cut.first_position for cut, _ in cuts),
        [entry for _, objects in cuts for entry in objects],
        [cut for cut, _ in cuts],
    )


# --- the sum ----------------------------------------------------------------------------


def _totals(
    books: Books, pipeline: Pipeline, streams: Sequence[StreamLedger], waiting: Set[str] | None
) -> Totals:
    delivered = {entry.key: entry for entry in deliveries(streams)}
    manifests = books.manifests.values()
    events = {key: manifest.events for key, manifest in books.manifests.items()}
    quarantined: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for manifest in manifests:
        quarantined.update(manifest.quarantined)
        dropped.update(manifest.dropped)
    removed = _removed_by_compaction(books)
    untransformed = 0
    for key, entry in delivered.items():
        if key in events:
            continue
        if is_error_key(key, error_prefix=pipeline.stream.error_prefix):
            quarantined[error_type(pipeline, key)] += entry.records - entry.blanks
        elif waiting is None or key in waiting:
            untransformed += entry.records - entry.blanks
    accepted = sum(stream.accepted for stream in streams)
    cut_records = parted = outside = 0
    for cut, objects in (each for stream in streams for each in stream.cuts()):
        cut_records += cut.end_position - cut.first_position
        dropped["by the stream's processors"] += cut.dropped
        outside += cut.outside
        if cut.parted is not None:
            parted += cut.parted
            continue
        came = cut.end_position - cut.first_position - cut.damaged - cut.dropped
        more = sum(entry.records for entry in objects) + cut.outside - came
        parted += max(0, more)
        dropped["by the stream's processors"] += max(0, -more)
    return Totals(
        accepted=accepted,
        buffered=accepted - cut_records,
        blanks=sum(entry.blanks for entry in delivered.values()),
        delivered_objects=len(delivered),
        events=sum(events.values()),
        outside=outside,
        joined=parted
        + sum(
            events[key] - (entry.records - entry.blanks)
            for key, entry in delivered.items()
            if key in events
        ),
        elsewhere=sum(count for key, count in events.items() if key not in delivered),
        rows=sum(manifest.rows for manifest in manifests) - removed,
        duplicates=sum(manifest.duplicates for manifest in manifests) + removed,
        untransformed=untransformed,
        quarantined=dict(quarantined),
        dropped=dict(+dropped),
    )


def _removed_by_compaction(books: Books) -> int:
    """Rows that compaction found to be duplicates, of the raw objects looked at."""
    return sum(
        part.rows - part.kept for part in parts_by_key(books.compactions).values()
        if part.raw_key in books.manifests
    )  # fmt: skip


def _notes(books: Books, pipeline: Pipeline, totals: Totals, dead: Iterable[str]) -> Iterator[str]:
    if waiting := sorted(dead):
        yield (
            f"{len(waiting):,} objects in the dead letters, counted as in flight, wait for "
            f"somebody: {waiting[0]}"
        )
    prefix = pipeline.stream.error_prefix
    untouched = [
        key
        for key in books.raw
        if key not in books.manifests and is_raw_event_key(key, error_prefix=prefix)
    ]
    if untouched:
        yield f"{len(untouched):,} raw objects are not transformed yet."
    if totals.joined:
        yield "Events and records differ where a record holds several events, or part of one."
    if removed := _removed_by_compaction(books):
        yield f"{removed:,} of the duplicates were found by compaction."
    if rescued := sum(receipt.rescued for receipt in books.receipts):
        yield f"{rescued:,} events came back from quarantine, in {len(books.receipts)} rebuilds."
    for name, counts in (("quarantined", totals.quarantined), ("dropped", totals.dropped)):
        if any(counts.values()):
            listed = ", ".join(f"{count:,} {code}" for code, count in sorted(counts.items()))
            yield f"{name}: {listed}"


def _unproved(streams: Iterable[StreamLedger]) -> Iterator[str]:
    """Deliveries of an older Lakelet through processors that may drop and part records."""
    cuts = [(cut, objects) for stream in streams for cut, objects in stream.cuts()]
    believed = [
        cut
        for cut, objects in cuts
        if cut.parted is None
        and replace(cut, parted=0).missing(sum(entry.records for entry in objects))
    ]
    if believed:
        yield (
            f"{len(believed):,} deliveries through processors are older than the count of what "
            "these part: their records are taken as they lie."
        )
