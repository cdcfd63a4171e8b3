"""A first draft of a contract from samples: for a person to read, mend and keep."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lakelet.model.errors import DeclarationError

SAMPLE_EVENTS_MAX = 20_000
_FIELDS_MAX = 500  # beyond this, the rest is better off in `properties`
_ENUM_VALUES_MAX = 12

_ISO = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d([.,]\d+)?)?\s?([Zz]|[+-]\d\d:?\d\d)?)?")
_TIME_NAME = re.compile(r"(^|_)(time|timestamp|ts|at|when|date)($|_)|(At|Time|Timestamp)$")
_EMAIL_VALUE = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_IP_VALUE = re.compile(r"\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:]*")
_PERSONAL_NAME = re.compile(
    r"(^|_)(e?mail|phone|mobile|ip|ip_address|first_?name|last_?name|full_?name|ssn|password)($|_)",
    re.IGNORECASE,
)
_TIME_NAMES = ("timestamp", "event_time", "event_timestamp", "time", "ts", "occurred_at")
_ID_NAMES = ("event_id", "id", "message_id", "uuid", "eventId", "messageId")
_TYPE_NAMES = ("event_type", "type", "event", "event_name", "name")


class NothingToInfer(DeclarationError):
    """The samples hold no JSON object."""

    code = "contract.nothing_to_infer"


@dataclass(slots=True)
class _Seen:
    """What was seen of one field."""

    present: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    emails: int = 0
    addresses: int = 0


def infer(samples: Iterable[bytes], *, table: str = "events") -> str:
    """A `[contract]` section as TOML, with a remark wherever it guessed.

    Args:
        samples: whole files, gzip or plain: NDJSON, joined, arrays, pretty-printed.

    Raises:
        NothingToInfer
    """
    seen: dict[str, _Seen] = {}
    count = 0
    for event in _events(samples):
        count += 1
        for name, value in event.items():
            if name in seen or len(seen) < _FIELDS_MAX:
                _look(seen.setdefault(name, _Seen()), name, value)
        if count >= SAMPLE_EVENTS_MAX:
            break
    if not count:
        raise NothingToInfer(
            "the samples hold no JSON object",
            hint="Give files of events, plain or .gz: NDJSON, an array, or joined objects.",
        )
    return _draft(seen, count, table)


def _events(samples: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    for sample in samples:
        data = gzip.decompress(sample) if sample.startswith(b"\x1f\x8b") else sample
        text, at = data.decode("utf-8", "replace"), 0
        while (at := text.find("{", at)) >= 0:
            try:
                value, at = decoder.raw_decode(text, at)
            except (ValueError, RecursionError):
                line_end = text.find("\n", at)
                at = line_end if line_end >= 0 else len(text)
                continue
            yield value


def _look(seen: _Seen, name: str, value: Any) -> None:
    if value is None:
        return
    seen.present += 1
    seen.kinds[_kind(name, value)] += 1
    if isinstance(value, str):
        if len(seen.texts) <= _ENUM_VALUES_MAX:
            seen.texts[value] += 1
        seen.emails += bool(_EMAIL_VALUE.fullmatch(value))
        seen.addresses += bool(_IP_VALUE.fullmatch(value))


def _kind(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        if _TIME_NAME.search(name) and 10**8 < abs(value) < 10**20:
            return "timestamp"
        return "int" if -(2**31) <= value < 2**31 else "bigint"
    if isinstance(value, float):
        return "double"
    if isinstance(value, str):
        if _ISO.fullmatch(value):
            return "date" if len(value) == 10 else "timestamp"
        return "string"
    if isinstance(value, list):
        inner = {_kind("", v) for v in value if v is not None}
        return "array<string>" if inner == {"string"} else "json"
    return "json"


_PROMOTIONS = (
    ({"int", "bigint"}, "bigint"),
    ({"int", "double"}, "double"),
    ({"int", "bigint", "double"}, "double"),
    ({"bigint", "double"}, "double"),
    ({"date", "timestamp"}, "timestamp"),
)


def _type(seen: _Seen) -> tuple[str, str]:
    """A type that holds all that was seen, and a remark where that was not one kind."""
    kinds = set(seen.kinds)
    if len(kinds) == 1:
        return next(iter(kinds)), ""
    if not kinds:
        return "string", "always null in the samples"
    mixed = ", ".join(f"{kind} x {count}" for kind, count in seen.kinds.most_common())
    for among, kind in _PROMOTIONS:
        if kinds <= among:
            return kind, f"seen as {mixed}"
    nested = any(kind == "json" or "<" in kind for kind in kinds)
    return ("json" if nested else "string"), f"seen as {mixed}"


def _draft(seen: dict[str, _Seen], count: int, table: str) -> str:
    types = {name: _type(one) for name, one in seen.items()}
    time = _first(_TIME_NAMES, types, "timestamp") or next(
        (name for name, (kind, _) in types.items() if kind == "timestamp"), None
    )
    key = _first(_ID_NAMES, types, "string")
    lines = [f"# Drafted from {count} events. Read it, mend it, keep it.", "[contract]"]
    lines += ["version = 1", f'table = "{table}"']
    if time:
        lines.append(f"event_time = {{ field = {json.dumps(time)} }}")
    else:
        lines.append('# No field looks like an instant. event_time = { field = "…" }')
    if key:
        lines.append(f"deduplicate = {{ field = {json.dumps(key)}, window_hours = 72 }}")
    lines += ["", "[contract.fields]"]
    required = {time, key, _first(_TYPE_NAMES, types, "string")}
    lines += [_line(name, one, types[name], count, name in required) for name, one in seen.items()]
    lines += ["", "[contract.personal]", 'field_patterns = { "*email*" = "drop" }']
    texts = [name for name, (kind, _) in types.items() if kind == "string"]
    urls = [name for name in texts if "url" in name.lower()]
    columns = ", ".join(f'"{_column(name)}"' for name in [*urls, "properties"])
    lines.append(f"email_in_values = [{columns}]")
    return "\n".join(lines) + "\n"


def _first(names: Iterable[str], types: dict[str, tuple[str, str]], kind: str) -> str | None:
    return next((name for name in names if name in types and types[name][0] == kind), None)


def _line(name: str, seen: _Seen, kind: tuple[str, str], count: int, required: bool) -> str:
    said = [f'type = "{kind[0]}"']
    remarks = [kind[1]] if kind[1] else []
    if required and seen.present == count:
        said.append("required = true")
    if _column(name) in _RESERVED:
        said.append(f'column = "event_{_column(name)}"')
    if _PERSONAL_NAME.search(name) or 2 * max(seen.emails, seen.addresses) > seen.present > 0:
        said.append('personal = "drop"')
        remarks.append("looks personal: drop, hash, truncate or mask; or keep")
    if kind[0] == "string" and 1 < len(seen.texts) <= _ENUM_VALUES_MAX and seen.present >= 1_000:
        remarks.append("one of " + ", ".join(sorted(seen.texts)).replace("\n", " ")[:120])
    if seen.present < count:
        remarks.append(f"in {100 * seen.present / count:.0f} % of events")
    remark = f"  # {'; '.join(remarks)}" if remarks else ""
    return f"{_quoted(name)} = {{ {', '.join(said)} }}{remark}"


_RESERVED = ("year", "month", "day", "properties", "received_at")


def _column(name: str) -> str:
    """As `declare` names a field's column where none is given."""
    return re.sub(r"[^a-z0-9_]", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
