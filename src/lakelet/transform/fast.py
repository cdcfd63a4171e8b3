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
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from lakelet.model.contract import Contract, Field
from lakelet.transform.exact import read_exact
from lakelet.transform.jsontext import Number, loads
from lakelet.transform.lines import Lines, is_utf8
from lakelet.transform.personal import NameRules
from lakelet.transform.rows import Kind, Part, Path, Reject, Rows

_SAMPLE_LINES = 64
_BISECT_LINES = 64  # fewer lines than this are quicker read one by one than halved again
_DECIMAL_PRECISION_MAX = 28  # room below the parser's 38 digits, where it would wrap
_PARSE_BLOCK_BYTES = 2 << 20
_LOOK_BYTES = 256
_SEPARATORS = b" \t\r\n,[]\xef\xbb\xbf"
_BARE_NULL = re.compile(rb"\}\s*null")

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
    def line_pattern(self) -> str:
        """RE2: a whole line of declared fields, each of its usual kind, or null."""
        names: dict[Kind, list[str]] = {}
        for declared, kind in self.kinds:
            names.setdefault(kind, []).append(re.escape(declared.path[0]))
        pairs = [
            f'"(?:{"|".join(own)})"[ \t]*:[ \t]*(?:{_PATTERNS[kind]}|null)'
            for kind, own in names.items()
        ]
        return rf"^\{{(?:[ \t]*(?:{'|'.join(pairs)})[ \t]*[,}}])+\r?\z"


class FastReader:
    """Reads blocks; what it cannot vouch for it hands to `read_exact`."""

    def __init__(self, contract: Contract, paths: tuple[Path, ...], names: NameRules) -> None:
        self._paths, self._scrub = paths, names.scrub
        self._fields = tuple(_simple_fields(contract))
        self._patterns: dict[Shape, str] = {}  # of shapes that did not parse whole before

    def read(self, data: bytes) -> tuple[list[Rows], list[Reject]]:
        """Every record of a block exactly once, as a row or as a reject."""
        shape = self._shape_of(data)
        if shape not in self._patterns and (rows := _whole_block(data, shape)) is not None:
            return [rows], []
        return self._sorted_out(data, shape)

    def _shape_of(self, data: bytes) -> Shape:
        """By majority of the first lines; a guess that costs speed if wrong, nothing else."""
        seen: dict[str, Counter[type]] = {f.path[0]: Counter() for f in self._fields}
        lines = data[: _SAMPLE_LINES << 11].split(b"\n", _SAMPLE_LINES)[:_SAMPLE_LINES]
        for line in lines:
            document = _sampled(line)
            for name, kinds in seen.items():
                if (value := document.get(name)) is not None:
                    whole = type(value) is Number and value.lstrip("-").isdigit()
                    kinds[int if whole else type(value)] += 1
        return Shape(tuple((f, _usual_kind(f, seen[f.path[0]])) for f in self._fields))

    def _sorted_out(self, data: bytes, shape: Shape) -> tuple[list[Rows], list[Reject]]:
        if shape not in self._patterns:
            self._patterns[shape] = shape.line_pattern
        lines = Lines(data)
        alone, spans = lines.sort_out(lines.matching(self._patterns[shape]))
        groups: list[Rows] = []
        for chosen, rows in _parse_lines(lines, alone, shape):
            if rows is None:
                spans += lines.spans_of(chosen)
            else:
                groups.append(rows)
        if not spans:
            return groups, []
        rows, rejects = read_exact(data, sorted(spans), self._paths, self._scrub)
        return [*groups, rows], rejects


def _parse_lines(
    lines: "Lines", chosen: list[int], shape: Shape
) -> Iterator[tuple[list[int], Rows | None]]:
    """Lines in groups, each parsed; None for a small group that would not be."""
    waiting = [chosen] if chosen else []
    while waiting:
        group = waiting.pop()
        texts = [lines.lines[at] for at in group]
        block_size_bytes = max(_PARSE_BLOCK_BYTES, max(map(len, texts)) + 1)
        table = _parse(b"\n".join(texts), shape, block_size_bytes)
        if table is not None and table.num_rows == len(group):
            yield group, _rows(table, shape, partial(lines.arrays_of, group))
        elif len(group) <= _BISECT_LINES:
            yield group, None
        else:
            middle = len(group) // 2
            waiting += [group[middle:], group[:middle]]


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


def _sampled(line: bytes) -> dict[str, Any]:
    try:
        value = loads(line.decode())
    except (ValueError, RecursionError):
        return {}
    return value if type(value) is dict else {}


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


def _parse(data: bytes, shape: Shape, block_size_bytes: int) -> pa.Table | None:
    """One row a line, or None where the parser objects or believed what is not JSON."""
    try:
        table = pj.read_json(
            pa.BufferReader(data),
            read_options=pj.ReadOptions(use_threads=True, block_size=block_size_bytes),
            parse_options=pj.ParseOptions(
                explicit_schema=shape.schema, unexpected_field_behavior="error"
            ),
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
    if not _plainly_objects(text) or _BARE_NULL.search(text):
        return None
    if not is_utf8(text):
        return None
    one_line = text.find(b"\n", 0, _PARSE_BLOCK_BYTES // 2) < 0
    table = _parse(text, shape, len(text) + 1 if one_line else _PARSE_BLOCK_BYTES)
    if table is None or table.num_rows != text.count(b"}"):
        return None
    return _rows(table, shape, lambda: _brace_spans(text))


def _plainly_objects(data: bytes) -> bool:
    head, tail = data[:_LOOK_BYTES].lstrip(b" \t\r\n"), data[-_LOOK_BYTES:].rstrip(b" \t\r\n")
    return head.startswith(b"{") and tail.endswith(b"}")


def _without_separators(data: bytes) -> bytes:
    """Arrays opened out, every byte left at its place."""
    size_bytes = len(data)
    text = data.lstrip(_SEPARATORS).rjust(size_bytes)
    return text.rstrip(_SEPARATORS).ljust(size_bytes).replace(b"},", b"} ")


def _brace_spans(text: bytes) -> tuple[pa.Array, pa.Array]:
    """Where flat objects lie: from a brace to the next closing one."""
    pieces = text.split(b"}")[:-1]
    sizes = pa.array([len(piece) + 1 for piece in pieces], pa.int64())
    before = pa.array([piece.index(b"{") for piece in pieces], pa.int64())
    ends = pc.cumulative_sum(sizes)
    return pc.add(pc.subtract(ends, sizes), before), ends


def _rows(table: pa.Table, shape: Shape, locate: Callable[[], tuple[pa.Array, pa.Array]]) -> Rows:
    fields: dict[Path, tuple[Part, ...]] = {
        declared.path: (Part(kind, _one_array(table[declared.path[0]])),)
        for declared, kind in shape.kinds
    }
    return Rows(table.num_rows, fields, locate)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        return whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    return whole
