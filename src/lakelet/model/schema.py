"""Column types: the contract's names for them, Arrow's, and the tables we own outright."""

import re
from functools import cache

import pyarrow as pa

TIMESTAMP = pa.timestamp("us")  # UTC by convention, without a zone: Athena's `timestamp`

SCALARS: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": TIMESTAMP,
    "date": pa.date32(),
    "json": pa.string(),
}
DECIMAL_PRECISION_MAX = 38

PARTITION_KEYS = ("year", "month", "day")

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("raw", pa.binary()),  # the original bytes, exactly
        pa.field("reason", pa.string()),
        pa.field("message", pa.string()),
        pa.field("field", pa.string()),  # null where the record as a whole is at fault
        pa.field("source_bucket", pa.string()),
        pa.field("source_key", pa.string()),
        pa.field("offset_bytes", pa.int64()),  # in the inflated object
        pa.field("size_bytes", pa.int64()),
        pa.field("contract_version", pa.int32()),
        pa.field("attempts", pa.int32()),
        # The object's arrival, not the wall clock: twice the same bytes.
        pa.field("received_at", TIMESTAMP),
    ]
)


@cache
def arrow_type(name: str) -> pa.DataType:
    """`decimal(10,2)`, `array<map<string,int>>` … as Arrow.

    Raises:
        ValueError: naming the part that is no type.
    """
    text = re.sub(r"\s+", "", name.lower())
    if text in SCALARS:
        return SCALARS[text]
    if found := re.fullmatch(r"decimal\((\d+),(\d+)\)", text):
        precision, scale = int(found[1]), int(found[2])
        if not (1 <= precision <= DECIMAL_PRECISION_MAX and scale <= precision):
            raise ValueError(f"`{name}`: precision is 1 to 38, scale at most the precision")
        return pa.decimal128(precision, scale)
    if found := re.fullmatch(r"array<(.+)>", text):
        return pa.list_(arrow_type(found[1]))
    if found := re.fullmatch(r"map<string,(.+)>", text):
        return pa.map_(pa.string(), arrow_type(found[1]))
    raise ValueError(
        f"`{name}` is not a type: one of {', '.join(SCALARS)}, decimal(p,s), "
        "array<type>, map<string,type>"
    )


def glue_type(kind: pa.DataType) -> str:
    """Arrow as the catalog writes it: `struct<a:int>`, `array<string>` …"""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"array<{glue_type(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{glue_type(kind.key_type)},{glue_type(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{f.name}:{glue_type(f.type)}' for f in kind)}>"
    names = {
        "string": "string",
        "large_string": "string",
        "int8": "tinyint",
        "int16": "smallint",
        "int32": "int",
        "int64": "bigint",
        "float": "float",
        "double": "double",
        "bool": "boolean",
        "date32[day]": "date",
        "binary": "binary",
        "large_binary": "binary",
    }
    return names.get(str(kind), str(kind))
