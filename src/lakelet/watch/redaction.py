"""What may be said in a log line or a span: never what an event says.

Two nets. By construction: only fields of `FIELDS` travel, and bytes are only counted.
And a filter over the text, for what a message or somebody else's exception carries.
"""

import re
from collections.abc import Mapping
from typing import Any

from lakelet.model.errors import LakeletError

# Ids, names, counts, codes. None of them can hold an event's own words; SQL text can,
# so a query is named by its id.
FIELDS = frozenset(
    {
        *("request_id", "raw_key", "query_id", "crawl_id", "operation", "access_key_id"),
        *("stream", "bucket", "key", "etag", "table", "database", "partition", "day"),
        *("segment", "position", "position_next", "frame", "version", "path", "port"),
        *("records", "events", "rows", "duplicates", "quarantined", "dropped", "objects"),
        *("count", "size_bytes", "offset_bytes", "duration_ms", "attempt", "delay_seconds"),
        *("status", "state", "reason", "code", "outcome", "alarm", "action", "crawler"),
        *("workgroup", "schedule", "endpoint", "pid", "signal", "component"),
    }
)
TEXT_LENGTH_MAX = 4_000

_EMAIL = re.compile(r"[^\s@\"'<>=&?/:,;(){}\[\]]+(?:@|%40)[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]|-\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9a-f]{1,4}:){2,7}(?::?[0-9a-f]{1,4})+(?![\w:])", re.IGNORECASE
)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|b'[^']*'")
_OURS = ("127.", "0.0.0.0")  # noqa: S104 - our own addresses tell nothing about a visitor


def redact(text: str) -> str:
    """The text without addresses of people or their machines, and not endless."""
    text = _EMAIL.sub("[email]", text)
    text = _IPV4.sub(lambda found: found[0] if found[0].startswith(_OURS) else "[ip]", text)
    text = _IPV6.sub(_hide_ipv6, text)
    if len(text) <= TEXT_LENGTH_MAX:
        return text
    return f"{text[:TEXT_LENGTH_MAX]}… ({len(text)} characters)"


def _hide_ipv6(found: re.Match[str]) -> str:
    # 14:30:05 has the shape of an address too; one of people has more groups or a letter.
    text = found[0]
    return text if re.fullmatch(r"\d{1,2}:\d\d:\d\d", text) else "[ip]"


def clean_value(value: Any) -> Any:
    """A field's value as JSON can carry it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return redact(str(value))


def clean_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that may travel."""
    return {name: clean_value(value) for name, value in values.items() if name in FIELDS}


def describe_error(error: BaseException) -> str:
    """An exception's type and sentence.

    Ours are written not to hold payloads. Anybody else's may quote what it choked on
    (`could not convert string to float: 'ada@…'`), so what stands in quotes is hidden.
    """
    name = type(error).__name__
    if isinstance(error, LakeletError):
        return f"{name}: {redact(error.message)}"
    if isinstance(error, OSError):
        return f"{name}: {redact(str(error))}"  # quotes a path of ours
    if isinstance(error, KeyError):
        return name
    return f"{name}: {redact(_QUOTED.sub('…', str(error)))}"
