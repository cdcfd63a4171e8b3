"""The quick reader: Arrow's JSON parser, kept to the lines where it cannot be wrong.

Arrow's parser is ten times faster than any loop of ours, but it stops at the
first odd byte, believes NaN, trusts UTF-8 and dies of a bare `null`. So a block
goes to it whole only if its lines are plainly `{…}` each; when it objects, a
regular expression made from the contract picks the lines that hold nothing but
declared fields of the usual kind, and the rest go to `exact`, which decides.
Both readers must say the same of any line; tests hold them to it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from lakelet.model.contract import Contract, Field
from lakelet.model.jsontext import Number
from lakelet.transform.exact import read_exact
from lakelet.transform.frame import SEPARATORS
from lakelet.transform.lines import (
    Indices,
    Lines,
    Mask,
    as_mask,
    as_one,
    count_braces,
    is_utf8,
    sampled,
)
from lakelet.transform.odd import OddLines
from lakelet.transform.personal import NameRules
from lakelet.transform.rows import Kind, Part, Path, Reject, Rows
from lakelet.transform.strangers import SIMPLE_LINE, Strangers

_SAMPLE_LINES = 64
_BISECT_LINES = 64  # fewer lines than this are quicker read one by one than halved again
_SIMPLE_LINES_MIN = 100  # for fewer, to make the expressions takes longer than to do without
_DECIMAL_PRECISION_MAX = 28  # room below the parser's 38 digits, where it would wrap
_LOOK_BYTES = 256
_BARE_NULL = r"\}[\s\v]*null"

_STRING = (
    r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]'
    r'|u(?:[0-9A-Ca-cE-Fe-f][0-9A-Fa-f]{3}|[dD][0-7][0-9A-Fa-f]{2})))*"'
)
_PATTERNS: dict[Kind, str] = {
    "string": _STRING,
    "int": r"-?(?:0|[1-9][0-9]{0,17})",
    "float": r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?",
    "decimal": r"-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,9})?",
    "bool": "(?:true|false)",
}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_ .$@-]+")


@dataclass(frozen=True)
class Shape:
    """Which kind of JSON value each field usually has, here and now."""

    kinds: tuple[tuple[Field, Kind], ...]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(f.path[0], _parser_type(f, kind)) for f, kind in self.kinds])

    @property
    def pair_pattern(self) -> str:
        """RE2: a declared name and a value of its usual kind, or null."""
        names: dict[Kind, list[str]] = {}
        for declared, kind in self.kinds:
            names.setdefault(kind, []).append(re.escape(declared.path[0]))
        pairs = [
            f'"(?:{"|".join(own)})"[ \t]*:[ \t]*(?:{_PATTERNS[kind]}|null)'
            for kind, own in names.items()
        ]
        return f"(?:{'|'.join(pairs)})"

    @property
    def line_pattern(self) -> str:
        """RE2: a whole line of such pairs and nothing else. (A `{` for a comma passes: to tell
        the first pair from the others would double the expression. The parser objects.)"""
        return rf"^(?:[{{,][ \t]*{self.pair_pattern}[ \t]*)+\}}\r?\z"


class FastReader:
    """Reads blocks; what it cannot vouch for it hands to `read_exact`."""

    def __init__(self, contract: Contract, paths: tuple[Path, ...], names: NameRules) -> None:
        self._paths, self._names = paths, names
        self._fields = tuple(_simple_fields(contract))
        self._shape: Shape | None = None  # of the last block that parsed whole
        self._odd_shape: Shape | None = None  # of the last one that did not
        # Of shapes that did not parse whole before: how to sort their lines out.
        self._sorters: dict[Shape, _Sorter] = {}

    def read(self, data: bytes) -> tuple[list[Rows], list[Reject]]:
        """Every record of a block exactly once, as a row or as a reject."""
        before = self._shape  # most often this block's too: looking again takes 2 % of the time
        if before and (rows := self._whole(data, before)) is not None:
            return [rows], []
        lines = Lines(data)
        if self._odd_shape and (taken := self._sorters[self._odd_shape].guess(lines)):
            return self._with_exact(data, *taken)
        shape = self._shape_of(data)
        if shape != before and (rows := self._whole(data, shape)) is not None:
            self._shape = shape
            return [rows], []
        if shape not in self._sorters:
            self._sorters[shape] = _Sorter(shape, self._paths, self._names)
        self._odd_shape = shape
        return self._with_exact(data, *self._sorters[shape].sort_out(lines))

    def _with_exact(
        self, data: bytes, groups: list[Rows], spans: list[tuple[int, int]]
    ) -> tuple[list[Rows], list[Reject]]:
        if not spans:
            return groups, []
        rows, rejects = read_exact(data, sorted(spans), self._paths, self._names.scrub)
        return [*groups, rows], rejects

    def _whole(self, data: bytes, shape: Shape) -> Rows | None:
        return None if shape in self._sorters else _whole_block(data, shape)

    def _shape_of(self, data: bytes) -> Shape:
        """By majority of the first lines; a guess that costs speed if wrong, nothing else."""
        seen: dict[str, Counter[type]] = {f.path[0]: Counter() for f in self._fields}
        lines = data[: _SAMPLE_LINES << 11].split(b"\n", _SAMPLE_LINES)[:_SAMPLE_LINES]
        for line in lines:
            document = sampled(line)
            for name, kinds in seen.items():
                if (value := document.get(name)) is not None:
                    whole = type(value) is Number and value.lstrip("-").isdigit()
                    kinds[int if whole else type(value)] += 1
        return Shape(tuple((f, _usual_kind(f, seen[f.path[0]])) for f in self._fields))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A block's lines by what is to become of them: indices, and spans."""

    plain: Indices
    flat: Indices  # with strangers
    extras: pa.Array  # of these: the strangers
    spans: list[tuple[int, int]]  # all else


class _Sorter:
    """Takes a block apart by lines: usual ones, usual ones with strangers, and others."""

    def __init__(self, shape: Shape, paths: tuple[Path, ...], names: NameRules) -> None:
        self._shape, self._line_pattern = shape, shape.line_pattern
        self._strangers = Strangers(shape.pair_pattern, {path[0] for path in paths}, names)
        self._odd = OddLines({declared.path[0]: kind for declared, kind in shape.kinds})

    def sort_out(self, lines: Lines) -> tuple[list[Rows], list[tuple[int, int]]]:
        """Rows of the lines that could be vouched for, and the spans of all others."""
        usual = lines.matching(self._line_pattern)
        self._odd.learn(lines, np.flatnonzero(~usual))
        chosen = self._choose(lines, usual)
        groups, spans = _parse_lines(lines, chosen.plain, self._shape, None)
        more, left = self._parse_flat(lines, chosen)
        return groups + more, spans + left

    def guess(self, lines: Lines) -> tuple[list[Rows], list[tuple[int, int]]] | None:
        """The same for less, if this block's odd lines are like the last one's."""
        if (usual := self._odd.guess(lines)) is None:
            return None
        chosen = self._choose(lines, usual)
        if (rows := _proven(lines, chosen.plain, self._shape)) is None:
            self._odd.failed()
            return None
        groups, spans = self._parse_flat(lines, chosen)
        return [*rows, *groups], spans

    def _choose(self, lines: Lines, usual: Mask) -> "_Chosen":
        flat, extras = self._with_strangers(lines, np.flatnonzero(~usual))
        alone, spans = lines.sort_out(usual | lines.mask_of(flat))
        still = lines.mask_of(alone)[flat]
        return _Chosen(alone[usual[alone]], flat[still], extras.filter(pa.array(still)), spans)

    def _parse_flat(
        self, lines: Lines, chosen: "_Chosen"
    ) -> tuple[list[Rows], list[tuple[int, int]]]:
        groups, left = _parse_lines(lines, chosen.flat, self._shape, chosen.extras)
        return groups, chosen.spans + left

    def _with_strangers(self, lines: Lines, unusual: Indices) -> tuple[Indices, pa.Array]:
        """Simple lines among the unusual ones, and the strangers in each."""
        if len(unusual) < _SIMPLE_LINES_MIN:
            return unusual[:0], pa.nulls(0, pa.string())
        texts = lines.texts_of(unusual)
        flat = pc.match_substring_regex(texts, SIMPLE_LINE)
        objects, sound = self._strangers.of(pc.filter(texts, flat))
        simple = unusual[as_mask(flat)]
        return simple[as_mask(sound)], pc.filter(objects, sound)


def _proven(lines: Lines, chosen: Indices, shape: Shape) -> list[Rows] | None:
    """Framed lines for which no expression has vouched, proven as a whole block is: as many
    rows as lines as closing braces, so each line is one object. None: at least one is not."""
    if not len(chosen):
        return []
    rows = _whole_block(lines.joined(chosen), shape)
    if rows is None or rows.count != len(chosen):
        return None
    return [Rows(rows.count, rows.fields, partial(lines.arrays_of, chosen))]


def _parse_lines(
    lines: Lines, chosen: Indices, shape: Shape, extras: pa.Array | None
) -> tuple[list[Rows], list[tuple[int, int]]]:
    """Lines, halved until each group parses; spans of small groups that would not."""
    groups: list[Rows] = []
    spans: list[tuple[int, int]] = []
    waiting = [(0, len(chosen))] if len(chosen) else []
    while waiting:
        start, end = waiting.pop()
        group = chosen[start:end]
        unexpected = "error" if extras is None else "ignore"
        table = _parse(lines.joined(group), shape, unexpected)
        if table is not None and table.num_rows == end - start:
            own = None if extras is None else extras[start:end]
            groups.append(_rows(table, shape, partial(lines.arrays_of, group), own))
        elif end - start <= _BISECT_LINES:
            spans += lines.spans_of(group)
        else:
            middle = (start + end) // 2
            waiting += [(middle, end), (start, middle)]
    return groups, spans


def _simple_fields(contract: Contract) -> Iterator[Field]:
    """Fields the parser can read: scalars at the root, of one type in every table."""
    types: dict[str, set[str]] = {}
    fields = [f for table in contract.tables for f in table.fields]
    for declared in fields:
        types.setdefault(declared.path[0], set()).add(declared.type)
    done: set[str] = set()
    for declared in fields:
        name = declared.path[0]
        scalar = declared.type != "json" and "<" not in declared.type
        if declared.type.startswith("decimal"):
            scalar = declared.arrow_type.precision <= _DECIMAL_PRECISION_MAX
        alone = len(declared.path) == 1 and len(types[name]) == 1 and name not in done
        if scalar and alone and _PLAIN_NAME.fullmatch(name):
            done.add(name)
            yield declared


_DEFAULT_KINDS: dict[str, Kind] = {
    "int": "int",
    "bigint": "int",
    "double": "float",
    "boolean": "bool",
}


def _usual_kind(declared: Field, seen: Counter[type]) -> Kind:
    default = _DEFAULT_KINDS.get(declared.type, "string")
    if declared.type.startswith("decimal"):
        default = "decimal"
    if not seen:
        return default
    usual = max(seen, key=lambda kind: seen[kind])
    if usual is str:
        return "string"
    if usual is bool:
        return "bool" if declared.type in ("boolean", "string") else default
    if usual is int:
        return default if default in ("float", "decimal") else "int"
    if usual is Number and declared.type in ("timestamp", "date"):
        return "decimal"
    return default


def _parser_type(declared: Field, kind: Kind) -> pa.DataType:
    if kind == "decimal":
        own = declared.type.startswith("decimal")
        return pa.decimal128(38, declared.arrow_type.scale if own else 9)
    types = {"string": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    return types[kind]


def _parse(data: bytes, shape: Shape, unexpected: str = "error") -> pa.Table | None:
    """One row a line, or None where the parser objects or believed what is not JSON."""
    try:
        table = pj.read_json(
            pa.BufferReader(data),
            # On one thread and in one piece: runners read several blocks at once, and a block
            # split over two threads took a third more of the processors' time.
            read_options=pj.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=shape.schema, unexpected_field_behavior=unexpected
            ),
            # The default pool keeps what it once had: 30 MB that never come back.
            memory_pool=pa.system_memory_pool(),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    for column in table.columns:
        if pa.types.is_floating(column.type) and not pc.all(pc.is_finite(column)).as_py():
            return None if pc.any(pc.invert(pc.is_finite(column))).as_py() else table
    return table


def _whole_block(data: bytes, shape: Shape) -> Rows | None:
    """The common case: nothing but flat objects, whatever stands between them.

    As many rows as there are closing braces means that each object has exactly
    one, its own: none nested, none inside a string, each record where it seems to be.
    """
    text = data if _plainly_objects(data) else _without_separators(data)
    if not _plainly_objects(text) or not is_utf8(text):
        return None
    if pc.match_substring_regex(as_one(text), _BARE_NULL)[0].as_py():
        return None
    table = _parse(text, shape)
    if table is None or table.num_rows != count_braces(text):
        return None
    return _rows(table, shape, lambda: _brace_spans(text))


def _plainly_objects(data: bytes) -> bool:
    head, tail = data[:_LOOK_BYTES].lstrip(b" \t\r\n"), data[-_LOOK_BYTES:].rstrip(b" \t\r\n")
    return head.startswith(b"{") and tail.endswith(b"}")


def _without_separators(data: bytes) -> bytes:
    """Arrays opened out, every byte left at its place."""
    size_bytes = len(data)
    head = SEPARATORS.match(data)
    text = data[head.end() if head else 0 :].rjust(size_bytes)
    return text.rstrip(b" \t\r\n,[]").ljust(size_bytes).replace(b"},", b"} ")


def _brace_spans(text: bytes) -> tuple[pa.Array, pa.Array]:
    """Where flat objects lie: from a brace to the next closing one."""
    pieces = text.split(b"}")[:-1]
    sizes = pa.array([len(piece) + 1 for piece in pieces], pa.int64())
    before = pa.array([piece.index(b"{") for piece in pieces], pa.int64())
    ends = pc.cumulative_sum(sizes)
    return pc.add(pc.subtract(ends, sizes), before), ends


def _rows(
    table: pa.Table,
    shape: Shape,
    locate: Callable[[], tuple[pa.Array, pa.Array]],
    extras: pa.Array | None = None,
) -> Rows:
    fields: dict[Path, tuple[Part, ...]] = {
        declared.path: (Part(kind, _one_array(table[declared.path[0]])),)
        for declared, kind in shape.kinds
    }
    return Rows(table.num_rows, fields, locate, extras)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        return whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    return whole
