"""Replay and reprocessing: whole objects again, seen at once, and the ledger never wrong."""

import base64
import gzip
import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from lakelet.lake.compact import apply_compaction, plan_compaction
from lakelet.lake.errors_zone import RECORD_SIZE_BYTES_MAX, adopt_errors, decode_errors
from lakelet.lake.ledger import Receipt
from lakelet.lake.quarantine import compile_condition, read_rejects, summarise
from lakelet.lake.rebuild import read_receipts
from lakelet.lake.replay import choose, replay
from lakelet.lake.reprocess import NothingLeft, raw_reaches_back_to, reprocess
from lakelet.model.layout import manifest_key
from lakelet.transform import raw_object
from tests.lake.lake import DATA, NEW, OLD, PIPELINE, RAW, START, Cut, TestLake, event

DAY = START.date()


def mixed_lake():
    """Three objects; prices that the old contract cannot read in two, garbage in one."""
    lake = TestLake()
    lake.deliver([event(1), event(2, product_price="cheap")])
    lake.pass_time(minutes=1)
    lake.deliver([event(3), b"garbage", event(4, product_price="dear")])
    lake.pass_time(minutes=1)
    lake.deliver([event(5), event(5)])
    return lake


def replayed(lake, contract=NEW, **options):
    return replay(lake.store, PIPELINE, contract, now=lake.clock.now(), **options)


def reprocessed(lake, contract=NEW, first=DAY, last=DAY, **options):
    return reprocess(lake.store, PIPELINE, contract, first, last, now=lake.clock.now(), **options)


def everything(lake):
    return {
        (bucket, info.key): info.etag for bucket in (RAW, DATA) for info in lake.store.list(bucket)
    }


# --- replay -------------------------------------------------------------------------------


def test_what_can_now_be_understood_becomes_rows():
    lake = mixed_lake()
    assert lake.ids() == ["e1", "e3", "e5"]
    receipt = replayed(lake, where="reason = 'type' AND day >= '2026-03-01'")
    assert lake.ids() == ["e1", "e2", "e3", "e4", "e5"]
    assert (receipt.objects, receipt.changed, receipt.rescued) == (2, 2, 2)
    assert (receipt.before.rows, receipt.after.rows) == (2, 4)
    assert sum(receipt.after.quarantined.values()) == 1
    lake.settle()
    found = lake.audit()
    assert found.balanced, found.findings
    assert (found.totals.rows, found.totals.duplicates) == (5, 1)
    assert [r.reason for r in summarise(read_rejects(lake.store, PIPELINE))] == ["json"]


def test_twice_changes_nothing():
    lake = mixed_lake()
    replayed(lake)
    lake.settle()
    before = everything(lake)
    again = replayed(lake)
    assert (again.changed, again.rescued) == (0, 0)
    assert everything(lake) == before


def test_a_dry_run_is_exact_and_changes_nothing():
    lake = mixed_lake()
    before = everything(lake)
    planned = replayed(lake, dry_run=True)
    assert everything(lake) == before
    done = replayed(lake)
    assert (planned.before, planned.after) == (done.before, done.after)
    assert planned.dry_run


def test_nothing_picked_is_nothing_done():
    lake = mixed_lake()
    before = everything(lake)
    receipt = replayed(lake, where="reason = 'pattern'")
    assert (receipt.objects, receipt.changed) == (0, 0)
    assert everything(lake) == before


def test_readers_see_all_of_it_or_nothing():
    lake = mixed_lake()
    looks = []
    receipt = replayed(lake, on_progress=lambda done, total, key: looks.append(lake.ids()))
    assert looks
    assert all(look == ["e1", "e3", "e5"] for look in looks)
    assert receipt.rescued
    assert lake.ids() == ["e1", "e2", "e3", "e4", "e5"]


def test_the_audit_holds_before_and_after_the_settling():
    lake = mixed_lake()
    replayed(lake)
    found = lake.audit()
    assert found.balanced, found.findings
    assert found.totals.rows == 5
    lake.settle()
    assert lake.audit().balanced
    assert any("came back from quarantine" in note for note in lake.audit().notes)


def test_changes_stack_on_changes():
    lake = mixed_lake()
    replayed(lake)
    lake.pass_time(seconds=1)
    assert replayed(lake).changed == 0
    assert len(lake.ids()) == 5
    back = reprocessed(lake, contract=OLD)
    assert back.rescued == -2
    assert lake.ids() == ["e1", "e3", "e5"]
    assert lake.audit().balanced, lake.audit().findings
    lake.settle()
    assert lake.ids() == ["e1", "e3", "e5"]
    assert lake.audit().balanced, lake.audit().findings


def test_a_failure_halfway_changes_nothing(monkeypatch):
    lake = mixed_lake()
    before = everything(lake)

    def fail(done, total, key):
        if done == 1:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replayed(lake, on_progress=fail)
    assert everything(lake) == before


def compact_all(lake):
    plans = plan_compaction(lake.store, PIPELINE, lake.clock.now(), settled_for=timedelta(0))
    return apply_compaction(lake.store, PIPELINE, OLD, plans, lake.clock)


@pytest.mark.parametrize("change", [replayed, compact_all], ids=["replay", "compaction"])
def test_killed_before_any_write_it_is_all_or_nothing_and_can_be_done_again(change):
    """The abandoning cannot run either: a killed process cleans nothing up."""
    killed_after = 0
    while True:
        lake = mixed_lake()
        for number in range(30, 32):
            lake.deliver([event(number)])
        lake.pass_time(seconds=1)
        before = lake.read()
        lake.store.changes_left = killed_after
        try:
            change(lake)
        except Cut:
            lake.store.changes_left = 10**9
            assert lake.read() == before
            found = lake.audit()
            assert found.balanced, (killed_after, found.findings)
            lake.pass_time(seconds=1)
            change(lake)
            finished = False
        else:
            finished = True
        lake.store.changes_left = 10**9
        after = lake.ids()
        lake.settle()
        assert lake.ids() == after
        found = lake.audit()
        assert found.balanced, (killed_after, found.findings)
        if finished:
            break
        killed_after += 1
    assert killed_after >= 4, "it must have been cut short more than once"


def test_receipts_read_back():
    lake = mixed_lake()
    receipt = replayed(lake)
    lake.settle()
    assert list(read_receipts(lake.store, PIPELINE)) == [receipt]
    assert Receipt.decode(receipt.encode()) == receipt
    assert json.loads(json.dumps(receipt.report()))["rescued"] == 2


def test_choose_says_what_would_be_sent():
    lake = mixed_lake()
    picked = choose(lake.store, PIPELINE, "reason = 'type'")
    assert list(picked.values()) == [{"type": 1}, {"type": 1}]


# --- compacted days ----------------------------------------------------------------------


def test_an_object_is_cut_out_of_the_file_it_was_compacted_into():
    lake = mixed_lake()
    for number in range(10, 14):
        lake.deliver([event(number)])
    lake.pass_time(hours=2)
    plans = plan_compaction(lake.store, PIPELINE, lake.clock.now())
    apply_compaction(lake.store, PIPELINE, OLD, plans, lake.clock)
    lake.settle()
    assert len(lake.files()) == 1
    replayed(lake, where="reason = 'type'")
    everyone = ["e1", "e10", "e11", "e12", "e13", "e2", "e3", "e4", "e5"]
    assert lake.ids() == everyone
    assert lake.audit().balanced, lake.audit().findings
    lake.settle()
    assert lake.ids() == everyone
    assert len(lake.files()) == 3
    assert lake.audit().balanced, lake.audit().findings


def test_a_replay_that_changes_nothing_leaves_merged_files_alone():
    lake = mixed_lake()
    lake.pass_time(hours=2)
    for number in range(10, 14):
        lake.deliver([event(number)])
    compact_all(lake)
    lake.settle()
    before = everything(lake)
    assert replayed(lake, contract=OLD).changed == 0
    assert everything(lake) == before


def test_an_object_replaced_after_its_compaction_is_named_and_mended():
    lake = mixed_lake()
    for number in range(10, 14):
        lake.deliver([event(number)])
    lake.pass_time(hours=2)
    compact_all(lake)
    lake.settle()
    entry = lake.delivered[-1]
    info = lake.store.put(RAW, entry.key, json.dumps(event(99)).encode())
    lake.delivered[-1] = replace(entry, etag=info.etag)
    lake.transform(entry.key)
    [finding] = lake.audit().findings
    assert finding.code == "output.twice"
    assert lake.ids().count("e99") == 1
    assert "e13" in lake.ids()
    reprocessed(lake, contract=OLD)
    lake.settle()
    assert lake.audit().balanced, lake.audit().findings
    assert lake.ids() == ["e1", "e10", "e11", "e12", "e3", "e5", "e99"]


# --- reprocess ---------------------------------------------------------------------------


def test_days_are_built_again_by_the_contract_of_now():
    lake = mixed_lake()
    assert "colour" not in lake.read()[0]
    receipt = reprocessed(lake)
    assert receipt.objects == 3
    assert {row["product_price"] for row in lake.read()} == {"2.5", "cheap", "dear"}
    lake.settle()
    assert lake.audit().balanced


def test_days_of_event_time_choose_the_objects_not_days_of_arrival():
    lake = TestLake()
    lake.deliver([event(1, at=START - timedelta(days=3))])
    lake.deliver([event(2)])
    receipt = reprocessed(lake, first=DAY - timedelta(days=3), last=DAY - timedelta(days=2))
    assert receipt.objects == 1
    assert [row.get("colour", "absent") for row in lake.read()] == [None, "absent"]


def test_what_retention_has_taken_stays_as_it_was():
    lake = mixed_lake()
    first = lake.delivered[0].key
    lake.pass_time(days=31)
    lake.store.delete(RAW, first)
    receipt = reprocessed(lake)
    assert receipt.expired == (first,)
    assert lake.ids() == ["e1", "e3", "e4", "e5"]
    lake.settle()
    assert lake.audit().balanced


def test_where_nothing_is_left_it_says_how_far_back_one_can_go():
    lake = mixed_lake()
    lake.pass_time(days=31)
    for entry in lake.delivered:
        lake.store.delete(RAW, entry.key)
    with pytest.raises(NothingLeft) as caught:
        reprocessed(lake)
    assert "2026-03-11 cannot be built again" in caught.value.hint
    assert raw_reaches_back_to(PIPELINE, START) == date(2026, 2, 8)


# --- what the stream itself gave up --------------------------------------------------------


def given_up(raw, **fields):
    document = {
        "attemptsMade": 4,
        "arrivalTimestamp": int(START.timestamp() * 1000),
        "errorCode": "Lambda.FunctionError",
        "errorMessage": "it fell over",
        "attemptEndingTimestamp": int(START.timestamp() * 1000) + 5,
        "rawData": base64.b64encode(raw).decode(),
        "lambdaArn": "arn:aws:lambda:us-east-1:1:function:f:$LATEST",
    }
    return {**document, **fields}


def adopt(lake, key):
    return adopt_errors(lake.store, PIPELINE, lake.contract, raw_object(lake.store, RAW, key))


def test_records_given_up_by_the_stream_are_quarantined_and_replayed():
    lake = mixed_lake()
    key = lake.give_up([given_up(json.dumps(event(20)).encode()), given_up(b"rubbish")])
    assert lake.audit().totals.quarantined["processing-failed"] == 2
    manifest = adopt(lake, key)
    assert adopt(lake, key) == manifest
    assert manifest.quarantined == {"processing-failed": 2}
    found = lake.audit()
    assert found.balanced, found.findings
    given_up_ones = compile_condition("reason = 'processing-failed'")
    [reason] = summarise(read_rejects(lake.store, PIPELINE, given_up_ones))
    assert (reason.count, reason.sample_message) == (2, "Lambda.FunctionError: it fell over")
    replayed(lake, where="reason = 'processing-failed'")
    assert "e20" in lake.ids()
    lake.settle()
    found = lake.audit()
    assert found.balanced, found.findings
    assert lake.store.head(DATA, manifest_key(key))


def test_gzipped_records_are_replayed_inflated():
    """As they come out of a stream with Decompression: the error record keeps the gzip."""
    lake = mixed_lake()
    lines = b"\n".join(json.dumps(event(number)).encode() for number in (22, 23))
    plain = json.dumps(event(20)).encode()
    sent = [gzip.compress(json.dumps(event(21)).encode()), plain, gzip.compress(lines)]
    key = lake.give_up([given_up(raw) for raw in sent])
    assert adopt(lake, key).quarantined == {"processing-failed": 3}
    replayed(lake, where="reason = 'processing-failed'")
    assert {"e20", "e21", "e22", "e23"} <= set(lake.ids())
    lake.settle()
    found = lake.audit()
    assert found.balanced, found.findings
    assert found.totals.joined == 1, "a record of two events"


@pytest.mark.parametrize(
    "raw",
    [
        gzip.compress(b"x")[:-3],
        b"\x1f\x8b",
        gzip.compress(gzip.compress(json.dumps(event(21)).encode())),
        gzip.compress(b" " * RECORD_SIZE_BYTES_MAX + json.dumps(event(21)).encode()),
    ],
    ids=["torn", "magic", "twice", "bomb"],
)
def test_what_does_not_inflate_stays_a_reject_and_harms_no_other(raw):
    lake = mixed_lake()
    key = lake.give_up([given_up(raw), given_up(json.dumps(event(20)).encode())])
    adopt(lake, key)
    replayed(lake, where="reason = 'processing-failed'")
    assert "e20" in lake.ids()
    assert "e21" not in lake.ids()
    lake.settle()
    found = lake.audit()
    assert found.balanced, found.findings
    assert found.totals.quarantined["json"] >= 1


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", []),
        (b'{"rawData": "YQ=="}{"rawData": "Yg=="}\n', [(b"a", 0, True), (b"b", 19, True)]),
        (b'nonsense\n {"rawData": "YQ=="}', [(b"nonsense", 0, False), (b"a", 10, True)]),
        (b'{"rawData": "%%"}', [(b'{"rawData": "%%"}', 0, False)]),
        (b"[1]\n", [(b"[1]", 0, False)]),
        ('"ä"\n{"rawData": "YQ=="}'.encode(), [('"ä"'.encode(), 0, False), (b"a", 5, True)]),
        (b"\xff\n", [(b"\xff", 0, False)]),
    ],
)
def test_any_bytes_below_the_error_prefix_are_records(data, expected):
    found = [(r.raw, r.offset_bytes, r.is_readable) for r in decode_errors(data)]
    assert found == expected
