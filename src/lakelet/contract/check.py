"""The contract against what is already there: catalog, partitions, Parquet footers.

Athena reads Parquet columns by name, so a new column is NULL in old files and a
lost one simply stays. A column whose type changed is another matter: the first
query that touches an old file fails with HIVE_BAD_DATA, in production, on the
day somebody asks for that day. This finds it beforehand, from plain data, so it
runs in anybody's CI.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

from lakelet.model.contract import Contract, Migration, TableContract
from lakelet.model.schema import glue_type


@dataclass(frozen=True, slots=True)
class FileState:
    """One Parquet object: its partition's values and the columns of its footer."""

    key: str
    partition: tuple[str, ...]
    columns: Mapping[str, str]  # name -> catalog type; see `footer_columns`


@dataclass(frozen=True, slots=True)
class PartitionState:
    values: tuple[str, ...]
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TableState:
    """What there is of one table. Columns are in catalog types: `bigint`, `array<string>` …"""

    name: str
    columns: Mapping[str, str]  # as the catalog has them; empty where it has no such table
    partition_keys: tuple[str, ...] = ()
    partitions: Sequence[PartitionState] = ()
    files: Iterable[FileState] = ()


class Severity(StrEnum):
    ERROR = "error"  # a query will fail, or rows will be missed
    MIGRATION = "migration"  # declared: it heals once the days are reprocessed
    NOTE = "note"  # nothing fails


@dataclass(frozen=True, slots=True)
class Finding:
    severity: Severity
    table: str
    column: str  # "" where it is not about one
    problem: str
    remedy: str
    query: str = ""  # the first that would fail
    error: str = ""  # as Athena names it
    objects: tuple[str, ...] = field(default=())  # keys or partitions, at most ten


_OBJECTS_SHOWN = 10


def footer_columns(schema: pa.Schema) -> dict[str, str]:
    """A Parquet file's Arrow schema in catalog types, names in lower case as Athena has them."""
    return {column.name.lower(): glue_type(column.type) for column in schema}


def check(contract: Contract, states: Iterable[TableState]) -> list[Finding]:
    """Every difference that matters, errors first. An empty list, or notes: all is well."""
    tables = {table.name: table for table in contract.tables}
    findings: list[Finding] = []
    for state in states:
        if (table := tables.get(state.name)) is not None:
            findings += _check_table(contract, table, state)
    return sorted(findings, key=lambda finding: list(Severity).index(finding.severity))


def passed(findings: Iterable[Finding]) -> bool:
    """Whether a CI job may go on: no errors; declared migrations and notes are fine."""
    return all(finding.severity is not Severity.ERROR for finding in findings)


def _check_table(contract: Contract, table: TableContract, state: TableState) -> Iterator[Finding]:
    wanted = footer_columns(table.schema)
    yield from _check_keys(table, state)
    yield from _check_catalog(contract, table, state, wanted)
    yield from _check_partitions(contract, table, state, wanted)
    yield from _check_files(contract, table, state, wanted)


def _check_keys(table: TableContract, state: TableState) -> Iterator[Finding]:
    keys = table.partition_keys
    if state.columns and state.partition_keys != keys:
        yield Finding(
            Severity.ERROR,
            table.name,
            "",
            f"the catalog partitions by {_listed(state.partition_keys)}, "
            f"the contract by {_listed(keys)}",
            "Let one writer own the table: drop it from the catalog and crawl again.",
        )
    padded = re.compile(r"\d{4}|\d\d")
    odd = [
        partition.values
        for partition in state.partitions
        if not all(map(padded.fullmatch, partition.values))
    ]
    if odd:
        yield Finding(
            Severity.ERROR,
            table.name,
            "",
            f"{len(odd)} partitions are not zero-padded, such as {_path(table, odd[0])}",
            "Another writer made them; rewrite them: lakelet reprocess, then delete them.",
            query=_query(table, "*", odd[0]),
            objects=tuple(_path(table, values) for values in odd[:_OBJECTS_SHOWN]),
        )


def _check_catalog(
    contract: Contract, table: TableContract, state: TableState, wanted: Mapping[str, str]
) -> Iterator[Finding]:
    for column, found in state.columns.items():
        if column not in wanted:
            yield Finding(
                Severity.NOTE,
                table.name,
                column,
                f"the catalog has `{column} {found}`, the contract no longer",
                "New rows are NULL there. Declare it again, or remove it from the table.",
            )
        elif found != wanted[column]:
            yield _changed(contract, table, column, found, wanted[column], "the catalog", (), ())


def _check_partitions(
    contract: Contract, table: TableContract, state: TableState, wanted: Mapping[str, str]
) -> Iterator[Finding]:
    clashes: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for partition in state.partitions:
        for column, found in partition.columns.items():
            if column in wanted and found != wanted[column]:
                clashes.setdefault((column, found), []).append(partition.values)
    for (column, found), values in clashes.items():
        objects = tuple(_path(table, v) for v in values[:_OBJECTS_SHOWN])
        where = f"{len(values)} partitions"
        yield _changed(
            contract,
            table,
            column,
            found,
            wanted[column],
            where,
            values[0],
            objects,
            error="HIVE_PARTITION_SCHEMA_MISMATCH",
        )


def _check_files(
    contract: Contract, table: TableContract, state: TableState, wanted: Mapping[str, str]
) -> Iterator[Finding]:
    clashes: dict[tuple[str, str], list[FileState]] = {}
    for file in state.files:
        for column, found in file.columns.items():
            if column in wanted and not readable(found, wanted[column]):
                clashes.setdefault((column, found), []).append(file)
    for (column, found), files in clashes.items():
        first = min(files, key=lambda file: file.partition)
        objects = tuple(file.key for file in files[:_OBJECTS_SHOWN])
        where = f"{len(files)} Parquet objects"
        yield _changed(
            contract, table, column, found, wanted[column], where, first.partition, objects
        )


def _changed(
    contract: Contract,
    table: TableContract,
    column: str,
    found: str,
    wanted: str,
    where: str,
    partition: tuple[str, ...],
    objects: tuple[str, ...],
    *,
    error: str = "HIVE_BAD_DATA",
) -> Finding:
    declared = _migration(contract, table, column, found)
    remedy = (
        f"Declared for version {declared.version}: run `lakelet reprocess` over these days."
        if declared
        else f"Keep {found}, add a column of another name, or declare the change: "
        f'[contract.migrations] "{table.name}.{column}" = '
        f'{{ version = {contract.version + 1}, from = "{found}", to = "{wanted}" }}'
    )
    return Finding(
        Severity.MIGRATION if declared else Severity.ERROR,
        table.name,
        column,
        f"`{column}` is {found} in {where}, {wanted} in the contract",
        remedy,
        query=_query(table, f'"{column}"', partition),
        error=error,
        objects=objects,
    )


def _migration(
    contract: Contract, table: TableContract, column: str, found: str
) -> Migration | None:
    for migration in contract.migrations:
        of_this = (migration.table, migration.column) == (table.name, column)
        if of_this and migration.from_type.replace("json", "string") == found:
            return migration
    return None


_WIDER = {
    ("tinyint", "smallint"),
    ("tinyint", "int"),
    ("tinyint", "bigint"),
    ("smallint", "int"),
    ("smallint", "bigint"),
    ("int", "bigint"),
    ("float", "double"),
}


def readable(found: str, wanted: str) -> bool:
    """Whether Athena reads a file's column as the table's type: only if the same, or wider."""
    if found == wanted or (found, wanted) in _WIDER:
        return True
    old, new = (re.fullmatch(r"decimal\((\d+),(\d+)\)", kind) for kind in (found, wanted))
    if old and new:
        return int(old[2]) == int(new[2]) and int(old[1]) <= int(new[1])
    old, new = (re.fullmatch(r"array<(.+)>", kind) for kind in (found, wanted))
    return bool(old and new and readable(old[1], new[1]))


def _query(table: TableContract, what: str, partition: tuple[str, ...]) -> str:
    where = " AND ".join(
        f"{key} = '{value}'" for key, value in zip(table.partition_keys, partition, strict=False)
    )
    return f"SELECT {what} FROM {table.name}" + (f" WHERE {where}" if where else "")


def _path(table: TableContract, values: tuple[str, ...]) -> str:
    pairs = zip(table.partition_keys, values, strict=False)
    return "/".join([table.name, *(f"{key}={value}" for key, value in pairs)])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
