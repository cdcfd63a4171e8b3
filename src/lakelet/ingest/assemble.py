"""A cut's records made into the bodies of its objects: what processing decides.

Pure, but for the functions and the schemas it is handed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from lakelet.ingest.destination import Conversion, Destination
from lakelet.ingest.error_records import encode_failures
from lakelet.ingest.errors import InvalidArgument
from lakelet.ingest.frame import Frame
from lakelet.ingest.function import Functions
from lakelet.ingest.items import PROCESSING_FAILED, Failure, Item
from lakelet.ingest.parquet import SchemaOf, convert
from lakelet.ingest.processors import apply_steps
from lakelet.ingest.records import Records
from lakelet.model.ports import Buffer

# Single puts make frames of a few records each, a busy producer's are larger than this.
_RUN_SIZE_BYTES = 256 * 1024


def _no_schema(database: str, table: str) -> pa.Schema:
    raise InvalidArgument(
        f"the format conversion asks for table {database}.{table}, and there is no catalog.",
        hint="Run the stream on a node.",
    )


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What processors call."""

    functions: Functions = field(default_factory=dict)  # Lambda processors, by name
    schema_of: SchemaOf = _no_schema  # the columns to convert to


@dataclass(frozen=True, slots=True)
class Assembled:
    """One object to be, before compression."""

    group: str  # "" for the whole cut's data; tells the object from its siblings
    pieces: Sequence[Buffer]  # of its body
    records: int
    blank_records: int = 0
    error_type: str = ""  # "" for data
    is_backup: bool = False
    is_parquet: bool = False
    partition_keys: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def compression(self, destination: Destination) -> str:
        """Parquet compresses within; errors are as the data would be."""
        return "UNCOMPRESSED" if self.is_parquet else destination.compression


@dataclass(frozen=True, slots=True)
class Assembly:
    objects: list[Assembled] = field(default_factory=list)
    dropped_records: int = 0  # because a function said so


def assemble(
    frames: Sequence[Frame],
    destination: Destination,
    toolbox: Toolbox,
    *,
    stream_arn: str,
    ended_ms: int,
) -> Assembly:
    """Every record of `frames` in exactly one object, or dropped by a function.

    (In one object of the data, that is; a backup holds the source records once more.)
    """
    if not frames:
        return Assembly()
    delimiter = destination.processing.only_delimiter
    if delimiter is not None and not destination.conversion and not destination.backup:
        return Assembly([_joined("", frames, delimiter)])
    items = list(_items(frames))
    outcome = apply_steps(items, destination.processing.steps, toolbox.functions, stream_arn)
    failures = outcome.failures
    assembled: list[Assembled] = []
    for group, members in _partition(outcome.items, destination, failures).items():
        if destination.conversion:
            made = _converted(group, members, destination.conversion, toolbox, failures)
            assembled += [made] if made else []
        else:
            assembled.append(_bodied(group, members))
    if destination.backup:
        assembled.append(_joined("backup", frames, b"", is_backup=True))
    return Assembly(assembled + _errors(failures, ended_ms), outcome.dropped)


def _items(frames: Sequence[Frame]) -> list[Item]:
    return [
        Item(position, frame.arrived_ms, record, record)
        for frame in frames
        for position, record in enumerate(frame.records, frame.first_position)
    ]


def _partition(
    items: Sequence[Item], destination: Destination, failures: list[Failure]
) -> dict[str, list[Item]]:
    """Items by the partition keys that the prefix asks for; those that lack one fail."""
    wanted = destination.prefix.partition_keys
    groups: dict[str, list[Item]] = {}
    for item in items:
        missing = [name for space, name in wanted if (space, name) not in item.partition_keys]
        if missing:
            code = "DynamicPartitioning.PartitionKeyNotFound"
            message = f"no value for partition key {', '.join(missing)}"
            failures.append(Failure(item, PROCESSING_FAILED, code, message))
            continue
        group = json.dumps([item.partition_keys[key] for key in wanted]) if wanted else ""
        groups.setdefault(group, []).append(item)
    return groups


def _bodied(group: str, items: Sequence[Item]) -> Assembled:
    records = Records.of([item.data for item in items])
    blank, keys = records.count_blank(), items[0].partition_keys
    return Assembled(group, (records.payload,), len(items), blank, partition_keys=keys)


def _converted(
    group: str,
    items: Sequence[Item],
    conversion: Conversion,
    toolbox: Toolbox,
    failures: list[Failure],
) -> Assembled | None:
    schema = toolbox.schema_of(conversion.database, conversion.table)
    body, kept, failed = convert(items, conversion, schema)
    failures += failed
    if not kept:
        return None
    keys = items[0].partition_keys
    return Assembled(group, (body,), len(kept), is_parquet=True, partition_keys=keys)


def _joined(
    group: str, frames: Sequence[Frame], delimiter: bytes, *, is_backup: bool = False
) -> Assembled:
    """As they were received, one after the other: nearly every stream's way."""
    runs = list(Records.in_runs((frame.records for frame in frames), _RUN_SIZE_BYTES))
    return Assembled(
        group,
        [run.with_each(delimiter) for run in runs],
        sum(map(len, runs)),
        sum(run.count_blank() for run in runs),
        is_backup=is_backup,
    )


def _errors(failures: Sequence[Failure], ended_ms: int) -> list[Assembled]:
    """One object for each kind of error."""
    kinds: dict[str, list[Failure]] = {}
    for failure in failures:
        kinds.setdefault(failure.error_type, []).append(failure)
    return [
        Assembled(f"error:{kind}", (encode_failures(each, ended_ms),), len(each), error_type=kind)
        for kind, each in kinds.items()
    ]
