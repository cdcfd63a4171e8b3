"""Members as XML and back, for the query and REST-XML protocols."""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as Tree

from lakelet.wire.errors import AnswerError, ProtocolRefusal, Refusal
from lakelet.wire.models import Shape
from lakelet.wire.protocol.values import format_text, parse_text

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


# --- writing ----------------------------------------------------------------------


def write_members(parent: Tree.Element, shape: Shape, value: Mapping[str, Any]) -> None:
    """Each member as an element below `parent`. Raises AnswerError for unknown ones."""
    if unknown := value.keys() - shape.members.keys():
        raise AnswerError(f"{shape.name} has no member {', '.join(sorted(unknown))}")
    for name, member in shape.members.items():
        item = value.get(name)
        if item is None or "location" in member.serialization:
            continue
        if member.serialization.get("xmlAttribute"):
            parent.set(member.serialization["name"], str(item))
        else:
            write_value(parent, member.serialization.get("name", name), member, item)


def write_value(parent: Tree.Element, name: str, shape: Shape, value: Any) -> None:
    kind = shape.type_name
    if kind == "structure":
        element = Tree.SubElement(parent, name)
        write_members(element, shape, value)
    elif kind == "list":
        _write_list(parent, name, shape, value)
    elif kind == "map":
        _write_map(parent, name, shape, value)
    else:
        Tree.SubElement(parent, name).text = _clean(format_text(shape, value, "iso8601"))


def _write_list(parent: Tree.Element, name: str, shape: Shape, value: Any) -> None:
    own_name = shape.member.serialization.get("name")
    if shape.serialization.get("flattened"):
        for item in value:
            write_value(parent, own_name or name, shape.member, item)
        return
    element = Tree.SubElement(parent, name)
    for item in value:
        write_value(element, own_name or "member", shape.member, item)


def _write_map(parent: Tree.Element, name: str, shape: Shape, value: Mapping[str, Any]) -> None:
    flattened = shape.serialization.get("flattened")
    holder = parent if flattened else Tree.SubElement(parent, name)
    for key, item in value.items():
        entry = Tree.SubElement(holder, name if flattened else "entry")
        write_value(entry, shape.key.serialization.get("name", "key"), shape.key, key)
        write_value(entry, shape.value.serialization.get("name", "value"), shape.value, item)


def _clean(text: str) -> str:
    """XML 1.0 has no way to write most control characters; S3 has `encoding-type` for them."""
    if text.isprintable():
        return text
    return "".join(c if c in "\t\n\r" or c >= " " else "\ufffd" for c in text)


def to_bytes(element: Tree.Element) -> bytes:
    body: bytes = Tree.tostring(element, encoding="utf-8")
    return DECLARATION + body


# --- reading ----------------------------------------------------------------------


def read_document(body: bytes) -> Tree.Element:
    """The root element. Raises ProtocolRefusal (SERIALIZATION)."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise ProtocolRefusal(Refusal.SERIALIZATION, "Document types are not accepted in XML.")
    try:
        return Tree.fromstring(body)  # noqa: S314 - without a DTD there are no entities to expand
    except Tree.ParseError as error:
        raise ProtocolRefusal(
            Refusal.SERIALIZATION,
            f"The XML you provided was not well-formed or did not validate: {error}.",
        ) from error


def read_members(shape: Shape, element: Tree.Element) -> dict[str, Any]:
    """The members of a structure's element; unknown elements are left out."""
    below: dict[str, list[Tree.Element]] = {}
    for child in element:
        below.setdefault(_local(child.tag), []).append(child)
    members = {}
    for name, member in shape.members.items():
        spelt = member.serialization.get("name", name)
        if member.serialization.get("xmlAttribute"):
            value = _attribute(element, spelt)
            if value is not None:
                members[name] = value
            continue
        found = below.get(_list_name(member, spelt))
        if found:
            members[name] = _read_value(member, found, name)
    return members


def _list_name(member: Shape, spelt: str) -> str:
    """A flattened list's items carry their own name, where they have one."""
    if member.type_name == "list" and member.serialization.get("flattened"):
        return str(member.member.serialization.get("name", spelt))
    return spelt


def _read_value(shape: Shape, found: list[Tree.Element], name: str) -> Any:
    kind = shape.type_name
    if kind == "list":
        items = found if shape.serialization.get("flattened") else list(found[0])
        return [_read_value(shape.member, [item], name) for item in items]
    if kind == "map":
        return dict(_read_map(shape, found, name))
    if kind == "structure":
        return read_members(shape, found[0])
    return parse_text(shape, found[0].text or "", name)


def _read_map(shape: Shape, found: list[Tree.Element], name: str) -> Iterator[tuple[str, Any]]:
    entries = found if shape.serialization.get("flattened") else list(found[0])
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    for entry in entries:
        parts = {_local(part.tag): part for part in entry}
        if key_name in parts and value_name in parts:
            yield parts[key_name].text or "", _read_value(shape.value, [parts[value_name]], name)


def _attribute(element: Tree.Element, name: str) -> str | None:
    wanted = name.rpartition(":")[2]
    return next((v for k, v in element.attrib.items() if _local(k) == wanted), None)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
