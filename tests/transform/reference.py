# ruff: noqa: DTZ001 (columns are UTC without a zone)
"""What the transform means, said as slowly and plainly as possible.

One character, one record, one value at a time: no Arrow, no vectors, no short
cuts. The property tests hold every runner to exactly this.
"""

import fnmatch
import hashlib
import hmac
import ipaddress
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from lakelet.model.contract import Contract, Expression, Field, Keyring, TableContract

EPOCH = datetime(1970, 1, 1)
SPACE = " \t\r\n"
DEPTH_MAX = 100
# Shapes of ISO 8601 that `datetime.fromisoformat` lacks, with their instants.
EXOTIC = {
    "2026-068": datetime(2026, 3, 9),
    "2026-068T14:30:00Z": datetime(2026, 3, 9, 14, 30),
    "2026-03-08T24:00:00Z": datetime(2026, 3, 9),
    "2026-03-08T23:59:60Z": datetime(2026, 3, 9),
    "2026-03-09t14:30:00z": datetime(2026, 3, 9, 14, 30),
    "2026-03-09 14:30:00 +0100": datetime(2026, 3, 9, 13, 30),
}


class Number(str):
    """A number's text."""


@dataclass
class Result:
    rows: dict[tuple[str, date], list[dict[str, Any]]] = field(default_factory=dict)
    rejects: list[tuple[str, str | None, int, bytes]] = field(default_factory=list)
    events: int = 0
    duplicates: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def transform(
    raw: bytes, contract: Contract, *, received_at: datetime, keyring: Keyring | None = None
) -> Result:
    result, seen = Result(), set()
    for start, end, document, reason in records(raw):
        result.events += 1
        if document is None:
            result.rejects.append((reason, None, start, raw[start:end]))
            continue
        try:
            _one(document, contract, received_at, keyring, result, seen)
        except Rejected as rejected:
            result.rejects.append((rejected.reason, rejected.field, start, raw[start:end]))
    return result


class Rejected(Exception):
    def __init__(self, reason: str, name: str | None) -> None:
        super().__init__(reason)
        self.reason, self.field = reason, name


def _one(
    document: dict[str, Any],
    contract: Contract,
    received_at: datetime,
    keyring: Keyring | None,
    result: Result,
    seen: set[Any],
) -> None:
    undeclared, document = document, scrub_declared(document, contract, keyring)
    for rule in contract.drop:
        if evaluate(rule.where, lenient(document, contract.default_table)) is True:
            result.dropped[rule.name] += 1
            return
    for table in contract.tables:
        if table.where is None or evaluate(table.where, lenient(document, table)) is True:
            break
    else:
        raise Rejected("route", None)
    values = checked(document, table, received_at)
    if table.deduplicate and (key := values[table.deduplicate.column]) is not None:
        if (table.name, key) in seen:
            result.duplicates += 1
            return
        seen.add((table.name, key))
    day = values[table.event_time.column].date()
    row = finished(undeclared, values, table, contract, received_at, keyring)
    result.rows.setdefault((table.name, day), []).append(row)


# --- records ------------------------------------------------------------------------


def records(raw: bytes) -> list[tuple[int, int, dict[str, Any] | None, str]]:
    """(start, end, document or None, reason) in order."""
    found, start = [], len(raw) - len(raw.lstrip())
    for boundary in re.finditer(rb"\}[ \t\r]*\n\s*(?=\{)", raw):
        found += region(raw, start, boundary.start() + 1)
        start = boundary.end()
    return found + region(raw, start, len(raw))


def region(raw: bytes, start: int, end: int) -> list[tuple[int, int, dict[str, Any] | None, str]]:
    found, at = [], start
    while True:
        while at < end and (
            raw[at] in b" \t\r\n\x0b\x0c,[]" or raw[at : at + 3] == b"\xef\xbb\xbf"
        ):
            at += 3 if raw[at] == 0xEF else 1
        if at >= end:
            return found
        if raw[at] != 0x7B:
            stop = at
            while stop < end and raw[stop] not in b"\n{":
                stop += 1
            found.append((at, trimmed(raw, at, stop), None, "json"))
            at = stop
            continue
        close, closed, problem = closing(raw, at, end)
        if closed and problem:
            found.append((at, close, None, problem))
            at = close
            continue
        if problem:
            stop = another(raw, start, at, end)
            found.append((at, trimmed(raw, at, stop), None, problem))
            at = stop
            continue
        try:
            document = json.loads(
                raw[at:close].decode(),
                parse_float=Number,
                parse_int=lambda text: Number("0" if text == "-0" else text),
                parse_constant=_no_constant,
            )
            found.append((at, close, document, ""))
            at = close
        except UnicodeDecodeError:
            found.append((at, close, None, "encoding"))
            at = close
        except ValueError:
            stop = min(close, another(raw, start, at, end))
            found.append((at, trimmed(raw, at, stop), None, "json"))
            at = stop


def separator(raw: bytes, at: int) -> int:
    if raw[at : at + 3] == b"\xef\xbb\xbf":
        return 3
    return 1 if raw[at] in b" \t\r\n\x0b\x0c,[]" else 0


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def trimmed(raw: bytes, start: int, end: int) -> int:
    while end > start + 1 and raw[end - 1] in b" \t\r\n":
        end -= 1
    return end


def closing(raw: bytes, at: int, end: int) -> tuple[int, bool, str]:
    """Behind the bracket that closes the one at `at`, whether one does, and the problem."""
    stack: list[bytes] = []
    problem = ""
    while at < end:
        mark = raw[at : at + 1]
        if mark == b'"':
            at = string_end(raw, at, end)
            continue
        if mark in (b"{", b"["):
            stack.append(mark)
            if len(stack) > DEPTH_MAX:
                problem = "too_deep"
        elif mark in (b"}", b"]"):
            if stack.pop() != {b"}": b"{", b"]": b"["}[mark]:
                return at + 1, False, "json"
            if not stack:
                return at + 1, True, problem
        at += 1
    return end, False, problem or "json"


def string_end(raw: bytes, at: int, end: int) -> int:
    """Behind the closing quote; before a newline, or a backslash before one, if none."""
    at += 1
    while at < end:
        if raw[at] == 0x22:
            return at + 1
        if raw[at] == 0x0A:
            return at
        if raw[at] == 0x5C:
            if at + 1 >= end or raw[at + 1] == 0x0A:
                return at
            at += 1
        at += 1
    return end


def another(raw: bytes, start: int, at: int, end: int) -> int:
    """Where another record seems to begin after `at`."""
    line = raw.rfind(b"\n", start, at) + 1 or start
    indent = raw[line:at]
    indent = (
        indent.replace(b"[", b"").replace(b",", b"")
        if re.fullmatch(rb"[ \t]*[\[,]?[ \t]*", indent)
        else b""
    )
    places = [end]
    if (place := raw.find(b"\n" + indent + b"{", at + 1, end)) >= 0:
        places.append(place + 1 + len(indent))
    if joined := re.compile(rb'\}\s*(?=\{\s*")').search(raw, at + 1, end):
        places.append(joined.end())
    if head := re.compile(rb'\{\s*"[^"\\\n]{0,200}"\s*:').match(raw, at, end):
        place = raw.find(head[0], at + 1, end)
        places.append(place if place >= 0 else end)
    return min(places)


# --- values -------------------------------------------------------------------------


class Unfit(Exception):
    pass


def look_up(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def convert(value: Any, kind: str) -> Any:
    """A JSON value as a contract type. Raises Unfit."""
    if kind == "json":
        return dumps(value)
    if kind.startswith("array<"):
        if not isinstance(value, list):
            raise Unfit
        return [None if v is None else convert(v, kind[6:-1]) for v in value]
    if kind.startswith("map<"):
        if not isinstance(value, dict):
            raise Unfit
        inner = kind[len("map<string,") : -1]
        return [(k, None if v is None else convert(v, inner)) for k, v in value.items()]
    if isinstance(value, (dict, list)) or (isinstance(value, str) and not encodable(value)):
        raise Unfit
    if kind == "string":
        return value if isinstance(value, str) else "true" if value else "false"
    if kind == "boolean":
        return to_boolean(value)
    if isinstance(value, bool):
        raise Unfit
    if kind == "timestamp":
        return to_instant(value)
    if kind == "date":
        return to_instant(value).date()
    return to_number(value, kind)


def encodable(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value) if isinstance(value, Number) else value.strip(SPACE).lower()
    if text not in ("true", "1", "false", "0"):
        raise Unfit
    return text in ("true", "1")


def to_number(value: str, kind: str) -> Any:
    text = value.strip(SPACE)
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
        raise Unfit
    if kind == "double":
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise Unfit
        return number
    if len(text) > 400:
        raise Unfit
    exact = Decimal(text)
    if kind.startswith("decimal"):
        precision, scale = map(int, re.findall(r"\d+", kind))
        if exact and not -60 < exact.adjusted() < 60:
            raise Unfit
        scaled = exact.scaleb(scale) if exact else Decimal(0)
        if scaled != scaled.to_integral_value() or abs(scaled) >= 10**precision:
            raise Unfit
        return Decimal(int(scaled)).scaleb(-scale)
    if exact and exact.adjusted() > 20:
        raise Unfit
    bits = 31 if kind == "int" else 63
    if exact != exact.to_integral_value() or not -(2**bits) <= exact < 2**bits:
        raise Unfit
    return int(exact)


def to_instant(value: str) -> datetime:
    text = value.strip(SPACE)
    if text in EXOTIC:
        return EXOTIC[text]
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text) and len(text) != 8:
        return of_epoch(Decimal(text))
    shape = (
        r"(\d{4}-\d\d-\d\d|\d{8}|\d{4}-?W\d\d-?\d)"
        r"([T ]\d\d(:?\d\d(:?\d\d([.,]\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?"
    )
    if not re.fullmatch(shape, text, re.ASCII):
        raise Unfit
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    except (ValueError, OverflowError):
        raise Unfit from None


def of_epoch(value: Decimal) -> datetime:
    size = abs(value)
    for limit, unit in ((11, 6), (14, 3), (17, 0), (20, -3)):
        if size < 10**limit:
            micros = value.scaleb(unit) // 1
            if value < 0 and value.scaleb(unit) % 1:
                micros -= 1
            try:
                return EPOCH + timedelta(microseconds=int(micros))
            except OverflowError:
                raise Unfit from None
    raise Unfit


# --- the contract -------------------------------------------------------------------


def lenient(document: dict[str, Any], table: TableContract) -> dict[str, Any]:
    """Columns, null where a value does not fit: what drop rules and routes look at."""
    columns = {}
    for f in table.fields:
        try:
            columns[f.column] = valued(document, f, keep_default=True)
        except Unfit:
            columns[f.column] = default_of(f)
    return columns


def default_of(f: Field) -> Any:
    if f.default is None:
        return None
    text = str(f.default).lower() if isinstance(f.default, bool) else str(f.default)
    return convert(text, f.type)


def valued(document: dict[str, Any], f: Field, *, keep_default: bool = False) -> Any:
    value = look_up(document, f.path)
    return default_of(f) if value is None else convert(value, f.type)


def checked(
    document: dict[str, Any], table: TableContract, received_at: datetime
) -> dict[str, Any]:
    columns = {}
    for f in table.fields:
        name = ".".join(f.path)
        try:
            value = columns[f.column] = valued(document, f)
        except Unfit:
            raise Rejected("type", name) from None
        if f.required and value in (None, ""):
            raise Rejected("missing", name)
        if value is None:
            continue
        if f.enum and value not in [convert(str(e), f.type) for e in f.enum]:
            raise Rejected("enum", name)
        if f.pattern and not re.fullmatch(f.pattern, value, re.ASCII):
            raise Rejected("pattern", name)
        if (f.least is not None and value < f.least) or (f.most is not None and value > f.most):
            raise Rejected("bounds", name)
    at, bounds = columns[table.event_time.column], table.event_time
    name = ".".join(table.field_of(bounds.column).path)
    arrived = received_at.replace(tzinfo=None)
    if at < arrived - timedelta(days=bounds.oldest_days) or at > arrived + timedelta(
        hours=bounds.ahead_hours
    ):
        raise Rejected("event_time", name)
    return columns


def finished(
    document: dict[str, Any],
    values: dict[str, Any],
    table: TableContract,
    contract: Contract,
    received_at: datetime,
    keyring: Keyring | None,
) -> dict[str, Any]:
    row = {f.column: values[f.column] for f in table.fields if f.stored}
    for f in table.fields:
        if f.stored and f.personal and row[f.column] is not None:
            row[f.column] = personal(f.personal, str(row[f.column]), keyring)
    row["properties"] = properties(document, table, contract, keyring)
    row["received_at"] = received_at.replace(tzinfo=None)
    for column in contract.email_in_values:
        if isinstance(row.get(column), str):
            row[column] = EMAIL.sub("***", row[column])
    for computed in table.computed:
        row[computed.column] = evaluate(computed.expression, row)
    return row


LOCAL = r"""(?:[0-9A-Za-z_.%+'~!#$*-]|[^\x00-\x7f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))"""
LABEL = r"(?:[0-9A-Za-z_-]|[^\x00-\x7f])+"
EMAIL = re.compile(rf"{LOCAL}+(?:@|%(?:25)*40){LABEL}(?:(?:\.|%(?:25)*2[Ee]){LABEL})+")


def personal(rule: str, text: str, keyring: Keyring | None) -> str | None:
    if rule == "hash":
        assert keyring
        digest = hmac.new(keyring.secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"{keyring.current}:{digest.hexdigest()}"
    if rule == "mask":
        return "***"
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    size = 24 if address.version == 4 else 48
    host = str(address).partition("%")[0]
    return str(ipaddress.ip_network(f"{host}/{size}", strict=False).network_address)


def rule_of(name: str, contract: Contract) -> str:
    for table in contract.tables:
        for f in table.fields:
            if f.personal and f.path[-1].lower() == name.lower():
                return f.personal
    for glob, rule in contract.field_patterns:
        if fnmatch.fnmatchcase(name.lower(), glob.lower()):
            return rule
    return ""


def scrub(value: Any, contract: Contract, keyring: Keyring | None) -> Any:
    if isinstance(value, list):
        return [scrub(v, contract, keyring) for v in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, inner in value.items():
        rule = rule_of(name, contract)
        if not rule:
            kept[name] = scrub(inner, contract, keyring)
        elif rule != "drop" and inner is not None:
            text = str(inner) if isinstance(inner, str) else dumps(inner)
            kept[name] = personal(rule, text, keyring)
    return kept


def scrub_declared(
    document: dict[str, Any], contract: Contract, keyring: Keyring | None
) -> dict[str, Any]:
    """Names say something inside a declared field's value too, if it is JSON."""
    copied = json.loads(dumps(document), parse_float=Number, parse_int=Number)
    for path in {f.path for table in contract.tables for f in table.fields}:
        holder = look_up(copied, path[:-1])
        if isinstance(holder, dict) and isinstance(holder.get(path[-1]), (dict, list)):
            holder[path[-1]] = scrub(holder[path[-1]], contract, keyring)
    return copied


def properties(
    document: dict[str, Any], table: TableContract, contract: Contract, keyring: Keyring | None
) -> str | None:
    rest = json.loads(dumps(document), parse_float=Number, parse_int=Number)
    for f in table.fields:
        remove(rest, f.path)
    rest = {name: value for name, value in rest.items() if value is not None}
    rest = scrub(rest, contract, keyring)
    return dumps(rest) if rest else None


def remove(value: Any, path: tuple[str, ...]) -> bool:
    """Whether something was there to remove."""
    if not isinstance(value, dict) or path[0] not in value:
        return False
    if len(path) == 1:
        del value[path[0]]
        return True
    if not remove(value[path[0]], path[1:]):
        return False
    if value[path[0]] == {}:
        del value[path[0]]
    return True


def dumps(value: Any) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=not encodable(value))
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{dumps(k)}:{dumps(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


# --- expressions: what the tests' contracts use ---------------------------------------


def evaluate(expression: Expression, columns: dict[str, Any]) -> Any:
    if expression.column:
        return columns[expression.column]
    if not expression.call:
        return expression.value
    arguments = [evaluate(a, columns) for a in expression.arguments]
    if expression.call == "case":
        for condition, value in zip(arguments[:-1:2], arguments[1:-1:2], strict=True):
            if condition is True:
                return value
        return arguments[-1]
    if expression.call == "coalesce":
        return next((a for a in arguments if a is not None), None)
    if expression.call in ("is_null", "is_not_null"):
        return (arguments[0] is None) == (expression.call == "is_null")
    if expression.call == "and":
        return False if False in arguments else None if None in arguments else True
    if expression.call == "or":
        return True if True in arguments else None if None in arguments else False
    if any(argument is None for argument in arguments):
        return None
    return PLAIN[expression.call](expression.type, *arguments)


def finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def cast(kind: str, value: Any) -> Any:
    if kind == "double":
        return float(value)
    if kind in ("int", "bigint"):
        bits = 31 if kind == "int" else 63
        return int(value) if -(2**bits) <= int(value) < 2**bits else None
    if kind == "date":
        return value.date()
    if kind == "timestamp":
        return value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return str(value)


PLAIN: dict[str, Any] = {
    "cast": cast,
    "multiply": lambda kind, a, b: finite(a * b),
    "add": lambda kind, a, b: a + b,
    "equal": lambda kind, a, b: a == b,
    "not_equal": lambda kind, a, b: a != b,
    "greater": lambda kind, a, b: a > b,
    "less": lambda kind, a, b: a < b,
    "not": lambda kind, a: not a,
    "in": lambda kind, a, *options: a in options,
    "like": lambda kind, a, p: (
        re.fullmatch(re.escape(p).replace("%", ".*").replace("_", "."), a, re.DOTALL) is not None
    ),
    "lower": lambda kind, a: a.lower(),
    "hour": lambda kind, a: a.hour,
    "date_format": lambda kind, a, pattern: a.strftime(pattern),
}
