"""AWS schedule expressions: `rate(…)` and the six fields of `cron(…)`, in UTC."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lakelet.model.errors import DeclarationError

_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]  # cron counts Sunday as 1
_SEARCH_DAYS_MAX = 366 * 8  # covers the farthest 29 February


@dataclass(frozen=True, slots=True)
class Schedule:
    """`next_after(instant)` is when it fires next; None where it never will again."""

    expression: str
    next_after: Callable[[datetime], datetime | None]


def parse_schedule(expression: str) -> Schedule | None:
    """None for an empty expression.

    Source: EventBridge's and Glue's schedule expressions (AWS documentation);
    `L`, `W` and `#` are not offered.
    """
    text = expression.strip()
    if not text:
        return None
    if found := re.fullmatch(r"rate\(\s*(\d+)\s+(minute|hour|day)s?\s*\)", text):
        seconds = int(found[1]) * _UNITS[found[2]]
        if seconds > 0:
            return Schedule(text, lambda at: at + timedelta(seconds=seconds))
    if found := re.fullmatch(r"cron\((.*)\)", text):
        fields = found[1].split()
        if len(fields) == 6:
            return Schedule(text, _cron(fields, text))
    raise DeclarationError(
        f"the schedule {expression!r} is not understood",
        hint="Write rate(1 hour) or cron(minute hour day month weekday year), e.g. "
        "cron(15 * * * ? *); an empty string means never.",
    )


def _cron(fields: list[str], text: str) -> Callable[[datetime], datetime | None]:
    minutes = _values(fields[0], 0, 59, text)
    hours = _values(fields[1], 0, 23, text)
    days = _values(fields[2], 1, 31, text)
    months = _values(fields[3], 1, 12, text, _MONTHS)
    weekdays = _values(fields[4], 1, 7, text, _DAYS)
    years = _values(fields[5], 1970, 2199, text)

    def next_after(at: datetime) -> datetime | None:
        moment = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
        day = moment.replace(hour=0, minute=0)
        for _ in range(_SEARCH_DAYS_MAX):
            weekday = day.isoweekday() % 7 + 1
            if (
                day.year in years
                and day.month in months
                and day.day in days
                and (weekday in weekdays)
            ):
                for hour in sorted(hours):
                    for minute in sorted(minutes):
                        candidate = day.replace(hour=hour, minute=minute)
                        if candidate >= moment:
                            return candidate
            day += timedelta(days=1)
        return None

    return next_after


def _values(
    field: str, least: int, most: int, text: str, names: list[str] | None = None
) -> set[int]:
    def number(word: str) -> int:
        if names and word.upper() in names:
            return names.index(word.upper()) + 1
        if word.isdigit() and least <= int(word) <= most:
            return int(word)
        raise wrong(word)

    def wrong(word: str) -> DeclarationError:
        return DeclarationError(
            f"the schedule {text!r} has {word!r} where {least} to {most} is expected",
            hint="For example: cron(15 * * * ? *)",
        )

    chosen: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = least, most
        elif "-" in span:
            low, _, high = span.partition("-")
            first, last = number(low), number(high)
        else:
            first = number(span)
            last = most if step else first
        if step and not (step.isdigit() and int(step) > 0):
            raise wrong(part)
        chosen.update(range(first, last + 1, int(step) if step else 1))
    return chosen
