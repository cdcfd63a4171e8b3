"""The audit: a world that adds up, and every way in which it can stop doing so."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.lake.audit import Audit, audit, persistent
from lakelet.lake.checks import Finding
from lakelet.lake.ledger import Books, Compaction, CutAccount, Delivered, Part, StreamLedger
from lakelet.model.layout import quarantine_key, transformed_key
from lakelet.model.manifest import Manifest, Output, RawObject
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectInfo

PIPELINE = Pipeline()
RAW, DATA = PIPELINE.raw_bucket, PIPELINE.transformed_bucket
AT = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)
DAY = AT.date()
NOW = AT + timedelta(hours=1)


def raw_key(number, at=AT):
    return (
        f"year={at:%Y}/month={at:%m}/day={at:%d}/clickstream-1-{at:%Y-%m-%d-%H-%M-%S}"
        f"-00000000-0000-0000-0000-{number:012x}.gz"
    )


def info(bucket, key, *, size=100, etag="e", at=AT):
    return ObjectInfo(bucket, key, size, etag, at)


def entry(key, *, rows=5, duplicates=2, types=1, drops=2, events=None, at=AT):
    outputs = (
        Output(DATA, transformed_key("events", DAY, key), rows, 100, table="events", day=str(DAY)),
        Output(RAW, quarantine_key("type", DAY, key), types, 100, reason="type"),
    )
    return Manifest(
        RawObject(RAW, key, "e", 100, at),
        contract_version=1,
        contract_fingerprint="f",
        inflated_bytes=1000,
        events=rows + duplicates + types + drops if events is None else events,
        rows=rows,
        duplicates=duplicates,
        quarantined={"type": types},
        dropped={"test traffic": drops},
        outputs=outputs,
    )


@dataclass
class World:
    """What an audit is told, ready to be spoiled."""

    accepted: int
    delivered: list
    books: Books
    pending: set = field(default_factory=set)
    dead: set = field(default_factory=set)
    now: datetime = NOW
    footers: dict | None = None

    def audit(self) -> Audit:
        footers = self.footers
        return audit(
            self.books,
            PIPELINE,
            self.now,
            streams=[StreamLedger("clickstream", self.accepted, self.delivered)],
            pending=self.pending,
            dead=self.dead,
            rows_of=footers and (lambda _bucket, key: footers[key]),
        )


def world(objects=3) -> World:
    """Three objects of ten records each, one record still in the buffer."""
    keys = [raw_key(number) for number in range(objects)]
    manifests = {key: entry(key) for key in keys}
    outputs = [output for manifest in manifests.values() for output in manifest.outputs]
    return World(
        accepted=10 * objects + 1,
        delivered=[Delivered(10 * n, 10 * n + 10, 10, 0, key, "e") for n, key in enumerate(keys)],
        books=Books(
            manifests,
            raw={key: info(RAW, key) for key in keys},
            quarantine={o.key: info(RAW, o.key) for o in outputs if o.reason},
            transformed={o.key: info(DATA, o.key) for o in outputs if not o.reason},
        ),
        footers={o.key: o.rows for o in outputs},
    )


def test_a_world_that_adds_up():
    found = world().audit()
    assert found.balanced
    assert found.line == (
        "31 accepted = 15 rows + 6 duplicates + 3 quarantined + 6 dropped by contract + 1 in flight"
    )
    assert "quarantined: 3 type" in found.notes


FIRST, MIDDLE, LAST = (raw_key(number) for number in range(3))
TABLE_FILE = transformed_key("events", DAY, MIDDLE)
REJECTS_FILE = quarantine_key("type", DAY, MIDDLE)


def without(mapping, key):
    return {k: v for k, v in mapping.items() if k != key}


def spoil_books(**changes: Callable) -> Callable:
    def spoil(w):
        w.books = replace(
            w.books, **{k: change(getattr(w.books, k)) for k, change in changes.items()}
        )

    return spoil


def spoil_manifest(**changes):
    return spoil_books(manifests=lambda m: {**m, MIDDLE: replace(m[MIDDLE], **changes)})


def compacted(kept=5, rows=5):
    output = Output(DATA, "events/compacted.parquet", kept, 100, table="events", day=str(DAY))
    return Compaction("events", str(DAY), output, (Part(MIDDLE, TABLE_FILE, rows, kept),), "")


SPOILED = {
    "a delivery lost": (
        lambda w: w.delivered.pop(1), "positions.gap", LAST),
    "positions delivered twice": (
        lambda w: w.delivered.append(Delivered(5, 8, 3, 0, "again.gz", "e")),
        "positions.overlap", "again.gz"),
    "a record lost on its way into an object": (
        lambda w: w.delivered.__setitem__(1, replace(w.delivered[1], records=9)),
        "positions.short", MIDDLE),
    "more delivered than accepted": (
        lambda w: setattr(w, "accepted", 29), "positions.ahead", "clickstream"),
    "a raw object gone before its time": (
        spoil_books(raw=lambda m: without(m, MIDDLE)), "raw.missing", MIDDLE),
    "a raw object changed": (
        spoil_books(raw=lambda m: {**m, MIDDLE: info(RAW, MIDDLE, etag="x")}),
        "raw.changed", MIDDLE),
    "a raw object nobody transformed": (
        spoil_books(manifests=lambda m: without(m, MIDDLE)), "manifest.missing", MIDDLE),
    "a manifest nobody can read": (
        spoil_books(manifests=lambda m: without(m, MIDDLE), unreadable=lambda _: [MIDDLE]),
        "manifest.unreadable", MIDDLE),
    "an event in no place": (
        spoil_manifest(events=11), "manifest.imbalance", MIDDLE),
    "an event in two places": (
        spoil_manifest(events=9), "manifest.imbalance", MIDDLE),
    "rows counted that no file holds": (
        spoil_manifest(rows=6, duplicates=1), "manifest.rows", MIDDLE),
    "rejects counted that no file holds": (
        spoil_manifest(quarantined={"type": 1, "pattern": 1}, duplicates=1),
        "manifest.quarantine", MIDDLE),
    "a table file gone": (
        spoil_books(transformed=lambda m: without(m, TABLE_FILE)), "output.missing", MIDDLE),
    "a rejects file gone": (
        spoil_books(quarantine=lambda m: without(m, REJECTS_FILE)), "output.missing", MIDDLE),
    "a table file of another size": (
        spoil_books(transformed=lambda m: {**m, TABLE_FILE: info(DATA, TABLE_FILE, size=99)}),
        "output.changed", MIDDLE),
    "a table file with other rows": (
        lambda w: w.footers.update({TABLE_FILE: 4}), "output.rows", MIDDLE),
    "rows that no manifest counts": (
        spoil_books(transformed=lambda m: {**m, "events/x.parquet": info(DATA, "x")}),
        "output.unknown", "events/x.parquet"),
    "rejects that no manifest counts": (
        spoil_books(quarantine=lambda m: {**m, "quarantine/x": info(RAW, "x")}),
        "output.unknown", "quarantine/x"),
    "a file beside the one it was compacted into": (
        spoil_books(compactions=lambda _: [compacted()]), "output.twice", MIDDLE),
    "a compaction that took in too little": (
        spoil_books(compactions=lambda _: [compacted(kept=4, rows=4)]),
        "compaction.rows", MIDDLE),
}  # fmt: skip


@pytest.mark.parametrize("spoil, code, about", SPOILED.values(), ids=SPOILED)
def test_every_spoiled_world_is_named(spoil, code, about):
    spoiled = world()
    spoil(spoiled)
    found = spoiled.audit()
    assert not found.balanced
    assert (found.findings[0].code, found.findings[0].object) == (code, about)
    assert found.report()["problems"]


def test_tables_of_others_beside_ours_are_not_ours_to_count():
    shared = world()
    key = "dbt/daily_revenue/x.parquet"
    spoil_books(transformed=lambda m: {**m, key: info(DATA, key)})(shared)
    assert shared.audit().balanced


def test_what_expired_in_its_time_is_no_loss():
    aged = world()
    aged.now = datetime(2026, 4, 9, tzinfo=UTC)
    aged.books = replace(aged.books, raw={}, quarantine={})
    assert aged.audit().balanced
    aged.now -= timedelta(microseconds=1)
    assert {finding.code for finding in aged.audit().findings} == {"raw.missing", "output.missing"}


def test_expired_without_a_manifest_is_a_loss_however_old():
    aged = world()
    aged.now = datetime(2027, 1, 1, tzinfo=UTC)
    aged.books = replace(aged.books, raw={}, quarantine={}, manifests={}, transformed={})
    assert {finding.code for finding in aged.audit().findings} == {"raw.missing"}
    assert "≠" in aged.audit().line


@pytest.mark.parametrize("where", ["pending", "dead"])
def test_what_waits_is_in_flight(where):
    waiting = world()
    spoil_books(
        manifests=lambda m: without(m, MIDDLE),
        transformed=lambda m: without(m, TABLE_FILE),
        quarantine=lambda m: without(m, REJECTS_FILE),
    )(waiting)
    getattr(waiting, where).add(MIDDLE)
    found = waiting.audit()
    assert found.balanced
    assert found.totals.in_flight == 11
    assert any("dead letters" in note for note in found.notes) == (where == "dead")


def test_records_and_events_are_two_units():
    """Ten records: two blank, one holding four events; and an object put by somebody else."""
    w = world(1)
    w.accepted = 10
    w.delivered = [Delivered(0, 10, 10, 2, FIRST, "e")]
    spoil_books(
        manifests=lambda _: {
            FIRST: entry(FIRST, rows=6),
            "put/by/hand.gz": replace(
                entry("put/by/hand.gz", rows=1, duplicates=0, drops=0, types=0), outputs=()
            ),
        },
        raw=lambda m: {**m, "put/by/hand.gz": info(RAW, "put/by/hand.gz")},
    )(w)
    manifests = dict(w.books.manifests)
    manifests["put/by/hand.gz"] = replace(
        manifests["put/by/hand.gz"], rows=0, duplicates=1, quarantined={}, dropped={}
    )
    w.books = replace(w.books, manifests=manifests)
    w.footers = None
    found = w.audit()
    assert found.balanced, found.findings
    assert found.line == (
        "10 accepted + 3 more events than records + 1 events in objects put by others"
        " = 6 rows + 3 duplicates + 1 quarantined + 2 dropped by contract + 2 blank"
    )


def processed_world(*accounts):
    w = world(2)
    w.delivered = [Delivered(0, 12, 10, 0, FIRST, "e"), Delivered(12, 20, 10, 0, MIDDLE, "e")]
    return audit(
        w.books, PIPELINE, NOW, streams=[StreamLedger("clickstream", 20, w.delivered, accounts)]
    )


def test_a_processor_may_drop_records_and_part_them():
    found = processed_world(CutAccount(0, 12, dropped=2), CutAccount(12, 20, parted=2))
    assert found.balanced, found.findings
    assert found.totals.dropped["by the stream's processors"] == 2
    assert found.totals.joined == 2


def test_only_as_many_as_the_delivery_wrote_down():
    for accounts, codes in (
        ((), ["positions.short", "positions.surplus"]),
        ((CutAccount(0, 12, dropped=1), CutAccount(12, 20, parted=2)), ["positions.short"]),
        ((CutAccount(0, 12, dropped=2), CutAccount(12, 20, parted=1)), ["positions.surplus"]),
        ((CutAccount(0, 12, dropped=2), CutAccount(12, 20, parted=3)), ["positions.short"]),
    ):
        found = processed_world(*accounts)
        assert [finding.code for finding in found.findings] == codes
        assert (found.totals.left == found.totals.right) == (not accounts)


def test_records_that_rotted_are_a_finding_whoever_processed_them():
    found = processed_world(CutAccount(0, 12, damaged=2, parted=None), CutAccount(12, 20, parted=2))
    (finding,) = found.findings
    assert (finding.code, finding.object) == ("positions.damaged", FIRST)
    assert found.totals.left == found.totals.right + 2


def test_what_an_older_lakelet_did_not_count_is_believed_and_said():
    found = processed_world(CutAccount(0, 12, parted=None), CutAccount(12, 20, parted=None))
    assert found.balanced, found.findings
    assert found.totals.dropped["by the stream's processors"] == found.totals.joined == 2
    assert found.notes[-1].startswith("2 deliveries through processors are older")


def test_a_delivery_of_which_nothing_is_left_is_no_gap():
    w = world(1)
    dropped = CutAccount(0, 3, dropped=3, arrived_on=DAY)
    w.delivered = [Delivered(3, 13, 10, 0, FIRST, "e")]
    stream = StreamLedger("clickstream", 13, w.delivered, [dropped])
    for books in (w.books, replace(w.books, day=DAY)):
        found = audit(books, PIPELINE, NOW, streams=[stream])
        assert found.balanced, found.findings
        assert found.totals.accepted == 13
        assert found.totals.dropped["by the stream's processors"] == 3
    gap = audit(w.books, PIPELINE, NOW, streams=[replace(stream, accounts=())]).findings
    assert [finding.code for finding in gap] == ["positions.gap"]


def test_what_went_into_another_bucket_is_accepted_and_outside():
    w = world(1)
    stream = StreamLedger("clickstream", 15, w.delivered, [CutAccount(10, 15, outside=5)])
    found = audit(w.books, PIPELINE, NOW, streams=[stream])
    assert found.balanced, found.findings
    assert "5 in other buckets" in found.line


def test_records_the_stream_itself_gave_up_are_quarantined():
    w = world()
    key = "errors/processing-failed/year=2026/month=03/day=09/clickstream-1.gz"
    w.accepted = 35
    w.delivered.append(Delivered(30, 35, 5, 0, key, "e"))
    spoil_books(raw=lambda m: {**m, key: info(RAW, key)})(w)
    found = w.audit()
    assert found.balanced
    assert found.totals.quarantined == {"type": 3, "processing-failed": 5}


def test_compaction_moves_rows_to_duplicates():
    w = world()
    kept = compacted(kept=4)
    spoil_books(
        compactions=lambda _: [kept],
        transformed=lambda m: {
            **without(m, TABLE_FILE),
            kept.output.key: info(DATA, kept.output.key),
        },
    )(w)
    w.footers[kept.output.key] = 4
    found = w.audit()
    assert found.balanced, found.findings
    assert (found.totals.rows, found.totals.duplicates) == (14, 7)


def test_a_day_is_audited_alone():
    w = world()
    other = raw_key(9, AT + timedelta(days=1))
    w.delivered.append(Delivered(31, 35, 4, 0, other, "e"))
    w.books = replace(w.books, day=DAY)
    found = w.audit()
    assert found.balanced
    assert found.totals.accepted == 30
    w.books = replace(w.books, day=date(2026, 3, 10), manifests={}, raw={})
    assert w.audit().findings[0].object == other


def test_on_aws_there_is_no_log_and_no_queue():
    w = world()
    late = raw_key(7)
    books = replace(w.books, raw={**w.books.raw, late: info(RAW, late)})
    found = audit(books, PIPELINE, AT + timedelta(hours=6))
    assert found.balanced
    assert found.line.startswith("30 events in raw objects = 15 rows")
    assert found.notes[0] == "1 raw objects are not transformed yet."
    [finding] = audit(books, PIPELINE, AT + timedelta(hours=6, seconds=1)).findings
    assert (finding.code, finding.object) == ("manifest.missing", late)


def test_only_findings_that_persist_are_believed():
    passing, lasting = Finding("a", "x", "passing"), Finding("b", "y", "lasting")
    looks = iter([(passing, lasting), (lasting,), (lasting, passing)])
    balanced = world().audit()
    found = persistent(lambda: replace(balanced, findings=next(looks)))
    assert found.findings == (lasting,)
    assert persistent(lambda: balanced).balanced


counts = st.integers(0, 50)


@given(st.lists(st.tuples(counts, counts, counts, counts, counts), max_size=20), counts)
def test_the_sum_holds_whatever_became_of_the_events(objects, buffered):
    manifests, delivered, raw, position = {}, [], {}, 0
    for number, (rows, duplicates, types, drops, records) in enumerate(objects):
        key = raw_key(number)
        manifests[key] = entry(key, rows=rows, duplicates=duplicates, types=types, drops=drops)
        delivered.append(Delivered(position, position + records, records, 0, key, "e"))
        raw[key] = info(RAW, key)
        position += records
    outputs = [output for manifest in manifests.values() for output in manifest.outputs]
    books = Books(
        manifests,
        raw=raw,
        quarantine={o.key: info(RAW, o.key) for o in outputs if o.reason},
        transformed={o.key: info(DATA, o.key) for o in outputs if not o.reason},
    )
    found = World(position + buffered, delivered, books).audit()
    assert found.balanced
    assert found.totals.left == found.totals.right
    assert found.totals.left == buffered + sum(entry.events for entry in manifests.values())
