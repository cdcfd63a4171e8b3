"""JSON and delimited text as DuckDB reads them, under Hive's SerDe properties."""

from dataclasses import dataclass

from lakelet.query.bind import Scan
from lakelet.query.types import duckdb_type, quote, quote_text


@dataclass(frozen=True, slots=True)
class Source:
    sql: str  # a table function
    columns: tuple[str, ...]  # select items that give the table's columns


def json_source(scan: Scan, paths: str, gzipped: bool, filename: bool) -> Source:
    """Newline-delimited, joined or listed objects; keys matched by name, whatever their case.

    A value that doesn't fit its column is NULL, as with the OpenX SerDe's
    `ignore.malformed.json`; a file that is no JSON at all is HIVE_BAD_DATA.
    """
    parameters = _serde(scan)
    wanted = {name: duckdb_type(kind) for name, kind in scan.columns.items()}
    spelled = {
        value.lower(): key.removeprefix("mapping.").lower()
        for key, value in parameters.items()
        if key.startswith("mapping.")
    }
    names = {target: source for source, target in spelled.items()}
    typed = ", ".join(
        f"{quote_text(names.get(name, name))}: {quote_text(kind)}" for name, kind in wanted.items()
    )
    options = [
        f"columns = {{{typed}}}",
        "format = 'auto'",
        "hive_partitioning = false",
        f"compression = {'gzip' if gzipped else 'none'!r}"
        if gzipped
        else "compression = 'uncompressed'",
        "maximum_object_size = 67108864",
    ]
    if parameters.get("ignore.malformed.json", "").lower() == "true":
        options.append("ignore_errors = true")
    if filename:
        options.append("filename = '__file'")
    columns = tuple(
        quote(name) if names.get(name, name) == name else f"{quote(names[name])} AS {quote(name)}"
        for name in wanted
    )
    return Source(f"read_json({paths}, {', '.join(options)})", columns)


def csv_source(scan: Scan, paths: str, gzipped: bool, filename: bool) -> Source:
    """Columns matched by position. OpenCSVSerde knows quotes, LazySimpleSerDe does not."""
    parameters = _serde(scan)
    library = (scan.table["StorageDescriptor"].get("SerdeInfo") or {}).get(
        "SerializationLibrary", ""
    )
    quoted = library.endswith("OpenCSVSerde")
    delimiter = parameters.get("separatorChar" if quoted else "field.delim")
    delimiter = delimiter or parameters.get("serialization.format") or ("," if quoted else "\x01")
    skip = int((scan.table.get("Parameters") or {}).get("skip.header.line.count", "0") or 0)
    typed = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in scan.columns)
    options = [
        f"columns = {{{typed}}}",
        "auto_detect = false",
        "header = false",
        f"skip = {skip}",
        f"delim = {quote_text(_unescape(delimiter))}",
        "hive_partitioning = false",
        "null_padding = true",
        f"compression = {quote_text('gzip' if gzipped else 'none')}",
    ]
    if quoted:
        options.append(f"quote = {quote_text(parameters.get('quoteChar', chr(34)))}")
        options.append(f"escape = {quote_text(parameters.get('escapeChar', chr(34)))}")
    else:
        options += ["quote = ''", "escape = ''"]
    if filename:
        options.append("filename = '__file'")
    null = parameters.get("serialization.null.format", r"\N")
    columns = tuple(
        _csv_column(name, duckdb_type(kind), null, quoted) for name, kind in scan.columns.items()
    )
    return Source(f"read_csv({paths}, {', '.join(options)})", columns)


def _csv_column(name: str, kind: str, null: str, quoted: bool) -> str:
    value = quote(name)
    if not quoted:
        value = f"nullif({value}, {quote_text(null)})"
    if kind != "VARCHAR":
        # A field that is no number is NULL, as Hive's lazy SerDe has it.
        value = f"TRY_CAST({value} AS {kind})"
    return f"{value} AS {quote(name)}"


def _unescape(delimiter: str) -> str:
    return {r"\t": "\t", r"\u0001": "\x01", r"\001": "\x01"}.get(delimiter, delimiter)


def _serde(scan: Scan) -> dict[str, str]:
    storage = scan.table["StorageDescriptor"]
    parameters: dict[str, str] = (storage.get("SerdeInfo") or {}).get("Parameters") or {}
    return parameters
