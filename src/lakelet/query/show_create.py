"""A table's definition as the statement that would make it again."""

from typing import Any

from lakelet.query.types import quote_text

# What Athena keeps to itself in SHOW CREATE TABLE.
_HIDDEN_PARAMETERS = frozenset(("EXTERNAL", "last_modified_by", "last_modified_time"))


def create_statement(table: dict[str, Any]) -> str:
    """CREATE EXTERNAL TABLE, a clause a line, as Athena lays it out."""
    storage = table["StorageDescriptor"]
    serde = storage.get("SerdeInfo") or {}
    lines = [f"CREATE EXTERNAL TABLE `{table['DatabaseName']}.{table['Name']}`("]
    lines += _columns(storage["Columns"])
    if table.get("Description"):
        lines.append(f"COMMENT {_text(table['Description'])}")
    if table.get("PartitionKeys"):
        lines.append("PARTITIONED BY ( ")
        lines += _columns(table["PartitionKeys"])
    if serde.get("SerializationLibrary"):
        lines += ["ROW FORMAT SERDE ", f"  {_text(serde['SerializationLibrary'])} "]
    if serde.get("Parameters"):
        lines.append("WITH SERDEPROPERTIES ( ")
        lines += _properties(serde["Parameters"])
    if storage.get("InputFormat"):
        lines += ["STORED AS INPUTFORMAT ", f"  {_text(storage['InputFormat'])} "]
        lines += ["OUTPUTFORMAT ", f"  {_text(storage.get('OutputFormat') or '')}"]
    lines += ["LOCATION", f"  {_text((storage.get('Location') or '').rstrip('/'))}"]
    parameters = {
        key: value
        for key, value in (table.get("Parameters") or {}).items()
        if key not in _HIDDEN_PARAMETERS
    }
    if parameters:
        lines.append("TBLPROPERTIES (")
        lines += _properties(parameters)
    return "\n".join(lines)


def _columns(columns: list[dict[str, Any]]) -> list[str]:
    texts = [
        f"  `{column['Name']}` {column.get('Type') or 'string'}"
        + (f" COMMENT {_text(column['Comment'])}" if column.get("Comment") else "")
        for column in columns
    ]
    return [f"{text}, " for text in texts[:-1]] + [f"{text})" for text in texts[-1:]]


def _properties(properties: dict[str, str]) -> list[str]:
    texts = [f"  {_text(key)}={_text(value)}" for key, value in sorted(properties.items())]
    return [f"{text}, " for text in texts[:-1]] + [f"{text})" for text in texts[-1:]]


def _text(value: str) -> str:
    return quote_text(str(value).replace("\x01", "\\u0001").replace("\t", "\\t"))
