"""Types on their way: Hive's in the catalog, DuckDB's while running, Athena's in answers."""

from dataclasses import dataclass

import pyarrow as pa

from lakelet.catalog.types import HiveType, parse_type

_TO_DUCKDB = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "binary": "BLOB",
}


def duckdb_type(kind: str | HiveType) -> str:
    """The DuckDB type that a Hive column is read as. Raises InvalidInput."""
    parsed = parse_type(kind) if isinstance(kind, str) else kind
    if parsed.name == "array":
        return f"{duckdb_type(parsed.children[0])}[]"
    if parsed.name == "map":
        return f"MAP({', '.join(duckdb_type(child) for child in parsed.children)})"
    if parsed.name == "struct":
        pairs = zip(parsed.field_names, parsed.children, strict=True)
        return (
            f"STRUCT({', '.join(f'{quote(name)} {duckdb_type(child)}' for name, child in pairs)})"
        )
    if parsed.name == "decimal":
        return f"DECIMAL({parsed.precision}, {parsed.scale})"
    return _TO_DUCKDB[parsed.name]


def quote(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


_INTEGERS = {"tinyint": 1, "smallint": 2, "int": 3, "bigint": 4}


def readable_as(physical: str, declared: str) -> bool:
    """Whether a Parquet column of one Hive type answers for a table's column of another.

    Athena takes what widens without loss and calls the rest HIVE_BAD_DATA.
    """
    if physical == declared:
        return True
    one, other = parse_type(physical), parse_type(declared)
    return _readable(one, other)


def _readable(physical: HiveType, declared: HiveType) -> bool:
    if physical.name in _INTEGERS and declared.name in _INTEGERS:
        return _INTEGERS[physical.name] <= _INTEGERS[declared.name]
    if (physical.name, declared.name) in (
        ("float", "double"),
        ("binary", "string"),
        ("string", "binary"),
        ("int", "double"),
        ("smallint", "double"),
        ("tinyint", "double"),
        ("date", "timestamp"),
    ):
        return True
    if physical.name != declared.name:
        return False
    if physical.name == "decimal":
        return (
            physical.scale <= declared.scale
            and physical.precision - physical.scale <= declared.precision - declared.scale
        )
    if physical.name == "struct":
        theirs = dict(zip(declared.field_names, declared.children, strict=True))
        return all(
            name not in theirs or _readable(child, theirs[name])
            for name, child in zip(physical.field_names, physical.children, strict=True)
        )
    return all(map(_readable, physical.children, declared.children))


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of an answer, as Athena's ColumnInfo tells of it."""

    name: str
    type: str
    precision: int
    scale: int
    nullable: str = "UNKNOWN"

    def shape(self) -> dict[str, object]:
        return {
            "CatalogName": "hive",
            "SchemaName": "",
            "TableName": "",
            "Name": self.name,
            "Label": self.name,
            "Type": self.type,
            "Precision": self.precision,
            "Scale": self.scale,
            "Nullable": self.nullable,
            "CaseSensitive": self.type in ("varchar", "char"),
        }


# Precisions are those that Athena's ColumnInfo shows for each type.
_PLAIN = (
    (pa.types.is_boolean, "boolean", 0),
    (pa.types.is_int8, "tinyint", 3),
    (pa.types.is_int16, "smallint", 5),
    (pa.types.is_uint8, "smallint", 5),
    (pa.types.is_int32, "integer", 10),
    (pa.types.is_uint16, "integer", 10),
    (pa.types.is_integer, "bigint", 19),
    (pa.types.is_float32, "float", 17),
    (pa.types.is_floating, "double", 17),
    (pa.types.is_date, "date", 0),
    (pa.types.is_time, "time", 3),
    (pa.types.is_binary, "varbinary", 1_073_741_824),
    (pa.types.is_large_binary, "varbinary", 1_073_741_824),
    (pa.types.is_interval, "interval day to second", 0),
    (pa.types.is_duration, "interval day to second", 0),
)
_VARCHAR_PRECISION = 2_147_483_647


def result_column(field: pa.Field) -> ResultColumn:
    """How Athena would describe a column of an Arrow result."""
    kind = field.type
    if pa.types.is_decimal(kind):
        return ResultColumn(field.name, "decimal", kind.precision, kind.scale)
    if pa.types.is_timestamp(kind):
        zoned = "timestamp with time zone" if kind.tz else "timestamp"
        return ResultColumn(field.name, zoned, 3, 0)
    if pa.types.is_map(kind):
        return ResultColumn(field.name, "map", 0, 0)
    if pa.types.is_struct(kind):
        return ResultColumn(field.name, "row", 0, 0)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return ResultColumn(field.name, "array", 0, 0)
    for is_kind, name, precision in _PLAIN:
        if is_kind(kind):
            return ResultColumn(field.name, name, precision, 0)
    return ResultColumn(field.name, "varchar", _VARCHAR_PRECISION, 0)


_TRINO_NAMES = {"int": "integer", "float": "real", "string": "varchar", "binary": "varbinary"}


def trino_type(kind: HiveType) -> str:
    """A Hive type under the name that SELECT statements give it."""
    if kind.name == "array":
        return f"array({trino_type(kind.children[0])})"
    if kind.name == "map":
        return f"map({', '.join(map(trino_type, kind.children))})"
    if kind.name == "struct":
        pairs = zip(kind.field_names, kind.children, strict=True)
        return f"row({', '.join(f'{name} {trino_type(child)}' for name, child in pairs)})"
    if kind.name == "timestamp":
        return "timestamp(3)"
    return _TRINO_NAMES.get(kind.name, str(kind))
