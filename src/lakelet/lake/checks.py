"""What the audit looks at, one check a stage of the road. Each gives its findings, in key order."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from lakelet.lake.ledger import Books, Compaction, Delivered, Part, StreamLedger
from lakelet.lake.lifecycle import due_at
from lakelet.model.layout import is_raw_event_key
from lakelet.model.manifest import Manifest, Output
from lakelet.model.pipeline import Pipeline

RowCounter = Callable[[str, str], int]  # (bucket, key) of a Parquet object → rows

# Where there is no queue to ask (on AWS): Lambda drops an event after six hours of retries.
OVERDUE = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Finding:
    """One imbalance. `object` is what to look at: a key, or a stream."""

    code: str
    object: str
    message: str

    def __str__(self) -> str:
        return f"{self.object}: {self.message} [{self.code}]"


def check_positions(stream: StreamLedger, books: Books) -> Iterator[Finding]:
    """Each accepted position is delivered once, or still ahead of all deliveries."""
    if books.day is not None:
        return  # one day's deliveries needn't join up
    expected = 0
    for cut, objects in stream.cuts():
        first, end = cut.first_position, cut.end_position
        about = objects[0].key if objects else stream.stream
        if first != expected:
            kind = "gap" if first > expected else "overlap"
            what = "in no object" if kind == "gap" else "in two objects"
            low, high = sorted((expected, first))
            yield Finding(
                f"positions.{kind}",
                about,
                f"records {low:,} to {high - 1:,} of {stream.stream} are {what}",
            )
        if cut.damaged:
            yield Finding(
                "positions.damaged",
                about,
                f"{cut.damaged:,} of records {first:,} to {end - 1:,} of {stream.stream} could not "
                "be read any more",
            )
        records = sum(entry.records for entry in objects)
        if missing := cut.missing(records):
            dropped = f" and {cut.dropped:,} dropped ones" if cut.dropped else ""
            yield Finding(
                "positions.short" if missing > 0 else "positions.surplus",
                about,
                f"records {first:,} to {end - 1:,} of {stream.stream} became "
                f"{records + cut.outside:,}{dropped}",
            )
        expected = max(expected, end)
    if expected > stream.accepted:
        yield Finding(
            "positions.ahead",
            stream.stream,
            f"{expected:,} records delivered, only {stream.accepted:,} accepted",
        )


def check_raw(
    books: Books, pipeline: Pipeline, now: datetime, streams: Sequence[StreamLedger]
) -> Iterator[Finding]:
    for entry in deliveries(streams):
        info = books.raw.get(entry.key)
        if info is None:
            manifest = books.manifests.get(entry.key)
            if not _may_have_expired(entry.key, manifest, pipeline, now):
                yield Finding("raw.missing", entry.key, f"{entry.records:,} records are gone")
        elif info.etag != entry.etag:
            yield Finding(
                "raw.changed", entry.key, f"delivered as {entry.etag}, stored as {info.etag}"
            )


def _may_have_expired(
    key: str, manifest: Manifest | None, pipeline: Pipeline, now: datetime
) -> bool:
    """A raw object may only go when its time is over and its events are in a manifest.

    What the stream's own error prefix holds has no manifest, only its time. The object is
    made up to one buffer interval (900 s at most) after its oldest record's arrival, which
    can only make it live longer than reckoned here.
    """
    if manifest is None:
        return not is_raw_event_key(key, error_prefix=pipeline.stream.error_prefix)
    return _is_expired(manifest, pipeline, now)


def check_transformed_at_all(
    books: Books, pipeline: Pipeline, now: datetime, waiting: Set[str] | None
) -> Iterator[Finding]:
    """An object without a manifest waits in the queue; without one to ask, it is young."""
    unreadable = set(books.unreadable)
    prefix = pipeline.stream.error_prefix
    for key, info in sorted(books.raw.items()):
        if key in books.manifests or not is_raw_event_key(key, error_prefix=prefix):
            continue
        if key in unreadable:
            yield Finding("manifest.unreadable", key, "its manifest cannot be read")
        elif waiting is None and now - info.modified_at > OVERDUE:
            yield Finding("manifest.missing", key, f"not transformed after {OVERDUE}")
        elif waiting is not None and key not in waiting:
            yield Finding("manifest.missing", key, "neither transformed nor in the queue")


def check_manifests(books: Books) -> Iterator[Finding]:
    for key, manifest in sorted(books.manifests.items()):
        info = books.raw.get(key)
        if info is not None and info.etag != manifest.raw.etag:
            yield Finding(
                "manifest.stale",
                key,
                f"transformed as {manifest.raw.etag}, stored as {info.etag}",
            )
        if missing := manifest.imbalance():
            word = "unaccounted for" if missing > 0 else "counted twice"
            yield Finding(
                "manifest.imbalance",
                key,
                f"{manifest.events:,} events, {abs(missing):,} of them {word}",
            )
        yield from _check_promised_rows(manifest)


def _check_promised_rows(manifest: Manifest) -> Iterator[Finding]:
    in_tables = sum(output.rows for output in manifest.outputs if not output.reason)
    if in_tables != manifest.rows:
        yield Finding(
            "manifest.rows",
            manifest.raw.key,
            f"{manifest.rows:,} rows counted, {in_tables:,} in its files",
        )
    by_reason: Counter[str] = Counter()
    for output in manifest.outputs:
        if output.reason:
            by_reason[output.reason] += output.rows
    for reason in sorted({*by_reason, *manifest.quarantined}):
        counted = manifest.quarantined.get(reason, 0)
        if by_reason[reason] != counted:
            yield Finding(
                "manifest.quarantine",
                manifest.raw.key,
                f"{counted:,} quarantined for {reason!r}, {by_reason[reason]:,} in its files",
            )


def check_outputs(
    books: Books, pipeline: Pipeline, now: datetime, rows_of: RowCounter | None
) -> Iterator[Finding]:
    parts = parts_by_key(books.compactions)
    for key, manifest in sorted(books.manifests.items()):
        for output in manifest.outputs:
            part = parts.get(output.key)
            if part is not None:
                if part.rows != output.rows:
                    yield Finding(
                        "compaction.rows",
                        key,
                        f"{output.key} had {output.rows:,} rows, its day took in {part.rows:,}",
                    )
                if output.key in books.transformed:
                    yield Finding(
                        "output.twice",
                        key,
                        f"{output.key} lies beside the file it went into: reprocess its day",
                    )
                continue
            if output.reason and _is_expired(manifest, pipeline, now):
                continue
            yield from _check_output(books, key, output, rows_of)
    for compaction in books.compactions:
        if sum(part.kept for part in compaction.parts) != compaction.output.rows:
            yield Finding(
                "compaction.imbalance", compaction.output.key, "its parts do not add up to it"
            )
        yield from _check_output(books, compaction.output.key, compaction.output, rows_of)


def _is_expired(manifest: Manifest, pipeline: Pipeline, now: datetime) -> bool:
    """Whether raw's retention may have taken the raw object and its rejects."""
    return due_at(manifest.raw.received_at, pipeline.retention.raw_days) <= now


def _check_output(
    books: Books, about: str, output: Output, rows_of: RowCounter | None
) -> Iterator[Finding]:
    zone = books.quarantine if output.reason else books.transformed
    info = zone.get(output.key)
    if info is None:
        yield Finding("output.missing", about, f"{output.rows:,} rows lay in {output.key}")
    elif info.size_bytes != output.size_bytes:
        yield Finding(
            "output.changed",
            about,
            f"{output.key} has {info.size_bytes:,} bytes, written were {output.size_bytes:,}",
        )
    elif rows_of is not None and (rows := rows_of(output.bucket, output.key)) != output.rows:
        yield Finding(
            "output.rows", about, f"{output.key} has {rows:,} rows, written were {output.rows:,}"
        )


def check_orphans(books: Books) -> Iterator[Finding]:
    """No row without a manifest that counts it.

    Folders of which no manifest speaks are other tables, dbt's say. Where there is no
    manifest at all, nothing tells them apart, and every object is named.
    """
    if books.day is not None:
        return  # the other days' manifests are not here
    known = {output.key for entry in books.manifests.values() for output in entry.outputs}
    known |= {compaction.output.key for compaction in books.compactions}
    ours = {key.partition("/")[0] for key in known & set(books.transformed)}
    tables = [key for key in books.transformed if not ours or key.partition("/")[0] in ours]
    for zone in (tables, books.quarantine):
        for key in sorted(set(zone) - known):
            yield Finding("output.unknown", key, "no manifest counts its rows")


def deliveries(streams: Sequence[StreamLedger]) -> Iterator[Delivered]:
    for stream in streams:
        yield from stream.delivered


def parts_by_key(compactions: Sequence[Compaction]) -> dict[str, Part]:
    return {part.key: part for compaction in compactions for part in compaction.parts}
