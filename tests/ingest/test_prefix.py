"""Prefixes, names and buffers: pure, by tables."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.ingest.buffering import Buffer
from lakelet.ingest.destination import (
    Hints,
    declared_configuration,
    describe_destination,
    merge_destination,
    parse_destination,
)
from lakelet.ingest.errors import InvalidArgument
from lakelet.ingest.naming import POSITION_MAX, object_id, object_name, position_of, random_strings
from lakelet.ingest.prefix import Context, parse_prefix
from lakelet.model.layout import parse_delivered_name
from lakelet.model.pipeline import Pipeline

AT = datetime(2026, 3, 9, 14, 5, 7, 123456, UTC)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "2026/03/09/14/"),
        ("plain", "plain2026/03/09/14/"),
        ("plain/", "plain/2026/03/09/14/"),
        ("y=!{timestamp:yyyy}/m=!{timestamp:MM}/", "y=2026/m=03/"),
        ("!{firehose:random-string}/!{firehose:random-string}/", "aaaaaaaaaaa/bbbbbbbbbbb/"),
        ("c=!{partitionKeyFromQuery:c}/", "c=7/"),
    ],
)
def test_prefixes(text, key) -> None:
    context = Context(
        AT,
        random_strings=("a" * 11, "b" * 11),
        partition_keys={("partitionKeyFromQuery", "c"): "7"},
    )
    assert parse_prefix(text).evaluate(context) == key


def test_error_prefixes() -> None:
    context = Context(AT, error_type="processing-failed")
    written = parse_prefix("e/!{firehose:error-output-type}/!{timestamp:yyyy}/", is_error=True)
    assert written.evaluate(context) == "e/processing-failed/2026/"
    plain = parse_prefix("e/", is_error=True)
    assert plain.evaluate(context) == "e/processing-failed/2026/03/09/14/"


@pytest.mark.parametrize(
    ("text", "is_error"),
    [
        ("!{firehose:error-output-type}/", False),
        ("!{partitionKeyFromQuery:x}/", True),
        ("!{timestamp}/", False),
        ("!{firehose:nothing}/", False),
        ("!{}/", False),
        ("!{timestamp:yyyy", False),
    ],
)
def test_prefixes_that_cannot_be(text, is_error) -> None:
    with pytest.raises(InvalidArgument):
        parse_prefix(text, is_error=is_error)


@given(st.binary(min_size=16, max_size=16), st.integers(0, POSITION_MAX), st.text(max_size=5))
def test_names_carry_their_position(incarnation, position, group) -> None:
    made = object_id(incarnation, position, group)
    assert position_of(made) == position
    assert made.version == 8
    assert made.variant == UUID(int=1 << 63).variant
    assert made == object_id(incarnation, position, group)


def test_names_of_siblings_and_strangers_differ() -> None:
    ids = [
        object_id(incarnation, position, group)
        for incarnation in (b"a" * 16, b"b" * 16)
        for position in (0, 1)
        for group in ("", "x", "error:processing-failed")
    ]
    assert len(set(ids)) == len(ids)
    strings = random_strings(b"a" * 16, 5, 3)
    assert len(set(strings)) == 3
    assert strings == random_strings(b"a" * 16, 5, 3)


def test_a_name_is_what_the_layout_reads_back() -> None:
    name = object_name("web.clicks-2", 12, AT, object_id(b"a" * 16, 77), ".gz")
    parsed = parse_delivered_name("year=2026/" + name)
    assert parsed is not None
    assert (parsed.stream, parsed.version, parsed.extension) == ("web.clicks-2", 12, ".gz")
    assert parsed.arrived_at == AT.replace(microsecond=0)
    assert position_of(UUID(parsed.id)) == 77


# --- configurations -------------------------------------------------------------------


def test_the_declared_configuration_is_valid_and_described_with_defaults() -> None:
    config = declared_configuration(Pipeline())
    destination = parse_destination(config)
    assert (destination.bucket, destination.extension) == ("clickstream-raw", ".gz")
    assert destination.hints == Hints(5 * 1024 * 1024, 60)
    assert destination.processing.only_delimiter == b"\n"
    described = describe_destination(config)
    assert described["ExtendedS3DestinationDescription"]["S3BackupMode"] == "Disabled"
    assert "ProcessingConfiguration" not in described["S3DestinationDescription"]


def test_an_update_changes_what_it_names() -> None:
    config = declared_configuration(Pipeline())
    merged = merge_destination(config, {"BufferingHints": {"SizeInMBs": 9}, "Prefix": "x/"})
    assert merged["BufferingHints"] == {"SizeInMBs": 9, "IntervalInSeconds": 60}
    assert (merged["Prefix"], merged["BucketARN"]) == ("x/", config["BucketARN"])
    with pytest.raises(InvalidArgument, match="can't be enabled"):
        merge_destination(config, {"DynamicPartitioningConfiguration": {"Enabled": True}})


@pytest.mark.parametrize(
    "name",
    ["America", "localtime", "posixrules", "Factory", "posix/UTC", "right/UTC", "utc", "../UTC"],
)
def test_zones_that_are_none_on_some_machine(name) -> None:
    with pytest.raises(InvalidArgument, match=f"CustomTimeZone '{name}' is not a time zone"):
        parse_destination({**declared_configuration(Pipeline()), "CustomTimeZone": name})


def test_zones_that_are_one() -> None:
    for name in ("America/Argentina/Buenos_Aires", "Etc/UTC", "EST", "Asia/Calcutta"):
        config = {**declared_configuration(Pipeline()), "CustomTimeZone": name}
        assert parse_destination(config).time_zone == ZoneInfo(name)


# --- buffers --------------------------------------------------------------------------

HINTS = Hints(size_bytes=100, interval_seconds=60)


def add(buffer: Buffer, end: int, size: int, at: float = 0.0) -> bool:
    return buffer.add(end_position=end, size_bytes=size, arrived_ms=int(at), at=at, hints=HINTS)


def test_a_buffer_is_due_by_size_or_age() -> None:
    buffer = Buffer(0)
    assert buffer.due_in(0.0, HINTS) is None
    assert add(buffer, 3, 40, at=10.0)  # a wait begins
    assert not add(buffer, 5, 40, at=30.0)
    assert buffer.due_in(30.0, HINTS) == 40.0
    assert buffer.take(69.9, HINTS) is None
    assert add(buffer, 6, 40, at=69.9)  # full
    assert buffer.due_in(69.9, HINTS) == 0.0
    span = buffer.take(69.9, HINTS)
    assert span is not None
    assert (span.first_position, span.end_position, span.size_bytes) == (0, 6, 120)
    assert buffer.size_bytes == 120
    assert buffer.take(69.9, HINTS) is span  # until it is done
    buffer.done(span)
    assert (buffer.size_bytes, buffer.oldest_since) == (0, None)


def test_spans_leave_no_hole_where_records_are_damaged() -> None:
    buffer = Buffer(10)
    add(buffer, 25, 120)  # its frame began at 20
    add(buffer, 40, 120)  # and this one at 30
    spans = []
    while span := buffer.take(0.0, HINTS):
        spans.append((span.first_position, span.end_position))
        buffer.done(span)
    assert spans == [(10, 25), (25, 40)]
