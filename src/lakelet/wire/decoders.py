"""JSON requests decoded, checked and unbased (base64) in one native pass.

From an input shape we build a `TypedDict` with the shape's constraints and let msgspec
compile a decoder for it: plain dicts come out. It is three times as fast as `json.loads`
plus `b64decode`, before any check (500 records, 355 KB: 4,065 against 1,330 bodies/s).

A decoder may only ever accept what `protocol.json` and `validation` accept; whatever it
refuses is looked at again by those two, which know AWS's words for what is wrong. So what
msgspec cannot say (timestamps as numbers, recursion) is a member that it always refuses.
"""

from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import msgspec

from lakelet.wire.models import Shape
from lakelet.wire.patterns import python_pattern

_LIST: Any = list  # type checkers cannot follow types that are made at run time
_DICT: Any = dict
_INTEGER_BITS = {"integer": 31, "long": 63}

# No value has this type: a request with such a member goes the slow way.
_NEVER: Any = Literal["\0 no request has this"]


def native_decoder(shape: Shape | None) -> "msgspec.json.Decoder[dict[str, Any]] | None":
    """None for operations without input."""
    return None if shape is None else msgspec.json.Decoder(_type_of(shape, ()))


def _type_of(shape: Shape, above: tuple[str, ...]) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return _typed_dict(shape, above)
    if kind == "list":
        return _constrained(_LIST[_type_of(shape.member, above)], _sizes(shape))
    if kind == "map":
        key, value = _type_of(shape.key, above), _type_of(shape.value, above)
        return _constrained(_DICT[key, value], _sizes(shape))
    if kind == "string":
        return _string(shape)
    if kind == "blob":
        return _constrained(bytes, _sizes(shape))
    if kind == "boolean":
        return bool
    if kind in _INTEGER_BITS:
        return _integer(shape, _INTEGER_BITS[kind])
    return _NEVER


def _typed_dict(shape: Shape, above: tuple[str, ...]) -> Any:
    if shape.name in above or shape.metadata.get("document"):
        return _NEVER
    required = set(shape.required_members)
    fields = {}
    for name, member in shape.members.items():
        has_other_name = member.serialization.get("name", name) != name
        kind = _NEVER if has_other_name else _type_of(member, (*above, shape.name))
        fields[name] = Required[kind] if name in required else NotRequired[kind]
    return TypedDict(shape.name, fields)  # type: ignore[operator]


def _string(shape: Shape) -> Any:
    if enum := shape.metadata.get("enum"):
        return Literal[tuple(enum)]
    constraints = _sizes(shape)
    if (pattern := shape.metadata.get("pattern")) and (python := python_pattern(pattern)):
        constraints["pattern"] = python
    return _constrained(str, constraints)


def _integer(shape: Shape, bits: int) -> Any:
    least = max(shape.metadata.get("min", -(2**bits)), -(2**bits))
    most = min(shape.metadata.get("max", 2**bits - 1), 2**bits - 1)
    return Annotated[int, msgspec.Meta(ge=least, le=most)]


def _sizes(shape: Shape) -> dict[str, Any]:
    found = {"min_length": shape.metadata.get("min"), "max_length": shape.metadata.get("max")}
    return {name: value for name, value in found.items() if value is not None}


def _constrained(kind: Any, constraints: dict[str, Any]) -> Any:
    return Annotated[kind, msgspec.Meta(**constraints)] if constraints else kind
