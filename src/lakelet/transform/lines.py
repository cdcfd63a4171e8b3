"""A block as lines: which of them can be read apart from all others."""

import struct
from bisect import bisect_right
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.transform.jsontext import loads

_RUNS_MAX = 500  # of more, each line by itself is as quick, and holds no lock of Python's


class Lines:
    """The lines of one block, and where they lie in it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        # binary, n. Split by Arrow: a list of bytes takes three times as long.
        self._lines: pa.Array = pc.split_pattern(as_one(data), "\n").values
        self._has_returns = b"\r" in data

    @cached_property
    def _texts(self) -> pa.Array:
        """string; empty where a line is not UTF-8."""
        try:
            return self._lines.cast(pa.string())
        except pa.ArrowInvalid:
            sound = [line if is_utf8(line) else b"" for line in self._lines.to_pylist()]
            return pa.array(sound, pa.binary()).cast(pa.string())

    @cached_property
    def _sizes(self) -> pa.Array:
        return pc.cast(pc.binary_length(self._lines), pa.int64())

    @cached_property
    def _starts(self) -> pa.Array:
        sizes = pc.add(self._sizes, 1)
        return pc.subtract(pc.cumulative_sum(sizes), sizes)

    def line(self, at: int) -> bytes:
        line: bytes = self._lines[at].as_py()
        return line

    def arrays_of(self, chosen: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Starts and ends of some lines in the block, without a carriage return."""
        starts = pc.take(self._starts, chosen)
        ends = pc.add(starts, pc.take(self._sizes, chosen))
        if self._has_returns:
            returns = pc.ends_with(pc.take(self._texts, chosen), "\r")
            ends = pc.subtract(ends, pc.cast(returns, pa.int64()))
        return starts, ends

    def spans_of(self, chosen: pa.Array) -> list[tuple[int, int]]:
        starts, ends = self.arrays_of(chosen)
        return list(zip(starts.to_pylist(), ends.to_pylist(), strict=True))

    def joined(self, chosen: pa.Array) -> bytes:
        """Some lines as one text again. Neighbours lie together already."""
        if len(chosen) == len(self._lines):
            return self._data
        firsts, lasts = _runs(pc.cast(chosen, pa.int64()))
        if len(firsts) > _RUNS_MAX:
            some = pc.take(self._lines, chosen)
            whole = pa.ListArray.from_arrays(pa.array([0, len(some)], pa.int32()), some)
            text: bytes = pc.binary_join(whole, b"\n")[0].as_py()
            return text
        starts = pc.take(self._starts, firsts)
        ends = pc.add(pc.take(self._starts, lasts), pc.take(self._sizes, lasts))
        pairs = zip(starts.to_pylist(), ends.to_pylist(), strict=True)
        return b"\n".join([self._data[start:end] for start, end in pairs])

    def matching(self, pattern: str) -> pa.Array:
        """bool: whether each line matches an RE2 pattern; one that is not UTF-8 never does."""
        return pc.match_substring_regex(self._texts, pattern)

    def framed(self) -> pa.Array:
        """bool: whether each line begins with a brace and ends with one."""
        return pc.and_(pc.starts_with(self._lines, b"{"), pc.ends_with(self._lines, b"}"))

    def holding(self, token: bytes) -> list[int]:
        """Lines that hold some bytes (no newline), found in the block as a whole: that takes
        a seventh of asking each line."""
        found: list[int] = []
        at = self._data.find(token)
        while at >= 0:
            found.append(at)
            at = self._data.find(token, at + 1)
        starts = self._starts.to_pylist() if found else []
        return [bisect_right(starts, at) - 1 for at in found]

    def texts_of(self, chosen: pa.Array) -> pa.Array:
        return pc.take(self._texts, chosen)

    def mask_of(self, chosen: pa.Array) -> pa.Array:
        """bool, one a line: whether it was chosen."""
        return pc.is_in(self._every, pc.cast(chosen, pa.int64()))

    @cached_property
    def _every(self) -> pa.Array:
        return pc.subtract(pc.cumulative_sum(pa.repeat(1, len(self._lines))), 1)

    def sort_out(self, usual: pa.Array) -> tuple[pa.Array, list[tuple[int, int]]]:
        """Usual lines with a hard boundary on both sides, and the stretches between them.

        A usual line may still be one element of somebody's pretty-printed array:
        the lines next to it tell.
        """
        others = set(pc.indices_nonzero(pc.invert(usual)).to_pylist())
        for at in list(others):
            line = self.line(at).strip(b" \t\r")
            if line and not line.endswith(b"}"):
                others.add(self._next(at, 1))
            if line and not line.startswith(b"{"):
                others.add(self._next(at, -1))
        others -= {-1, len(self._lines)}
        unusual = sorted(others)
        alone = self._every
        if unusual:
            alone = pc.filter(alone, pc.invert(self.mask_of(pa.array(unusual, pa.int64()))))
        return alone, self._stretches(unusual)

    def _next(self, at: int, step: int) -> int:
        """The nearest line that is not blank; one beyond the ends where there is none."""
        at += step
        while 0 <= at < len(self._lines) and not self.line(at).strip(b" \t\r"):
            at += step
        return at

    def _stretches(self, unusual: list[int]) -> list[tuple[int, int]]:
        """Runs of lines one after the other, as spans; those of blank lines are nothing."""
        runs: list[list[int]] = []
        for at in unusual:
            if runs and runs[-1][1] == at - 1:
                runs[-1][1] = at
            else:
                runs.append([at, at])
        runs = [run for run in runs if self._holds_something(*run)]
        starts = pc.take(self._starts, pa.array([first for first, _ in runs], pa.int64()))
        lasts = pc.take(self._starts, pa.array([last for _, last in runs], pa.int64()))
        return [
            (start, end + len(self.line(last)))
            for start, end, (_, last) in zip(
                starts.to_pylist(), lasts.to_pylist(), runs, strict=True
            )
        ]

    def _holds_something(self, first: int, last: int) -> bool:
        return any(self.line(at).strip() for at in range(first, last + 1))


def sampled(line: bytes) -> dict[str, Any]:
    """A line as an object, for a look; empty where it is none."""
    try:
        value = loads(line.decode())
    except (ValueError, RecursionError):
        return {}
    return value if type(value) is dict else {}


def is_utf8(text: bytes) -> bool:
    """By Arrow, which only looks: decoding would write it all down again."""
    try:
        as_one(text).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def as_one(text: bytes) -> pa.Array:
    """binary, 1: a text as one value, nothing copied. A block is far below 2 GB.

    So asked, Arrow's expressions are several times as fast as Python's, and hold no lock.
    """
    offsets = pa.py_buffer(struct.pack("=ii", 0, len(text)))
    return pa.Array.from_buffers(pa.binary(), 1, [None, offsets, pa.py_buffer(text)])


def _runs(numbers: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The first and the last of each run of neighbours: of 4, 5, 6, 9 these are 4, 9 and 6, 9."""
    if not len(numbers):
        return numbers, numbers
    is_last = pc.not_equal(pc.subtract(numbers.slice(1), numbers.slice(0, len(numbers) - 1)), 1)
    breaks = pc.cast(pc.indices_nonzero(is_last), pa.int64())
    lasts = pa.concat_arrays([breaks, pa.array([len(numbers) - 1], pa.int64())])
    firsts = pa.concat_arrays([pa.array([0], pa.int64()), pc.add(breaks, 1)])
    return pc.take(numbers, firsts), pc.take(numbers, lasts)
