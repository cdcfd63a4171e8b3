"""The answer to a put request."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one record of an accepted request was not taken."""

    code: str
    message: str


@dataclass(slots=True)  # not frozen: that costs at each request what it saves nobody
class PutResult:
    """What became of each record, by its index in the request."""

    incarnation: bytes
    first_position: int  # of the first record taken; the others follow it
    count: int  # records in the request
    is_encrypted: bool = False
    refused: dict[int, Refusal] = field(default_factory=dict)

    @property
    def failed_count(self) -> int:
        return len(self.refused)

    @property
    def first_id(self) -> str:
        """Of the first record taken."""
        return f"{self.incarnation.hex()}{self.first_position:016x}"

    def record_ids(self) -> list[str | None]:
        """In the request's order; None for a refused one. An id names the record's place
        in its stream's log: incarnation, then position."""
        head, end = self.incarnation.hex(), self.first_position + self.count - len(self.refused)
        ids: list[str | None] = [f"{head}{at:016x}" for at in range(self.first_position, end)]
        for index in sorted(self.refused):
            ids.insert(index, None)
        return ids


def format_ids(
    incarnation: bytes, first_position: int, count: int, before: bytes, after: bytes
) -> bytearray:
    """The ids of neighbouring records, each between `before` and `after`. They differ in 16
    digits only, which are written into a text that is ready: one by one they took longer
    than the batch's checksum and its write."""
    text = bytearray(_template(incarnation, count, before, after))
    layout = _layout(len(before) + 2 * len(incarnation), len(after))
    positions = np.arange(first_position, first_position + count, dtype=">u8")
    digits = np.frombuffer(positions.tobytes().hex().encode(), "V16")
    np.frombuffer(text, layout)["position"] = digits
    return text


@lru_cache(maxsize=32)
def _template(incarnation: bytes, count: int, before: bytes, after: bytes) -> bytes:
    return (before + incarnation.hex().encode() + bytes(16) + after) * count


@lru_cache(maxsize=32)
def _layout(begin: int, after_size: int) -> np.dtype[np.void]:
    """One entry, of which only the position is of interest."""
    return np.dtype([("head", f"V{begin}"), ("position", "V16"), ("after", f"V{after_size}")])
