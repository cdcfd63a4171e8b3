"""Keys are said once, zero-padded, and never shared by two raw objects."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.model import layout

RAW = (
    "year=2026/month=03/day=09/"
    "clickstream-1-2026-03-09-14-30-05-0a1b2c3d-0000-8000-8000-00000000002a.gz"
)


def test_a_delivered_name_is_read_back():
    name = layout.parse_delivered_name(RAW)
    assert name is not None
    assert (name.stream, name.version, name.extension) == ("clickstream", 1, ".gz")
    assert name.arrived_at == datetime(2026, 3, 9, 14, 30, 5, tzinfo=UTC)


def test_a_stream_name_may_hold_hyphens_and_digits():
    name = layout.parse_delivered_name(RAW.replace("clickstream", "a-1-b.c_2"))
    assert name is not None
    assert name.stream == "a-1-b.c_2"


@pytest.mark.parametrize("key", ["x.gz", "a/b/", "", RAW.replace("03-09-14", "13-39-14")])
def test_other_names_are_not_delivered_ones(key: str):
    assert layout.parse_delivered_name(key) is None


def test_months_and_days_are_zero_padded():
    """Trap f: one writer says month=01, another month=1, and a month has two partitions."""
    assert layout.day_folder(date(987, 1, 2)) == "year=0987/month=01/day=02/"


def test_the_transformed_key_has_the_partition_once():
    """Trap d: a path that ends in the partition plus partition columns doubles the folders."""
    key = layout.transformed_key("events", date(2026, 3, 8), RAW)
    assert key.startswith("events/year=2026/month=03/day=08/clickstream-1-2026-03-09")
    assert key.endswith("00000000002a.snappy.parquet")
    assert key.count("year=") == 1


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_raw_objects_get_different_stems(one: str, other: str):
    if one != other:
        assert layout.derived_stem(one) != layout.derived_stem(other)


def test_same_name_in_other_folders_is_another_stem():
    assert layout.derived_stem("a/x.gz") != layout.derived_stem("b/x.gz")


def test_manifests_mirror_raw_keys():
    assert layout.raw_key_of_manifest(layout.manifest_key(RAW)) == RAW


@pytest.mark.parametrize(
    ("key", "is_event"),
    [
        (RAW, True),
        ("uploaded.json", True),
        ("quarantine/reason=type/year=2026/month=03/day=09/x.parquet", False),
        ("errors/processing-failed/year=2026/x.gz", False),
        ("_temporary/x", False),
        ("folder/", False),
    ],
)
def test_only_events_are_transformed(key: str, is_event: bool):
    assert layout.is_raw_event_key(key) is is_event
