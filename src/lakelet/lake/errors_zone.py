"""What a delivery stream itself gave up, brought into quarantine.

Firehose writes records that its processors failed on below the error prefix, one JSON
document a record (API reference, "Amazon S3 backup and error records"; fields as in
SERVICE-FACTS): attemptsMade, arrivalTimestamp, errorCode, errorMessage,
attemptEndingTimestamp, rawData (base64). Such an object gets a manifest and rejects as any
raw object does; replaying one transforms the original records inside. Those that their producer had
gzipped, for a stream that inflates, are inflated for it: the error record keeps them as they came.
"""

import base64
import binascii
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

import pyarrow as pa

from lakelet.model.contract import Contract
from lakelet.model.layout import (
    error_prefix_root,
    manifest_key,
    quarantine_key,
)
from lakelet.model.manifest import Manifest, Output, RawObject
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectStore
from lakelet.model.schema import QUARANTINE_SCHEMA
from lakelet.transform import parquet_writer
from lakelet.transform.inflate import GZIP_MAGIC, Tear, inflate

SIZE_BYTES_MAX = 1 << 30  # inflated; Firehose buffers at most 128 MB, so this is a bomb
# One record's, as the stream's Decompression has it: at most 1,000 KiB are sent.
RECORD_SIZE_BYTES_MAX = 64 * 1024 * 1024
_READ_SIZE_BYTES = 1 << 20
UNREADABLE = "error-record"  # the reason of what is no error record itself


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One document of an error object; `raw` is the producer's record, undone of base64."""

    raw: bytes
    message: str
    attempts: int
    arrived_at: datetime | None
    offset_bytes: int
    is_readable: bool = True


def error_type(pipeline: Pipeline, key: str) -> str:
    """`processing-failed`, as the error prefix's expression put it into the key."""
    rest = key.removeprefix(error_prefix_root(pipeline.stream.error_prefix))
    return rest.split("/", 1)[0]


def decode_errors(data: bytes) -> Iterator[ErrorRecord]:
    """The records of an inflated error object: documents one a line, or joined."""
    decoder = json.JSONDecoder()
    text = data.decode("utf-8", "surrogateescape")
    at = counted = start = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        start += len(text[counted:at].encode("utf-8", "surrogateescape"))
        counted = at
        try:
            document, end = decoder.raw_decode(text, at)
            yield _record(document, start)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            raw = text[at:end].encode("utf-8", "surrogateescape")
            yield ErrorRecord(raw, "not a record of Firehose's errors", 0, None, start, False)
        at = end


def _record(document: Any, offset_bytes: int) -> ErrorRecord:
    try:
        raw = base64.b64decode(document["rawData"], validate=True)
    except binascii.Error as error:
        raise ValueError("rawData is no base64") from error
    arrived_ms = document.get("arrivalTimestamp")
    return ErrorRecord(
        raw,
        f"{document.get('errorCode', '')}: {document.get('errorMessage', '')}",
        int(document.get("attemptsMade", 0)),
        datetime.fromtimestamp(arrived_ms / 1000, UTC) if arrived_ms else None,
        offset_bytes,
    )


def adopt_errors(
    store: ObjectStore, pipeline: Pipeline, contract: Contract, raw: RawObject
) -> Manifest:
    """Write an error object's records as rejects, and its manifest. Twice is once."""
    records = list(decode_errors(_inflated(store, raw)))
    kind = error_type(pipeline, raw.key)
    by_reason: dict[str, list[ErrorRecord]] = {}
    for record in records:
        by_reason.setdefault(kind if record.is_readable else UNREADABLE, []).append(record)
    outputs = []
    for reason, rejected in sorted(by_reason.items()):
        key = quarantine_key(reason, raw.received_at.date(), raw.key)
        sink = parquet_writer(store, pipeline.raw_bucket, key, QUARANTINE_SCHEMA)
        sink.write(_rejects(rejected, reason, raw, contract.version))
        size_bytes = sink.close()
        outputs.append(Output(pipeline.raw_bucket, key, len(rejected), size_bytes, reason=reason))
    manifest = Manifest(
        raw,
        contract.version,
        contract.fingerprint,
        inflated_bytes=sum(len(record.raw) for record in records),
        events=len(records),
        rows=0,
        duplicates=0,
        quarantined={reason: len(rejected) for reason, rejected in sorted(by_reason.items())},
        outputs=tuple(outputs),
        details={"errors_of": "the delivery stream"},
    )
    store.put(
        pipeline.transformed_bucket,
        manifest_key(raw.key),
        manifest.encode(),
        content_type="application/json",
    )
    return manifest


def _rejects(records: list[ErrorRecord], reason: str, raw: RawObject, version: int) -> pa.Table:
    count = len(records)
    arrived = [(record.arrived_at or raw.received_at).replace(tzinfo=None) for record in records]
    columns: dict[str, Any] = {
        "raw": [record.raw for record in records],
        "reason": [reason] * count,
        "message": [record.message for record in records],
        "field": [None] * count,
        "source_bucket": [raw.bucket] * count,
        "source_key": [raw.key] * count,
        "offset_bytes": [record.offset_bytes for record in records],
        "size_bytes": [len(record.raw) for record in records],
        "contract_version": [version] * count,
        "attempts": [record.attempts for record in records],
        "received_at": arrived,
    }
    return pa.table(columns, schema=QUARANTINE_SCHEMA)


def _inflated(store: ObjectStore, raw: RawObject) -> bytes:
    with store.open(raw.bucket, raw.key) as stream:
        return b"".join(inflate(stream, Tear(), size_bytes_max=SIZE_BYTES_MAX))


class ErrorsUndone:
    """A store in which an error object reads as the records that its producer sent, inflated."""

    def __init__(self, store: ObjectStore, raw: RawObject) -> None:
        self._store, self._raw = store, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, bucket: str, key: str) -> BinaryIO:
        if (bucket, key) != (self._raw.bucket, self._raw.key):
            return self._store.open(bucket, key)
        records = decode_errors(_inflated(self._store, self._raw))
        return io.BufferedReader(_Pieces(_lines(records)), _READ_SIZE_BYTES)


def _lines(records: Iterable[ErrorRecord]) -> Iterator[bytes]:
    """One record inflated at a time: all of them may be more than fits in memory."""
    # The empty line: behind it, a first record that stays gzip does not make all look like gzip.
    yield b"\n"
    for record in records:
        yield _plain(record.raw)
        yield b"\n"


def _plain(raw: bytes) -> bytes:
    """A gzip record inflated; as it is where it is none, is torn, or comes to too much."""
    if not raw.startswith(GZIP_MAGIC):
        return raw
    tear = Tear()
    data = b"".join(inflate(io.BytesIO(raw), tear, size_bytes_max=RECORD_SIZE_BYTES_MAX))
    return raw if tear.reason else data


class _Pieces(io.RawIOBase):
    """Bytes to read, made as they are asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            if (piece := next(self._pieces, None)) is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count
