"""A block's lines, against the simple way: to split it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.transform.lines import Lines, count_braces

PIECES = st.lists(
    st.one_of(
        st.binary(max_size=5),
        st.sampled_from([b"", b"{", b"}", b"{}", b'{"a":1}', b"{}\r", b"\r", b" {} ", b"\xff{}"]),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("chosen", [[0], [3], [0, 1], [1, 3], [0, 1, 2, 3], [1, 2, 3]])
def test_chosen_lines_joined(chosen: list[int]) -> None:
    lines = [b'{"a":1}', b"", b'{"b":2}\r', b'{"c":3}']
    found = Lines(b"\n".join(lines)).joined(np.array(chosen))
    assert found == b"\n".join(lines[at] for at in chosen)


@given(pieces=PIECES, data=st.data())
def test_any_of_them(pieces: list[bytes], data: st.DataObject) -> None:
    block = b"\n".join(pieces)
    plain, lines = block.split(b"\n"), Lines(block)
    numbers = st.lists(st.integers(0, len(plain) - 1), unique=True, min_size=1)
    chosen = np.array(sorted(data.draw(numbers)))
    some = [plain[at] for at in chosen]
    assert lines.joined(chosen) == b"\n".join(some)
    spans = lines.spans_of(chosen)
    assert [block[start:end] for start, end in spans] == [line.removesuffix(b"\r") for line in some]
    assert lines.texts_of(chosen).to_pylist() == [_text(line) for line in some]
    assert np.flatnonzero(lines.mask_of(chosen)).tolist() == chosen.tolist()


@given(pieces=PIECES)
def test_what_all_of_them_are(pieces: list[bytes]) -> None:
    block = b"\n".join(pieces)
    plain, lines = block.split(b"\n"), Lines(block)
    assert [lines.line(at) for at in range(len(lines))] == plain
    framed = [line[:1] == b"{" and line[-1:] == b"}" for line in plain]
    assert lines.framed().tolist() == framed
    holding = [at for at, line in enumerate(plain) for _ in range(line.count(b"{"))]
    assert lines.holding(b"{").tolist() == holding
    assert lines.matching(r"\}\r?\z").tolist() == [
        _text(line).removesuffix("\r").endswith("}") for line in plain
    ]
    assert count_braces(block) == block.count(b"}")


@given(pieces=PIECES, data=st.data())
def test_each_line_is_alone_or_in_a_stretch(pieces: list[bytes], data: st.DataObject) -> None:
    """Or blank. What is told to be usual and stays alone is so still."""
    block = b"\n".join(pieces)
    plain, lines = block.split(b"\n"), Lines(block)
    usual = np.array([line != b"" and data.draw(st.booleans()) for line in plain])
    alone, spans = lines.sort_out(usual)
    assert usual[alone].all()
    told = b"\n".join([block[start:end] for start, end in spans] + [plain[at] for at in alone])
    assert sorted(told.split()) == sorted(block.split())


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return ""
