"""What processors do to records: each step takes items and leaves items and failures.

A record fails by whatever a step raises over it, foreseen or not (but for want of memory): one that
raised its way out of here would hold up its stream for good, and all behind it.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from lakelet.ingest.function import Functions, invoke_function
from lakelet.ingest.items import Item, Outcome, as_key, describe
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

# A record of at most 1,000 KiB may inflate to a gigabyte.
_INFLATED_SIZE_BYTES_MAX = 64 * 1024 * 1024
# As much of a delivery is inflated at once, and the record that passes it: then come objects of
# what there is so far.
_RUN_SIZE_BYTES = 32 * 1024 * 1024

_DECODER = json.JSONDecoder()


def process(
    items: Sequence[Item], steps: Sequence[Step], functions: Functions, stream_arn: str
) -> Iterator[Outcome]:
    """Every step in turn; a record that fails goes no further.

    One outcome, but for what inflates to more than may be in memory at once: the same
    records always come apart at the same places.
    """
    if not steps or not isinstance(steps[0], Decompress):
        yield _finished(Outcome(list(items)), steps, functions, stream_arn)
        return
    for run in _inflated_runs(items, steps[0]):
        yield _finished(run, steps[1:], functions, stream_arn)


def _finished(
    total: Outcome, steps: Sequence[Step], functions: Functions, stream_arn: str
) -> Outcome:
    for step in steps:
        outcome = _apply(step, total.items, functions, stream_arn)
        total.items = outcome.items
        total.failures += outcome.failures
        total.dropped += outcome.dropped
        total.parted += outcome.parted
    return total


def _apply(step: Step, items: Sequence[Item], functions: Functions, stream_arn: str) -> Outcome:
    match step:
        case AppendDelimiter():
            return Outcome([item.with_data(item.data + step.delimiter) for item in items])
        case DeAggregate():
            return _split_each(items, step)
        case Decompress():
            raise ValueError("decompression comes first, in runs")
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
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            outcome.fail(item, "DeAggregation.InvalidRecord", describe(error))
            continue
        if not parts:
            outcome.dropped += 1  # an empty list holds no event
        if len(parts) > SUB_RECORDS_MAX:
            message = f"{len(parts)} sub-records: at most {SUB_RECORDS_MAX}"
            outcome.fail(item, "DeAggregation.TooManySubRecords", message)
            continue
        outcome.items += _parts_of(item, parts)
        outcome.parted += max(0, len(parts) - 1)
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
    """The JSON values of a record, verbatim: joined, one a line, or in arrays.

    Raises:
        ValueError: at the first byte that belongs to no value.
    """
    parts: list[str] = []
    for value in _values(data.decode("utf-8-sig"), separator=""):
        parts += _values(value[1:-1], separator=",") if value.startswith("[") else [value]
    return [part.encode() for part in parts]


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


def _inflated_runs(items: Sequence[Item], step: Decompress) -> Iterator[Outcome]:
    run, size_bytes = Outcome(), 0
    for item in items:
        if size_bytes > _RUN_SIZE_BYTES:
            yield run
            run, size_bytes = Outcome(), 0
        size_bytes += _decompress(item, step, run)
    yield run


def _decompress(item: Item, step: Decompress, outcome: Outcome) -> int:
    """Bytes that it came to."""
    try:
        data = _inflate(item.data)
        parts = _messages(data) if step.extract_messages else [data]
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        message = f"{type(error).__name__}: {describe(error)}"
        outcome.fail(item, "Decompression.Failed", message)
        return 0
    if not parts:
        outcome.dropped += 1  # CloudWatch's control messages hold no events
    elif step.extract_messages:
        outcome.items += _parts_of(item, parts)
        outcome.parted += len(parts) - 1
    else:
        outcome.items.append(item.with_data(data))
    return len(data)


def _inflate(data: bytes) -> bytes:
    """Of one gzip member or several, as gzip itself has it."""
    pieces: list[bytes] = []
    left = _INFLATED_SIZE_BYTES_MAX
    while data or not pieces:
        inflater = zlib.decompressobj(wbits=31)
        pieces.append(inflater.decompress(data, left + 1))
        left -= len(pieces[-1])
        if left < 0:
            raise ValueError(f"it inflates to more than {_INFLATED_SIZE_BYTES_MAX} bytes")
        if not inflater.eof:
            raise EOFError("the gzip stream ends early")
        data = inflater.unused_data.lstrip(b"\0")  # padding, which gzip passes over too
    return b"".join(pieces)


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
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            outcome.fail(item, "DynamicPartitioning.MetadataExtractionFailed", describe(error))
            continue
        outcome.items.append(item.with_keys(keys))
    return outcome


def _keys(program: Any, data: bytes) -> dict[tuple[str, str], str]:
    results = program.input_text(data.decode()).all()
    if len(results) != 1 or not isinstance(results[0], dict):
        raise ValueError("the query gives one object of partition keys for each record")
    return {("partitionKeyFromQuery", k): as_key(k, v) for k, v in results[0].items()}
