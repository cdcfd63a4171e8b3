"""Instants written by Java's DateTimeFormatter patterns, as Firehose prefixes do.

Letters and counts as the Java 8 class documents them, in English:
https://docs.oracle.com/javase/8/docs/api/java/time/format/DateTimeFormatter.html
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

# A quoted literal ('' is one quote), a run of one letter, or anything else.
_TOKEN = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|[^A-Za-z']+")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


class PatternError(ValueError):
    """A pattern that Java would refuse too."""


def format_instant(at: datetime, pattern: str) -> str:
    """`at` (aware) written by `pattern`.

    Raises:
        PatternError: an unknown letter, or a quote that is never closed.
    """
    parts, end = [], 0
    for token in _TOKEN.finditer(pattern):
        if token.start() != end:
            break
        end = token.end()
        parts.append(_write(at, token[0]))
    if end != len(pattern):
        raise PatternError(f"the pattern {pattern!r} has a quote that is never closed")
    return "".join(parts)


def _write(at: datetime, text: str) -> str:
    if text == "''":
        return "'"
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    letter, count = text[0], len(text)
    if not letter.isalpha():
        return text
    if letter not in _LETTERS:
        raise PatternError(f"{letter!r} is not a letter of Java's DateTimeFormatter offered here")
    return _LETTERS[letter](at, count)


def _number(value: int, count: int) -> str:
    return str(value).zfill(count)


def _year(at: datetime, count: int) -> str:
    return _number(at.year % 100, 2) if count == 2 else _number(at.year, count)


def _week_year(at: datetime, count: int) -> str:
    year = at.isocalendar().year
    return _number(year % 100, 2) if count == 2 else _number(year, count)


def _named(names: tuple[str, ...], index: int, count: int) -> str:
    """Three letters, the whole word, or one letter, by the count."""
    name = names[index]
    return name if count == 4 else name[0] if count == 5 else name[:3]


def _month(at: datetime, count: int) -> str:
    return _number(at.month, count) if count < 3 else _named(_MONTHS, at.month - 1, count)


def _day_of_week(at: datetime, count: int) -> str:
    return _named(_DAYS, at.weekday(), count)


def _localized_day_of_week(at: datetime, count: int) -> str:
    """Sunday is 1, as in the US locale Firehose writes in (assumed)."""
    return _number(at.isoweekday() % 7 + 1, count) if count < 3 else _day_of_week(at, count)


def _quarter(at: datetime, count: int) -> str:
    quarter = (at.month + 2) // 3
    if count < 3:
        return _number(quarter, count)
    ordinal = ("1st", "2nd", "3rd", "4th")[quarter - 1]
    return f"Q{quarter}" if count == 3 else f"{ordinal} quarter"


def _fraction(at: datetime, count: int) -> str:
    return f"{at.microsecond:06d}000"[:count].ljust(count, "0")


def _offset(at: datetime, count: int, *, zero: str = "") -> str:
    """+01, +0130, +01:30 by the count; `zero` stands for UTC where given."""
    offset = at.utcoffset() or timedelta()
    if not offset and zero:
        return zero
    minutes = round(offset.total_seconds() / 60)
    sign, hours, minutes = "-" if minutes < 0 else "+", abs(minutes) // 60, abs(minutes) % 60
    if count == 1:
        return f"{sign}{hours:02d}" + (f"{minutes:02d}" if minutes else "")
    return f"{sign}{hours:02d}{':' if count in (3, 5) else ''}{minutes:02d}"


def _rfc_offset(at: datetime, count: int) -> str:
    if count == 4:
        return "GMT" + ("" if not at.utcoffset() else _offset(at, 3))
    return _offset(at, 3, zero="Z") if count == 5 else _offset(at, 2)


def _zone_id(at: datetime, _count: int) -> str:
    return getattr(at.tzinfo, "key", None) or at.tzname() or "UTC"


_LETTERS: dict[str, Callable[[datetime, int], str]] = {
    "G": lambda _at, count: "AD" if count < 4 else "Anno Domini" if count == 4 else "A",
    "y": _year,
    "u": _year,
    "Y": _week_year,
    "D": lambda at, count: _number(at.timetuple().tm_yday, count),
    "M": _month,
    "L": _month,
    "d": lambda at, count: _number(at.day, count),
    "Q": _quarter,
    "q": _quarter,
    "w": lambda at, count: _number(at.isocalendar().week, count),
    "E": _day_of_week,
    "e": _localized_day_of_week,
    "c": _localized_day_of_week,
    "a": lambda at, _count: "AM" if at.hour < 12 else "PM",
    "h": lambda at, count: _number((at.hour - 1) % 12 + 1, count),
    "K": lambda at, count: _number(at.hour % 12, count),
    "k": lambda at, count: _number((at.hour - 1) % 24 + 1, count),
    "H": lambda at, count: _number(at.hour, count),
    "m": lambda at, count: _number(at.minute, count),
    "s": lambda at, count: _number(at.second, count),
    "S": _fraction,
    "n": lambda at, count: _number(at.microsecond * 1000, count),
    "A": lambda at, count: _number(
        ((at.hour * 60 + at.minute) * 60 + at.second) * 1000 + at.microsecond // 1000, count
    ),
    "V": _zone_id,
    "z": lambda at, _count: at.tzname() or "UTC",
    "X": lambda at, count: _offset(at, count, zero="Z"),
    "x": lambda at, count: _offset(at, count),
    "Z": _rfc_offset,
}
