"""Some lines of a block, as one text again."""

from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.transform import lines as module
from lakelet.transform.lines import Lines


@pytest.mark.parametrize("chosen", [[0], [3], [0, 1], [1, 3], [0, 1, 2, 3], [1, 2, 3]])
def test_chosen_lines_joined(chosen: list[int]) -> None:
    lines = [b'{"a":1}', b"", b'{"b":2}\r', b'{"c":3}']
    found = Lines(b"\n".join(lines)).joined(pa.array(chosen, pa.int64()))
    assert found == b"\n".join(lines[at] for at in chosen)


@pytest.mark.parametrize("runs_max", [0, 500])
@given(pieces=st.lists(st.binary(max_size=5), min_size=1, max_size=40), data=st.data())
def test_any_of_them(runs_max: int, pieces: list[bytes], data: st.DataObject) -> None:
    lines = b"\n".join(pieces).split(b"\n")
    chosen = data.draw(st.lists(st.integers(0, len(lines) - 1), unique=True, min_size=1))
    chosen.sort()
    with mock.patch.object(module, "_RUNS_MAX", runs_max):
        found = Lines(b"\n".join(pieces)).joined(pa.array(chosen, pa.int64()))
    assert found == b"\n".join(lines[at] for at in chosen)
