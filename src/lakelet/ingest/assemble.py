"""A cut's records made into the bodies of its objects: what processing decides. Pure
but for the functions and schemas it is handed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lakelet.ingest.destination import Destination
from lakelet.ingest.frame import Frame
from lakelet.ingest.ledger import Cut


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What processors call: nothing, so far."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """One object to be, before compression."""

    group: str  # "" for the whole cut's data; names the object apart from its siblings
    body: bytes
    records: int
    blank_records: int = 0
    error_type: str = ""  # "" for data
    is_backup: bool = False
    partition_keys: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def compression(self, destination: Destination) -> str:
        return destination.compression

    def extension(self, destination: Destination) -> str:
        return destination.extension


def assemble(  # noqa: ARG001 - cut and toolbox are for processors
    frames: Sequence[Frame], cut: Cut, destination: Destination, toolbox: Toolbox
) -> list[Assembled]:
    """Every record of `frames` in exactly one object, or dropped on purpose."""
    delimiter = destination.processing.only_delimiter
    if delimiter is None:
        raise NotImplementedError
    return [_joined(frames, delimiter)] if frames else []


def _joined(frames: Sequence[Frame], delimiter: bytes) -> Assembled:
    """As they were received, one after the other: nearly every stream's way."""
    records = [record for frame in frames for record in frame.records]
    body = delimiter.join(records) + delimiter if records else b""
    return Assembled("", body, len(records), count_blank(records))


def count_blank(records: Sequence[bytes]) -> int:
    return sum(not record or record.isspace() for record in records)
