"""Format conversion: JSON records to one Parquet object, by a catalog table's columns."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakelet.ingest.destination import Conversion
from lakelet.ingest.items import FORMAT_CONVERSION_FAILED, Failure, Item, describe

SchemaOf = Callable[[str, str], pa.Schema]  # of a database's table; raises LakeletError


def convert(
    items: Sequence[Item], conversion: Conversion, schema: pa.Schema
) -> tuple[bytes, list[Item], list[Failure]]:
    """A Parquet file of the records that fit, which ones those are, and the others."""
    rows: list[list[Any]] = []
    kept: list[Item] = []
    failures: list[Failure] = []
    for item in items:
        try:
            values = _by_column(json.loads(item.data), conversion)
            rows.append([_coerce(values.get(f.name), f.type) for f in schema])
            kept.append(item)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - see processors.py
            failures.append(_failure(item, conversion, error))
    try:
        table = _table(rows, schema)
    except (ValueError, TypeError, OverflowError, pa.ArrowException):
        # A value that `_coerce` let pass and Arrow does not: found by a row of its own.
        tried = list(zip(kept, rows, strict=True))
        rows, kept = [], []
        for item, row in tried:
            try:
                _table([row], schema)
            except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
                failures.append(_failure(item, conversion, error))
            else:
                rows.append(row)
                kept.append(item)
        table = _table(rows, schema)
    target = io.BytesIO()
    pq.write_table(table, target, compression=_codec(conversion))
    return target.getvalue(), kept, failures


def _table(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    columns = [
        pa.array([row[index] for row in rows], field.type) for index, field in enumerate(schema)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _codec(conversion: Conversion) -> str:
    return "NONE" if conversion.compression == "uncompressed" else conversion.compression


def _by_column(document: Any, conversion: Conversion) -> Mapping[str, Any]:
    """A record's values by column name, as the OpenX deserializer finds them."""
    if not isinstance(document, dict):
        raise TypeError(f"a JSON {type(document).__name__}: an object is needed")
    renamed = {key: column for column, key in conversion.columns.items()}
    values: dict[str, Any] = {}
    for key, value in document.items():
        column: str = renamed.get(key) or key
        if conversion.dots_to_underscores:
            column = column.replace(".", "_")
        values[column.lower() if conversion.case_insensitive else column] = value
    return values


def _coerce(value: Any, kind: pa.DataType) -> Any:
    """A JSON value as `pa.array` takes it for `kind`. Raises where it does not fit."""
    if value is None:
        return None
    if pa.types.is_string(kind):
        return _well_formed(value) if isinstance(value, str) else json.dumps(value)
    if pa.types.is_boolean(kind):
        return _boolean(value)
    if pa.types.is_integer(kind):
        return pa.scalar(_whole(value), kind).as_py()  # the range is checked here
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_decimal(kind):
        return pa.scalar(Decimal(str(value)), kind).as_py()
    if pa.types.is_timestamp(kind):
        return _timestamp(value)
    if pa.types.is_date(kind):
        return date.fromisoformat(value)
    if pa.types.is_list(kind):
        return [_coerce(each, kind.value_type) for each in _expect(value, list)]
    if pa.types.is_struct(kind):
        given = {key.lower(): each for key, each in _expect(value, dict).items()}
        return {field.name: _coerce(given.get(field.name), field.type) for field in kind}
    if pa.types.is_map(kind):
        return [
            (_coerce(k, kind.key_type), _coerce(v, kind.item_type))
            for k, v in _expect(value, dict).items()
        ]
    return pa.scalar(value, kind).as_py()


def _well_formed(text: str) -> str:
    """Half a surrogate pair, as a script leaves it that cuts an emoji, fits no UTF-8: U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _expect(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"{value!r} is not a boolean")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def _timestamp(value: Any) -> datetime:
    """ISO 8601 or Hive's `yyyy-MM-dd HH:mm:ss[.S]`, or epoch seconds or milliseconds."""
    if isinstance(value, str):
        at = datetime.fromisoformat(value)
        return (at.astimezone(UTC) if at.tzinfo else at).replace(tzinfo=None)
    seconds = value / 1000 if abs(value) >= 100_000_000_000 else value
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _failure(item: Item, conversion: Conversion, error: Exception) -> Failure:
    return Failure(
        item,
        FORMAT_CONVERSION_FAILED,
        "DataFormatConversion.MalformedData",
        f"Data does not match the schema: {describe(error)}",
        table=(conversion.database, conversion.table),
    )
