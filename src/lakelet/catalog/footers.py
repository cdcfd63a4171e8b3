"""What one data file says about itself: columns, rows, and the bytes of each column."""

import gzip
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from lakelet.catalog.formats import CSV, JSON, PARQUET
from lakelet.catalog.types import from_arrow
from lakelet.model.ports import ObjectInfo, ObjectStore

# A text file's types are guessed from its head; Glue reads about as much.
_SAMPLE_BYTES = 1 << 20

Columns = tuple[tuple[str, str], ...]  # (name as in the file, Hive type), in file order


class FileFacts(msgspec.Struct, array_like=True, frozen=True):
    """A file as its folder's memory keeps it; another ETag under its name is another file."""

    name: str  # below the folder
    size_bytes: int
    etag: str
    schema_id: int  # of `FolderMemory`; UNREADABLE where the file is no data
    rows: int  # UNOPENED where a sampling crawl took it to be like its neighbours
    column_bytes: tuple[int, ...]  # compressed, in the schema's order; () for text formats


UNREADABLE = -1
UNOPENED = -1


class Footer(msgspec.Struct, frozen=True):
    format: str
    columns: Columns
    rows: int
    column_bytes: tuple[int, ...]


def is_data_name(name: str) -> bool:
    """Athena and the crawler both pass over names that begin with `_` or `.`."""
    return bool(name) and not name.startswith(("_", "."))


def read_footer(store: ObjectStore, info: ObjectInfo) -> Footer | None:
    """None for a file in which no table can be found (empty, torn, binary)."""
    try:
        with _open(store, info) as source:
            magic = source.read(4)
            source.seek(0)
            if magic == b"PAR1":
                return _parquet(source)
            return _text(source)
    except (pa.ArrowException, OSError, EOFError, ValueError):
        return None


def _open(store: ObjectStore, info: ObjectInfo) -> BinaryIO:
    path = getattr(store, "path", None)
    if path is not None:
        # A plain file; pyarrow then reads the footer without a hop through Python.
        return Path(path(info.bucket, info.key)).open("rb")
    return io.BytesIO(store.get(info.bucket, info.key))


def _parquet(source: BinaryIO) -> Footer:
    # Not `metadata.schema`: it and the metadata hold each other, so 45 KB a file would wait for
    # Python's collector, which sees two small objects and is in no hurry.
    with pq.ParquetFile(source) as file:
        schema, metadata = file.schema_arrow, file.metadata
        columns = tuple((item.name, str(from_arrow(item.type))) for item in schema)
        return Footer(PARQUET, columns, metadata.num_rows, _column_bytes(metadata, schema.names))


def _column_bytes(metadata: Any, names: Sequence[str]) -> tuple[int, ...]:
    """Compressed bytes a top-level column, over all row groups and nested leaves."""
    at = {name: index for index, name in enumerate(names)}
    sizes = [0] * len(names)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    for leaf in range(metadata.num_columns if groups else 0):
        chunks = [group.column(leaf) for group in groups]
        owner = at[_owner(chunks[0].path_in_schema, at)]
        sizes[owner] += sum(chunk.total_compressed_size for chunk in chunks)
    return tuple(sizes)


def _owner(path: str, names: Collection[str]) -> str:
    """The top-level column of a leaf: as names may hold dots, the longest part that is one."""
    while path not in names:
        path, dot, _ = path.rpartition(".")
        if not dot:
            raise ValueError("a leaf that belongs to no column")
    return path


def _text(source: BinaryIO) -> Footer | None:
    sample = _head(source)
    if not sample.strip():
        return None
    if sample.lstrip()[:1] in (b"{", b"["):
        table = pyarrow.json.read_json(io.BytesIO(sample))
        return Footer(JSON, _columns(table.schema), 0, ())
    if b"\x00" in sample:
        return None
    table = pyarrow.csv.read_csv(io.BytesIO(sample))
    return Footer(CSV, _columns(table.schema), 0, ())


def _head(source: BinaryIO) -> bytes:
    """The first whole lines of a plain or gzipped text."""
    magic = source.read(2)
    source.seek(0)
    if magic == b"\x1f\x8b":
        with gzip.open(source) as inflated:
            sample = inflated.read(_SAMPLE_BYTES)
    else:
        sample = source.read(_SAMPLE_BYTES)
    if len(sample) < _SAMPLE_BYTES:
        return sample
    return sample[: sample.rfind(b"\n") + 1]


def _columns(schema: pa.Schema) -> Columns:
    return tuple((item.name, str(from_arrow(item.type))) for item in schema)


def data_objects(objects: Sequence[ObjectInfo]) -> Iterator[ObjectInfo]:
    for info in objects:
        if is_data_name(info.key.rsplit("/", 1)[-1]) and info.size_bytes:
            yield info
