"""What a scan becomes: a DuckDB subquery over exactly the files of the chosen partitions."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lakelet.catalog.expression import NULL_PARTITION
from lakelet.catalog.folders import FolderMemory, Schema
from lakelet.catalog.footers import UNREADABLE
from lakelet.catalog.formats import CSV, JSON, PARQUET, format_of
from lakelet.catalog.types import parse_type
from lakelet.query.analyse import HIDDEN_COLUMNS, Demand
from lakelet.query.bind import Scan
from lakelet.query.errors import QueryFailed
from lakelet.query.files import PartitionFile, PlainFiles, not_parquet
from lakelet.query.text_formats import csv_source, json_source
from lakelet.query.types import duckdb_type, quote, quote_text, readable_as, trino_type


@dataclass(frozen=True, slots=True)
class PlannedScan:
    """A scan ready to run."""

    placeholder: str
    name: str
    sql: str  # a subquery, in parentheses
    file_count: int
    partition_count: int
    scanned_bytes: int
    rows: int


def plan_scan(
    scan: Scan,
    demand: Demand,
    files: Sequence[PartitionFile],
    memory: FolderMemory,
    store: PlainFiles,
    partition_count: int,
) -> PlannedScan:
    """Bind a scan to its files.

    Files of one physical schema are read together; a table whose files differ is
    the union of such groups. Parquet columns are matched by name: those that a
    file lacks are NULL; one whose type can't be read as the table's is an error,
    raised only if the query really reads it, as in Athena.
    """
    kind = format_of(scan.table["StorageDescriptor"])
    if kind is None:
        raise QueryFailed(
            "HIVE_UNSUPPORTED_FORMAT",
            f"Unable to create input format of {scan.name}: "
            f"{scan.table['StorageDescriptor'].get('SerdeInfo')}",
            hint="Parquet, JSON and delimited text can be read here.",
        )
    if not files:
        sql = _empty(scan)
    elif kind == PARQUET:
        sql = _parquet(scan, demand, files, memory, store)
    else:
        sql = _text(scan, demand, files, memory, store, kind)
    return PlannedScan(
        scan.placeholder,
        scan.name,
        f"({sql})",
        len(files),
        partition_count,
        _scanned_bytes(kind, demand, files, memory),
        sum(file.facts.rows for file in files),
    )


def _scanned_bytes(
    kind: str, demand: Demand, files: Sequence[PartitionFile], memory: FolderMemory
) -> int:
    """What Athena bills: of Parquet the compressed column chunks of the columns the query
    needs, over all row groups of the files it reads; of text every byte, as stored.

    Row groups that DuckDB skips by their statistics are counted too, footers are not.
    """
    if kind != PARQUET:
        return sum(file.facts.size_bytes for file in files)
    wanted: dict[int, list[int]] = {}
    total = 0
    for file in files:
        schema_id = file.facts.schema_id
        if schema_id not in wanted:
            columns = memory.schema(schema_id).columns
            wanted[schema_id] = [
                index for index, (name, _) in enumerate(columns) if name.lower() in demand.columns
            ]
        sizes = file.facts.column_bytes
        total += sum(sizes[index] for index in wanted[schema_id] if index < len(sizes))
    return total


def _empty(scan: Scan) -> str:
    columns = {**scan.columns, **scan.keys, **HIDDEN_COLUMNS}
    nothing = ", ".join(
        f"CAST(NULL AS {duckdb_type(kind)}) AS {quote(name)}"
        for name, kind in columns.items()
        if name not in HIDDEN_COLUMNS
    )
    return f"SELECT {nothing} WHERE false"


# --- Parquet ------------------------------------------------------------------------


def _parquet(
    scan: Scan,
    demand: Demand,
    files: Sequence[PartitionFile],
    memory: FolderMemory,
    store: PlainFiles,
) -> str:
    by_path = len({file.place for file in files}) > 1 and _named_by_path(scan, files)
    groups: dict[tuple[object, ...], list[PartitionFile]] = defaultdict(list)
    for file in files:
        groups[(file.facts.schema_id, None if by_path else file.place)].append(file)
    parts = []
    for (schema_id, _), members in groups.items():
        assert isinstance(schema_id, int)  # noqa: S101 - the key's own construction
        parts.append(
            _parquet_group(scan, demand, members, memory.schema(schema_id), store, by_path)
        )
    return " UNION ALL ".join(parts)


def _named_by_path(scan: Scan, files: Sequence[PartitionFile]) -> bool:
    """Whether `key=value` folders spell each file's partition, so that DuckDB can read it there."""
    keys = list(scan.keys)
    for place in {file.place for file in files}:
        path = "/".join(f"{key}={value}" for key, value in zip(keys, place.values, strict=True))
        if not place.location.rstrip("/").endswith(f"/{path}") or "%" in path:
            return False
    # A second `key=` further up or down would be another answer to the same question.
    return all(
        sum(part.partition("=")[0] in keys for part in file.key.split("/")[:-1]) == len(keys)
        for file in files
    )


def _parquet_group(
    scan: Scan,
    demand: Demand,
    files: Sequence[PartitionFile],
    schema: Schema,
    store: PlainFiles,
    by_path: bool,
) -> str:
    if schema.format != PARQUET:
        raise not_parquet(files[0])
    physical = {name.lower(): (name, kind) for name, kind in schema.columns}
    columns = [
        _parquet_column(name, declared, physical.get(name), files[0])
        for name, declared in scan.columns.items()
    ]
    columns += _keys(scan, files[0], by_path)
    options = ["hive_partitioning = " + ("true" if by_path else "false")]
    if by_path:
        types = ", ".join(f"{quote_text(key)}: VARCHAR" for key in scan.keys)
        options += ["hive_types_autocast = false", f"hive_types = {{{types}}}"]
    if "$path" in demand.columns:
        options.append("filename = '__file'")
        columns.append(f"{_path_column(files[0], store)} AS {quote('$path')}")
    return (
        f"SELECT {', '.join(columns)} FROM read_parquet("
        f"{path_literals(store, files)}, {', '.join(options)})"
    )


def _parquet_column(
    name: str, declared: str, found: tuple[str, str] | None, example: PartitionFile
) -> str:
    wanted = duckdb_type(declared)
    if found is None:
        return f"CAST(NULL AS {wanted}) AS {quote(name)}"
    original, physical = found
    if parse_type(physical) == parse_type(declared):
        # Bare, so that DuckDB can push filters into the file's own column.
        return quote(name) if original == name else f"{quote(original)} AS {quote(name)}"
    if readable_as(physical, declared):
        return f"CAST({quote(original)} AS {wanted}) AS {quote(name)}"
    clash = quote_text(
        f"HIVE_BAD_DATA: Field {name}'s type {trino_type(parse_type(physical))} in parquet file "
        f"{_uri(example)} is incompatible with type {trino_type(parse_type(declared))} defined "
        "in table schema"
    )
    # It hangs on the column's own value: then DuckDB drops it with an unread column
    # instead of folding a constant, and an error that nobody asked for never fires.
    value = f"error(concat({clash}, CAST({quote(original)} IS NULL AS VARCHAR)[:0]))"
    return f"CAST({value} AS {wanted}) AS {quote(name)}"


def _keys(scan: Scan, example: PartitionFile, by_path: bool) -> list[str]:
    """The partition keys as columns: from the path, or the one value that all share."""
    columns = []
    for index, (name, kind) in enumerate(scan.keys.items()):
        value = quote(name)
        if not by_path:
            text = example.place.values[index]
            value = "NULL" if text == NULL_PARTITION else quote_text(text)
        columns.append(f"CAST({value} AS {duckdb_type(kind)}) AS {quote(name)}")
    return columns


def _uri(file: PartitionFile) -> str:
    return f"s3://{file.bucket}/{file.key}"


def _path_column(example: PartitionFile, store: PlainFiles) -> str:
    """`$path` as S3 would spell it, from the local file's name."""
    root = f"{store.path(example.bucket, 'x').parent}/"
    return (
        f"concat({quote_text(f's3://{example.bucket}/')}, "
        f"regexp_replace(substr(__file, {len(root) + 1}), '^_aside/[^/]+/', ''))"
    )


_PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w.=-]{0,199}", re.ASCII)


def path_literals(store: PlainFiles, files: Sequence[PartitionFile]) -> str:
    """Paths as a DuckDB list. The letters it would take for a pattern are escaped.

    Asking the store for each path costs more than DuckDB's own look at the file; names
    without anything to escape lie in their folder as they are, so it is asked once a folder.
    """
    folders: dict[tuple[str, str], str] = {}
    literals = []
    for file in files:
        cut = file.key.rfind("/") + 1
        folder, name = file.key[:cut], file.key[cut:]
        if _PLAIN_NAME.fullmatch(name):
            base = folders.get((file.bucket, folder))
            if base is None:
                base = str(store.path(file.bucket, f"{folder}x"))[:-1]
                folders[(file.bucket, folder)] = base
            path = base + name
        else:
            path = str(store.path(file.bucket, file.key))
        if any(letter in path for letter in "*?["):
            path = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)
        literals.append(quote_text(path))
    return f"[{', '.join(literals)}]"


# --- JSON and CSV -------------------------------------------------------------------


def _text(
    scan: Scan,
    demand: Demand,
    files: Sequence[PartitionFile],
    memory: FolderMemory,
    store: PlainFiles,
    kind: str,
) -> str:
    groups: dict[tuple[object, ...], list[PartitionFile]] = defaultdict(list)
    for file in files:
        groups[(file.place, file.key.endswith(".gz"), file.facts.schema_id)].append(file)
    parts = []
    for members in groups.values():
        paths = path_literals(store, members)
        filename = "$path" in demand.columns
        make = {JSON: json_source, CSV: csv_source}[kind]
        schema_id = members[0].facts.schema_id
        known = () if schema_id == UNREADABLE else memory.schema(schema_id).columns
        spelling = {name.lower(): name for name, _ in known}
        source = make(scan, paths, members[0].key.endswith(".gz"), filename, spelling)
        columns = [*source.columns, *_keys(scan, members[0], False)]
        if filename:
            columns.append(f"{_path_column(members[0], store)} AS {quote('$path')}")
        parts.append(f"SELECT {', '.join(columns)} FROM {source.sql}")
    return " UNION ALL ".join(parts)
