"""Bodies become events, events become records. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from lakelet.collector import odd
from lakelet.collector.errors import BodyTooLarge, BodyUnreadable
from lakelet.collector.rejected import (
    NOT_AN_OBJECT,
    NOT_JSON,
    RECORD_BYTES_MAX,
    TOO_LARGE,
    Rejected,
)
from lakelet.collector.settings import Enrichment

EVENTS_MAX = odd.PARTS_MAX
PIXEL_FIELDS_MAX = 100  # a guess: no URL a browser sends holds more

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_EMPTY_VALUES = (b"null", b'""')


def split_body(body: bytes) -> list[bytes]:
    """The body's events as they were written: of an object, an array, or NDJSON.

    Raises:
        BodyUnreadable: there is nothing, or an array that does not end.
        BodyTooLarge: more events than one request may keep the node busy with.
    """
    events = _split(body)
    if len(events) > EVENTS_MAX:
        raise BodyTooLarge(
            f"{len(events):,} events: a request has at most {EVENTS_MAX:,}.",
            hint="Send them in several requests.",
        )
    return events


def _split(body: bytes) -> list[bytes]:
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise BodyUnreadable("the body is empty", hint="Send a JSON event, an array, or NDJSON.")
    if text.startswith(b"["):
        return _split_array(text)
    if b"\n" in text and not _is_object(text):
        return [line for line in text.splitlines() if line.strip()]
    return [text]


def _split_array(text: bytes) -> list[bytes]:
    try:
        return [bytes(raw) for raw in _RAWS.decode(text)]
    except _UNREADABLE:
        pass  # of one element, as a rule: the others are not to suffer for it
    try:
        return odd.split_array(text)
    except ValueError as error:
        raise BodyUnreadable(
            f"the JSON array cannot be read: {error}",
            hint="Send whole JSON; or NDJSON, where one bad line harms no other.",
        ) from error


def _is_object(text: bytes) -> bool:
    """Whether it is one object, maybe pretty-printed, rather than lines."""
    try:
        _OBJECT.decode(text)
    except _UNREADABLE:
        return _is_odd_object(text)
    return True


def _is_odd_object(text: bytes) -> bool:
    try:
        return isinstance(odd.read(text), dict)
    except ValueError:
        return False


def to_record(text: bytes, added: Mapping[str, Any]) -> bytes | Rejected:
    """One event as one JSON line, `added` filled in where the event says nothing.

    The event's own text is kept to the letter (numbers included), whitespace
    between tokens apart. An odd one is written anew, with the same values.
    """
    try:
        fields = _OBJECT.decode(text)
    except msgspec.ValidationError:
        return NOT_AN_OBJECT
    except _UNREADABLE:
        return _odd_record(text, added)
    line = bytes(text).strip()
    if b"\n" in line or b"\r" in line:
        line = msgspec.json.format(line, indent=-1)
    if missing := {name: value for name, value in added.items() if _is_empty(fields.get(name))}:
        line = _with_fields(line, fields, missing)
    return _bounded(line)


def _odd_record(text: bytes, added: Mapping[str, Any]) -> bytes | Rejected:
    try:
        fields = odd.read(text)
        if not isinstance(fields, dict):
            return NOT_AN_OBJECT
        missing = {name: value for name, value in added.items() if fields.get(name) in (None, "")}
        line = odd.write({name: value for name, value in fields.items() if name not in missing})
    except ValueError:
        return NOT_JSON
    return _bounded(_with_head(line, missing))


def _bounded(line: bytes) -> bytes | Rejected:
    return TOO_LARGE if len(line) + 1 > RECORD_BYTES_MAX else line + b"\n"


def _is_empty(raw: msgspec.Raw | None) -> bool:
    return raw is None or bytes(raw) in _EMPTY_VALUES


def _with_fields(
    line: bytes, fields: Mapping[str, msgspec.Raw], missing: Mapping[str, Any]
) -> bytes:
    if any(name in fields for name in missing):  # as null or "": one name, one value
        kept = {name: raw for name, raw in fields.items() if name not in missing}
        return msgspec.json.encode({**kept, **missing})
    return _with_head(line, missing)


def _with_head(line: bytes, missing: Mapping[str, Any]) -> bytes:
    if not missing:
        return line
    head = msgspec.json.encode(missing)
    rest = line[1:].lstrip()
    return head[:-1] + (b"" if rest.startswith(b"}") else b",") + rest


def additions(
    enrichment: Enrichment, *, now: datetime, address: str, user_agent: str
) -> dict[str, Any]:
    """What this server adds to each event of a request that does not say it itself,
    but for the id, which is the event's alone."""
    added: dict[str, Any] = {}
    if enrichment.timestamp:
        added["timestamp"] = now
    if enrichment.ip_field and address:
        added[enrichment.ip_field] = address
    if enrichment.device_fields and user_agent:
        added |= device_of(user_agent)
    return added


# Order decides: Edge and Opera call themselves Chrome, and Chrome Safari.
_BROWSERS: Sequence[tuple[str, re.Pattern[str]]] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("Edge", r"\bEdg(e|A|iOS)?/"),
        ("Opera", r"\b(OPR|Opera|OPiOS)/"),
        ("Samsung Internet", r"\bSamsungBrowser/"),
        ("Firefox", r"\b(Firefox|FxiOS)/"),
        ("Chrome", r"\b(Chrome|CriOS|Chromium|HeadlessChrome)/"),
        ("Safari", r"\bVersion/[\d.]+ .*Safari/"),
    )
)
_BOT = re.compile(r"bot\b|crawl|spider|slurp|facebookexternalhit", re.IGNORECASE)
_TABLET = re.compile(r"iPad|Tablet|PlayBook|Silk|Android(?!.*Mobile)")
_MOBILE = re.compile(r"Mobi|iPhone|iPod|Android")
_DESKTOP = re.compile(r"Windows NT|Macintosh|X11|CrOS|Linux")


def device_of(user_agent: str) -> dict[str, str]:
    """`device_type` (bot, tablet, mobile, desktop) and `browser`; only what is recognised.

    Deliberately coarse: browsers freeze this header more each year, and a table
    of thousands of devices would be stale within months.
    """
    found: dict[str, str] = {}
    for kind, pattern in (
        ("bot", _BOT),
        ("tablet", _TABLET),
        ("mobile", _MOBILE),
        ("desktop", _DESKTOP),
    ):
        if pattern.search(user_agent):
            found["device_type"] = kind
            break
    for name, pattern in _BROWSERS:
        if pattern.search(user_agent):
            found["browser"] = name
            break
    return found


def pixel_event(query: bytes, *, key_parameter: str) -> dict[str, str]:
    """The event a pixel's query string says; values stay text, the contract reads them.

    Raises BodyUnreadable for more than 100 fields.
    """
    try:
        pairs = parse_qsl(query.decode("latin-1"), max_num_fields=PIXEL_FIELDS_MAX)
    except ValueError as error:
        raise BodyUnreadable(
            f"a pixel's query holds more than {PIXEL_FIELDS_MAX} fields", hint="POST it instead."
        ) from error
    return {name: value for name, value in pairs if name != key_parameter}
