"""Text and numbers → instants: ISO 8601 in its shapes, epochs by their magnitude.

Everything ends as UTC microseconds; finer digits are cut off (towards the past).
A time without an offset is UTC.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.schema import TIMESTAMP

_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEAST_US = int((datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) / timedelta(microseconds=1))
MOST_US = int((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) / timedelta(microseconds=1)) + _DAY_US

# Up to 10^11 is seconds (the year 5138), up to 10^14 milliseconds, and so on:
# each unit's present-day values are a thousand times from the next.
_SECONDS_MAX, _MILLIS_MAX, _MICROS_MAX, _NANOS_MAX = 10**11, 10**14, 10**17, 10**20

_NEARLY_ALL = 0.95
_UTC = pa.timestamp("us", "UTC")
_ZONED = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z$"
_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d|\d{8}|\d{4}-\d{3}|\d{7}|\d{4}-?W\d\d-?\d)"
    r"(?:(?:[Tt]|\ )(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)"
    r"(?:[.,](?P<fraction>\d+))?)?)?"
    r"\ ?(?P<zone>[Zz]|[+\-\u2212]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)


def instants_of_text(values: pa.Array) -> pa.Array:
    """ISO 8601, or an epoch in digits; null where it is neither."""
    if (quick := _quick(values)) is not None:
        return quick
    for usual in _usual(values):
        if (quick := _quick(pc.if_else(usual, values, None))) is not None:
            odd = pc.fill_null(pc.invert(usual), False)
            return pc.replace_with_mask(quick, odd, _one_by_one(pc.filter(values, odd)))
    return _one_by_one(values)  # the 30th of February, 24:00, a leap second


def _usual(values: pa.Array) -> Iterator[pa.Array]:
    """Where a value is of the usual spelling: where nearly all have one length first the rest
    is the odd ones, which is soon told; else by the spelling."""
    lengths = pc.binary_length(values)
    common = pc.equal(lengths, pc.mode(lengths)[0]["mode"]) if len(lengths.drop_null()) else None
    if common is not None and pc.sum(common).as_py() > _NEARLY_ALL * len(values):
        yield common
    yield pc.match_substring_regex(values, _ZONED)


def _quick(values: pa.Array) -> pa.Array | None:
    """By Arrow, which takes a part of what `parse_instant` does, and with an offset only;
    None where one is not of that part. Only the years 0 and 10000 it takes alone."""
    try:
        found = pc.cast(pc.cast(values, _UTC), TIMESTAMP)
    except pa.ArrowInvalid:
        return None
    ends = pc.min_max(pc.cast(found, pa.int64())).as_py()
    within = ends["min"] is None or (ends["min"] >= LEAST_US and ends["max"] < MOST_US)
    return found if within else None


def instants_of_numbers(values: pa.Array) -> pa.Array:
    """Epochs as integers (int64); null out of range."""
    if pc.any(pc.less(values, 0)).as_py():
        return _one_by_one(pc.cast(values, pa.string()))
    micros = pc.case_when(
        pc.make_struct(
            pc.less(values, _SECONDS_MAX),
            pc.less(values, _MILLIS_MAX),
            pc.less(values, _MICROS_MAX),
        ),
        pc.multiply(values, 1_000_000),
        pc.multiply(values, 1_000),
        values,
        pc.divide(values, 1_000),
    )
    micros = pc.if_else(pc.less(micros, MOST_US), micros, None)
    return pc.cast(micros, TIMESTAMP)


def days_of(instants: pa.Array) -> pa.Array:
    """date32, by UTC; before 1970 too a day begins at its own midnight."""
    return pc.cast(instants, pa.date32())


def _one_by_one(values: pa.Array) -> pa.Array:
    micros = [None if text is None else parse_instant(text) for text in values.to_pylist()]
    return pc.cast(pa.array(micros, pa.int64()), TIMESTAMP)


def parse_instant(text: str) -> int | None:
    """UTC microseconds of one text; None where it is no instant of the years 1 to 9999."""
    text = text.strip(" \t\r\n")
    if len(text) > 64:
        return None
    micros = _of_iso(text)
    if micros is None and _NUMBER.fullmatch(text):
        micros = _of_epoch(text)
    return micros if micros is not None and LEAST_US <= micros < MOST_US else None


def _of_epoch(text: str) -> int | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    size = abs(value)
    if size >= _NANOS_MAX:
        return None
    if value and value.adjusted() < -30:
        return 0 if value > 0 else -1
    power = 6 if size < _SECONDS_MAX else 3 if size < _MILLIS_MAX else 0
    power = -3 if size >= _MICROS_MAX else power
    sign, digits, exponent = value.as_tuple()
    whole = int("".join(map(str, digits))) * (-1 if sign else 1)
    shift = int(exponent) + power
    return int(whole * 10**shift if shift >= 0 else whole // 10**-shift)


def _of_iso(text: str) -> int | None:
    found = _ISO.fullmatch(text)
    if not found or (found["hour"] is None and found["date"].isdigit() and len(text) == 7):
        return None  # seven bare digits are an epoch, not an ordinal date
    day = _day_of(found["date"])
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    fraction = int((found["fraction"] or "0")[:6].ljust(6, "0"))
    past_midnight = hour == 24 and not (minute or second or fraction)
    if day is None or (hour > 23 and not past_midnight) or minute > 59 or second > 60:
        return None
    offset = _offset_minutes(found["zone"])
    if offset is None:
        return None
    seconds = (hour * 60 + minute - offset) * 60 + second
    return (day - date(1970, 1, 1)).days * _DAY_US + seconds * 1_000_000 + fraction


def _day_of(text: str) -> date | None:
    digits = text.replace("-", "")
    try:
        if "W" in text:
            return date.fromisocalendar(int(digits[:4]), int(digits[5:7]), int(digits[7]))
        if len(digits) == 7:
            first = date(int(digits[:4]), 1, 1)
            day = first + timedelta(int(digits[4:]) - 1)
            return day if day.year == first.year and digits[4:] != "000" else None
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except (ValueError, OverflowError):
        return None


def _offset_minutes(zone: str | None) -> int | None:
    if zone is None or zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (1 if zone[0] == "+" else -1)
