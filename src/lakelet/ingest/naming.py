"""Names of delivered objects: each a pure function of where its records stand in the log.

So a retried delivery finds the same name, and no two deliveries share one.
"""

import base64
import hashlib
from datetime import datetime
from uuid import UUID

# The positions a name can hold: at 500,000 records a second, 17 years of one stream.
POSITION_MAX = (1 << 48) - 1

# Firehose's random strings are 11 characters.
_RANDOM_STRING_LENGTH = 11


def object_id(incarnation: bytes, first_position: int, group: str = "") -> UUID:
    """A version 8 UUID (RFC 9562): 48 bits of position, the rest a hash of the stream's
    incarnation and, where one delivery makes several objects, of the group's name.

    The position stands first, so ids of one stream sort in log order.
    """
    digest = hashlib.sha256(incarnation + group.encode()).digest()
    return UUID(bytes=_version_8(first_position.to_bytes(6, "big") + digest[:10]))


def position_of(object_id: UUID) -> int:
    return object_id.int >> 80


def random_strings(incarnation: bytes, first_position: int, count: int) -> tuple[str, ...]:
    """Eleven characters each: random to a reader, the same at each retry."""
    seed = incarnation + first_position.to_bytes(6, "big")
    digests = (hashlib.sha256(seed + bytes([index])).digest() for index in range(count))
    return tuple(base64.b32encode(digest).decode()[:_RANDOM_STRING_LENGTH] for digest in digests)


def object_name(
    stream: str, version: int, arrived_at: datetime, object_id: UUID, extension: str
) -> str:
    """`<stream>-<version>-<yyyy>-<MM>-<dd>-<HH>-<mm>-<ss>-<uuid><extension>`, the instant
    in the zone that `arrived_at` carries."""
    return f"{stream}-{version}-{arrived_at:%Y-%m-%d-%H-%M-%S}-{object_id}{extension}"


def _version_8(data: bytes) -> bytes:
    marked = bytearray(data)
    marked[6] = marked[6] & 0x0F | 0x80
    marked[8] = marked[8] & 0x3F | 0x80
    return bytes(marked)
