"""Encoding, batching and packing."""

import json
from collections import deque
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.producer.errors import EventInvalid
from lakelet.producer.records import (
    BATCH_BYTES_MAX,
    BATCH_RECORDS_MAX,
    BILLING_STEP_BYTES,
    RECORD_BYTES_MAX,
    Encoding,
    Record,
    billed_bytes,
    encode_event,
    request_bytes,
    take_batch,
)

NOW = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)


def encode(event, encoding=Encoding()):  # noqa: B008 - frozen
    return encode_event(event, encoding, new_event_id=lambda: "made-here", now=lambda: NOW)


def test_an_event_gets_an_id_and_an_instant_only_where_it_has_none():
    event = {"event_type": "search"}
    assert json.loads(encode(event)) == {
        "event_type": "search",
        "event_id": "made-here",
        "timestamp": "2026-03-09T14:30:00Z",
    }
    assert event == {"event_type": "search"}, "the caller's dict is left alone"
    own = {"event_id": "e1", "timestamp": 1770000000}
    assert json.loads(encode(own)) == own
    assert json.loads(encode({"event_id": None}))["event_id"] == "made-here"
    bare = Encoding(event_id_field=None, timestamp_field=None)
    assert encode({"a": 1}, bare) == b'{"a":1}\n'
    assert json.loads(encode({}, Encoding(event_id_field="id")))["id"] == "made-here"


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("{}", b"{}\n"),
        (b"{}\n", b"{}\n"),
        ('{"städt":1}', '{"städt":1}\n'.encode()),
    ],
)
def test_text_and_bytes_are_taken_as_they_are_but_for_the_delimiter(event, data):
    assert encode(event) == data
    raw = Encoding(delimiter=b"")
    assert encode(b"\x00\x01", raw) == b"\x00\x01"


@pytest.mark.parametrize(
    "event",
    [
        [1, 2],
        None,
        {"a": object()},
        {"a": "\ud800"},
        "\ud800",
        {(): 1},
        {"a": b"x" * RECORD_BYTES_MAX},
    ],
)
def test_what_cannot_be_a_record_is_refused_at_once(event):
    with pytest.raises(EventInvalid):
        encode(event)


def test_a_record_may_be_as_large_as_firehose_takes_and_not_a_byte_more():
    assert len(encode(b"x" * (RECORD_BYTES_MAX - 1))) == RECORD_BYTES_MAX
    with pytest.raises(EventInvalid, match="1,024,001"):
        encode(b"x" * RECORD_BYTES_MAX)


sizes = st.lists(st.one_of(st.integers(1, 3000), st.integers(1, RECORD_BYTES_MAX)), max_size=1200)


@given(sizes=sizes, pack_bytes=st.sampled_from([0, BILLING_STEP_BYTES, 20_000]))
def test_batches_are_within_the_limits_and_keep_every_event_in_order(sizes, pack_bytes):
    events = [str(number % 10).encode() * size for number, size in enumerate(sizes)]
    queue = deque(events)
    batches = []
    while queue:
        batches.append(take_batch(queue, pack_bytes=pack_bytes))
    for batch in batches:
        assert 1 <= len(batch) <= BATCH_RECORDS_MAX
        assert len(batch) == 1 or sum(map(request_bytes, batch)) <= BATCH_BYTES_MAX
        for record in batch:
            assert record.event_count == 1 or len(record.data) <= pack_bytes
    assert b"".join(r.data for batch in batches for r in batch) == b"".join(events)
    assert sum(r.event_count for batch in batches for r in batch) == len(events)


def test_a_batch_is_as_full_as_it_may_be():
    assert len(take_batch(deque([b"x"] * 501), pack_bytes=0)) == 500
    large = deque([b"x" * 100_000] * 60)
    batch = take_batch(large, pack_bytes=0)
    assert sum(map(request_bytes, batch)) + request_bytes(Record(large[0])) > BATCH_BYTES_MAX


def test_packing_cuts_the_bill_to_what_the_bytes_are_worth():
    events = [b"x" * 511 + b"\n"] * 1000
    plain = take_batch(deque(events), pack_bytes=0) + take_batch(deque(events[500:]), pack_bytes=0)
    packed = take_batch(deque(events), pack_bytes=BILLING_STEP_BYTES)
    assert billed_bytes(plain) == 1000 * BILLING_STEP_BYTES
    assert [record.event_count for record in packed] == [10] * 100
    assert billed_bytes(packed) == billed_bytes(plain) // 10
    assert billed_bytes([Record(b"")]) == BILLING_STEP_BYTES
    assert billed_bytes([Record(b"x" * 5121)]) == 2 * BILLING_STEP_BYTES
