"""The answer to a put request."""

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
        head = self.incarnation.hex()
        end = self.first_position + self.count - len(self.refused)
        ids: list[str | None] = [
            f"{head}{position:016x}" for position in range(self.first_position, end)
        ]
        for index in sorted(self.refused):
            ids.insert(index, None)
        return ids
