"""Instants written by Java's DateTimeFormatter patterns, as Firehose prefixes do.

Letters, counts and text are those of Java 17 with Locale.US (assumed to be Firehose's): weeks
begin on Sunday, and the one that holds January 1st is the first of its year. What Java wrote
is recorded in tests/ingest/java_time.tsv. Not here: `v`, and `z` where Java's names differ from
the time zone database's.
https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/time/format/DateTimeFormatter.html
"""

import re
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, timedelta, tzinfo

# A quoted literal ('' is one quote); a run of one letter, with the pad before it; anything else.
_TOKEN = re.compile(r"'(?P<literal>(?:[^']|'')*)'|(?P<pad>p*)(?P<run>([A-Za-z])\4*)|[^A-Za-z']")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip

# Of time that is the same all year; `zzzz` has no others here. Java's long names are CLDR's.
_LONG_NAMES = {"UTC": "Coordinated Universal Time", "GMT": "Greenwich Mean Time"}
# Java 17.0.15 writes another `z` than tzdata 2026f's letters in these alone (January and July).
_NAMED_OTHERWISE = frozenset(
    ("Africa/Windhoek", "America/Adak", "America/Atka", "Pacific/Johnston", "US/Aleutian")
)
_WINTER, _SUMMER = datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 7, 15, 12, tzinfo=UTC)


class PatternError(ValueError):
    """A pattern that Java refuses too, or whose text we don't know."""


def check_pattern(pattern: str, zone: tzinfo) -> None:
    """Raises PatternError, naming the letter at fault and what is allowed."""
    end = depth = 0
    for token in _TOKEN.finditer(pattern):
        if token.start() != end:
            break
        end = token.end()
        depth += {"[": 1, "]": -1}.get(token[0], 0)
        if depth < 0:
            raise PatternError(f"the pattern {pattern!r} has a ']' that no '[' opened")
        if token[0] in "{}#":
            raise PatternError(f"{token[0]!r} is reserved in Java's patterns; it can be quoted")
        if token["run"]:
            _check_run(token["run"][0], len(token["run"]), zone)
    if end != len(pattern):
        raise PatternError(f"the pattern {pattern!r} has a quote that is never closed")


def format_instant(at: datetime, pattern: str) -> str:
    """`at` (aware) written by `pattern`, one that `check_pattern` let pass.

    Text wider than its pad is written whole, where Java throws: only a delivery meets it. A
    letter too often in a row is written as well, since an earlier Lakelet took it.
    """
    return "".join(_write(at, token) for token in _TOKEN.finditer(pattern))


def _check_run(letter: str, count: int, zone: tzinfo) -> None:
    if letter == "p":
        raise PatternError("'p' pads the letter after it, and there is none")
    if letter not in _LETTERS:
        raise PatternError(f"{letter!r} is not a letter of Java's DateTimeFormatter offered here")
    counts, _ = _LETTERS[letter]
    if count not in counts:
        allowed = (
            f"{counts[0]} to {counts[-1]}"
            if isinstance(counts, range)
            else " or ".join(map(str, counts))
        )
        raise PatternError(f"{letter!r} stands {count} times in a row; allowed: {allowed}")
    if letter == "z":
        _check_zone_name(count, zone)


def _check_zone_name(count: int, zone: tzinfo) -> None:
    names = {at.astimezone(zone).tzname() or "" for at in (_WINTER, _SUMMER)}
    known = names <= _LONG_NAMES.keys() if count == 4 else all(map(str.isalpha, names))
    if not known or str(zone) in _NAMED_OTHERWISE:
        raise PatternError(
            f"'{'z' * count}' is Java's own name for {zone}'s time, which is not known here; "
            "'VV' writes the zone, 'XXX' its offset"
        )


def _write(at: datetime, token: re.Match[str]) -> str:
    if token["literal"] is not None:
        return token["literal"].replace("''", "'") or "'"
    if token["run"]:
        _, write = _LETTERS[token["run"][0]]
        return write(at, len(token["run"])).rjust(len(token["pad"]))
    return "" if token[0] in "[]" else token[0]  # optional: an instant has all there is


def _number(value: int, count: int) -> str:
    return str(value).zfill(count)


def _short_year(year: int, count: int) -> str:
    return _number(year % 100 if count == 2 else year, count)


def _first_day(at: date) -> date:
    """The Sunday at or before it."""
    return at - timedelta(days=at.isoweekday() % 7)


def _week_year(at: datetime) -> int:
    """A week is of the year that its Saturday is in."""
    return (_first_day(at.date()) + timedelta(days=6)).year


def _week(at: datetime, count: int) -> str:
    first = _first_day(date(_week_year(at), 1, 1))
    return _number((at.date() - first).days // 7 + 1, count)


def _week_of_month(at: datetime, _count: int) -> str:
    return str((at.date() - _first_day(at.date().replace(day=1))).days // 7 + 1)


def _named(names: tuple[str, ...], index: int, count: int) -> str:
    """Three letters, the whole word, or one letter, by the count."""
    name = names[index]
    return name if count == 4 else name[0] if count == 5 else name[:3]


def _month(at: datetime, count: int) -> str:
    return _number(at.month, count) if count < 3 else _named(_MONTHS, at.month - 1, count)


def _day_of_week(at: datetime, count: int) -> str:
    return _named(_DAYS, at.weekday(), count)


def _localized_day_of_week(at: datetime, count: int) -> str:
    """Sunday is 1."""
    return _number(at.isoweekday() % 7 + 1, count) if count < 3 else _day_of_week(at, count)


def _quarter(at: datetime, count: int) -> str:
    quarter = (at.month + 2) // 3
    if count == 3:
        return f"Q{quarter}"
    if count == 4:
        return ("1st", "2nd", "3rd", "4th")[quarter - 1] + " quarter"
    return str(quarter) if count == 5 else _number(quarter, count)


def _day_period(at: datetime, count: int) -> str:
    if not at.minute and at.hour in (0, 12):
        name = "noon" if at.hour else "midnight"
        return {"noon": "n", "midnight": "mi"}[name] if count == 5 else name
    for first_hour, name in ((21, "at night"), (18, "in the evening"), (12, "in the afternoon")):
        if at.hour >= first_hour:
            return name
    return "in the morning" if at.hour >= 6 else "at night"


def _second_of_day(at: datetime) -> int:
    return (at.hour * 60 + at.minute) * 60 + at.second


def _milli_of_day(at: datetime, count: int) -> str:
    return _number(_second_of_day(at) * 1000 + at.microsecond // 1000, count)


def _nano_of_day(at: datetime, count: int) -> str:
    return _number((_second_of_day(at) * 1_000_000 + at.microsecond) * 1000, count)


def _fraction(at: datetime, count: int) -> str:
    return f"{at.microsecond:06d}000"[:count].ljust(count, "0")


def _offset_parts(at: datetime) -> tuple[str, int, int, int]:
    """Sign, hours, minutes and seconds; time before standard time has all of them."""
    seconds = int((at.utcoffset() or timedelta()).total_seconds())
    return "-" if seconds < 0 else "+", *_sexagesimal(abs(seconds))


def _sexagesimal(seconds: int) -> tuple[int, int, int]:
    return seconds // 3600, seconds // 60 % 60, seconds % 60


def _offset(at: datetime, count: int, *, zero: str) -> str:
    """+01, +0130 or +01:30 by the count, from four letters on with seconds if there are any."""
    sign, hours, minutes, seconds = _offset_parts(at)
    shown = [hours]
    if count > 1 or minutes:
        shown.append(minutes)
    if count > 3 and seconds:
        shown.append(seconds)
    if not any(shown):
        return zero
    return sign + (":" if count in (3, 5) else "").join(f"{part:02d}" for part in shown)


def _plain_offset(at: datetime, count: int) -> str:
    return _offset(at, count, zero={1: "+00", 2: "+0000", 4: "+0000"}.get(count, "+00:00"))


def _localized_offset(at: datetime, count: int) -> str:
    """GMT, GMT+5:45, or GMT+05:45 where there are four letters."""
    sign, hours, minutes, seconds = _offset_parts(at)
    if not (hours or minutes or seconds):
        return "GMT"
    text = f"GMT{sign}{hours:02d}:{minutes:02d}" if count == 4 else f"GMT{sign}{hours}"
    if count != 4 and (minutes or seconds):
        text += f":{minutes:02d}"
    return text + (f":{seconds:02d}" if seconds else "")


def _rfc_offset(at: datetime, count: int) -> str:
    if count == 4:
        return _localized_offset(at, count)
    return _offset(at, 5, zero="Z") if count == 5 else _offset(at, 2, zero="+0000")


def _zone_id(at: datetime, _count: int) -> str:
    return getattr(at.tzinfo, "key", None) or at.tzname() or "UTC"


def _zone_name(at: datetime, count: int) -> str:
    name = at.tzname() or "UTC"
    return _LONG_NAMES.get(name, name) if count == 4 else name


_ONE, _TWO, _THREE, _FIVE = (1,), range(1, 3), range(1, 4), range(1, 6)
_WIDE = range(1, 20)  # any long's digits
_YEAR = range(1, 11)  # Java takes 11 to 18, then throws

# How often a letter may stand in a row, and what it writes then.
_LETTERS: dict[str, tuple[Collection[int], Callable[[datetime, int], str]]] = {
    "G": (_FIVE, lambda _at, count: {4: "Anno Domini", 5: "A"}.get(count, "AD")),
    "y": (_YEAR, lambda at, count: _short_year(at.year, count)),
    "u": (_YEAR, lambda at, count: _short_year(at.year, count)),
    "Y": (_YEAR, lambda at, count: _short_year(_week_year(at), count)),
    "D": (_THREE, lambda at, count: _number(at.timetuple().tm_yday, count)),
    "M": (_FIVE, _month),
    "L": (_FIVE, _month),
    "d": (_TWO, lambda at, count: _number(at.day, count)),
    "g": (_WIDE, lambda at, count: _number(at.toordinal() - 678_576, count)),  # from 1858-11-17
    "Q": (_FIVE, _quarter),
    "q": (_FIVE, _quarter),
    "w": (_TWO, _week),
    "W": (_ONE, _week_of_month),
    "E": (_FIVE, _day_of_week),
    "e": (_FIVE, _localized_day_of_week),
    "c": ((1, 3, 4, 5), _localized_day_of_week),
    # 1 to 7, then 1 again, though documented as the week of the month, which Java 19 made it.
    "F": (_ONE, lambda at, _count: str((at.day - 1) % 7 + 1)),
    "a": (_ONE, lambda at, _count: "AM" if at.hour < 12 else "PM"),
    "B": ((1, 4, 5), _day_period),
    "h": (_TWO, lambda at, count: _number((at.hour - 1) % 12 + 1, count)),
    "K": (_TWO, lambda at, count: _number(at.hour % 12, count)),
    "k": (_TWO, lambda at, count: _number((at.hour - 1) % 24 + 1, count)),
    "H": (_TWO, lambda at, count: _number(at.hour, count)),
    "m": (_TWO, lambda at, count: _number(at.minute, count)),
    "s": (_TWO, lambda at, count: _number(at.second, count)),
    "S": (range(1, 10), _fraction),
    "n": (_WIDE, lambda at, count: _number(at.microsecond * 1000, count)),
    "A": (_WIDE, _milli_of_day),
    "N": (_WIDE, _nano_of_day),
    "V": ((2,), _zone_id),
    "z": (range(1, 5), _zone_name),
    "O": ((1, 4), _localized_offset),
    "X": (_FIVE, lambda at, count: _offset(at, count, zero="Z")),
    "x": (_FIVE, _plain_offset),
    "Z": (_FIVE, _rfc_offset),
}
