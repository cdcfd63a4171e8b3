"""Record ids: a record's place in its stream's log, in one spelling everywhere."""

from hypothesis import given
from hypothesis import strategies as st

from lakelet.ingest.put import PutResult, Refusal, format_ids

INCARNATION = bytes(range(16))


@given(st.integers(0, 2**63), st.integers(1, 500))
def test_all_at_once_they_are_what_they_are_one_by_one(first: int, count: int) -> None:
    ids = PutResult(INCARNATION, first, count).record_ids()
    assert ids[0] == INCARNATION.hex() + first.to_bytes(8, "big").hex()
    joined = format_ids(INCARNATION, first, count, b"<", b">,")
    assert joined == "".join(f"<{each}>," for each in ids).encode()


def test_a_refused_record_has_none_and_takes_no_position() -> None:
    refused = {0: Refusal("x", ""), 2: Refusal("x", "")}
    found = PutResult(INCARNATION, 7, 4, refused=refused).record_ids()
    assert found == [None, *PutResult(INCARNATION, 7, 1).record_ids(), None,
                     *PutResult(INCARNATION, 8, 1).record_ids()]  # fmt: skip
    assert PutResult(INCARNATION, 0, 1, refused={0: Refusal("x", "")}).record_ids() == [None]
