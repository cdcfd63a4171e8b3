"""Does a request keep what its input shape asks? All violations, in AWS's words.

The sentence is the services' own: "2 validation errors detected: Value '' at 'name'
failed to satisfy constraint: Member must have length greater than or equal to 1; …".
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lakelet.wire.errors import ProtocolRefusal, Refusal
from lakelet.wire.models import Shape
from lakelet.wire.patterns import compiled

_SHOWN_VALUE_LENGTH_MAX = 100  # longer values are data: they don't belong in an error


def check(shape: Shape | None, value: Mapping[str, Any]) -> None:
    """Raises ProtocolRefusal (VALIDATION) that lists every violation."""
    if shape is None:
        return
    found = list(violations(shape, value, ""))
    if found:
        noun = "error" if len(found) == 1 else "errors"
        raise ProtocolRefusal(
            Refusal.VALIDATION, f"{len(found)} validation {noun} detected: {'; '.join(found)}"
        )


def violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """One sentence for each constraint that `value` breaks; `path` is AWS's: a.1.member.b."""
    kind = shape.type_name
    if kind == "structure":
        yield from _of_structure(shape, value, path)
    elif kind == "list":
        yield from _of_size(shape, value, path)
        for number, item in enumerate(value, 1):
            yield from violations(shape.member, item, f"{path}.{number}.member")
    elif kind == "map":
        yield from _of_size(shape, value, path)
        for name, item in value.items():
            yield from violations(shape.key, name, f"{path}.key")
            yield from violations(shape.value, item, f"{path}.{name}.member")
    elif kind == "string":
        yield from _of_string(shape, value, path)
    elif kind == "blob" and isinstance(value, bytes | bytearray | memoryview):
        yield from _of_size(shape, value, path)
    elif kind in ("integer", "long", "float", "double"):
        yield from _of_number(shape, value, path)


def _of_structure(shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    if shape.metadata.get("document"):
        return
    for name in shape.required_members:
        if name not in value:
            yield _violation("Value null", _join(path, name), "Member must not be null")
    for name, item in value.items():
        yield from violations(shape.members[name], item, _join(path, name))


def _of_string(shape: Shape, value: str, path: str) -> Iterator[str]:
    yield from _of_size(shape, value, path)
    pattern = shape.metadata.get("pattern")
    if pattern and (regex := compiled(pattern)) and not regex.search(value):
        constraint = f"Member must satisfy regular expression pattern: {pattern}"
        yield _violation(_shown(shape, value), path, constraint)
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        constraint = f"Member must satisfy enum value set: [{', '.join(enum)}]"
        yield _violation(_shown(shape, value), path, constraint)


def _of_size(shape: Shape, value: Any, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and len(value) < least:
        constraint = f"Member must have length greater than or equal to {least}"
        yield _violation(_shown(shape, value), path, constraint)
    if most is not None and len(value) > most:
        constraint = f"Member must have length less than or equal to {most}"
        yield _violation(_shown(shape, value), path, constraint)


def _of_number(shape: Shape, value: float, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        constraint = f"Member must have value greater than or equal to {least}"
        yield _violation(_shown(shape, value), path, constraint)
    if most is not None and value > most:
        constraint = f"Member must have value less than or equal to {most}"
        yield _violation(_shown(shape, value), path, constraint)


def _violation(what: str, path: str, constraint: str) -> str:
    return f"{what} at '{path}' failed to satisfy constraint: {constraint}"


def _shown(shape: Shape, value: Any) -> str:
    """`Value '…'`, or just `Value` for what is secret, long or no scalar."""
    if shape.metadata.get("sensitive") or not isinstance(value, str | int | float):
        return "Value"
    text = str(value)
    return f"Value '{text}'" if len(text) <= _SHOWN_VALUE_LENGTH_MAX else "Value"


def _join(path: str, name: str) -> str:
    spelt = name[:1].lower() + name[1:]
    return f"{path}.{spelt}" if path else spelt
