"""Result files: written whole when a query ends, read back in pages."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.csv

from lakelet.catalog.paging import decode_token, encode_token
from lakelet.model.errors import ObjectNotFound
from lakelet.model.ports import ObjectStore
from lakelet.query.errors import InvalidRequest
from lakelet.query.types import ResultColumn
from lakelet.query.values import to_text

ROWS_MAX = 1_000  # a page of GetQueryResults

_WRITE_OPTIONS = pyarrow.csv.WriteOptions(
    include_header=False, quoting_style="all_valid", quoting_header="all_valid"
)
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A result object."""

    bucket: str
    key: str

    @classmethod
    def of(cls, location: str) -> "Place":
        bucket, _, key = location.removeprefix("s3://").partition("/")
        return cls(bucket, key)

    @property
    def location(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def write_csv(
    store: ObjectStore, place: Place, names: Sequence[str], batches: Iterable[pa.RecordBatch]
) -> int:
    """A SELECT's answer as Athena writes it: every value in quotes, NULL as nothing at all.

    Streamed, so that an answer may be larger than memory; it appears whole on
    return. Returns the number of rows.
    """
    rows = 0
    with store.writer(place.bucket, place.key, content_type="application/octet-stream") as out:
        header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
        out.write(f"{header}\n".encode())
        for batch in batches:
            if not batch.num_rows:
                continue
            rows += batch.num_rows
            texts = pa.RecordBatch.from_arrays(
                [to_text(column) for column in batch.columns],
                names=[str(index) for index in range(batch.num_columns)],
            )
            sink = io.BytesIO()
            pyarrow.csv.write_csv(texts, sink, _WRITE_OPTIONS)
            out.write(sink.getbuffer())
        out.commit()
    return rows


def write_lines(store: ObjectStore, place: Place, rows: Iterable[Sequence[str]]) -> None:
    """A DDL's answer: tab-separated lines, as Hive prints them."""
    text = "".join("\t".join(row) + "\n" for row in rows)
    store.put(place.bucket, place.key, text.encode(), content_type="text/plain")


def write_metadata(store: ObjectStore, place: Place, columns: Sequence[ResultColumn]) -> None:
    """`<result>.metadata`: the columns beside the rows.

    Athena's own is a protobuf whose schema AWS doesn't publish. We write messages of
    the same wire format, with field numbers as seen in such files by others
    (assumed): 4 a column {1 catalog, 4 name, 5 label, 6 type, 7 precision, 8 scale,
    9 nullable, 10 case-sensitive}. Clients don't read it; Athena's console does.
    """
    body = b"".join(_field(4, _column_message(column)) for column in columns)
    store.put(place.bucket, f"{place.key}.metadata", body)


def _column_message(column: ResultColumn) -> bytes:
    texts = (
        _field(1, b"hive"),
        _field(4, column.name.encode()),
        _field(5, column.name.encode()),
        _field(6, column.type.encode()),
    )
    numbers = ((7, column.precision), (8, column.scale), (9, 3), (10, column.type == "varchar"))
    return b"".join(texts) + b"".join(
        _varint(number << 3) + _varint(int(value)) for number, value in numbers
    )


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# --- reading ------------------------------------------------------------------------


Row = list[str | None]


def read_csv_page(
    store: ObjectStore, place: Place, token: str | None, rows_max: int
) -> tuple[list[Row], str | None]:
    """Up to `rows_max` records of a result file from where the token points, header included
    in the first page. Raises InvalidRequest where the file has expired."""
    offset = decode_token(token)
    rows: list[Row] = []
    try:
        size = store.head(place.bucket, place.key).size_bytes
        end = offset
        for row, after in islice(_records(store, place, offset, size), rows_max):
            rows.append(row)
            end = after
    except ObjectNotFound as error:
        raise _expired(place) from error
    return rows, encode_token(end) if end < size else None


def read_lines_page(
    store: ObjectStore, place: Place, token: str | None, rows_max: int
) -> tuple[list[Row], str | None]:
    start = decode_token(token)
    try:
        text = store.get(place.bucket, place.key).decode()
    except ObjectNotFound as error:
        raise _expired(place) from error
    lines = text.split("\n")[:-1]
    following = start + rows_max
    chosen: list[Row] = [[line] for line in lines[start:following]]
    return chosen, encode_token(following) if following < len(lines) else None


def _expired(place: Place) -> InvalidRequest:
    return InvalidRequest(
        f"Could not find results: {place.location} is not there.",
        hint="Results are kept as long as the results bucket's lifecycle says. Run it again.",
    )


# A field in quotes (with doubled quotes inside) or nothing, then a comma or the line's end.
_FIELD = re.compile(rb'(?:"((?:[^"]|"")*)"|)([,\n])')


def _records(store: ObjectStore, place: Place, offset: int, size: int) -> Iterator[tuple[Row, int]]:
    """Each record and the offset after it."""
    pending, at, read_to, row_parts = b"", 0, offset, []
    while True:
        found = _FIELD.match(pending, at)
        if found is None:
            if read_to >= size:
                return
            more = store.get(place.bucket, place.key, offset_bytes=read_to, size_bytes=_READ_BYTES)
            read_to += len(more)
            pending, at = pending[at:] + more, 0
            continue
        at = found.end()
        value = found[1]
        row_parts.append(None if value is None else value.replace(b'""', b'"').decode())
        if found[2] == b"\n":
            yield row_parts, read_to - len(pending) + at
            row_parts = []


def shape_rows(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows as GetQueryResults gives them: a NULL is a datum without a value."""
    return [
        {"Data": [{} if value is None else {"VarCharValue": value} for value in row]}
        for row in rows
    ]
