"""However a stream is cut, the same records come out of it."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.transform.blocks import blocks
from lakelet.transform.frame import Framer, regions
from tests.transform.contracts import DEFAULT, WHOLE
from tests.transform.events import line, raw_objects
from tests.transform.test_reference import rows_of, transformed


@given(raw=raw_objects(), size=st.integers(1, 200), block_size=st.integers(16, 2_000))
@settings(deadline=None, max_examples=200)
def test_blocks_are_the_stream_whatever_the_pieces(raw: bytes, size: int, block_size: int) -> None:
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    cut = list(blocks(iter(pieces), block_size_bytes=block_size))
    assert b"".join(block.data for block in cut) == raw
    assert [block.offset_bytes for block in cut] == [
        sum(len(b.data) for b in cut[:i]) for i in range(len(cut))
    ]
    assert cut == list(blocks(iter([raw]), block_size_bytes=block_size))


def test_valid_events_are_the_same_in_blocks_of_any_size() -> None:
    nested = {"items": [{"a": 1}, {"b": "}{"}], "text": '}{"x":1}'}
    documents = [json.loads(line(n, product_price=n, **nested)) for n in range(60)]
    layouts = [
        "\n".join(map(json.dumps, documents)),
        "".join(map(json.dumps, documents)),
        json.dumps(documents),
        json.dumps(documents, indent=2),
        "\r\n\r\n".join(map(json.dumps, documents)),
        "\n".join(json.dumps(d, indent=1) for d in documents),
        "\ufeff" + "\n".join(json.dumps([d, d]) for d in documents),
    ]
    whole = rows_of(transformed(layouts[0].encode(), WHOLE))
    assert sum(map(len, whole.values())) == 60
    for layout in layouts:
        for block_size in (300, 1_000, 7_001, 1 << 24):
            got = transformed(layout.encode(), WHOLE, block_size_bytes=block_size)
            assert got.rejects.num_rows == 0
            assert rows_of(got) == whole, (layout[:40], block_size)


def test_a_broken_record_goes_alone() -> None:
    good = [line(n) for n in range(3)]
    broken = b'{"event_id":"x","geo":{"lat":1.0},"timestamp":"20'
    for joiner in (b"\n", b"", b"\n\n", b" "):
        data = joiner.join([good[0], broken, good[1], good[2]])
        extents = [
            (e.closed, data[e.start : e.end])
            for start, end in regions(data)
            for e in Framer(data, start, end)
        ]
        assert (True, good[2]) in extents
        got = transformed(data, WHOLE)
        assert got.events == 4, joiner
        assert got.rows == 3, joiner
        assert got.rejects["raw"].to_pylist() == [broken], joiner


def test_the_last_of_two_names_holds_even_if_it_is_null() -> None:
    first = line(1)[:-1] + b',"flag":true,"app":{"v":1},"flag":null}'
    result = transformed(first + b"\n" + line(2, x=1), DEFAULT)
    properties = [row["properties"] for rows in rows_of(result).values() for row in rows]
    assert properties == ['{"app":{"v":1}}', '{"x":1}']


def test_the_first_of_several_blocks_is_small() -> None:
    """What is learned of an object in it serves the others."""
    raw = b"\n".join(line(n) for n in range(100)) + b"\n"
    size = len(raw) // 3
    sizes = [len(block.data) for block in blocks(iter([raw]), block_size_bytes=size)]
    assert size // 12 < sizes[0] <= size // 6
    assert all(size // 2 < each <= size for each in sizes[1:-1])
    assert len(list(blocks(iter([raw]), block_size_bytes=len(raw)))) == 1
