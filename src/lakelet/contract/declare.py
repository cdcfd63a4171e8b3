"""A declaration's `[contract]` → `Contract`. Every error names file, line, key and remedy."""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.contract.sql import SqlError, compile_sql
from lakelet.model.contract import (
    PERSONAL_RULES,
    Computed,
    Contract,
    Deduplicate,
    EventTime,
    Expression,
    Field,
    Migration,
    Personal,
    Rule,
    TableContract,
)
from lakelet.model.errors import DeclarationError
from lakelet.model.pipeline import Pipeline, open_document, read_pipeline
from lakelet.model.schema import PARTITION_KEYS, arrow_type
from lakelet.model.toml import Section

# What Athena, Glue and Spark all take unquoted.
_COLUMN_PATTERN = r"[a-z_][a-z0-9_]{0,126}"
_TABLE_PATTERN = r"[a-z][a-z0-9_]{0,126}"
_OWN_COLUMNS = ("properties", "received_at")


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that one file declares.

    `sections` are tables that other rooms read, by name: each checks its own.
    """

    pipeline: Pipeline
    contract: Contract
    sections: Mapping[str, Section] = field(default_factory=dict, compare=False)


# Read by aws.settings, collector.settings and the node's own.
_SECTIONS_OF_OTHERS = ("aws", "collector", "functions", "ingest", "watch")


def load_declaration(path: Path | None = None) -> Declaration:
    """Read a declaration file; None reads the shipped default.

    Raises:
        DeclarationError
    """
    root = open_document(path)
    pipeline = read_pipeline(root)
    contract = read_contract(_with_default_fields(root.section("contract")))
    sections = {name: root.section(name) for name in _SECTIONS_OF_OTHERS}
    root.finish()
    return Declaration(pipeline, contract, sections)


def _with_default_fields(section: Section) -> Section:
    """A contract that declares no fields is the shipped one, with what it does declare."""
    if "fields" in section.values:
        return section
    shipped = open_document(None).section("contract").values
    return replace(section, values={**shipped, **section.values})


def read_contract(section: Section) -> Contract:
    """Take a whole `[contract]` section. Raises DeclarationError."""
    version = section.take("version", int, 1, least=1, most=2**31 - 1)
    personal = section.section("personal")
    patterns = _field_patterns(personal)
    base = _read_table(
        section, section.take("table", str, "events", pattern=_TABLE_PATTERN), patterns
    )
    others = [
        _read_other_table(own, name, base, patterns)
        for name, own in section.section("tables").sections().items()
    ]
    tables = (*others, base)
    contract = Contract(
        version=version,
        tables=tables,
        drop=_drop_rules(section.section("drop"), base),
        field_patterns=patterns,
        email_in_values=_email_columns(personal, tables),
        migrations=_migrations(section.section("migrations"), version, tables),
    )
    personal.finish()
    section.finish()
    return contract


# --- tables -------------------------------------------------------------------------


def _read_table(
    section: Section, name: str, patterns: tuple[tuple[str, Personal], ...]
) -> TableContract:
    fields = _fields(section.section("fields"), patterns)
    if not fields:
        raise section.error("fields", "there are no fields", "Declare some: lakelet contract infer")
    return _table(section, name, fields, None)


def _read_other_table(
    section: Section,
    name: str,
    base: TableContract,
    patterns: tuple[tuple[str, Personal], ...],
) -> TableContract:
    """A table of its own events. Unless it says `inherit = false` or names the fields
    it shares, it has the first table's fields, its time and its de-duplication too."""
    if not re.fullmatch(_TABLE_PATTERN, name) or name == base.name:
        raise section.error("where", f"`{name}` is not a free table name", f"Use {_TABLE_PATTERN}")
    own = _fields(section.section("fields"), patterns)
    names = {f.name for f in own}
    inherited = _inherited(section, base)
    fields = (*(f for f in inherited if f.name not in names), *own)
    sql = section.take("where", str, required=True)
    table = _table(section, name, fields, base)
    types = {f.column: f.type for f in fields}
    where = _compiled(section, "where", sql, types, "boolean")
    section.finish()
    return replace(table, where=where, where_sql=sql)


def _inherited(section: Section, base: TableContract) -> tuple[Field, ...]:
    said = section.values.get("inherit", True)
    section.taken.add("inherit")
    if isinstance(said, bool):
        return base.fields if said else ()
    names = section.take("inherit", list, [])
    known = {f.name: f for f in base.fields}
    for name in names:
        if name not in known:
            raise section.error("inherit", f"{name!r} is no field of the first table", "Mend it.")
    return tuple(known[name] for name in names)


def _table(
    section: Section, name: str, fields: tuple[Field, ...], base: TableContract | None
) -> TableContract:
    _check_columns(section, fields)
    event_time = _event_time(section, fields, base)
    computed = _computed(section.section("computed"), fields)
    fields = tuple(
        replace(f, required=True) if f.column == event_time.column else f for f in fields
    )
    return TableContract(
        name=name,
        fields=fields,
        event_time=event_time,
        computed=computed,
        deduplicate=_deduplicate(section, fields, base),
    )


def _check_columns(section: Section, fields: tuple[Field, ...]) -> None:
    taken: dict[str, str] = dict.fromkeys((*_OWN_COLUMNS, *PARTITION_KEYS), "Lakelet's own")
    for declared in fields:
        if not declared.stored and declared.column not in taken:
            continue
        if declared.column in taken:
            raise section.section("fields").error(
                declared.name,
                f"column `{declared.column}` is {taken[declared.column]}",
                'Give it another: column = "…".',
            )
        taken[declared.column] = f"field `{declared.name}`'s"


def _event_time(
    section: Section, fields: tuple[Field, ...], base: TableContract | None
) -> EventTime:
    if "event_time" not in section.values and base:
        section.taken.add("event_time")
        column, own = base.event_time.column, base.event_time
        if not any(f.column == column for f in fields):
            raise section.error("event_time", "the table has no event time", "Declare one.")
        return own
    declared = section.section("event_time")
    chosen = _named(declared, fields, declared.take("field", str, "timestamp"))
    if chosen.type != "timestamp" or not chosen.stored or chosen.personal:
        raise declared.error(
            "field", f"`{chosen.name}` is no plain timestamp", "Choose a timestamp field."
        )
    result = EventTime(
        chosen.column,
        oldest_days=declared.take("oldest_days", int, 3650, least=0, most=3_650_000),
        ahead_hours=declared.take("ahead_hours", int, 24, least=0, most=87_600_000),
    )
    declared.finish()
    return result


def _deduplicate(
    section: Section, fields: tuple[Field, ...], base: TableContract | None
) -> Deduplicate | None:
    said = section.values.get("deduplicate", None if base is None else True)
    section.taken.add("deduplicate")
    if said is False or said is None:
        return None
    if said is True:
        inherited = base.deduplicate if base else None
        known = inherited and any(f.column == inherited.column for f in fields)
        return inherited if known else None
    declared = section.section("deduplicate")
    chosen = _named(declared, fields, declared.take("field", str, "event_id"))
    if chosen.type != "string":
        raise declared.error("field", f"`{chosen.name}` is no string", "Choose a string field.")
    result = Deduplicate(
        chosen.column, declared.take("window_hours", int, 72, least=0, most=87_600)
    )
    declared.finish()
    return result


def _named(section: Section, fields: tuple[Field, ...], name: str) -> Field:
    for declared in fields:
        if declared.name == name:
            return declared
    known = ", ".join(f.name for f in fields)
    raise section.error("field", f"`{name}` is not a declared field", f"One of: {known}.")


# --- fields -------------------------------------------------------------------------


def _fields(section: Section, patterns: tuple[tuple[str, Personal], ...]) -> tuple[Field, ...]:
    return tuple(_field(section, name, own, patterns) for name, own in section.sections().items())


def _field(
    parent: Section, name: str, section: Section, patterns: tuple[tuple[str, Personal], ...]
) -> Field:
    kind = _type(section, "type", section.take("type", str, "string"))
    rule = section.take("personal", str, "", choices=("", "keep", *PERSONAL_RULES))
    path = _path(section, name)
    declared = Field(
        name=name,
        type=kind,
        column=section.take("column", str, _column_name(path[-1]), pattern=_COLUMN_PATTERN),
        path=path,
        required=section.take("required", bool, False),
        default=_scalar(section, "default", kind),
        enum=tuple(_checked(section, "enum", kind, v) for v in section.take("enum", list, [])),
        pattern=_pattern(section, kind),
        least=_bound(section, "min", kind),
        most=_bound(section, "max", kind),
        personal=_personal(rule, name, path[-1], patterns),
    )
    if not name.strip():
        raise parent.error(name, "a field needs a name", "Name it.")
    section.finish()
    return declared


def _personal(
    rule: str, name: str, key: str, patterns: tuple[tuple[str, Personal], ...]
) -> Personal:
    """Its own rule, else the first pattern its name matches; `keep` says it is not personal."""
    if rule == "keep":
        return ""
    if rule:
        return cast("Personal", rule)
    for glob, patterned in patterns:
        if any(fnmatch.fnmatchcase(n.lower(), glob.lower()) for n in (name, key)):
            return patterned
    return ""


def _column_name(name: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def _path(section: Section, name: str) -> tuple[str, ...]:
    """`$.device.type`, or the name itself."""
    text = section.take("path", str, "")
    if not text:
        return (name,)
    keys = tuple(re.findall(r'\."((?:[^"])+)"|\.([^."\[\]]+)', text.removeprefix("$")))
    path = tuple(quoted or plain for quoted, plain in keys)
    if not text.startswith("$.") or "".join(f".{k}" for k in path) != text[1:].replace('"', ""):
        raise section.error("path", f"{text!r} is not a path", 'Write it as "$.device.type".')
    return path


def _type(section: Section, key: str, text: str) -> str:
    try:
        arrow_type(text)
    except ValueError as error:
        raise section.error(key, str(error), "Choose one of these.") from error
    return re.sub(r"\s+", "", text.lower())


def _scalar(section: Section, key: str, kind: str) -> str | int | float | bool | None:
    value = section.values.get(key)
    section.taken.add(key)
    return None if value is None else _checked(section, key, kind, value)


def _checked(section: Section, key: str, kind: str, value: object) -> str | int | float:
    """A default or a choice, as a value its column can hold."""
    arrow = arrow_type(kind)
    if not pa.types.is_nested(arrow) and isinstance(value, (str, int, float)):
        try:
            pa.scalar(_as_text(value)).cast(arrow)
        except pa.ArrowInvalid:
            pass
        else:
            return value
    raise section.error(key, f"{value!r} is no {kind}", f"Give a {kind}.")


def _as_text(value: str | int | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pattern(section: Section, kind: str) -> str:
    pattern = section.take("pattern", str, "")
    if pattern and kind != "string":
        raise section.error("pattern", f"a {kind} has no pattern", "Only strings have one.")
    if not pattern:
        return ""
    try:
        pc.match_substring_regex(pa.array([""]), rf"^(?:{pattern})\z")
    except pa.ArrowInvalid as error:
        raise section.error("pattern", f"not an RE2 pattern: {error}", "Mend it.") from error
    return pattern


def _bound(section: Section, key: str, kind: str) -> int | float | None:
    value = section.values.get(key)
    section.taken.add(key)
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (kind in ("int", "bigint", "double") or kind.startswith("decimal")):
        raise section.error(key, f"{value!r} bounds no {kind}", "Numbers bound number fields.")
    return cast("int | float", _checked(section, key, kind, value))


# --- SQL ----------------------------------------------------------------------------


def _compiled(
    section: Section, key: str, sql: str, columns: dict[str, str], kind: str
) -> Expression:
    where = f"{section.source.at(section.path, key)}: {'.'.join((*section.path, key))}"
    expression = compile_sql(sql, columns, where=where)
    if expression.type == kind or expression.type == "null":
        return replace(expression, type=kind)
    if kind == "boolean":
        raise SqlError(f"{where}: a {expression.type} is no condition.\n    {sql}", hint="Compare.")
    return Expression(kind, call="cast", arguments=(expression,))


def _computed(section: Section, fields: tuple[Field, ...]) -> tuple[Computed, ...]:
    """In declared order; each sees the fields' columns and the columns computed before it."""
    visible = {f.column: _stored_type(f) for f in fields if f.stored}
    visible |= {"properties": "json", "received_at": "timestamp"}
    result = []
    for name, own in section.sections().items():
        if not re.fullmatch(_COLUMN_PATTERN, name) or name in (*visible, *PARTITION_KEYS):
            raise section.error(name, f"`{name}` is not a free column name", "Choose another.")
        kind = _type(own, "type", own.take("type", str, required=True))
        if pa.types.is_nested(arrow_type(kind)):
            raise own.error("type", f"a {kind} cannot be computed", "Compute a scalar.")
        sql = own.take("sql", str, required=True)
        expression = _compiled(own, "sql", sql, visible, kind)
        own.finish()
        result.append(Computed(name, kind, expression, sql))
        visible[name] = kind
    return tuple(result)


def _stored_type(declared: Field) -> str:
    return "string" if declared.personal else declared.type


def _drop_rules(section: Section, table: TableContract) -> tuple[Rule, ...]:
    columns = {f.column: f.type for f in table.fields}
    rules = []
    for name in section.values:
        sql = section.take(name, str)
        rules.append(Rule(name, _compiled(section, name, sql, columns, "boolean"), sql))
    return tuple(rules)


# --- personal data, migrations --------------------------------------------------------


def _field_patterns(section: Section) -> tuple[tuple[str, Personal], ...]:
    own = section.section("field_patterns")
    return tuple(
        (glob, cast("Personal", own.take(glob, str, choices=PERSONAL_RULES))) for glob in own.values
    )


def _email_columns(section: Section, tables: tuple[TableContract, ...]) -> tuple[str, ...]:
    columns = section.take("email_in_values", list, ["properties"])
    known = {column.name: column.type for table in tables for column in table.schema}
    for column in columns:
        if column not in known or not pa.types.is_string(known[column]):
            raise section.error("email_in_values", f"`{column}` is no text column", "Mend it.")
    return tuple(columns)


def _migrations(
    section: Section, version: int, tables: tuple[TableContract, ...]
) -> tuple[Migration, ...]:
    """`"events.quantity" = { version = 2, from = "int", to = "bigint" }`."""
    result = []
    for name, own in section.sections().items():
        table, _, column = name.rpartition(".")
        migration = Migration(
            version=own.take("version", int, required=True, least=2, most=version),
            column=column,
            from_type=_type(own, "from", own.take("from", str, required=True)),
            to_type=_type(own, "to", own.take("to", str, required=True)),
            table=table or tables[-1].name,
        )
        own.finish()
        _check_migration(section, name, migration, tables)
        result.append(migration)
    return tuple(result)


def _check_migration(
    section: Section, name: str, migration: Migration, tables: tuple[TableContract, ...]
) -> None:
    known = {(t.name, column.name): column.type for t in tables for column in t.schema}
    now = known.get((migration.table, migration.column))
    if now is None:
        raise section.error(name, "no such column", "Name it `column` or `table.column`.")
    if now != arrow_type(migration.to_type):
        raise section.error(
            name, f"the column is a {now}, not a {migration.to_type}", "Let the two agree."
        )


__all__ = ["Declaration", "DeclarationError", "load_declaration", "read_contract"]
