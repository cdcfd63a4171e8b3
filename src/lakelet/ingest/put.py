"""The answer to a put request."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt


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
) -> bytes:
    """The ids of neighbouring records, each between `before` and `after`. They differ in 16
    digits only, which are written into a text that is ready: one by one they took longer
    than the batch's checksum and its write."""
    rows = _rows(incarnation, count, before, after).copy()
    positions = np.arange(first_position, first_position + count, dtype=">u8")
    rows["position"] = np.frombuffer(positions.tobytes().hex().encode(), "V16")
    return rows.tobytes()


@lru_cache(maxsize=32)
def _rows(incarnation: bytes, count: int, before: bytes, after: bytes) -> npt.NDArray[np.void]:
    head = before + incarnation.hex().encode()
    kind = [("head", f"V{len(head)}"), ("position", "V16"), ("after", f"V{len(after)}")]
    return np.frombuffer((head + bytes(16) + after) * count, kind)
