"""The bytes of a spool file: frames, one a record, each with its checksum. Pure.

    magic        4 bytes  b"LkR1"
    size         4 bytes  big-endian, of the data
    event_count  4 bytes  big-endian
    checksum     4 bytes  CRC-32 of size, event_count and data
    data         size bytes

The magic lets a reader find the next frame behind a damaged one.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import NamedTuple

from lakelet.producer.records import RECORD_BYTES_MAX, Record

MAGIC = b"LkR1"
_HEADER = struct.Struct(">4sIII")
_CHECKED = struct.Struct(">II")
HEADER_BYTES = _HEADER.size


def encode_frames(records: Iterable[Record]) -> bytes:
    return b"".join(part for record in records for part in _frame(record))


def _frame(record: Record) -> tuple[bytes, bytes]:
    checksum = _checksum(record.data, record.event_count)
    return _HEADER.pack(MAGIC, len(record.data), record.event_count, checksum), record.data


def _checksum(data: bytes, event_count: int) -> int:
    return zlib.crc32(data, zlib.crc32(_CHECKED.pack(len(data), event_count)))


class Decoded(NamedTuple):
    records: list[Record]
    ends: list[int]  # ends[i]: offset in the bytes behind records[i]

    def damaged_bytes(self, count: int) -> int:
        """Bytes skipped before and between the first `count` records."""
        if not count:
            return 0
        frames = sum(HEADER_BYTES + len(record.data) for record in self.records[:count])
        return self.ends[count - 1] - frames


def decode_frames(data: bytes, *, records_max: int) -> Decoded:
    """The frames of `data` from its start; damaged stretches are skipped."""
    decoded = Decoded([], [])
    offset = 0
    while offset < len(data) and len(decoded.records) < records_max:
        record = _decode_at(data, offset)
        if record is None:
            offset = _next_frame(data, offset + 1)
            continue
        offset += HEADER_BYTES + len(record.data)
        decoded.records.append(record)
        decoded.ends.append(offset)
    return decoded


def _decode_at(data: bytes, offset: int) -> Record | None:
    if len(data) - offset < HEADER_BYTES:
        return None
    magic, size, event_count, checksum = _HEADER.unpack_from(data, offset)
    end = offset + HEADER_BYTES + size
    if magic != MAGIC or size > RECORD_BYTES_MAX or end > len(data):
        return None
    body = data[offset + HEADER_BYTES : end]
    return Record(body, event_count) if _checksum(body, event_count) == checksum else None


def _next_frame(data: bytes, start: int) -> int:
    """The offset of the next readable frame; the end of `data` where there is none."""
    while (start := data.find(MAGIC, start)) >= 0:
        if _decode_at(data, start) is not None:
            return start
        start += 1
    return len(data)
