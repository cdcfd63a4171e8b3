"""Values as Athena writes them, in result files and in GetQueryResults."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def to_text(array: pa.Array) -> pa.Array:
    """A column as Athena's text; NULL stays NULL."""
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_date(kind):
        return pc.cast(array, pa.string())
    if pa.types.is_decimal(kind):
        # An Arrow cast writes 0E-9; Athena writes all its digits.
        return _each(array, lambda value: f"{value:f}")
    if pa.types.is_floating(kind):
        return _floats(array)
    if pa.types.is_timestamp(kind):
        return _timestamps(array)
    return _each(array, text_of)


def _each(array: pa.Array, write: Callable[[Any], str]) -> pa.Array:
    return pa.array(
        [None if value is None else write(value) for value in array.to_pylist()], pa.string()
    )


def _floats(array: pa.Array) -> pa.Array:
    """Java writes 1.0, 1.0E7, 1.0E-4, NaN, Infinity; Arrow 1, 1e+07, 0.0001, nan, inf."""
    size = pc.abs(array)
    plain = pc.or_kleene(
        pc.and_kleene(pc.greater_equal(size, 1e-3), pc.less(size, 1e7)), pc.equal(size, 0.0)
    )
    if not pc.all(plain, skip_nulls=True).as_py():
        write = text_of if pa.types.is_float64(array.type) else _single
        return _each(array, write)
    text = pc.cast(array, pa.string())
    dotted = pc.match_substring(text, ".")
    return pc.if_else(dotted, text, pc.binary_join_element_wise(text, ".0", ""))


def _single(value: float) -> str:
    """A 32-bit float by its own shortest digits, not those of its double."""
    text: str = pc.cast(pa.scalar(value, pa.float32()), pa.string()).as_py()
    return _java_double(float(text))


def _timestamps(array: pa.Array) -> pa.Array:
    """Milliseconds, as Athena shows timestamp(3); with ` UTC` where there is a zone."""
    zoned = array.type.tz is not None
    if zoned:
        array = pc.cast(array, pa.timestamp(array.type.unit, "UTC"))
        array = pc.cast(array, pa.timestamp(array.type.unit))
    text = pc.strftime(pc.cast(array, pa.timestamp("ms"), safe=False), "%Y-%m-%d %H:%M:%S")
    return pc.binary_join_element_wise(text, " UTC", "") if zoned else text


def text_of(value: Any) -> str:
    """One value, nested ones too: `[1, 2]`, `{a=1, b=x}`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _java_double(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        text = value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}"
        return f"{text} UTC" if value.tzinfo else text
    if isinstance(value, time):
        return value.strftime("%H:%M:%S.") + f"{value.microsecond // 1000:03d}"
    if isinstance(value, timedelta):
        return _interval(value)
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, pa.MonthDayNano):
        months, days, nanoseconds = value
        if months:
            return f"{months // 12}-{months % 12}"  # Trino's year to month
        return _interval(timedelta(days=days, microseconds=nanoseconds // 1_000))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={text_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            # Arrow gives a map as its pairs.
            return "{" + ", ".join(f"{text_of(k)}={text_of(v)}" for k, v in value) + "}"
        return f"[{', '.join(map(text_of, value))}]"
    return value.isoformat() if isinstance(value, date) else str(value)


def _java_double(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = repr(value)
        return text if "e" not in text else f"{value:f}"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    mantissa = "".join(map(str, digits)).rstrip("0") or "0"
    power = len(digits) - 1 + int(exponent)
    return f"{'-' if sign else ''}{mantissa[0]}.{mantissa[1:] or '0'}E{power}"


def _interval(value: timedelta) -> str:
    """`2 03:04:05.678`, Trino's day to second."""
    total_ms = round(value.total_seconds() * 1000)
    sign, total_ms = ("-" if total_ms < 0 else ""), abs(total_ms)
    days, rest = divmod(total_ms, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{sign}{days} {hours:02d}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
