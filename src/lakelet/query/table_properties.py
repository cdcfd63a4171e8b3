"""The WITH (…) of CTAS and UNLOAD: what is known, what is refused, what it means."""

from collections.abc import Mapping
from typing import Any

from lakelet.catalog.formats import CSV, JSON, PARQUET
from lakelet.query.errors import QueryFailed

_FORMATS = {"PARQUET": PARQUET, "JSON": JSON, "TEXTFILE": CSV}

# https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html, "CTAS table
# properties", those of Hive tables; `compression` is UNLOAD's name for its own.
_KNOWN = frozenset(
    (
        *("bucket_count", "bucketed_by", "compression", "compression_level", "external_location"),
        *("field_delimiter", "format", "is_external", "orc_compression", "parquet_compression"),
        *("partitioned_by", "table_type", "write_compression"),
    )
)


def check_properties(properties: Mapping[str, Any]) -> None:
    """
    Raises:
        QueryFailed: NOT_SUPPORTED for an Iceberg table, whose files and metadata would
        not be what its clients expect; INVALID_TABLE_PROPERTY for an unknown property:
        passed over, a misspelt `external_location` would put a table among the query
        results, which expire.
    """
    table_type = str(properties.get("table_type", "HIVE")).upper()
    if table_type != "HIVE":
        raise QueryFailed(
            "NOT_SUPPORTED",
            f"table_type {table_type} is not supported here",
            hint="Leave table_type out, or write 'HIVE'; keep Iceberg tables on Athena itself.",
        )
    unknown = sorted(set(properties) - _KNOWN)
    if unknown:
        raise QueryFailed(
            "INVALID_TABLE_PROPERTY",
            f"Table properties {unknown} are not supported",
            hint=f"Known are: {', '.join(sorted(_KNOWN))}.",
        )


def file_format(properties: Mapping[str, Any]) -> str:
    """One of the catalog's formats. Raises QueryFailed: INVALID_TABLE_PROPERTY."""
    name = str(properties.get("format", "PARQUET")).upper()
    if name not in _FORMATS:
        raise QueryFailed(
            "INVALID_TABLE_PROPERTY",
            f"format {name} is not supported here",
            hint=f"Use one of: {', '.join(_FORMATS)}.",
        )
    return _FORMATS[name]
