"""Whole columns of one spelling: what Arrow reads at once must mean what one by one does."""

import pyarrow as pa
import pytest

from lakelet.transform.instants import instants_of_text, parse_instant

SPELLINGS = [
    "2026-03-09T14:30:00Z",
    "2026-03-09 14:30:00.123456Z",
    "2026-03-09T14:30:00.123456789Z",
    "2026-03-09T14Z",
    "2026-03-09T14:30+0530",
    "2026-03-09T14:30:00+05",
    "2026-03-09T14:30:00.5-23:59",
    "2026-03-09T14:30:00+24:00",
    "2026-03-09",
    "2026-03-09T24:00:00Z",
    "2026-03-08T23:59:60Z",
    "0000-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+05:00",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-05:00",
    "-001-01-01T00:00:00Z",
]


@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("beside", [None, "2026-03-09T14:30:00Z", "yesterday"])
def test_a_column_means_what_its_values_mean(text: str, beside: str | None) -> None:
    found = instants_of_text(pa.array([text, beside, text]))
    beside_us = None if beside is None else parse_instant(beside)
    expected = [parse_instant(text), beside_us, parse_instant(text)]
    assert found.cast(pa.int64()).to_pylist() == expected
