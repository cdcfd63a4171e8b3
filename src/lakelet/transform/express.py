"""Checked SQL expressions, worked out over Arrow columns.

SQL's rules: null spreads, AND and OR know three values. A result that does not
exist (a division by zero, an overflow, a cast that cannot be) is null: a
computed column never stops an event.

The names here are what `lakelet.contract.sql` compiles to; one function an
operation, all from Arrow's kernels.
"""

import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.contract import Expression
from lakelet.model.schema import TIMESTAMP, arrow_type
from lakelet.transform.coerce import coerce
from lakelet.transform.instants import days_of
from lakelet.transform.rows import Kind, Part

Columns = Mapping[str, pa.Array]


def evaluate(expression: Expression, columns: Columns, count: int) -> pa.Array:
    """One value a row, of `expression.type`."""
    value = _value(expression, columns, count)
    if isinstance(value, pa.Scalar):
        return pa.repeat(value, count)
    return value


def holds(expression: Expression, columns: Columns, count: int) -> pa.Array:
    """Where a condition is true: never null."""
    return pc.fill_null(evaluate(expression, columns, count), False)


def _value(expression: Expression, columns: Columns, count: int) -> Any:
    if expression.column:
        return columns[expression.column]
    kind = arrow_type(expression.type)
    if not expression.call:
        return _literal(expression, kind)
    arguments = [_value(a, columns, count) for a in expression.arguments]
    if expression.call == "cast":
        return _cast(arguments[0], expression.arguments[0].type, expression.type, count)
    result = OPERATIONS[expression.call](*arguments)
    return result if result.type == kind else pc.cast(result, kind, safe=False)


def _literal(expression: Expression, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.scalar(expression.value, pa.string()).cast(kind)
    if pa.types.is_decimal(kind):
        return pa.scalar(str(expression.value)).cast(kind)
    return pa.scalar(expression.value, kind)


# --- casts ------------------------------------------------------------------------

_PART_KINDS: dict[str, Kind] = {
    "string": "string",
    "json": "string",
    "int": "int",
    "bigint": "int",
    "double": "float",
    "boolean": "bool",
}


def _cast(value: Any, source: str, target: str, count: int) -> pa.Array:
    """As `try_cast`: null where it cannot be."""
    if isinstance(value, pa.Scalar):
        value = pa.repeat(value, count)
    if source == target:
        return value
    wanted = arrow_type(target)
    if pa.types.is_string(wanted):
        return _text(value)
    if pa.types.is_date(wanted) and pa.types.is_timestamp(value.type):
        return days_of(value)
    if pa.types.is_timestamp(wanted) and pa.types.is_date(value.type):
        return pc.cast(value, wanted)
    if pa.types.is_boolean(value.type) and not pa.types.is_boolean(wanted):
        return pc.cast(pc.cast(value, pa.int32()), wanted)
    if pa.types.is_floating(value.type) or pa.types.is_decimal(value.type):
        if pa.types.is_boolean(wanted):
            return pc.not_equal(value, pa.scalar(0).cast(value.type))
        if pa.types.is_floating(wanted):
            return pc.cast(value, wanted)
        rounded = pc.round(value, 0, "half_towards_infinity") if _whole(wanted) else value
        text = pc.cast(rounded, pa.string())
        return coerce((Part("number", text),), target, wanted, count)
    kind = _PART_KINDS.get(source)
    if kind is None:
        return pa.nulls(count, wanted)
    return coerce((Part(kind, _as_int64(value)),), target, wanted, count)


def _whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind))


def _as_int64(value: pa.Array) -> pa.Array:
    return pc.cast(value, pa.int64()) if pa.types.is_integer(value.type) else value


def _text(value: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(value.type):
        return pc.strftime(pc.cast(value, pa.timestamp("ms")), "%Y-%m-%d %H:%M:%S")
    return pc.cast(value, pa.string())


# --- arithmetic -------------------------------------------------------------------


def _finite(value: Any) -> Any:
    if pa.types.is_floating(value.type):
        return pc.if_else(pc.is_finite(value), value, None)
    return value


def _arithmetic(checked: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def work(left: Any, right: Any) -> Any:
        try:
            return _finite(checked(left, right))
        except pa.ArrowInvalid:  # an integer ran over: null just there
            return _with_overflow_null(checked, left, right)

    return work


def _with_overflow_null(checked: Callable[..., Any], left: Any, right: Any) -> Any:
    wide = [pc.cast(pc.cast(v, pa.int64()), pa.decimal256(19, 0)) for v in (left, right)]
    exact = checked(*wide)
    limits = (
        pa.scalar(-(2**63)).cast(pa.decimal256(19, 0)),
        pa.scalar(2**63 - 1).cast(pa.decimal256(19, 0)),
    )
    fits = pc.and_(pc.greater_equal(exact, limits[0]), pc.less_equal(exact, limits[1]))
    return pc.cast(pc.if_else(fits, exact, None), pa.int64())


def _nonzero(value: Any) -> Any:
    zero = pa.scalar(0).cast(value.type)
    return pc.if_else(pc.equal(value, zero), pa.scalar(None, value.type), value)


def _divide(left: Any, right: Any) -> Any:
    return _finite(pc.divide(left, _nonzero(right)))


def _modulo(left: Any, right: Any) -> Any:
    divisor = _nonzero(right)
    if pa.types.is_floating(left.type):
        return _finite(pc.subtract(left, pc.multiply(pc.trunc(pc.divide(left, divisor)), divisor)))
    return pc.subtract(left, pc.multiply(pc.divide(left, divisor), divisor))


def _extreme(kernel: Callable[..., Any]) -> Callable[..., Any]:
    def work(*values: Any) -> Any:
        options = pc.ElementWiseAggregateOptions(skip_nulls=False)
        return kernel(*values, options=options)

    return work


# --- choice -----------------------------------------------------------------------


def _case(*arguments: Any) -> Any:
    """when, then, when, then, …, otherwise."""
    result = arguments[-1]
    for at in range(len(arguments) - 3, -1, -2):
        condition = pc.fill_null(arguments[at], False)
        result = pc.if_else(condition, arguments[at + 1], result)
    return result


def _in(value: Any, *options: Any) -> Any:
    result = pc.equal(value, options[0])
    for option in options[1:]:
        result = pc.or_kleene(result, pc.equal(value, option))
    return result


def _null_if(left: Any, right: Any) -> Any:
    same = pc.fill_null(pc.equal(left, right), False)
    return pc.if_else(same, pa.scalar(None, left.type), left)


# --- text -------------------------------------------------------------------------


def _like(value: Any, pattern: pa.Scalar) -> Any:
    return pc.match_like(value, pattern.as_py())


def _substring(value: Any, start: pa.Scalar, length: pa.Scalar | None = None) -> Any:
    first = start.as_py()
    begin = first - 1 if first > 0 else first
    if first == 0:
        return pc.utf8_slice_codeunits(value, 0, 0)
    end = None if length is None else begin + max(length.as_py(), 0)
    if end is not None and begin < 0 <= end:
        end = None
    return pc.utf8_slice_codeunits(value, begin, end)


def _concat(*values: Any) -> Any:
    return pc.binary_join_element_wise(*values, "", null_handling="emit_null")


def _group(value: Any, pattern: pa.Scalar, group: pa.Scalar | None = None) -> Any:
    """A group's text; Arrow wants every group named, so they get their numbers."""
    index = 0 if group is None else group.as_py()
    groups = count(1)
    named = _UNNAMED_GROUP.sub(
        lambda found: found[0] if found[1] is None else f"(?P<g{next(groups)}>", pattern.as_py()
    )
    if not 0 <= index < next(groups):
        return pa.nulls(len(value), pa.string()) if isinstance(value, pa.Array) else _NO_TEXT
    return pc.struct_field(pc.extract_regex(value, f"(?P<g0>{named})"), [index])


_NO_TEXT = pa.scalar(None, pa.string())
# Skips escapes, classes and `(?…`; group 1 is an opening bracket that counts.
_UNNAMED_GROUP = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?|(\()")


def _strpos(value: Any, part: pa.Scalar) -> Any:
    """In characters, from 1; 0 where it is not there."""
    before = pc.struct_field(
        pc.extract_regex(value, rf"(?s)^(?P<before>.*?){_escaped(part.as_py())}"), [0]
    )
    found = pc.add(pc.utf8_length(before), 1)
    return pc.if_else(pc.is_null(value), None, pc.coalesce(found, pa.scalar(0, found.type)))


def _escaped(text: str) -> str:
    """`text` as RE2 writes it literally."""
    return "".join(c if c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)


def _split_part(value: Any, separator: pa.Scalar, index: pa.Scalar) -> Any:
    pieces = pc.split_pattern(value, separator.as_py())
    at = index.as_py() - 1
    enough = pc.greater(pc.list_value_length(pieces), at)
    padded = pc.if_else(enough, pieces, pa.scalar([None] * (at + 1), pieces.type))
    return pc.list_element(padded, at)


# --- time -------------------------------------------------------------------------


def _date_format(value: Any, pattern: pa.Scalar) -> Any:
    """`pattern` is strftime's by now; formatted once for each instant it can tell apart.

    Whole seconds, or %S would bring its fraction.
    """
    text = pattern.as_py()
    unit = next((unit for letters, unit in _FORMAT_UNITS if any(c in text for c in letters)), "day")
    floored = pc.cast(pc.floor_temporal(value, unit=unit), pa.timestamp("s")).dictionary_encode()
    return pc.take(pc.strftime(floored.dictionary, text), floored.indices)


_FORMAT_UNITS = (
    (("%S", "%T"), "second"),
    (("%M",), "minute"),
    (("%H", "%I", "%p"), "hour"),
)


def _date_trunc(unit: pa.Scalar, value: Any) -> Any:
    return pc.floor_temporal(value, unit=unit.as_py(), week_starts_monday=True)


def _iso_weekday(value: Any) -> Any:
    return pc.day_of_week(value, count_from_zero=False, week_start=1)


def _to_unixtime(value: Any) -> Any:
    return pc.divide(pc.cast(pc.cast(value, pa.int64()), pa.float64(), safe=False), 1e6)


def _from_unixtime(value: Any) -> Any:
    micros = pc.round(pc.multiply(value, 1e6))
    sound = pc.less(pc.abs(micros), 2.5e17)
    whole = pc.cast(pc.if_else(sound, micros, None), pa.int64())
    return pc.cast(whole, TIMESTAMP)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": _arithmetic(pc.add_checked),
    "subtract": _arithmetic(pc.subtract_checked),
    "multiply": _arithmetic(pc.multiply_checked),
    "divide": _divide,
    "modulo": _modulo,
    "negate": lambda v: _arithmetic(pc.subtract_checked)(pa.scalar(0).cast(v.type), v),
    "abs": lambda v: pc.abs(v),
    "round": lambda v, d=None: pc.round(
        v, 0 if d is None else d.as_py(), round_mode="half_towards_infinity"
    ),
    "floor": pc.floor,
    "ceil": pc.ceil,
    "sqrt": lambda v: _finite(pc.sqrt(v)),
    "ln": lambda v: _finite(pc.ln(v)),
    "log10": lambda v: _finite(pc.log10(v)),
    "power": lambda a, b: _finite(pc.power(a, b)),
    "greatest": _extreme(pc.max_element_wise),
    "least": _extreme(pc.min_element_wise),
    "equal": pc.equal,
    "not_equal": pc.not_equal,
    "less": pc.less,
    "less_equal": pc.less_equal,
    "greater": pc.greater,
    "greater_equal": pc.greater_equal,
    "and": pc.and_kleene,
    "or": pc.or_kleene,
    "not": pc.invert,
    "is_null": pc.is_null,
    "is_not_null": pc.is_valid,
    "in": _in,
    "case": _case,
    "coalesce": pc.coalesce,
    "nullif": _null_if,
    "like": _like,
    "lower": pc.utf8_lower,
    "upper": pc.utf8_upper,
    "trim": lambda v: pc.utf8_trim(v, " "),
    "ltrim": lambda v: pc.utf8_ltrim(v, " "),
    "rtrim": lambda v: pc.utf8_rtrim(v, " "),
    "length": pc.utf8_length,
    "reverse": pc.utf8_reverse,
    "substring": _substring,
    "concat": _concat,
    "replace": lambda v, a, b: pc.replace_substring(v, a.as_py(), b.as_py()),
    "starts_with": lambda v, p: pc.starts_with(v, p.as_py()),
    "strpos": _strpos,
    "split_part": _split_part,
    "regexp_like": lambda v, p: pc.match_substring_regex(v, p.as_py()),
    "regexp_replace": lambda v, p, r: pc.replace_substring_regex(v, p.as_py(), r.as_py()),
    "regexp_extract": _group,
    "year": pc.year,
    "quarter": pc.quarter,
    "month": pc.month,
    "week": pc.iso_week,
    "day": pc.day,
    "day_of_week": _iso_weekday,
    "day_of_year": pc.day_of_year,
    "hour": pc.hour,
    "minute": pc.minute,
    "second": pc.second,
    "date_trunc": _date_trunc,
    "date_format": _date_format,
    "to_unixtime": _to_unixtime,
    "from_unixtime": _from_unixtime,
}
