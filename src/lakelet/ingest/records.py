"""Records that stay together: their bytes joined, and the size of each.

So they lie in a request's decoded body, in a frame and in an object, and so they travel:
500 objects for the 500 records of a batch cost more than everything the log does with them.
Whoever wants single records takes them as from any sequence, and pays for what is taken.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import SupportsIndex, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.ports import Buffer

_SIZE = struct.Struct("<I")
_IS_SPACE = np.array([bytes([byte]).isspace() for byte in range(256)])


class Records(Sequence[bytes]):
    """A sequence of records; it equals any sequence of the same bytes."""

    __slots__ = ("packed_sizes", "payload")

    def __init__(self, packed_sizes: bytes, payload: Buffer) -> None:
        """
        Args:
            packed_sizes: a u32 for each record, little-endian, as a frame has them.
            payload: the records, joined; nobody may change it any more.
        """
        self.packed_sizes, self.payload = packed_sizes, payload

    @classmethod
    def of(cls, records: Sequence[bytes]) -> "Records":
        if isinstance(records, Records):
            return records
        if len(records) == 1:
            return cls(_SIZE.pack(len(records[0])), records[0])
        packed_sizes = struct.pack(f"<{len(records)}I", *map(len, records))
        return cls(packed_sizes, b"".join(records))

    @classmethod
    def joined(cls, parts: "Sequence[Records]") -> "Records":
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            b"".join([each.packed_sizes for each in parts]),
            b"".join([each.payload for each in parts]),
        )

    @classmethod
    def in_runs(cls, parts: "Iterable[Records]", size_bytes: int) -> "Iterator[Records]":
        """Neighbours joined until they have that size. What is done to each costs more than the
        copy, where parts are small."""
        run: list[Records] = []
        run_bytes = 0
        for part in parts:
            run.append(part)
            run_bytes += part.size_bytes
            if run_bytes >= size_bytes:
                yield cls.joined(run)
                run, run_bytes = [], 0
        if run:
            yield cls.joined(run)

    @property
    def size_bytes(self) -> int:
        return len(self.payload)

    @property
    def sizes(self) -> tuple[int, ...]:
        return struct.unpack(f"<{len(self)}I", self.packed_sizes)

    def with_each(self, delimiter: bytes) -> Buffer:
        """All of them joined, the delimiter after each."""
        if not delimiter or not self:
            return self.payload
        texts = pa.Array.from_buffers(
            pa.large_binary(),
            len(self),
            [None, pa.py_buffer(self._bounds()), pa.py_buffer(self.payload)],
        )
        empty = pa.scalar(b"", pa.large_binary())
        delimiters = pa.scalar(delimiter, pa.large_binary())
        joined = pc.call_function("binary_join_element_wise", [texts, delimiters, empty])
        return memoryview(joined.buffers()[2])

    def count_blank(self) -> int:
        """How many are empty, or white space alone."""
        bounds = self._bounds()
        bounds = bounds[np.append(True, bounds[1:] > bounds[:-1])]  # without empty ones
        starts = bounds[:-1]
        # A record that begins with something else isn't blank: nearly all of them.
        letters = np.frombuffer(self.payload, np.uint8)
        maybe = np.flatnonzero(_IS_SPACE[letters[starts]])
        found = len(self) - len(starts)
        for start, end in zip(starts[maybe].tolist(), bounds[maybe + 1].tolist(), strict=True):
            found += bytes(self.payload[start:end]).isspace()
        return found

    def _bounds(self) -> npt.NDArray[np.int64]:
        bounds = np.zeros(len(self) + 1, np.int64)
        np.frombuffer(self.packed_sizes, "<u4").cumsum(out=bounds[1:])
        return bounds

    def __len__(self) -> int:
        return len(self.packed_sizes) // 4

    def __iter__(self) -> Iterator[bytes]:
        payload = bytes(self.payload)
        return (payload[start:end] for start, end in pairwise(accumulate(self.sizes, initial=0)))

    @overload
    def __getitem__(self, index: SupportsIndex) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> "Records": ...
    def __getitem__(self, index: SupportsIndex | slice) -> "bytes | Records":
        taken = list(self)[index]
        return taken if isinstance(taken, bytes) else Records.of(taken)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Records({len(self)} of {self.size_bytes} bytes)"
