"""Answers written as data: CTAS, INSERT and UNLOAD."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote as quote_url

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from lakelet.catalog.expression import NULL_PARTITION
from lakelet.catalog.formats import CSV, JSON, PARQUET
from lakelet.model.ports import ObjectStore, ObjectWriter
from lakelet.query.errors import QueryFailed
from lakelet.query.values import text_of, to_text

PARTITIONS_MAX = 100  # a CTAS or INSERT may open, in Athena


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how rows are to be written."""

    bucket: str
    prefix: str  # ends in "/"
    file_name: str  # without extension; the same for a repeated attempt
    format: str
    partition_keys: tuple[str, ...] = ()  # the last columns
    compression: str = "GZIP"
    delimiter: str = "\x01"
    partitions_max: int = PARTITIONS_MAX


@dataclass
class Written:
    rows: int = 0
    keys: list[str] = field(default_factory=list)
    partitions: dict[tuple[str, ...], str] = field(default_factory=dict)  # values: prefix


def write_rows(store: ObjectStore, target: Target, reader: pa.RecordBatchReader) -> Written:
    """Write every batch; objects appear together at the end, or not at all.

    Raises:
        QueryFailed: HIVE_TOO_MANY_OPEN_PARTITIONS.
    """
    files: dict[tuple[str, ...], _File] = {}
    written = Written()
    try:
        for batch in reader:
            written.rows += batch.num_rows
            for values, part in _by_partition(batch, target.partition_keys):
                if values not in files:
                    files[values] = _open(store, target, values, part.schema, len(files))
                files[values].write(part)
        if not target.partition_keys and not files:
            schema = reader.schema
            files[()] = _open(store, target, (), schema, 0)
        for file in files.values():
            file.finish()
        for values, file in files.items():
            file.out.commit()
            written.keys.append(file.key)
            written.partitions[values] = file.key.rsplit("/", 1)[0] + "/"
    except BaseException:
        for file in files.values():
            file.abort()
        raise
    return written


def _by_partition(
    batch: pa.RecordBatch, keys: Sequence[str]
) -> list[tuple[tuple[str, ...], pa.RecordBatch]]:
    """A batch cut by the values of its last columns, which the cuts no longer hold."""
    if not batch.num_rows:
        return []
    if not keys:
        return [((), batch)]
    count = batch.num_columns - len(keys)
    texts = [
        pc.fill_null(pc.cast(to_text(column), pa.string()), NULL_PARTITION)
        for column in batch.columns[count:]
    ]
    rest = pa.RecordBatch.from_arrays(
        batch.columns[:count], schema=pa.schema(list(batch.schema)[:count])
    )
    joined = pc.binary_join_element_wise(*texts, "\x1f").dictionary_encode()
    cuts = []
    for index, text in enumerate(joined.dictionary.to_pylist()):
        mask = pc.equal(joined.indices, index)
        cuts.append((tuple(text.split("\x1f")), rest.filter(mask)))
    return cuts


@dataclass(slots=True)
class _File:
    """One object in the making."""

    key: str
    out: ObjectWriter
    sink: "_Sink"
    write: Callable[[pa.RecordBatch], None]
    finish: Callable[[], None]

    def abort(self) -> None:
        self.sink.dropped = True
        self.finish()
        self.out.abort()


def _open(
    store: ObjectStore, target: Target, values: tuple[str, ...], schema: pa.Schema, opened: int
) -> _File:
    if opened >= target.partitions_max:
        raise QueryFailed(
            "HIVE_TOO_MANY_OPEN_PARTITIONS",
            f"Exceeded limit of {target.partitions_max} open writers for partitions/buckets",
            hint="Write fewer partitions at once: several INSERT INTO, each over some of them.",
        )
    folder = "".join(
        f"{key}={_folder_value(value)}/"
        for key, value in zip(target.partition_keys, values, strict=True)
    )
    extension, make = _FORMATS[target.format]
    key = f"{target.prefix}{folder}{target.file_name}{extension(target)}"
    out = store.writer(target.bucket, key)
    sink = _Sink(out)
    return _File(key, out, sink, *make(target, sink, schema))


def _folder_value(value: str) -> str:
    """Hive escapes what would end a folder's name; ordinary text stays as it is."""
    return (
        quote_url(value, safe=" !$&()+,;@[]{}~^`.-_")
        if any(c in value for c in "/%=:?#*'\"\\")
        else value
    )


class _Sink:
    """An ObjectWriter as the file object that pyarrow asks for."""

    closed = False
    dropped = False  # pyarrow's writers write once more when they are thrown away

    def __init__(self, out: ObjectWriter) -> None:
        self._out = out
        self._at = 0

    def write(self, data: bytes) -> int:
        if not self.dropped:
            self._out.write(bytes(data))
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None: ...

    def close(self) -> None: ...


Making = tuple[Callable[[pa.RecordBatch], None], Callable[[], None]]


def _parquet(target: Target, out: _Sink, schema: pa.Schema) -> Making:
    codec = {"UNCOMPRESSED": "NONE"}.get(target.compression, target.compression)
    sink = pa.PythonFile(out, mode="w")
    writer = pq.ParquetWriter(sink, schema, compression=codec)

    def finish() -> None:
        writer.close()
        sink.close()

    return writer.write_batch, finish


def _json(target: Target, out: _Sink, schema: pa.Schema) -> Making:  # noqa: ARG001
    compress = _compressor(target, out)

    def write(batch: pa.RecordBatch) -> None:
        rows = batch.to_pylist(maps_as_pydicts="lossy")
        lines = (msgspec.json.encode(_jsonable(row)) for row in rows)
        compress.write(b"".join(line + b"\n" for line in lines))

    return write, compress.close


def _csv(target: Target, out: _Sink, schema: pa.Schema) -> Making:  # noqa: ARG001
    compress = _compressor(target, out)

    def write(batch: pa.RecordBatch) -> None:
        columns = [pc.fill_null(to_text(column), r"\N") for column in batch.columns]
        lines = pc.binary_join_element_wise(*columns, target.delimiter)
        compress.write("".join(f"{line}\n" for line in lines.to_pylist()).encode())

    return write, compress.close


def _compressor(target: Target, out: _Sink) -> Any:
    sink = pa.PythonFile(out, mode="w")
    if target.compression == "GZIP":
        return pa.CompressedOutputStream(sink, "gzip")
    return sink


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return text_of(value)


def _text_extension(target: Target) -> str:
    return ".gz" if target.compression == "GZIP" else ""


_FORMATS: dict[str, tuple[Callable[[Target], str], Callable[..., Making]]] = {
    PARQUET: (lambda _: ".parquet", _parquet),
    JSON: (_text_extension, _json),
    CSV: (_text_extension, _csv),
}
