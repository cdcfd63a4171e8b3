"""File formats as Hive names them: input and output formats, SerDes, classification."""

from dataclasses import dataclass
from typing import Any

PARQUET, JSON, CSV = "parquet", "json", "csv"

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_PARQUET_IO = "org.apache.hadoop.hive.ql.io.parquet.MapredParquet"
LAZY_SERDE = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
OPEN_CSV_SERDE = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
OPENX_JSON_SERDE = "org.openx.data.jsonserde.JsonSerDe"
PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


@dataclass(frozen=True, slots=True)
class Format:
    input: str
    output: str
    serde: str
    parameters: tuple[tuple[str, str], ...] = ()


FORMATS = {
    PARQUET: Format(
        f"{_PARQUET_IO}InputFormat",
        f"{_PARQUET_IO}OutputFormat",
        PARQUET_SERDE,
        (("serialization.format", "1"),),
    ),
    JSON: Format(_TEXT_INPUT, _TEXT_OUTPUT, OPENX_JSON_SERDE),
    CSV: Format(_TEXT_INPUT, _TEXT_OUTPUT, LAZY_SERDE, (("field.delim", ","),)),
}


def storage_descriptor(kind: str) -> dict[str, Any]:
    """A StorageDescriptor without columns and location."""
    chosen = FORMATS[kind]
    return {
        "InputFormat": chosen.input,
        "OutputFormat": chosen.output,
        "Compressed": False,
        "NumberOfBuckets": -1,
        "SerdeInfo": {
            "SerializationLibrary": chosen.serde,
            "Parameters": dict(chosen.parameters),
        },
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": {},
        "StoredAsSubDirectories": False,
    }


def format_of(storage: dict[str, Any]) -> str | None:
    """Which of our formats a StorageDescriptor means; None for one we can't read."""
    library = (storage.get("SerdeInfo") or {}).get("SerializationLibrary") or ""
    name = library.rsplit(".", 1)[-1].lower()
    if "parquet" in name:
        return PARQUET
    if "json" in name:
        return JSON
    if "csv" in name or name == "lazysimpleserde":
        return CSV
    if not library and "parquet" in (storage.get("InputFormat") or "").lower():
        return PARQUET
    return None
