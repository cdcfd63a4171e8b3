"""A cut's records made into the bodies of its objects: what processing decides.

Pure, but for the functions and the schemas it is handed.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from lakelet.ingest.destination import Conversion, Destination
from lakelet.ingest.error_records import encode_failures
from lakelet.ingest.errors import InvalidArgument
from lakelet.ingest.frame import Frame
from lakelet.ingest.function import Functions
from lakelet.ingest.items import PROCESSING_FAILED, Failure, Item, Outcome
from lakelet.ingest.parquet import SchemaOf, convert
from lakelet.ingest.processors import process
from lakelet.ingest.records import Records
from lakelet.model.ports import Buffer

# Single puts make frames of a few records each, a busy producer's are larger than this.
_RUN_SIZE_BYTES = 256 * 1024


def _no_schema(database: str, table: str) -> pa.Schema:
    raise InvalidArgument(
        f"the format conversion asks for table {database}.{table}, and there is no catalog.",
        hint="Run the stream on a node.",
    )


# S3's own.
_KEY_SIZE_BYTES_MAX = 1024


def _key_fault(key: str) -> str:
    size_bytes = len(key.encode())
    return f"the key would have {size_bytes} bytes" if size_bytes > _KEY_SIZE_BYTES_MAX else ""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What processing asks for."""

    functions: Functions = field(default_factory=dict)  # Lambda processors, by name
    schema_of: SchemaOf = _no_schema  # the columns to convert to
    key_fault: Callable[[str], str] = _key_fault  # why the store can't write it; "" where it can


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
    dropped_records: int = 0  # a function said so, or there was no event in them
    parted_records: int = 0  # more than came in


def assemble(
    frames: Sequence[Frame],
    destination: Destination,
    toolbox: Toolbox,
    *,
    stream_arn: str,
    ended_ms: int,
    fault_of: Callable[[Assembled], str] = lambda _: "",
) -> Iterator[Assembly]:
    """Every record of `frames` in exactly one object, or dropped.

    (In one object of the data, that is; a backup holds the source records once more.)
    More than one assembly comes of records that inflate to more than may be in memory.

    Args:
        fault_of: why there can be no object of these partition keys; "" where there can.
    """
    if not frames:
        return
    delimiter = destination.processing.only_delimiter
    if delimiter is not None and not destination.conversion and not destination.backup:
        yield Assembly([_joined("", frames, delimiter)])
        return
    failures: list[Failure] = []
    assembled: list[Assembled] = []
    dropped = parted = 0
    steps = destination.processing.steps
    for run, outcome in enumerate(process(_items(frames), steps, toolbox.functions, stream_arn)):
        if assembled:
            yield Assembly(assembled)
            assembled = []
        assembled = _objects_of(outcome, run, destination, toolbox, fault_of)
        # An error record keeps the original; what was inflated from it need not wait with it, nor
        # the rest with the next run.
        failures += [replace(each, item=each.item.with_data(b"")) for each in outcome.failures]
        dropped += outcome.dropped
        parted += outcome.parted
        outcome.items.clear()
        outcome.failures.clear()
    if destination.backup:
        assembled.append(_joined("backup", frames, b"", is_backup=True))
    yield Assembly(assembled + _errors(failures, ended_ms), dropped, parted)


def _objects_of(
    outcome: Outcome,
    run: int,
    destination: Destination,
    toolbox: Toolbox,
    fault_of: Callable[[Assembled], str],
) -> list[Assembled]:
    """Of the data; what can't go into one is added to the failures."""
    made: list[Assembled] = []
    failures = outcome.failures
    for keys, members in _partition(outcome.items, destination, fault_of, failures).items():
        group = f"{keys}#{run}" if run else keys
        if destination.conversion:
            converted = _converted(group, members, destination.conversion, toolbox, failures)
            made += [converted] if converted else []
        else:
            made.append(_bodied(group, members))
    return made


def _items(frames: Sequence[Frame]) -> list[Item]:
    return [
        Item(position, frame.arrived_ms, record, record)
        for frame in frames
        for position, record in enumerate(frame.records, frame.first_position)
    ]


def _partition(
    items: Sequence[Item],
    destination: Destination,
    fault_of: Callable[[Assembled], str],
    failures: list[Failure],
) -> dict[str, list[Item]]:
    """Items by the partition keys that the prefix asks for; those that lack one fail, and
    those whose object can't be."""
    wanted = destination.prefix.partition_keys
    groups: dict[str, list[Item]] = {}
    faults: dict[str, str] = {}
    for item in items:
        missing = [name for space, name in wanted if (space, name) not in item.partition_keys]
        if missing:
            code = "DynamicPartitioning.PartitionKeyNotFound"
            message = f"no value for partition key {', '.join(missing)}"
            failures.append(Failure(item, PROCESSING_FAILED, code, message))
            continue
        group = json.dumps([item.partition_keys[key] for key in wanted]) if wanted else ""
        if wanted and group not in faults:
            is_parquet = destination.conversion is not None
            keys = item.partition_keys
            faults[group] = fault_of(
                Assembled(group, (), 0, is_parquet=is_parquet, partition_keys=keys)
            )
        if fault := faults.get(group):
            code = "DynamicPartitioning.InvalidPartitionKey"
            failures.append(Failure(item, PROCESSING_FAILED, code, fault))
            continue
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
