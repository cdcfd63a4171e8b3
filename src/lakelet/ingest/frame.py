"""The bytes of one frame, and back. Pure: docs/durability.md draws them field by field.

A frame is what one commit wrote: the records of one or more requests that
shared an fsync.

    0   4  magic "LKF1"
    4   4  header checksum: CRC-32 of bytes 8 to 47, begun from the log's key
    8   4  body checksum: CRC-32 of the body
    12  4  record count
    16  4  payload size: the records' bytes, joined
    20  4  reserved, 0
    24  8  position of the first record
    32  8  position up to which the log was durable when this was written
    40  8  arrival, milliseconds since 1970 (signed)
    48     body: record count x u32 record sizes, then the payload
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lakelet.ingest.records import Records
from lakelet.model.ports import Buffer

crc32: Callable[[Buffer, int], int]
try:
    # 20 to 60 GB/s here, against zlib's 7: the same polynomial, so the same bytes on disk.
    from isal.isal_zlib import crc32
except ImportError:
    crc32 = zlib.crc32

MAGIC = b"LKF1"
HEADER_SIZE = 48
_CHECKED_FROM = 8
_FIELDS = struct.Struct("<IIIIQQq")
_HEAD = struct.Struct("<4sI")

# One request is at most 500 records and 4 MiB; a commit joins requests up to this.
PAYLOAD_SIZE_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    """A frame's first 48 bytes, already checked."""

    body_checksum: int
    record_count: int
    payload_size: int
    first_position: int
    durable_position: int
    arrived_ms: int

    @property
    def end_position(self) -> int:
        return self.first_position + self.record_count

    @property
    def body_size(self) -> int:
        return 4 * self.record_count + self.payload_size

    @property
    def frame_size(self) -> int:
        return HEADER_SIZE + self.body_size


@dataclass(frozen=True, slots=True)
class Frame:
    """Records as they were received, in order."""

    first_position: int
    arrived_ms: int
    records: Records

    @property
    def end_position(self) -> int:
        return self.first_position + len(self.records)


def encode(
    records: Sequence[bytes],
    *,
    key: int,
    first_position: int,
    durable_position: int,
    arrived_ms: int,
) -> tuple[bytes, bytes, Buffer]:
    """Header, sizes and payload, to be written one after the other.

    Args:
        key: the log's own number. A header is valid only in its log, so bytes
            inside a record can't pass for a frame, nor can an earlier log's remains.
    """
    records = Records.of(records)
    sizes, payload = records.packed_sizes, records.payload
    fields = _FIELDS.pack(
        crc32(payload, crc32(sizes, 0)),
        len(records),
        len(payload),
        0,
        first_position,
        durable_position,
        arrived_ms,
    )
    return _HEAD.pack(MAGIC, crc32(fields, key)) + fields, sizes, payload


def decode_header(data: Buffer, *, key: int, offset: int = 0) -> Header | None:
    """None where no header of this log begins at `offset`."""
    head = bytes(data[offset : offset + HEADER_SIZE])
    if len(head) < HEADER_SIZE:
        return None
    magic, checksum = _HEAD.unpack_from(head)
    if magic != MAGIC or checksum != crc32(head[_CHECKED_FROM:], key):
        return None
    body, count, size, _, first, durable, arrived = _FIELDS.unpack_from(head, _CHECKED_FROM)
    return Header(body, count, size, first, durable, arrived)


def body_is_whole(header: Header, body: Buffer) -> bool:
    return len(body) == header.body_size and crc32(body, 0) == header.body_checksum


def decode_body(header: Header, body: memoryview) -> Frame:
    """The records of a body that `body_is_whole`; they are views of it, not copies."""
    payload_at = 4 * header.record_count
    records = Records(bytes(body[:payload_at]), body[payload_at:])
    return Frame(header.first_position, header.arrived_ms, records)
