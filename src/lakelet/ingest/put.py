"""The answer to a put request."""

import struct
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one record of an accepted request was not taken."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
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

    def record_ids(self) -> list[str | None]:
        """In the request's order; None for a refused one. An id names the record's place
        in its stream's log: incarnation, then position."""
        taken = self.count - len(self.refused)
        ids: list[str | None] = list(
            join_ids(self.incarnation, self.first_position, taken, ",").split(",") if taken else ()
        )
        for index in sorted(self.refused):
            ids.insert(index, None)
        return ids


def join_ids(incarnation: bytes, first_position: int, count: int, separator: str) -> str:
    """The ids of neighbouring records, in text. Formatting each by itself took a tenth of
    a batch's time; packing them and taking the hexadecimal of all at once takes none."""
    positions = struct.pack(f">{count}Q", *range(first_position, first_position + count))
    head = incarnation.hex()
    return head + positions.hex(",", 8).replace(",", separator + head)
