"""A record on its way through processors, and what becomes of one that fails."""

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """One record, or a part of one once it was de-aggregated."""

    position: int
    arrived_ms: int
    data: bytes
    original: bytes  # as received: what an error record keeps
    part: int = 0  # among the parts of one record
    partition_keys: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def record_id(self) -> str:
        """As processors and their functions see it: digits, as Firehose's are."""
        return f"{self.position:049d}{self.part:06d}"

    def with_data(self, data: bytes) -> "Item":
        return replace(self, data=data)

    def with_keys(self, keys: dict[tuple[str, str], str]) -> "Item":
        return replace(self, partition_keys={**self.partition_keys, **keys})


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that can't go on, with Firehose's reason for it."""

    item: Item
    error_type: str  # the error prefix's !{firehose:error-output-type}
    code: str
    message: str
    attempts: int = 1
    lambda_arn: str = ""
    table: tuple[str, str] | None = None  # database and table of a format conversion


def describe(error: Exception) -> str:
    """For whoever reads the error record."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply to be read"
    return str(error) or type(error).__name__


def as_key(name: str, value: Any) -> str:
    """A partition key's value as it stands in a prefix. Raises ValueError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float) and value != "":
        return str(value)
    raise ValueError(f"partition key {name} is {value!r}: a value is needed")


PROCESSING_FAILED = "processing-failed"
FORMAT_CONVERSION_FAILED = "format-conversion-failed"


@dataclass(slots=True)
class Outcome:
    """Where a step leaves its records."""

    items: list[Item] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    dropped: int = 0  # on purpose
    parted: int = 0  # items beyond one a record, before any is dropped

    def fail(self, item: Item, code: str, message: str) -> None:
        self.failures.append(Failure(item, PROCESSING_FAILED, code, message))
