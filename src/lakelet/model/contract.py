"""The contract: what an event must be, and what becomes of it. Plain, frozen data.

People write it as TOML with SQL in it; `lakelet.contract` reads and checks that
and makes these values. They travel as JSON, so whoever only transforms (Lambda,
a Spark worker) needs neither parser.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa

from lakelet.model.schema import PARTITION_KEYS, TIMESTAMP, arrow_type

FORMAT = 1
Personal = Literal["", "drop", "hash", "truncate", "mask"]
PERSONAL_RULES = ("drop", "hash", "truncate", "mask")


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked SQL expression: a column, a literal or a call. `type` names its result."""

    type: str
    call: str = ""
    arguments: tuple["Expression", ...] = ()
    column: str = ""
    value: str | int | float | bool | None = None

    def columns(self) -> frozenset[str]:
        """Every column it reads."""
        if self.column:
            return frozenset((self.column,))
        return frozenset().union(*(argument.columns() for argument in self.arguments))

    def to_values(self) -> list[Any]:
        if self.column:
            return ["column", self.type, self.column]
        if self.call:
            return ["call", self.type, self.call, [a.to_values() for a in self.arguments]]
        return ["value", self.type, self.value]

    @classmethod
    def from_values(cls, values: list[Any]) -> "Expression":
        what, kind, *rest = values
        if what == "column":
            return cls(kind, column=rest[0])
        if what == "call":
            return cls(kind, call=rest[0], arguments=tuple(map(cls.from_values, rest[1])))
        return cls(kind, value=rest[0])


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field of an event, and the column it becomes."""

    name: str
    type: str
    column: str
    path: tuple[str, ...]  # keys from the event's root; `(name,)` for a plain field
    required: bool = False
    default: str | int | float | bool | None = None
    enum: tuple[str | int | float, ...] = ()
    pattern: str = ""  # RE2; the whole value must match
    least: int | float | None = None
    most: int | float | None = None
    personal: Personal = ""

    @property
    def arrow_type(self) -> pa.DataType:
        """Of the value as read; a pseudonym is always text."""
        return arrow_type(self.type)

    @property
    def column_type(self) -> pa.DataType:
        return pa.string() if self.personal in ("hash", "truncate", "mask") else self.arrow_type

    @property
    def stored(self) -> bool:
        return self.personal != "drop"


@dataclass(frozen=True, slots=True)
class Computed:
    column: str
    type: str
    expression: Expression
    sql: str

    @property
    def arrow_type(self) -> pa.DataType:
        return arrow_type(self.type)


@dataclass(frozen=True, slots=True)
class EventTime:
    """Partitions follow this column. Outside the bounds, relative to arrival: quarantine."""

    column: str
    oldest_days: int = 3650
    ahead_hours: int = 24


@dataclass(frozen=True, slots=True)
class Deduplicate:
    column: str
    window_hours: int = 72


@dataclass(frozen=True, slots=True)
class Rule:
    """A named condition: events to drop, counted under its name."""

    name: str
    where: Expression
    sql: str


@dataclass(frozen=True, slots=True)
class Migration:
    """A column's declared change of type, valid from a contract version on."""

    version: int
    column: str
    from_type: str
    to_type: str
    table: str = ""


@dataclass(frozen=True)
class TableContract:
    """One table: which events are its own, their fields, their columns."""

    name: str
    fields: tuple[Field, ...]
    event_time: EventTime
    computed: tuple[Computed, ...] = ()
    deduplicate: Deduplicate | None = None
    where: Expression | None = None  # None: whatever no other table took
    where_sql: str = ""

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns in their order, without the partition keys."""
        columns = [pa.field(f.column, f.column_type) for f in self.fields if f.stored]
        columns += [pa.field(c.column, c.arrow_type) for c in self.computed]
        columns += [pa.field("properties", pa.string()), pa.field("received_at", TIMESTAMP)]
        return pa.schema(columns)

    @property
    def partition_keys(self) -> tuple[str, ...]:
        """All strings, zero-padded."""
        return PARTITION_KEYS

    def field_of(self, column: str) -> Field:
        return next(f for f in self.fields if f.column == column)


@dataclass(frozen=True)
class Contract:
    """`tables[-1]` takes what no table before it took."""

    version: int
    tables: tuple[TableContract, ...]
    drop: tuple[Rule, ...] = ()
    field_patterns: tuple[tuple[str, Personal], ...] = ()  # glob on names -> rule, any depth
    email_in_values: tuple[str, ...] = ()  # columns whose text is cleaned of addresses
    migrations: tuple[Migration, ...] = ()

    @property
    def default_table(self) -> TableContract:
        return self.tables[-1]

    def table(self, name: str) -> TableContract:
        """Raises KeyError."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    @property
    def needs_key(self) -> bool:
        """Whether some value is to be pseudonymised, so a `Keyring` must be given."""
        rules = [rule for _, rule in self.field_patterns]
        rules += [f.personal for table in self.tables for f in table.fields]
        return "hash" in rules

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with anything the contract says."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Deterministic."""
        return json.dumps({"format": FORMAT, **_contract_values(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Contract":
        """Raises ValueError, KeyError or TypeError where `text` is no contract."""
        values = json.loads(text)
        if values.pop("format") != FORMAT:
            raise ValueError("a contract of another format")
        return _contract_of(values)


@dataclass(frozen=True)
class Keyring:
    """Secrets for pseudonyms by key id; the newest signs, the others stay readable history."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def secret(self) -> bytes:
        return self.keys[self.current]


def _plain(value: Any, *skip: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__ if name not in skip}


def _table_values(table: TableContract) -> dict[str, Any]:
    return {
        "name": table.name,
        "fields": [_plain(f) for f in table.fields],
        "event_time": _plain(table.event_time),
        "computed": [
            {**_plain(c, "expression"), "expression": c.expression.to_values()}
            for c in table.computed
        ],
        "deduplicate": _plain(table.deduplicate) if table.deduplicate else None,
        "where": table.where.to_values() if table.where else None,
        "where_sql": table.where_sql,
    }


def _contract_values(contract: Contract) -> dict[str, Any]:
    return {
        "version": contract.version,
        "tables": [_table_values(table) for table in contract.tables],
        "drop": [{**_plain(r, "where"), "where": r.where.to_values()} for r in contract.drop],
        "field_patterns": contract.field_patterns,
        "email_in_values": contract.email_in_values,
        "migrations": [_plain(m) for m in contract.migrations],
    }


def _field_of(values: dict[str, Any]) -> Field:
    return Field(**{**values, "path": tuple(values["path"]), "enum": tuple(values["enum"])})


def _table_of(values: dict[str, Any]) -> TableContract:
    where, deduplicate = values["where"], values["deduplicate"]
    return TableContract(
        name=values["name"],
        fields=tuple(map(_field_of, values["fields"])),
        event_time=EventTime(**values["event_time"]),
        computed=tuple(
            Computed(**{**c, "expression": Expression.from_values(c["expression"])})
            for c in values["computed"]
        ),
        deduplicate=Deduplicate(**deduplicate) if deduplicate else None,
        where=Expression.from_values(where) if where else None,
        where_sql=values["where_sql"],
    )


def _contract_of(values: dict[str, Any]) -> Contract:
    return Contract(
        version=values["version"],
        tables=tuple(map(_table_of, values["tables"])),
        drop=tuple(
            Rule(**{**r, "where": Expression.from_values(r["where"])}) for r in values["drop"]
        ),
        field_patterns=tuple((glob, rule) for glob, rule in values["field_patterns"]),
        email_in_values=tuple(values["email_in_values"]),
        migrations=tuple(Migration(**m) for m in values["migrations"]),
    )
