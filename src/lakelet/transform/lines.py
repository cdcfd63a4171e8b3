"""A block as lines: which of them can be read apart from all others."""

from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc


class Lines:
    """The lines of one block, and where they lie in it."""

    def __init__(self, data: bytes) -> None:
        self.lines = data.split(b"\n")

    @cached_property
    def starts(self) -> pa.Array:
        """int64: each line's offset in the block."""
        sizes = pa.array([len(line) + 1 for line in self.lines], pa.int64())
        return pc.subtract(pc.cumulative_sum(sizes), sizes)

    def arrays_of(self, chosen: list[int]) -> tuple[pa.Array, pa.Array]:
        """Starts and ends of some lines, without a carriage return."""
        sizes = pa.array([len(self.lines[at].rstrip(b"\r")) for at in chosen], pa.int64())
        starts = pc.take(self.starts, pa.array(chosen))
        return starts, pc.add(starts, sizes)

    def spans_of(self, chosen: list[int]) -> list[tuple[int, int]]:
        starts, ends = self.arrays_of(chosen)
        return list(zip(starts.to_pylist(), ends.to_pylist(), strict=True))

    def matching(self, pattern: str) -> list[bool]:
        """Whether each line matches an RE2 pattern; one that is not UTF-8 never does."""
        texts = pa.array(self.lines, pa.binary())
        try:
            texts = texts.cast(pa.string())
        except pa.ArrowInvalid:
            sound = [line if is_utf8(line) else b"" for line in self.lines]
            texts = pa.array(sound, pa.binary()).cast(pa.string())
        return list(pc.match_substring_regex(texts, pattern).to_pylist())

    def sort_out(self, usual: list[bool]) -> tuple[list[int], list[tuple[int, int]]]:
        """Usual lines with a hard boundary on both sides, and the stretches between them.

        A usual line may still be one element of somebody's pretty-printed array:
        the lines next to it tell.
        """
        alone = list(usual)
        for at in _false_at(usual):
            line = self.lines[at].strip(b" \t\r")
            if not line:
                continue
            if not line.endswith(b"}") and (near := self._next(at, 1)) is not None:
                alone[near] = False
            if not line.startswith(b"{") and (near := self._next(at, -1)) is not None:
                alone[near] = False
        return [at for at, is_alone in enumerate(alone) if is_alone], self._stretches(alone)

    def _next(self, at: int, step: int) -> int | None:
        """The nearest line that is not blank."""
        at += step
        while 0 <= at < len(self.lines):
            if self.lines[at].strip(b" \t\r"):
                return at
            at += step
        return None

    def _stretches(self, alone: list[bool]) -> list[tuple[int, int]]:
        runs: list[list[int]] = []
        for at in _false_at(alone):
            if runs and runs[-1][1] == at - 1:
                runs[-1][1] = at
            else:
                runs.append([at, at])
        runs = [run for run in runs if any(map(bytes.strip, self.lines[run[0] : run[1] + 1]))]
        if not runs:
            return []
        starts = pc.take(self.starts, pa.array([first for first, _ in runs])).to_pylist()
        lasts = pc.take(self.starts, pa.array([last for _, last in runs])).to_pylist()
        return [
            (start, end + len(self.lines[last]))
            for start, end, (_, last) in zip(starts, lasts, runs, strict=True)
        ]


def _false_at(flags: list[bool]) -> list[int]:
    return [at for at, flag in enumerate(flags) if not flag]


def is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
