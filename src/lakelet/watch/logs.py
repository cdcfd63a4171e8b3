"""Structured logging over the standard library: rooms call `logging`, as everybody does.

    log = logging.getLogger("lakelet.delivery")
    log.warning("the raw zone refused an object; it will be tried again",
                extra={"stream": "clickstream", "attempt": 2, "delay_seconds": 4})

Levels go by consequence. DEBUG: for whoever works on Lakelet. INFO: something a person
may want to know happened. WARNING: nothing is lost, Lakelet goes on by itself. ERROR:
data is lost, or a human is needed.

structlog was weighed: it would put a second logging vocabulary before every library's
records, and what we need of it is one formatter and one filter.
"""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from lakelet.watch.redaction import clean_fields, clean_value, describe_error, redact

LEVELS = {
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARNING": "WARN",
    "ERROR": "ERROR",
    "CRITICAL": "ERROR",
}
_COLOURS = {"DEBUG": "2", "INFO": "0", "WARN": "33", "ERROR": "1;31"}

_correlation: ContextVar[dict[str, Any]] = ContextVar("lakelet_correlation", default={})  # noqa: B039 - never mutated


@contextmanager
def correlated(**fields: Any) -> Iterator[None]:
    """Every record inside carries these: `with correlated(request_id=…, raw_key=…)`."""
    token = _correlation.set({**_correlation.get(), **fields})
    try:
        yield
    finally:
        _correlation.reset(token)


def entry_of(record: logging.LogRecord) -> dict[str, Any]:
    """A record as the values that are written: nothing else of it ever leaves."""
    entry: dict[str, Any] = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": LEVELS.get(record.levelname, record.levelname),
        "component": component_of(record.name),
        "message": _message(record),
        **clean_fields({**_correlation.get(), **record.__dict__}),
    }
    if record.exc_info and record.exc_info[1] is not None:
        entry["error"] = describe_error(record.exc_info[1])
        entry["where"] = _frames(record.exc_info[1])
    return entry


def component_of(logger_name: str) -> str:
    """`lakelet.delivery` is `delivery`; other libraries go by their own name."""
    parts = logger_name.split(".")
    return parts[1] if parts[0] == "lakelet" and len(parts) > 1 else parts[0]


def group_of(component: str) -> str:
    """The CloudWatch log group of a component."""
    return f"/lakelet/{component}"


def _message(record: logging.LogRecord) -> str:
    arguments = record.args
    if isinstance(arguments, tuple):
        arguments = tuple(clean_value(a) if isinstance(a, bytes) else a for a in arguments)
    try:
        return redact(str(record.msg) % arguments if arguments else str(record.msg))
    except (TypeError, ValueError, KeyError):
        return redact(str(record.msg))  # a wrong format string must not cost the line


def _frames(error: BaseException) -> list[str]:
    """File and line of each step, without the source text or the values."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{_short_path(f.filename)}:{f.lineno} {f.name}" for f in frames]


def _short_path(path: str) -> str:
    for mark in ("/site-packages/", "/src/", "/lib/"):
        if mark in path:
            return path.rsplit(mark, 1)[1]
    return path.rsplit("/", 1)[-1]


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(entry_of(record), ensure_ascii=False)


class HumanFormatter(logging.Formatter):
    """`14:30:05 WARN  delivery    the sentence  key=value`, in colour where wanted."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        entry = entry_of(record)
        at, level = entry.pop("at")[11:19], entry.pop("level")
        component, message = entry.pop("component"), entry.pop("message")
        where = entry.pop("where", [])
        rest = " ".join(f"{name}={value}" for name, value in entry.items())
        text = f"{at} {level:<5} {component:<10} {message}" + (f"  {rest}" if rest else "")
        if self._colour:
            text = f"\x1b[{_COLOURS.get(level, '0')}m{text}\x1b[0m"
        return "\n".join([text, *(f"    {frame}" for frame in where)])


class EntrySink(Protocol):
    """Where entries are kept: `log_book.LogBook`."""

    def append(self, component: str, at_ms: int, message: str) -> None: ...


class SinkHandler(logging.Handler):
    """Hands each entry on as JSON; never blocks on a disk, never raises into the caller."""

    def __init__(self, sink: EntrySink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            entry = entry_of(record)
            text = json.dumps(entry, ensure_ascii=False)
            self._sink.append(entry["component"], int(record.created * 1000), text)
        except Exception:  # noqa: BLE001 - logging must not break what it tells of
            self.handleError(record)


def configure(
    *,
    sink: EntrySink | None = None,
    stream: TextIO | None = None,
    as_json: bool | None = None,
    level: str = "INFO",
) -> Callable[[], None]:
    """Send `lakelet.*` and warnings of others to the terminal and the sink.

    Args:
        stream: stderr where None.
        as_json: None lets the stream decide: people get lines, machines get JSON.
    Returns:
        What puts logging back as it was.
    """
    out = stream or sys.stderr
    terminal = out.isatty()
    to_stream = logging.StreamHandler(out)
    wants_json = not terminal if as_json is None else as_json
    to_stream.setFormatter(JsonFormatter() if wants_json else HumanFormatter(colour=terminal))
    handlers: list[logging.Handler] = [to_stream]
    if sink is not None:
        handlers.append(SinkHandler(sink))
    root, ours = logging.getLogger(), logging.getLogger("lakelet")
    before = ours.level
    ours.setLevel(level)
    for handler in handlers:
        root.addHandler(handler)

    def undo() -> None:
        ours.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)

    return undo
