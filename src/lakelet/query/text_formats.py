"""JSON and delimited text as DuckDB reads them, under Hive's SerDe properties."""

from collections.abc import Mapping
from dataclasses import dataclass

from lakelet.query.bind import Scan
from lakelet.query.types import duckdb_type, quote, quote_text

_OBJECT_BYTES_MAX = 64 << 20  # one JSON value; DuckDB's default of 16 MB is a record's limit


@dataclass(frozen=True, slots=True)
class Source:
    sql: str  # a table function
    columns: tuple[str, ...]  # select items that give the table's columns


def json_source(
    scan: Scan, paths: str, gzipped: bool, filename: bool, spelling: Mapping[str, str]
) -> Source:
    """Objects a line, joined, or spread over lines; keys are matched by name.

    What is no JSON, or doesn't fit its column, is HIVE_BAD_DATA; with the SerDe
    property `ignore.malformed.json` it is passed over.

    Args:
        spelling: a column's key as the files write it, where they use capitals.
    """
    parameters = _serde(scan)
    mapped = {
        key.removeprefix("mapping.").lower(): value
        for key, value in parameters.items()
        if key.startswith("mapping.")
    }
    keys = {name: mapped.get(name) or spelling.get(name, name) for name in scan.columns}
    typed = ", ".join(
        f"{quote_text(keys[name])}: {quote_text(duckdb_type(kind))}"
        for name, kind in scan.columns.items()
    )
    options = [
        f"columns = {{{typed}}}",
        "format = 'unstructured'",
        "hive_partitioning = false",
        f"compression = {quote_text('gzip' if gzipped else 'uncompressed')}",
        f"maximum_object_size = {_OBJECT_BYTES_MAX}",
    ]
    if parameters.get("ignore.malformed.json", "").lower() == "true":
        options.append("ignore_errors = true")
    if filename:
        options.append("filename = '__file'")
    columns = tuple(f"{quote(key)} AS {quote(name)}" for name, key in keys.items())
    return Source(f"read_json({paths}, {', '.join(options)})", columns)


def csv_source(
    scan: Scan,
    paths: str,
    gzipped: bool,
    filename: bool,
    spelling: Mapping[str, str],  # noqa: ARG001 - columns are matched by position
) -> Source:
    """Columns matched by position: missing ones are NULL, surplus ones left out."""
    parameters = _serde(scan)
    skip = int((scan.table.get("Parameters") or {}).get("skip.header.line.count") or 0)
    options = [
        "auto_detect = false",
        "header = false",
        "strict_mode = false",
        "null_padding = true",
        "hive_partitioning = false",
        f"skip = {skip}",
        f"compression = {quote_text('gzip' if gzipped else 'none')}",
    ]
    if filename:
        options.append("filename = '__file'")
    serde = scan.table["StorageDescriptor"].get("SerdeInfo") or {}
    if str(serde.get("SerializationLibrary")).endswith("OpenCSVSerde"):
        return _open_csv(scan, paths, parameters, options)
    return _delimited(scan, paths, parameters, options)


def _open_csv(scan: Scan, paths: str, parameters: dict[str, str], options: list[str]) -> Source:
    """OpenCSVSerde: fields may stand in quotes, and hold the separator there."""
    typed = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in scan.columns)
    options = [
        *options,
        f"columns = {{{typed}}}",
        f"delim = {quote_text(_unescape(parameters.get('separatorChar', ',')))}",
        f"quote = {quote_text(parameters.get('quoteChar', chr(34)))}",
        f"escape = {quote_text(parameters.get('escapeChar', chr(34)))}",
    ]
    # Through nullif: a bare TRY_CAST is pushed into DuckDB's reader, and is strict there.
    columns = tuple(
        f"{_typed(_bare(name, kind), kind)} AS {quote(name)}" for name, kind in scan.columns.items()
    )
    return Source(f"read_csv({paths}, {', '.join(options)})", columns)


def _delimited(scan: Scan, paths: str, parameters: dict[str, str], options: list[str]) -> Source:
    """LazySimpleSerDe knows no quotes: a line is cut at every delimiter."""
    delimiter = parameters.get("field.delim") or parameters.get("serialization.format") or "\x01"
    # DuckDB must have some delimiter for its one column: BEL, which is in no text people write.
    options = [*options, "columns = {'__line': 'VARCHAR'}", "delim = '\x07'", "quote = ''"]
    options.append("escape = ''")
    fields = f"string_split(__line, {quote_text(_unescape(delimiter))})"
    null = quote_text(parameters.get("serialization.null.format", r"\N"))
    columns = tuple(
        f"{_typed(f'nullif({fields}[{index}], {null})', kind)} AS {quote(name)}"
        for index, (name, kind) in enumerate(scan.columns.items(), 1)
    )
    return Source(f"read_csv({paths}, {', '.join(options)})", columns)


def _bare(name: str, kind: str) -> str:
    return quote(name) if duckdb_type(kind) == "VARCHAR" else f"nullif({quote(name)}, '')"


def _typed(value: str, kind: str) -> str:
    """A field that is no number is NULL, as Hive's SerDes have it."""
    wanted = duckdb_type(kind)
    return value if wanted == "VARCHAR" else f"TRY_CAST({value} AS {wanted})"


def _unescape(delimiter: str) -> str:
    return {"1": "\x01", r"\t": "\t", r"\u0001": "\x01", r"\001": "\x01"}.get(delimiter, delimiter)


def _serde(scan: Scan) -> dict[str, str]:
    storage = scan.table["StorageDescriptor"]
    parameters: dict[str, str] = (storage.get("SerdeInfo") or {}).get("Parameters") or {}
    return parameters
