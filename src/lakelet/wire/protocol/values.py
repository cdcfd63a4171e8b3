"""Scalars as text: what XML, query strings and headers have instead of types."""

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from lakelet.wire.errors import AnswerError, ProtocolRefusal, Refusal
from lakelet.wire.models import Shape


def parse_text(shape: Shape, text: str, name: str) -> Any:
    """Text as its shape says. Raises ProtocolRefusal (SERIALIZATION) that names the member."""
    try:
        return _PARSERS.get(shape.type_name, str)(text)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise ProtocolRefusal(
            Refusal.SERIALIZATION, f"{name}: {text[:100]!r} is no {shape.type_name}."
        ) from error


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _timestamp(text: str) -> datetime:
    """ISO 8601, epoch seconds or an HTTP date: SDKs differ."""
    if text.replace(".", "", 1).lstrip("-").isdigit():
        return datetime.fromtimestamp(float(text), UTC)
    at = parsedate_to_datetime(text) if text[:1].isalpha() else datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "blob": lambda text: base64.b64decode(text, validate=True),
}


def format_text(shape: Shape, value: Any, timestamp_format: str) -> str:
    """A scalar as text; `timestamp_format` is the place's own: iso8601, rfc822."""
    kind = shape.type_name
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return format_timestamp(value, shape.serialization.get("timestampFormat", timestamp_format))
    if kind == "blob":
        return base64.b64encode(value).decode()
    return str(value)


def format_timestamp(at: datetime, how: str) -> str:
    if at.tzinfo is None:
        raise AnswerError(f"a timestamp without a zone: {at!r}")
    utc = at.astimezone(UTC)
    if how == "rfc822":
        return format_datetime(utc.replace(microsecond=0), usegmt=True)
    if how == "unixTimestamp":
        return str(int(utc.timestamp()))
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"
