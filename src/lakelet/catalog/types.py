"""Hive's type names, as Glue keeps them: read, written, and merged."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from lakelet.catalog.errors import InvalidInput

# Hive and Athena know several names for one type; the left are aliases.
_ALIASES = {
    "integer": "int",
    "string": "string",
    "varchar": "string",
    "char": "string",
    "long": "bigint",
    "short": "smallint",
    "byte": "tinyint",
    "real": "float",
    "bool": "boolean",
    "numeric": "decimal",
    "dec": "decimal",
    "varbinary": "binary",
}
_PLAIN = frozenset(
    (
        *("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal"),
        *("string", "date", "timestamp", "binary"),
    )
)


@dataclass(frozen=True, slots=True)
class HiveType:
    """`name` with its type parameters: `array` one child, `map` two, `struct` named ones."""

    name: str
    children: tuple["HiveType", ...] = ()
    field_names: tuple[str, ...] = ()
    precision: int = 0  # of decimal
    scale: int = 0

    def __str__(self) -> str:
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name == "struct":
            pairs = zip(self.field_names, self.children, strict=True)
            return f"struct<{','.join(f'{name}:{child}' for name, child in pairs)}>"
        if self.children:
            return f"{self.name}<{','.join(map(str, self.children))}>"
        return self.name


@dataclass
class _Reader:
    """A recursive descent over one type's text."""

    text: str
    tokens: list[str] = field(init=False)
    at: int = 0

    def __post_init__(self) -> None:
        self.tokens = re.findall(r"`[^`]*`|[\w$.@-]+|[<>(),:]|\S", self.text)

    def take(self, *wanted: str) -> str:
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        if not token or (wanted and token not in wanted):
            raise InvalidInput(
                f"Column type {self.text!r} cannot be read at {token or 'its end'!r}.",
                hint="Use Hive types, such as bigint, array<string>, struct<a:int,b:double>.",
            )
        self.at += 1
        return token

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def type(self) -> HiveType:
        name = self.take().lower()
        name = _ALIASES.get(name, name)
        if name == "array":
            return HiveType("array", tuple(self._children(1)))
        if name == "map":
            return HiveType("map", tuple(self._children(2)))
        if name in ("struct", "row"):
            return self._struct()
        if name not in _PLAIN:
            raise InvalidInput(
                f"Column type {self.text!r} is not known: {name!r}.",
                hint=f"Known: {', '.join(sorted(_PLAIN))}, array<…>, map<…>, struct<…>.",
            )
        arguments = self._arguments()
        if name == "decimal":
            precision, scale = (*arguments, 10, 0)[:2] if arguments else (10, 0)
            return HiveType("decimal", precision=precision, scale=scale if arguments[1:] else 0)
        return HiveType(name)

    def _children(self, count: int) -> list[HiveType]:
        self.take("<")
        children = [self.type()]
        for _ in range(count - 1):
            self.take(",")
            children.append(self.type())
        self.take(">")
        return children

    def _struct(self) -> HiveType:
        self.take("<")
        names: list[str] = []
        children: list[HiveType] = []
        while self.peek() != ">":
            if names:
                self.take(",")
            names.append(self.take().strip("`").lower())
            self.take(":")
            children.append(self.type())
        self.take(">")
        return HiveType("struct", tuple(children), tuple(names))

    def _arguments(self) -> list[int]:
        if self.peek() != "(":
            return []
        self.take("(")
        numbers = [int(self.take())]
        while self.take(",", ")") == ",":
            numbers.append(int(self.take()))
        return numbers


def parse_type(text: str) -> HiveType:
    """Raises InvalidInput for what is no Hive type."""
    reader = _Reader(text)
    parsed = reader.type()
    if reader.peek():
        reader.take("")
    return parsed


def to_arrow(kind: HiveType) -> pa.DataType:
    if kind.name == "array":
        return pa.list_(to_arrow(kind.children[0]))
    if kind.name == "map":
        return pa.map_(to_arrow(kind.children[0]), to_arrow(kind.children[1]))
    if kind.name == "struct":
        pairs = zip(kind.field_names, kind.children, strict=True)
        return pa.struct([(name, to_arrow(child)) for name, child in pairs])
    if kind.name == "decimal":
        return pa.decimal128(kind.precision, kind.scale)
    return _TO_ARROW[kind.name]


_TO_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "binary": pa.binary(),
}

# Asked in order; the first that says yes gives the name.
_FROM_ARROW: Sequence[tuple[Callable[[pa.DataType], bool], str]] = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "tinyint"),
    (pa.types.is_int16, "smallint"),
    (pa.types.is_uint8, "smallint"),
    (pa.types.is_int32, "int"),
    (pa.types.is_uint16, "int"),
    (pa.types.is_integer, "bigint"),
    (pa.types.is_float16, "float"),
    (pa.types.is_float32, "float"),
    (pa.types.is_floating, "double"),
    (pa.types.is_string, "string"),
    (pa.types.is_large_string, "string"),
    (pa.types.is_string_view, "string"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "timestamp"),
    (pa.types.is_binary, "binary"),
    (pa.types.is_large_binary, "binary"),
    (pa.types.is_fixed_size_binary, "binary"),
    (pa.types.is_null, "string"),
)


def from_arrow(kind: pa.DataType) -> HiveType:
    """The column type a crawler gives; types that Hive lacks become string."""
    if pa.types.is_dictionary(kind):
        return from_arrow(kind.value_type)
    if pa.types.is_map(kind):
        return HiveType("map", (from_arrow(kind.key_type), from_arrow(kind.item_type)))
    if pa.types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return HiveType(
            "struct",
            tuple(from_arrow(child.type) for child in fields),
            tuple(child.name.lower() for child in fields),
        )
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return HiveType("array", (from_arrow(kind.value_type),))
    if pa.types.is_decimal(kind):
        return HiveType("decimal", precision=kind.precision, scale=kind.scale)
    name = next((name for is_kind, name in _FROM_ARROW if is_kind(kind)), "string")
    return HiveType(name)


_INTEGERS = ("tinyint", "smallint", "int", "bigint")


def widen(left: str, right: str) -> str | None:
    """The narrowest type that holds both without loss; None where there is none.

    A crawler answers None with `string`, as Glue does, and says so.
    """
    if left == right:
        return left
    if left in _INTEGERS and right in _INTEGERS:
        return _INTEGERS[max(_INTEGERS.index(left), _INTEGERS.index(right))]
    pair = {left, right}
    if pair == {"float", "double"} or ("double" in pair and pair & set(_INTEGERS)):
        return "double"
    if pair == {"date", "timestamp"}:
        return "timestamp"
    return None
