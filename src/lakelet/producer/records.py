"""Events become records: encoding, the service's limits, packing. Pure."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from lakelet.producer.errors import EventInvalid

RECORD_BYTES_MAX = 1_024_000  # Firehose: before base64
BATCH_RECORDS_MAX = 500
# Firehose: "4 MB for the entire request", and no word on whether base64 counts.
# Counting the request as it travels is inside the limit under either reading.
BATCH_BYTES_MAX = 4 * 1024 * 1024
BILLING_STEP_BYTES = 5_120  # each record is billed rounded up to this

_JSON_OVERHEAD_BYTES = len('{"Data":""},')
_ENVELOPE_BYTES = 256  # stream name, field names, brackets


class Record(NamedTuple):
    """Bytes as the stream will hold them, and how many events they are."""

    data: bytes
    event_count: int = 1


@dataclass(frozen=True, slots=True)
class Encoding:
    """How events become bytes."""

    # Where the field is absent it is filled in: the id lets a record that
    # arrives twice be counted once, the instant decides its partition.
    event_id_field: str | None = "event_id"
    timestamp_field: str | None = "timestamp"
    # Firehose joins records verbatim: without it events meet as `}{`.
    delimiter: bytes = b"\n"


def encode_event(
    event: Mapping[str, Any] | str | bytes,
    encoding: Encoding,
    *,
    new_event_id: Callable[[], str],
    now: Callable[[], datetime],
) -> bytes:
    """One event as the bytes of one record.

    A mapping becomes a JSON line; text and bytes are taken as they are, without
    an id or an instant being added, and end in the delimiter.

    Raises:
        EventInvalid: it has no JSON form, or more than 1,024,000 bytes.
    """
    try:
        if isinstance(event, bytes):
            data = event
        elif isinstance(event, str):
            data = event.encode()
        else:
            data = msgspec.json.encode(_completed(event, encoding, new_event_id, now))
    # A lone surrogate is a UnicodeEncodeError, which is a ValueError; no mapping, no `get`.
    except (TypeError, ValueError, AttributeError, RecursionError, msgspec.MsgspecError) as error:
        raise EventInvalid(
            f"an event of type {type(event).__name__} has no JSON form: {error}",
            hint="Use text, numbers, booleans, None, datetimes, lists and dicts with text keys.",
        ) from error
    if encoding.delimiter and not data.endswith(encoding.delimiter):
        data += encoding.delimiter
    if len(data) > RECORD_BYTES_MAX:
        raise EventInvalid(
            f"an event of {len(data):,} bytes is over Firehose's {RECORD_BYTES_MAX:,} a record",
            hint="Send a smaller event: put large values into S3 and send their key.",
        )
    return data


def _completed(
    event: Mapping[str, Any],
    encoding: Encoding,
    new_event_id: Callable[[], str],
    now: Callable[[], datetime],
) -> Mapping[str, Any]:
    """The event, or a copy with what it lacks. Making ids is a third of a send's cost."""
    missing: dict[str, Any] = {}
    if encoding.event_id_field and event.get(encoding.event_id_field) is None:
        missing[encoding.event_id_field] = new_event_id()
    if encoding.timestamp_field and event.get(encoding.timestamp_field) is None:
        missing[encoding.timestamp_field] = now()
    return {**event, **missing} if missing else event


def request_bytes(record: Record) -> int:
    """What a record adds to a PutRecordBatch request: its base64 form and the JSON around it."""
    return (len(record.data) + 2) // 3 * 4 + _JSON_OVERHEAD_BYTES


def batch_end(records: Iterable[Record]) -> int:
    """How many of `records`, from the first, one PutRecordBatch may carry (at least one)."""
    total_bytes = _ENVELOPE_BYTES
    count = 0
    for record in records:
        total_bytes += request_bytes(record)
        if count == BATCH_RECORDS_MAX or (count and total_bytes > BATCH_BYTES_MAX):
            break
        count += 1
    return count


def take_batch(events: "deque[bytes]", *, pack_bytes: int) -> list[Record]:
    """Remove the next batch from the front of `events`, in order.

    Args:
        pack_bytes: join neighbours into one record while it stays within so
            many bytes; 0 leaves one event a record.
    """
    records: list[Record] = []
    total_bytes = _ENVELOPE_BYTES
    while events and len(records) < BATCH_RECORDS_MAX:
        record = _peek_record(events, pack_bytes)
        total_bytes += request_bytes(record)
        if records and total_bytes > BATCH_BYTES_MAX:
            break
        records.append(record)
        for _ in range(record.event_count):
            events.popleft()
    return records


def _peek_record(events: "deque[bytes]", pack_bytes: int) -> Record:
    size_bytes = len(events[0])
    if size_bytes >= pack_bytes:
        return Record(events[0])
    count = 0
    packed_bytes = 0
    # The index stays small: pack_bytes over the smallest event.
    while count < len(events) and packed_bytes + len(events[count]) <= pack_bytes:
        packed_bytes += len(events[count])
        count += 1
    return Record(b"".join(events[i] for i in range(count)), count)


def billed_bytes(records: Iterable[Record]) -> int:
    """What Firehose bills for: each record rounded up to 5,120 bytes."""
    step = BILLING_STEP_BYTES
    return sum(max(1, -(-len(record.data) // step)) * step for record in records)
