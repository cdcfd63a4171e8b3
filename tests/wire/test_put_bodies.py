"""What the vectorised way takes, the decoder for any body takes as well, and to the same."""

import base64
import json
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.wire import put_bodies
from lakelet.wire.decoders import native_decoder
from lakelet.wire.models import service_model
from lakelet.wire.put_bodies import split_batch

DECODER = native_decoder(service_model("firehose").operation_model("PutRecordBatch").input_shape)
NAME = "click.stream-1"
SPELLINGS = [(", ", ": "), (",", ":"), (" ,\n", "\t: "), (",\r\n  ", " :  ")]


@pytest.fixture(autouse=True)
def _no_size_is_too_small(monkeypatch):
    monkeypatch.setattr(put_bodies, "_BODY_SIZE_BYTES_MIN", 0)


def body_of(records, spelling=SPELLINGS[0]) -> bytes:
    entries = [{"Data": base64.b64encode(record).decode()} for record in records]
    given = {"DeliveryStreamName": NAME, "Records": entries}
    return json.dumps(given, separators=spelling).encode()


def decoded(body: bytes) -> tuple[str, list[bytes]] | None:
    try:
        members = DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return members["DeliveryStreamName"], [each["Data"] for each in members["Records"]]


@settings(deadline=None)  # the first call of all makes Arrow get ready
@given(
    st.lists(st.binary(min_size=1, max_size=50), min_size=2, max_size=40),
    st.sampled_from(SPELLINGS),
)
def test_every_usual_body_is_taken(records, spelling) -> None:
    found = split_batch(body_of(records, spelling))
    assert found is not None
    assert found == (NAME, records)


def test_a_full_batch_is_taken(monkeypatch) -> None:
    monkeypatch.undo()
    chance = random.Random(1)
    records = [chance.randbytes(chance.randrange(400, 600)) for _ in range(500)]
    assert split_batch(body_of(records)) == (NAME, records)


def usual() -> bytes:
    return body_of([b"event %d" % i for i in range(5)])


CASES = {
    "an escape": usual().replace(b'"Data"', b'"D\\u0061ta"', 1),
    "an escape in a text": usual().replace(b"ZXZlbnQgMQ", b"ZXZlbnQgM\\u0051", 1),
    "another separator": usual().replace(b"}, {", b"},  {", 1),
    "a longer separator later": usual()[::-1].replace(b"{ ,}", b"{  ,}", 1)[::-1],
    "a member more": usual().replace(b'{"Data"', b'{"X": 1, "Data"', 1),
    "a member twice": usual().replace(b'{"Data"', b'{"Data": "QQ==", "Data"', 1),
    "a last member twice": usual().replace(b'"}]', b'", "Data": "QQ=="}]'),
    "Records first": b'{"Records": [{"Data": "QQ=="}], "DeliveryStreamName": "x"}',
    "a member after": usual()[:-1] + b', "X": 1}',
    "no records": body_of([]),
    "one record": body_of([b"a"]),
    "an empty text": body_of([b"a", b"", b"b"]),
    "an empty text at the end": body_of([b"a", b"b", b""]),
    "501 records": body_of([b"a"] * 501),
    "a record too long": body_of([b"x" * 1_024_000, b"x" * 1_024_001]),
    "a bad name": usual().replace(NAME.encode(), b"a b"),
    "a name too long": usual().replace(NAME.encode(), b"a" * 65),
    "no Base64": usual().replace(b"ZXZlbnQgMQ", b"ZXZ%bnQgMQ", 1),
    "URL's Base64": usual().replace(b"ZXZlbnQgMQ", b"ZXZ_bnQgMQ", 1),
    "padding inside": usual().replace(b"ZXZlbnQgMQ", b"ZX==bnQgMQ", 1),
    "padding only": usual().replace(b"ZXZlbnQgMQ==", b"====", 1),
    "too much padding": usual().replace(b"ZXZlbnQgMQ==", b"ZXZlbnQgM===", 1),
    "padding missing": usual().replace(b"ZXZlbnQgMQ==", b"ZXZlbnQgMQ", 1),
    "half a padding": usual().replace(b"ZXZlbnQgMQ==", b"ZXZlbnQgM=Q=", 1),
    "bits after the end": usual().replace(b"ZXZlbnQgMQ==", b"ZXZlbnQgMf==", 1),
    "null": usual().replace(b'"ZXZlbnQgMQ=="', b"null", 1),
    "a brace in a text": usual().replace(b"ZXZlbnQgMQ", b"ZXZ{bnQgMQ", 1),
    "a brace at the end": usual().replace(b'NA=="}', b'NA{="}', 1),
    "cut off": usual()[:-1],
    "more after": usual() + b"x",
    "white space after": usual() + b"\r\n",
    "form feed": usual().replace(b"}, {", b"},\f{"),
    "no JSON": b"{" * 100,
    "nothing": b"",
    "a quote at the end": b'{"DeliveryStreamName": "x", "Records": [{"Data": "',
}


@pytest.mark.parametrize("body", CASES.values(), ids=CASES)
def test_what_is_taken_is_what_the_decoder_gives(body) -> None:
    found = split_batch(body)
    assert found is None or found == decoded(body)


@settings(deadline=None)
@given(st.data())
def test_so_it_is_with_bodies_that_are_nearly_usual(data) -> None:
    """Bytes put in, taken out, repeated and replaced, where they hurt most."""
    chance = data.draw(st.randoms(use_true_random=False))
    body = bytearray(
        body_of(
            data.draw(st.lists(st.binary(min_size=1, max_size=20), min_size=2, max_size=9)),
            data.draw(st.sampled_from(SPELLINGS)),
        )
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = chance.randrange(len(body))
        if chance.random() < 0.6:  # near a separator or a padding
            at = max(
                0, body.find(chance.choice([b"=", b'"', b"{", b"}"]), at) + chance.randrange(-3, 3)
            )
        piece = bytes(
            chance.choice(b'={}",: \n\\AZ/+-_[]') for _ in range(chance.choice([1, 1, 2, 4]))
        )
        body[at : at + chance.choice([0, 1, len(piece)])] = piece if chance.random() < 0.8 else b""
        if not body:
            break
    found = split_batch(bytes(body))
    assert found is None or found == decoded(bytes(body))
