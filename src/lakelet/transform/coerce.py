"""Loose parts → one typed column, and which rows would not fit.

Lenient where no information is guessed ("29.99" is a price, 7 is a user's name,
1770000000 an instant), exact everywhere else: a value that does not fit is bad,
never rounded, cut or nulled.
"""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.jsontext import loads, quote
from lakelet.transform.instants import (
    days_of,
    instants_of_numbers,
    instants_of_text,
)
from lakelet.transform.rows import Part, parts_of

NUMERIC = r"^[ \t\r\n]*[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[ \t\r\n]*$"
_SHORT_INTEGER = r"^[+-]?[0-9]{1,18}$"
_NUMBER_LENGTH_MAX = 400  # of text that is to become exactly one number
_INT_BOUNDS = {pa.int32(): 2**31}
_SPACE = " \t\r\n"


def coerce(parts: Iterable[Part], kind: str, arrow: pa.DataType, count: int) -> pa.Array:
    """A column of type `arrow`; null where there was nothing, or nothing that fits.

    Whether a null was a value that did not fit: compare with `present`.
    """
    columns = [_convert(part, kind, arrow) for part in parts]
    if not columns:
        return pa.nulls(count, arrow)
    return columns[0] if len(columns) == 1 else pc.coalesce(*columns)


def present(parts: Iterable[Part], count: int) -> pa.Array:
    """Where something was sent (null is nothing)."""
    masks = [pc.is_valid(part.values) for part in parts]
    if not masks:
        return pa.array([False]).take(pa.array([0] * count, pa.int32()))
    result = masks[0]
    for mask in masks[1:]:
        result = pc.or_(result, mask)
    return result


def _convert(part: Part, kind: str, arrow: pa.DataType) -> pa.Array:
    if kind == "json":
        return _to_json(part)
    if pa.types.is_string(arrow):
        return _to_string(part)
    if pa.types.is_boolean(arrow):
        return _to_boolean(part)
    if pa.types.is_list(arrow) or pa.types.is_map(arrow):
        return _to_nested(part, kind, arrow)
    if part.kind in ("bool", "json"):
        return pa.nulls(len(part.values), arrow)
    if pa.types.is_timestamp(arrow):
        return _to_instant(part)
    if pa.types.is_date(arrow):
        return days_of(_to_instant(part))
    if pa.types.is_integer(arrow):
        return _to_integer(part, arrow)
    if pa.types.is_decimal(arrow):
        return _to_decimal(part, arrow)
    return _to_double(part)


def _to_string(part: Part) -> pa.Array:
    if part.kind == "json":
        return pa.nulls(len(part.values), pa.string())
    return pc.cast(part.values, pa.string())


def _to_json(part: Part) -> pa.Array:
    if part.kind == "string":
        return _mapped(part.values, quote, pa.string())
    return pc.cast(part.values, pa.string())


def _to_boolean(part: Part) -> pa.Array:
    if part.kind == "bool":
        return part.values
    if part.kind == "json":
        return pa.nulls(len(part.values), pa.bool_())
    text = pc.cast(part.values, pa.string())
    if part.kind == "string":
        text = pc.ascii_lower(pc.ascii_trim(text, _SPACE))
    yes, no = pc.is_in(text, pa.array(["true", "1"])), pc.is_in(text, pa.array(["false", "0"]))
    return pc.if_else(yes, True, pc.if_else(no, False, None))


def _to_instant(part: Part) -> pa.Array:
    if part.kind == "int":
        return instants_of_numbers(part.values)
    return instants_of_text(pc.cast(part.values, pa.string()))


def _numeric_text(part: Part) -> pa.Array:
    text = pc.cast(part.values, pa.string())
    if part.kind == "string":
        text = pc.if_else(pc.match_substring_regex(text, NUMERIC), text, None)
        text = pc.ascii_trim(text, _SPACE)
    return text


def _to_integer(part: Part, arrow: pa.DataType) -> pa.Array:
    if part.kind == "int":
        values = part.values
    else:
        text = _numeric_text(part)
        short = pc.match_substring_regex(text, _SHORT_INTEGER)
        plain = pc.replace_substring_regex(pc.if_else(short, text, None), r"^\+", "")
        values = pc.cast(plain, pa.int64())
        if pc.any(pc.invert(short)).as_py():
            rare = pc.if_else(short, None, text)
            values = pc.coalesce(values, _mapped(rare, _exact_integer, pa.int64()))
    if arrow == pa.int64():
        return values
    try:
        return pc.cast(values, arrow)
    except pa.ArrowInvalid:  # one is too large: just that one does not fit
        bound = _INT_BOUNDS[arrow]
    fits = pc.and_(pc.less(values, bound), pc.greater_equal(values, -bound))
    return pc.cast(pc.if_else(fits, values, None), arrow)


def _exact_integer(text: str) -> int | None:
    """2.0 and 1e3 are whole numbers too."""
    value = _exact(text)
    if value is None or value.adjusted() > 20 or value != value.to_integral_value():
        return None
    whole = int(value)
    return whole if -(2**63) <= whole < 2**63 else None


def _exact(text: str) -> Decimal | None:
    if len(text) > _NUMBER_LENGTH_MAX:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all reason
        return None


def _to_decimal(part: Part, arrow: pa.DataType) -> pa.Array:
    if part.kind == "decimal":
        return _to_narrower(part.values, arrow)

    def fit(text: str) -> Decimal | None:
        value = _exact(text)
        if value is None or not (value == 0 or -60 < value.adjusted() < 60):
            return None
        sign, digits, exponent = value.as_tuple()
        shift = int(exponent) + arrow.scale
        unscaled = int("".join(map(str, digits)))
        if shift < 0 and unscaled % 10**-shift:
            return None
        unscaled = unscaled * 10**shift if shift >= 0 else unscaled // 10**-shift
        if unscaled >= 10**arrow.precision:
            return None
        return Decimal((sign, tuple(map(int, str(unscaled))), -arrow.scale))

    return _mapped(_numeric_text(part), fit, arrow)


def _to_narrower(values: pa.Array, arrow: pa.DataType) -> pa.Array:
    """Of the same scale and 38 digits, as the parser gave them: it never looks at precision."""
    most = pa.scalar(Decimal(10**arrow.precision - 1).scaleb(-arrow.scale), values.type)
    fits = pc.less_equal(pc.abs(values), most)
    return pc.cast(pc.if_else(fits, values, None), arrow)


def _to_double(part: Part) -> pa.Array:
    if part.kind == "float":
        return part.values
    if part.kind == "int":
        return pc.cast(part.values, pa.float64(), safe=False)
    text = _numeric_text(part)
    if part.kind == "string":
        text = pc.replace_substring_regex(text, r"^\+", "")
    try:
        values = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        values = _mapped(text, float, pa.float64())
    return pc.if_else(pc.is_finite(values), values, None)


def _to_nested(part: Part, kind: str, arrow: pa.DataType) -> pa.Array:
    """Arrays and maps: element by element, by the same rules. One bad element is a bad value."""
    if part.kind != "json":
        return pa.nulls(len(part.values), arrow)
    inner_kind = kind[kind.index("<") + 1 : -1].partition("string,")[2 if kind[0] == "m" else 0]
    wanted = list if pa.types.is_list(arrow) else dict
    values = [_typed(text, wanted) for text in part.values.to_pylist()]
    flat = [
        inner
        for value in values
        if value is not None
        for inner in (value if wanted is list else value.values())
    ]
    element = arrow.value_type if wanted is list else arrow.item_type
    loose = parts_of(flat)
    items = coerce(loose, inner_kind, element, len(flat))
    bad = set(pc.indices_nonzero(_unfit(items, loose)).to_pylist())
    return _assembled(values, items.to_pylist(), bad, arrow)


def _unfit(values: pa.Array, parts: tuple[Part, ...]) -> pa.Array:
    return pc.and_(pc.is_null(values), present(parts, len(values)))


def _assembled(values: list[Any], items: list[Any], bad: set[int], arrow: pa.DataType) -> pa.Array:
    at, built = 0, list[Any]()
    for value in values:
        if value is None:
            built.append(None)
            continue
        own = items[at : at + len(value)]
        whole = bad.isdisjoint(range(at, at + len(value)))
        at += len(value)
        if type(value) is dict:
            own = list(zip(value, own, strict=True))
        built.append(own if whole else None)
    return pa.array(built, arrow)


def _typed(text: str | None, wanted: type) -> Any:
    value = None if text is None else loads(text)
    return value if type(value) is wanted else None


def _mapped(values: pa.Array, function: Any, arrow: pa.DataType) -> pa.Array:
    return pa.array([None if v is None else function(v) for v in values.to_pylist()], arrow)
