"""Where one record ends and the next begins, in bytes that may be hostile.

At the top level, white space, `,`, `[`, `]` and byte order marks separate; `{`
opens a record, which ends at its own `}`. That alone reads NDJSON, joined
records, arrays and pretty-printed JSON. The rest of this file is about bytes
that are none of these: each broken record is to be rejected alone, in time
linear in the input.

Two facts carry it. A JSON string holds no raw newline, so a string that is never
closed ends with its line. And `}`, newline, `{` cannot stand inside valid JSON at
all, so it always parts two records: such a *hard boundary* lets a block be cut,
and its lines be read apart, without changing what is found.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Thirty times what Firehose takes. It bounds how far a block may grow, so memory too.
RECORD_SIZE_BYTES_MAX = 32 << 20
DEPTH_MAX = 100  # of brackets; also what keeps json.loads clear of its recursion limit

HARD_BOUNDARY = re.compile(rb"\}[ \t\r]*\n\s*(?=\{)")
SEPARATORS = re.compile(rb"(?:[\s,\[\]]|\xef\xbb\xbf)+")
_TOKEN = re.compile(rb'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?|[{}\[\]]')
_HEAD = re.compile(rb'\{\s*"[^"\\\n]{0,200}"\s*:')
_INDENT = re.compile(rb"[ \t]*[\[,]?[ \t]*\Z")
_JOINED = re.compile(rb'\}\s*(?=\{\s*")')
_GARBAGE_END = re.compile(rb"[\n{]")
_CLOSES = {b"}": b"{", b"]": b"["}

# What failed attempts may read ahead, all in all: a multiple of the input, so that
# hostile bytes cost linear time. Beyond the first bound an attempt looks only at
# what an ordinary event takes; beyond the second a broken record takes the rest
# of its line with it.
_LOOKAHEAD_FACTOR, _LOOKAHEAD_FLOOR_BYTES = 8, 1 << 20
_SHORT_LOOKAHEAD_FACTOR, _SHORT_LOOKAHEAD_BYTES = 32, 2 << 10


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes `start` to `end` of a block: a record by its brackets, or none."""

    start: int
    end: int
    closed: bool  # False: not a record; `problem` says why
    problem: str = ""


def regions(block: bytes) -> Iterator[tuple[int, int]]:
    """The stretches between hard boundaries; each can be framed alone.

    None begins with white space, or the first one's indent would tell it from others.
    """
    start = len(block) - len(block.lstrip())
    for boundary in HARD_BOUNDARY.finditer(block):
        yield start, boundary.start() + 1
        start = boundary.end()
    if start < len(block):
        yield start, len(block)


class Framer:
    """Frames one region, and re-frames it after a record that would not parse."""

    def __init__(self, block: bytes, start: int, end: int) -> None:
        self._block, self._start, self._end = block, start, end
        self._spent_bytes = 0
        self._soft: dict[object, tuple[int, int]] = {}  # what -> (searched from, found at)

    def __iter__(self) -> Iterator[Extent]:
        """Extents in order. `retry` may be called on the one just given."""
        self._at = self._start
        while (start := self._skip_separators(self._at)) < self._end:
            extent = self._record(start) if self._block[start] == 0x7B else self._garbage(start)
            self._at = extent.end
            yield extent

    def retry(self, extent: Extent) -> Extent:
        """A closed record turned out not to be JSON: which bytes go, where to read on.

        If another record seems to begin inside, an opener was lost and the
        bracket that closed it was somebody else's.
        """
        end = min(self._soft_boundary(extent.start), extent.end)
        self._spent_bytes += extent.end - extent.start
        self._at = end
        return Extent(extent.start, self._trimmed(extent.start, end), closed=False)

    def _skip_separators(self, at: int) -> int:
        found = SEPARATORS.match(self._block, at, self._end)
        return found.end() if found else at

    def _trimmed(self, start: int, end: int) -> int:
        while end > start + 1 and self._block[end - 1] in b" \t\r\n":
            end -= 1
        return end

    def _garbage(self, start: int) -> Extent:
        found = _GARBAGE_END.search(self._block, start, self._end)
        end = found.start() if found else self._end
        return Extent(start, self._trimmed(start, end), closed=False, problem="not an object")

    def _record(self, start: int) -> Extent:
        limit = min(self._end, start + RECORD_SIZE_BYTES_MAX)
        excess_bytes = self._spent_bytes - _LOOKAHEAD_FLOOR_BYTES
        if excess_bytes > _SHORT_LOOKAHEAD_FACTOR * (start - self._start + 1):
            line_end = self._block.find(b"\n", start, limit)
            end = line_end if line_end >= 0 else limit
            return Extent(start, self._trimmed(start, end), closed=False, problem="unclosed")
        if excess_bytes > _LOOKAHEAD_FACTOR * (start - self._start + 1):
            limit = min(limit, start + _SHORT_LOOKAHEAD_BYTES)
        read_to, closed, problem = self._close(start, limit)
        if closed:
            return Extent(start, read_to, closed=not problem, problem=problem)
        self._spent_bytes += read_to - start
        end = min(self._soft_boundary(start), start + RECORD_SIZE_BYTES_MAX)
        return Extent(start, self._trimmed(start, end), closed=False, problem=problem)

    def _close(self, start: int, limit: int) -> tuple[int, bool, str]:
        """How far was read, whether the record's own bracket closes there, and the problem."""
        open_brackets: list[bytes] = []
        problem = ""
        for token in _TOKEN.finditer(self._block, start, limit):
            mark = token[0]
            if mark in (b"{", b"["):
                open_brackets.append(mark)
                if len(open_brackets) > DEPTH_MAX:
                    problem = "too deep"
            elif mark in _CLOSES:
                if open_brackets.pop() != _CLOSES[mark]:
                    return token.end(), False, "mismatched"
                if not open_brackets:
                    return token.end(), True, problem
        whole = limit - start >= RECORD_SIZE_BYTES_MAX
        return limit, False, problem or ("too large" if whole else "unclosed")

    def _soft_boundary(self, start: int) -> int:
        """The nearest place after `start` where another record seems to begin."""
        line_start = self._block.rfind(b"\n", self._start, start) + 1 or self._start
        indent = self._block[line_start:start]
        if not _INDENT.match(indent):
            indent = b""
        indent = indent.replace(b"[", b"").replace(b",", b"")
        places = [self._find(b"\n" + indent + b"{", start), self._find(_JOINED, start)]
        if head := _HEAD.match(self._block, start, self._end):
            places.append(self._find(head[0], start))
        return min(places)

    def _find(self, what: bytes | re.Pattern[bytes], start: int) -> int:
        """Memory of the last search keeps repeated searches linear."""
        searched_from, found_at = self._soft.get(what, (0, -1))
        if searched_from <= start < found_at:
            return found_at
        if isinstance(what, bytes):
            at = self._block.find(what, start + 1, self._end)
            if what[:1] == b"\n" and at >= 0:
                at += len(what) - 1
        else:
            found = what.search(self._block, start + 1, self._end)
            at = found.end() if found else -1
        at = at if at >= 0 else self._end
        self._soft[what] = (start, at)
        return at
