"""`transform_bytes` and `process` say exactly what the slow reference says."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.model.contract import Contract
from lakelet.transform import Transformed, transform_bytes
from tests.transform import reference
from tests.transform.contracts import DEFAULT, KEYRING, WHOLE
from tests.transform.events import ARRIVED, flat_objects, raw_objects


def transformed(raw: bytes, contract: Contract, **options: Any) -> Transformed:
    return transform_bytes(raw, contract, received_at=ARRIVED, keyring=KEYRING, **options)


def rows_of(result: Transformed) -> dict[tuple[str, date], list[dict[str, Any]]]:
    return {at: table.to_pylist() for at, table in result.tables.items()}


def assert_same(raw: bytes, contract: Contract, **options: Any) -> None:
    ours = transformed(raw, contract, **options)
    truth = reference.transform(raw, contract, received_at=ARRIVED, keyring=KEYRING)
    rejects = [
        (r["reason"], r["field"], r["offset_bytes"], r["raw"]) for r in ours.rejects.to_pylist()
    ]
    assert rejects == truth.rejects
    assert rows_of(ours) == truth.rows
    assert ours.duplicates == truth.duplicates
    assert ours.dropped == dict(truth.dropped)
    assert ours.events == truth.events
    ends = ours.rows + ours.duplicates + ours.rejects.num_rows + sum(ours.dropped.values())
    assert ours.events == ends
    for table in ours.tables.values():
        table.validate(full=True)


@pytest.mark.parametrize("contract", [DEFAULT, WHOLE], ids=["default", "whole"])
@settings(max_examples=400, deadline=None)
@given(raw=raw_objects())
def test_any_bytes(contract: Contract, raw: bytes) -> None:
    assert_same(raw, contract)


@pytest.mark.parametrize("contract", [DEFAULT, WHOLE], ids=["default", "whole"])
@settings(max_examples=400, deadline=None)
@given(raw=flat_objects())
def test_flat_lines(contract: Contract, raw: bytes) -> None:
    assert_same(raw, contract)


@pytest.mark.parametrize("contract", [DEFAULT, WHOLE], ids=["default", "whole"])
@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(flat_objects(), min_size=1, max_size=6))
def test_flat_lines_in_several_blocks(contract: Contract, pieces: list[bytes]) -> None:
    """What one block teaches about the next is a guess, and changes nothing."""
    assert_same(b"\n".join(pieces * 2), contract, block_size_bytes=700)


def test_names_are_judged_in_each_of_a_lines_inner_objects() -> None:
    """A number just before an inner object's end once hid the next one's first name."""
    raw = (
        b'{"event_id":"e1","event_type":"page_view","timestamp":"2026-03-09T14:30:00Z",'
        b'"device":{"type":0},"blob":{"IP_Address":"203.0.113.9"}}\n'
    )
    assert_same(raw, DEFAULT)
    (table,) = transformed(raw, DEFAULT).tables.values()
    assert table["properties"].to_pylist() == ['{"device":{"type":0},"blob":{}}']


def test_a_null_at_another_tables_path_is_kept() -> None:
    """Read for all tables at once it looked like nothing, and was nowhere."""
    raw = (
        b'{"event_id":"e1","event_type":"vital","timestamp":"2026-03-09T14:30:00Z",'
        b'"device":{"type":null}}\n'
    )
    assert_same(raw, WHOLE)
    (table,) = transformed(raw, WHOLE).tables.values()
    assert table["properties"].to_pylist() == ['{"device":{"type":null}}']
