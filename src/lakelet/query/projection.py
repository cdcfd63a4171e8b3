"""Partition projection: partitions that a table's properties describe, and the catalog lacks.

`projection.enabled` makes Athena compute partitions instead of looking them up: those
of the catalog are not asked. Out of a projected range there are no rows, and no error.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from sqlglot import exp

from lakelet.catalog.expression import NotAPredicate, compile_tree
from lakelet.catalog.partitions import PartitionPlace
from lakelet.query.datetime_patterns import joda_to_strftime
from lakelet.query.errors import QueryFailed

# A query that leaves this many places open has forgotten a condition, most likely.
_PLACES_MAX = 1_000_000

_UNIT_SECONDS = {
    "SECONDS": 1,
    "MINUTES": 60,
    "HOURS": 3_600,
    "DAYS": 86_400,
    "WEEKS": 604_800,
}
_NOW = re.compile(r"NOW\s*(?:([+-])\s*(\d+)\s*([A-Z]+?)S?\s*)?", re.IGNORECASE)


def project(
    table: Mapping[str, Any],
    keys: Mapping[str, str],
    conditions: Sequence[exp.Expr],
    now: datetime,
) -> list[PartitionPlace] | None:
    """The places that a projected table has under these conditions; None if it has no projection.

    Raises:
        QueryFailed: CONSTRAINT_VIOLATION for an injected key without equality;
        INVALID_TABLE_PROPERTY for properties that make no sense.
    """
    properties = {key.lower(): value for key, value in (table.get("Parameters") or {}).items()}
    if properties.get("projection.enabled", "").lower() != "true":
        return None
    choices = []
    count = 1
    for name, kind in keys.items():
        values = list(_values(name, properties, conditions, now))
        values = _kept(name, kind, values, conditions)
        choices.append(values)
        count *= len(values)
    if count > _PLACES_MAX:
        raise QueryFailed(
            "CONSTRAINT_VIOLATION",
            f"The query leaves {count} projected partitions of {table['Name']} open",
            hint="Narrow the partition keys in WHERE.",
        )
    template = properties.get("storage.location.template") or _default_template(table, keys)
    return [
        PartitionPlace(values, _location(template, list(keys), values))
        for values in product(*choices)
    ]


def _default_template(table: Mapping[str, Any], keys: Mapping[str, str]) -> str:
    root = str(table["StorageDescriptor"]["Location"]).rstrip("/")
    return "/".join((root, *(f"{key}=${{{key}}}" for key in keys))) + "/"


def _location(template: str, keys: Sequence[str], values: Sequence[str]) -> str:
    location = template
    for key, value in zip(keys, values, strict=True):
        plain = value.replace("\\", r"\\")
        location = re.sub(rf"\$\{{{re.escape(key)}\}}", plain, location, flags=re.IGNORECASE)
    return location if location.endswith("/") else f"{location}/"


def _kept(name: str, kind: str, values: Sequence[str], conditions: Sequence[exp.Expr]) -> list[str]:
    """Values that pass each condition on this key alone."""
    tests = []
    for condition in conditions:
        if {column.name.lower() for column in condition.find_all(exp.Column)} == {name}:
            try:
                tests.append(compile_tree(condition, {name: kind}))
            except NotAPredicate:
                continue
    return [value for value in values if all(test((value,)) for test in tests)]


def _values(
    name: str, properties: Mapping[str, str], conditions: Sequence[exp.Expr], now: datetime
) -> Iterator[str]:
    prefix = f"projection.{name}."
    own = {
        key.removeprefix(prefix): value
        for key, value in properties.items()
        if key.startswith(prefix)
    }
    kind = own.get("type", "").lower()
    if kind == "enum":
        return iter([value.strip() for value in own.get("values", "").split(",")])
    if kind == "integer":
        return _integers(name, own)
    if kind == "date":
        return _dates(name, own, now)
    if kind == "injected":
        return iter(_injected(name, conditions))
    raise _bad_property(name, f"projection.{name}.type is {kind or 'missing'}")


def _integers(name: str, own: Mapping[str, str]) -> Iterator[str]:
    try:
        first, last = (int(part) for part in own["range"].split(","))
        step, digits = int(own.get("interval", "1")), int(own.get("digits", "0"))
    except (KeyError, ValueError) as error:
        raise _bad_property(name, f"its range is {own.get('range')!r}") from error
    return (f"{value:0{digits}d}" for value in range(first, last + 1, max(step, 1)))


def _dates(name: str, own: Mapping[str, str], now: datetime) -> Iterator[str]:
    try:
        pattern = joda_to_strftime(own["format"])
        first, last = (_instant(part.strip(), pattern, now) for part in own["range"].split(","))
        step = int(own.get("interval", "1"))
    except (KeyError, ValueError) as error:
        raise _bad_property(name, f"its range is {own.get('range')!r}") from error
    unit = own.get("interval.unit", _natural_unit(own["format"])).upper()
    # strftime in Python spells milliseconds and unpadded numbers otherwise; date
    # projections are made of padded parts.
    at, seen = first, ""
    while at <= last:
        text = at.strftime(pattern)
        if text != seen:
            yield text
        seen = text
        at = _later(at, step, unit)


def _natural_unit(pattern: str) -> str:
    """The finest part of a pattern: a range of `yyyy/MM/dd` goes by days."""
    for letter, unit in (("s", "SECONDS"), ("m", "MINUTES"), ("H", "HOURS"), ("d", "DAYS")):
        if letter in pattern:
            return unit
    return "MONTHS" if "M" in pattern else "YEARS"


def _instant(text: str, pattern: str, now: datetime) -> datetime:
    found = _NOW.fullmatch(text)
    if found is None:
        return datetime.strptime(text, pattern).replace(tzinfo=UTC)
    if not found[1]:
        return now
    amount = int(found[2]) * (-1 if found[1] == "-" else 1)
    return _later(now, amount, f"{found[3].upper()}S")


def _later(at: datetime, amount: int, unit: str) -> datetime:
    if unit in _UNIT_SECONDS:
        return at + timedelta(seconds=amount * _UNIT_SECONDS[unit])
    months = amount * (12 if unit == "YEARS" else 1)
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    for day in (at.day, 30, 29, 28):
        try:
            return at.replace(year=year, month=month + 1, day=min(day, at.day))
        except ValueError:
            continue
    return at


def _injected(name: str, conditions: Sequence[exp.Expr]) -> list[str]:
    """The values that a query names for a key which nothing else describes."""
    for condition in conditions:
        if not isinstance(condition, exp.EQ | exp.In) or condition.find(exp.Select):
            continue
        if {column.name.lower() for column in condition.find_all(exp.Column)} == {name}:
            return [literal.this for literal in condition.find_all(exp.Literal)]
    raise QueryFailed(
        "CONSTRAINT_VIOLATION",
        f"For the injected projected partition column {name}, the WHERE clause must contain "
        "only static equality conditions, and at least one such condition must be present",
        hint=f"Add AND {name} = '…'.",
    )


def _bad_property(name: str, problem: str) -> QueryFailed:
    return QueryFailed(
        "INVALID_TABLE_PROPERTY",
        f"Partition projection of {name}: {problem}",
        hint="See projection.<key>.type: enum, integer, date or injected, with its range.",
    )
