"""A usual PutRecordBatch body taken apart as a whole, not record by record.

Usual is what every SDK sends: a stream's name, then `Records` with nothing but `Data` in
each, all of them spelled alike:

    {"DeliveryStreamName": "clickstream", "Records": [{"Data": "eyJh…"}, {"Data": "…"}]}

The separators are found and compared in one vectorised pass, the Base64 between them is
decoded in one call, and the records come out joined. Any other body is not judged here: it
is left to the decoder that knows the whole of JSON (wire/decoders.py), and whatever is taken
here gives the very same there. tests/wire/test_put_bodies.py compares them.

The same is done by a process of its own where the event loop has too much of it (`ReadBody`,
node/body_process.py).

Measured, 500 records in 359 KB: 0.6 of the time of msgspec's decoder and a join (0.28 ms for
0.46 on a quiet machine), with no object for each record and most of it without the GIL.
"""

import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pybase64 import b64decode

from lakelet.ingest.limits import BATCH_RECORDS_MAX, RECORD_SIZE_BYTES_MAX
from lakelet.ingest.records import Records
from lakelet.model.ports import Buffer

# Below it the decoder for any body is as fast: a vectorised pass has its fixed costs.
_BODY_SIZE_BYTES_MIN = 16 * 1024

_HEAD = re.compile(
    rb'[ \t\n\r]*\{[ \t\n\r]*"DeliveryStreamName"[ \t\n\r]*:[ \t\n\r]*"([a-zA-Z0-9_.-]{1,64})"'
    rb'[ \t\n\r]*,[ \t\n\r]*"Records"[ \t\n\r]*:[ \t\n\r]*\['
    rb'[ \t\n\r]*\{[ \t\n\r]*"Data"[ \t\n\r]*:[ \t\n\r]*"'
)
_BETWEEN = re.compile(
    rb'"[ \t\n\r]*\}[ \t\n\r]*,[ \t\n\r]*\{[ \t\n\r]*"Data"[ \t\n\r]*:[ \t\n\r]*"'
)
_TAIL = re.compile(rb'"[ \t\n\r]*\}[ \t\n\r]*\][ \t\n\r]*\}[ \t\n\r]*\Z')
_TAIL_SIZE_MAX = 64
_QUOTE = re.compile(b'"')

_BRACE, _PAD, _PAD_TWICE = ord("{"), ord("="), 0x3D3D
# What makes "A", which is six bits of nothing, of the paddings in a text's last two letters.
_PAD_TO_ZERO = np.array([0, 0x0400, 0x0404], np.uint16)

_Ints = npt.NDArray[np.int64]
_Bounds = npt.NDArray[np.int32]  # begin and end of each piece of a buffer, in order
_BINARY = pa.binary()
_NO_BOUNDS_CHECK = pc.TakeOptions(boundscheck=False)  # pieces are made here


@dataclass(frozen=True, slots=True)
class ReadBody:
    """All that a usual body's request needs of it."""

    payload_sha256: bytes  # hexadecimal
    stream: str
    records: Records


class BodyReader(Protocol):
    """Who reads large bodies elsewhere than in the event loop."""

    def read(
        self, parts: Sequence[Buffer], size_bytes: int, answer: Callable[[ReadBody | None], None]
    ) -> bool:
        """From the event loop. False: not now, read it yourself. Else `answer` is called in the
        loop, later; with None where the body is not a usual one, or got lost on the way."""
        ...

    def note_own_work(self, seconds: float) -> None:
        """The loop spent as long on a body that it read itself."""
        ...


def split_batch(body: Buffer) -> tuple[str, Records] | None:
    """The stream's name and its records; None where the body is not a usual one."""
    if len(body) < _BODY_SIZE_BYTES_MIN:
        return None
    head = _HEAD.match(body)
    tail = _TAIL.search(body, len(body) - _TAIL_SIZE_MAX)
    if head is None or tail is None:
        return None
    bounds = _texts(body, head.end(), tail.start())
    records = None if bounds is None else _decode(body, bounds)
    return None if records is None else (bytes(head[1]).decode(), records)


def _texts(body: Buffer, begin: int, end: int) -> _Bounds | None:
    """Where each record's text begins and ends, from the first one's begin to the last one's
    end; None unless all that lies between the texts is the same separator."""
    first_end = _QUOTE.search(body, begin, end + 1)
    between = _BETWEEN.match(body, first_end.start()) if first_end else None
    if between is None:
        return None
    separator = bytes(between[0])
    stops = _positions(body, _BRACE, begin, end)
    stops -= separator.index(b"{")
    count, width = len(stops), len(separator)
    if count >= BATCH_RECORDS_MAX or stops[0] < begin or stops[-1] + width > end:
        return None
    separators = np.ndarray((end - width + 1,), f"V{width}", body, 0, (1,))
    if separators[stops].tobytes() != separator * count:
        return None
    bounds = np.empty((count + 1, 2), np.int32)
    bounds[0, 0], bounds[-1, 1] = begin, end
    bounds[:-1, 1] = stops
    np.add(stops, width, out=bounds[1:, 0], casting="unsafe")
    return bounds


def _positions(body: Buffer, byte: int, begin: int, end: int) -> _Ints:
    """Where a byte stands that is rare: the first one of each eight, and none in a last few
    that are less than eight."""
    is_there = np.frombuffer(body, np.uint8, (end - begin) // 8 * 8, begin) == byte
    eights = (is_there.view(np.uint64) != 0).nonzero()[0]
    found: _Ints = is_there.reshape(-1, 8)[eights].argmax(1)
    eights <<= 3
    found += eights
    found += begin
    return found


def _decode(body: Buffer, bounds: _Bounds) -> Records | None:
    """None where a text is empty, no Base64, or too long."""
    lengths = bounds[:, 1] - bounds[:, 0]
    of_all = int(np.bitwise_or.reduce(lengths - 4))  # its sign, and its low bits, are anyone's
    if of_all < 0 or of_all & 3:
        return None
    text = _gathered(body, bounds)
    ends = np.add.accumulate(lengths, dtype=np.int64)
    # Padding would end the decoding: with "A" in its place the texts are one, and what
    # stands for the padding is left out afterwards. Padding elsewhere is still refused.
    pairs = np.ndarray((len(text) - 1,), "<u2", text, 0, (1,))
    lasts = pairs[ends - 2]
    paddings = (lasts >> 8 == _PAD).astype(np.uint16)
    paddings += lasts == _PAD_TWICE
    lasts += _PAD_TO_ZERO[paddings]
    pairs[ends - 2] = lasts
    try:
        decoded = b64decode(memoryview(text), validate=True)
    except binascii.Error:
        return None
    ends >>= 2
    ends *= 3
    bounds = np.empty_like(bounds)
    bounds[0, 0], bounds[1:, 0] = 0, ends[:-1]
    np.subtract(ends, paddings, out=bounds[:, 1], casting="unsafe")
    sizes = bounds[:, 1] - bounds[:, 0]
    if len(decoded) > RECORD_SIZE_BYTES_MAX and sizes.max() > RECORD_SIZE_BYTES_MAX:
        return None
    return Records(sizes.astype("<u4").tobytes(), memoryview(_gathered(decoded, bounds)))


def _gathered(data: Buffer, bounds: _Bounds) -> Any:
    """The pieces, joined; a new Arrow buffer. Arrow copies 500 in 0.03 ms, slices and a join
    take 0.1: pieces and what is between them are an array, of which every second is taken."""
    count = len(bounds)
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    pieces = pa.Array.from_buffers(_BINARY, 2 * count - 1, buffers)
    taken = pc.call_function("array_take", [pieces, _every_second(count)], _NO_BOUNDS_CHECK)
    return taken.buffers()[2]


@lru_cache(maxsize=BATCH_RECORDS_MAX)
def _every_second(count: int) -> Any:
    # Not `pa.array`, whose first call imports pandas where there is one.
    numbers = np.arange(0, 2 * count, 2, dtype=np.int32)
    return pa.Array.from_buffers(pa.int32(), count, [None, pa.py_buffer(numbers)])
