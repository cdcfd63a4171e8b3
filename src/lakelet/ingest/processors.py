"""What processors do to records: each step takes items and leaves items and failures."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from lakelet.ingest.function import Functions, invoke_function
from lakelet.ingest.items import Item, Outcome
from lakelet.ingest.processing import (
    AppendDelimiter,
    DeAggregate,
    Decompress,
    ExtractMetadata,
    InvokeFunction,
    Step,
    compile_query,
)

# Sub-records of one record: the service's limit.
SUB_RECORDS_MAX = 500

# A record of at most 1,000 KiB may inflate; without a limit a few would fill the memory.
_INFLATED_SIZE_BYTES_MAX = 64 * 1024 * 1024

_DECODER = json.JSONDecoder()


def apply_steps(
    items: Sequence[Item], steps: Sequence[Step], functions: Functions, stream_arn: str
) -> Outcome:
    """Every step in turn; a record that fails goes no further."""
    total = Outcome(list(items))
    for step in steps:
        outcome = _apply(step, total.items, functions, stream_arn)
        total.items = outcome.items
        total.failures += outcome.failures
        total.dropped += outcome.dropped
    return total


def _apply(step: Step, items: Sequence[Item], functions: Functions, stream_arn: str) -> Outcome:
    match step:
        case AppendDelimiter():
            return Outcome([item.with_data(item.data + step.delimiter) for item in items])
        case DeAggregate():
            return _split_each(items, step)
        case Decompress():
            return _decompress_each(items, step)
        case ExtractMetadata():
            return _extract_each(items, step)
        case InvokeFunction():
            return invoke_function(items, step, functions, stream_arn)


# --- de-aggregation -----------------------------------------------------------------


def _split_each(items: Sequence[Item], step: DeAggregate) -> Outcome:
    outcome = Outcome()
    for item in items:
        try:
            parts = split_json(item.data) if step.delimiter is None else _split(item, step)
        except ValueError as error:
            outcome.fail(item, "DeAggregation.InvalidRecord", str(error))
            continue
        if len(parts) > SUB_RECORDS_MAX:
            message = f"{len(parts)} sub-records: at most {SUB_RECORDS_MAX}"
            outcome.fail(item, "DeAggregation.TooManySubRecords", message)
            continue
        outcome.items += _parts_of(item, parts)
    return outcome


def _parts_of(item: Item, parts: Sequence[bytes]) -> list[Item]:
    """The original stands beside each part only as that part: an error record must not
    bring the whole record back once for each of its parts."""
    return [
        Item(item.position, item.arrived_ms, part, part, index, item.partition_keys)
        for index, part in enumerate(parts)
    ]


def _split(item: Item, step: DeAggregate) -> list[bytes]:
    return [part for part in item.data.split(step.delimiter) if part]


def split_json(data: bytes) -> list[bytes]:
    """The JSON values of a record, verbatim: joined, one a line, or in one array.

    Raises:
        ValueError: at the first byte that belongs to no value.
    """
    text = data.decode()
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        return [part.encode() for part in _values(stripped[1:-1], separator=",")]
    return [part.encode() for part in _values(text, separator="")]


def _values(text: str, *, separator: str) -> Iterator[str]:
    at = _skip(text, 0, "")
    while at < len(text):
        _, end = _DECODER.raw_decode(text, at)
        yield text[at:end]
        after = _skip(text, end, "")
        at = _skip(text, after, separator)
        if separator and after < len(text) and text[after] != separator:
            raise ValueError(f"char {after}: `{separator}` expected between values")


def _skip(text: str, at: int, separator: str) -> int:
    """Past white space, and past one separator among it."""
    is_separated = not separator
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif not is_separated and text[at] == separator:
            is_separated = True
            at += 1
        else:
            break
    return at


# --- decompression ------------------------------------------------------------------


def _decompress_each(items: Sequence[Item], step: Decompress) -> Outcome:
    outcome = Outcome()
    for item in items:
        try:
            data = _inflate(item.data)
            parts = _messages(data) if step.extract_messages else [data]
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
            outcome.fail(item, "Decompression.Failed", f"{type(error).__name__}: {error}")
            continue
        if not parts:
            outcome.dropped += 1  # CloudWatch's control messages hold no events
        elif step.extract_messages:
            outcome.items += _parts_of(item, parts)
        else:
            outcome.items.append(item.with_data(data))
    return outcome


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    inflated = inflater.decompress(data, _INFLATED_SIZE_BYTES_MAX)
    if inflater.unconsumed_tail:
        raise ValueError(f"it inflates to more than {_INFLATED_SIZE_BYTES_MAX} bytes")
    if not inflater.eof:
        raise EOFError("the gzip stream ends early")
    # Firehose takes records of several members, as gzip itself does.
    return inflated + (gzip.decompress(inflater.unused_data) if inflater.unused_data else b"")


def _messages(data: bytes) -> list[bytes]:
    """The log lines of a CloudWatch Logs subscription record."""
    document = json.loads(data)
    if document["messageType"] != "DATA_MESSAGE":
        return []
    return [event["message"].encode() for event in document["logEvents"]]


# --- partition keys -----------------------------------------------------------------


def _extract_each(items: Sequence[Item], step: ExtractMetadata) -> Outcome:
    program, outcome = compile_query(step.query), Outcome()
    for item in items:
        try:
            keys = _keys(program, item.data)
        except (ValueError, TypeError) as error:
            outcome.fail(item, "DynamicPartitioning.MetadataExtractionFailed", str(error))
            continue
        outcome.items.append(item.with_keys(keys))
    return outcome


def _keys(program: Any, data: bytes) -> dict[tuple[str, str], str]:
    results = program.input_text(data.decode()).all()
    if len(results) != 1 or not isinstance(results[0], dict):
        raise ValueError("the query gives one object of partition keys for each record")
    return {("partitionKeyFromQuery", k): as_key(k, v) for k, v in results[0].items()}


def as_key(name: str, value: Any) -> str:
    """A partition key's value as it stands in a prefix. Raises ValueError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float) and value != "":
        return str(value)
    raise ValueError(f"partition key {name} is {value!r}: a value is needed")
