"""The query protocol: forms in, XML out. STS speaks it, older clients CloudWatch.

Action=PutMetricData&Version=2010-08-01&MetricData.member.1.MetricName=Clicks
"""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as Tree

from botocore.model import OperationModel

from lakelet.wire.errors import ErrorAnswer, Refusal
from lakelet.wire.http import HttpRequest, HttpResponse, query_pairs
from lakelet.wire.models import Shape
from lakelet.wire.protocol import xml
from lakelet.wire.protocol.values import parse_text
from lakelet.wire.validation import check

# What a form says as a tree: "A.member.1.B=x" is {"A": {"member": {"1": {"B": "x"}}}}.
Node = dict[str, Any]


class QueryProtocol:
    name = "query"
    internal_code = "InternalFailure"
    refusal_codes: Mapping[Refusal, tuple[str, int]] = {
        Refusal.UNSIGNED: ("MissingAuthenticationToken", 403),
        Refusal.MALFORMED_SIGNATURE: ("IncompleteSignature", 400),
        Refusal.UNKNOWN_KEY: ("InvalidClientTokenId", 403),
        Refusal.WRONG_SIGNATURE: ("SignatureDoesNotMatch", 403),
        Refusal.SKEWED: ("SignatureDoesNotMatch", 403),
        Refusal.EXPIRED: ("RequestExpired", 400),
        Refusal.UNKNOWN_OPERATION: ("InvalidAction", 400),
        Refusal.NOT_IMPLEMENTED: ("InvalidAction", 400),
        Refusal.SERIALIZATION: ("MalformedInput", 400),
        Refusal.VALIDATION: ("ValidationError", 400),
    }

    def parse(self, operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
        shape = operation.input_shape
        if shape is None:
            return {}
        form = request.body.decode("latin-1")
        pairs = query_pairs(request.query_string, plus_is_space=True)
        pairs += query_pairs(form, plus_is_space=True)
        members: dict[str, Any] = _parse_structure(shape, _tree(pairs), "")
        check(shape, members)
        return members

    def serialise(self, operation: OperationModel, answer: Any, request_id: str) -> HttpResponse:
        root = Tree.Element(f"{operation.name}Response", {"xmlns": _namespace(operation)})
        shape = operation.output_shape
        if shape is not None:
            wrapper = shape.serialization.get("resultWrapper")
            holder = Tree.SubElement(root, wrapper) if wrapper else root
            xml.write_members(holder, shape, answer or {})
        metadata = Tree.SubElement(root, "ResponseMetadata")
        Tree.SubElement(metadata, "RequestId").text = request_id
        return _response(200, root, request_id)

    def serialise_error(
        self, operation: OperationModel | None, error: ErrorAnswer, request_id: str
    ) -> HttpResponse:
        root = Tree.Element("ErrorResponse")
        if operation is not None:
            root.set("xmlns", _namespace(operation))
        details = Tree.SubElement(root, "Error")
        fault = "Receiver" if error.is_server_fault else "Sender"
        for name, text in (("Type", fault), ("Code", error.code), ("Message", error.message)):
            Tree.SubElement(details, name).text = text
        Tree.SubElement(root, "RequestId").text = request_id
        return _response(error.http_status, root, request_id)


def _response(status: int, root: Tree.Element, request_id: str) -> HttpResponse:
    headers = {"x-amzn-requestid": request_id, "content-type": "text/xml"}
    return HttpResponse(status, headers, xml.to_bytes(root))


def _namespace(operation: OperationModel) -> str:
    return str(operation.service_model.metadata.get("xmlNamespace", ""))


def _tree(pairs: list[tuple[str, str]]) -> Node:
    root: Node = {}
    for name, value in pairs:
        *path, last = name.split(".")
        node = root
        for part in path:
            below = node.setdefault(part, {})
            if not isinstance(below, dict):  # both `A=x` and `A.B=y`: the longer one counts
                below = node[part] = {}
            node = below
        node.setdefault(last, value)
    return root


def _parse_value(shape: Shape, node: Any, name: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return _parse_structure(shape, node if isinstance(node, dict) else {}, name)
    if kind == "list":
        return [_parse_value(shape.member, item, name) for item in _items(shape, node)]
    if kind == "map":
        return _parse_map(shape, node, name)
    return parse_text(shape, node if isinstance(node, str) else "", name)


def _parse_structure(shape: Shape, node: Node, path: str) -> dict[str, Any]:
    members = {}
    for name, member in shape.members.items():
        spelt = member.serialization.get("name", name)
        if member.type_name == "list" and member.serialization.get("flattened"):
            spelt = member.member.serialization.get("name", spelt)
        if spelt in node:
            members[name] = _parse_value(member, node[spelt], f"{path}.{name}".lstrip("."))
    return members


def _items(shape: Shape, node: Any) -> list[Any]:
    """By number; an empty list is sent as an empty value."""
    if not isinstance(node, dict):
        return []
    if not shape.serialization.get("flattened"):
        node = node.get(shape.member.serialization.get("name", "member"), {})
    return [node[key] for key in sorted((k for k in node if k.isdigit()), key=int)]


def _parse_map(shape: Shape, node: Any, name: str) -> dict[str, Any]:
    entries = node if shape.serialization.get("flattened") else node.get("entry", {})
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    return {
        entry[key_name]: _parse_value(shape.value, entry.get(value_name, ""), name)
        for entry in entries.values()
        if isinstance(entry, dict) and isinstance(entry.get(key_name), str)
    }
