"""Smithy RPC v2 CBOR: what botocore speaks to CloudWatch today.

POST /service/<ServiceId>/operation/<Operation>, smithy-protocol: rpc-v2-cbor
"""

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import cbor2
from botocore.model import OperationModel

from lakelet.wire.errors import AnswerError, ErrorAnswer, ProtocolRefusal, Refusal
from lakelet.wire.http import HttpRequest, HttpResponse
from lakelet.wire.models import Shape
from lakelet.wire.protocol.json import JsonProtocol, error_shape, message_name
from lakelet.wire.validation import check

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "blob": (bytes,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
}


class CborProtocol:
    """Members as one CBOR map."""

    name = "rpc-v2-cbor"
    internal_code = "InternalFailure"
    refusal_codes: Mapping[Refusal, tuple[str, int]] = JsonProtocol.refusal_codes

    def parse(self, operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
        shape = operation.input_shape
        if shape is None or not request.body:
            members: dict[str, Any] = {}
        else:
            members = parse_value(shape, _loads(request.body), "")
        check(shape, members)
        return members

    def serialise(self, operation: OperationModel, answer: Any, request_id: str) -> HttpResponse:
        value = to_cbor(operation.output_shape, answer) if operation.output_shape else {}
        return _response(200, value, request_id)

    def serialise_error(
        self, operation: OperationModel | None, error: ErrorAnswer, request_id: str
    ) -> HttpResponse:
        shape = error_shape(operation, error.code)
        body: dict[str, Any] = {"__type": shape.name if shape is not None else error.code}
        if shape is not None:
            body |= to_cbor(shape, {k: v for k, v in error.members.items() if k in shape.members})
        body[message_name(shape)] = error.message
        response = _response(error.http_status, body, request_id)
        # For clients of the query protocol's day, who know the error by its older code.
        fault = "Receiver" if error.is_server_fault else "Sender"
        response.headers["x-amzn-query-error"] = f"{error.code};{fault}"
        return response


def _response(status: int, body: Mapping[str, Any], request_id: str) -> HttpResponse:
    headers = {
        "x-amzn-requestid": request_id,
        "smithy-protocol": "rpc-v2-cbor",
        "content-type": "application/cbor",
    }
    return HttpResponse(status, headers, cbor2.dumps(body, datetime_as_timestamp=True))


def _loads(body: bytes) -> Any:
    stream = io.BytesIO(body)
    try:
        value = cbor2.load(stream)
    except (cbor2.CBORDecodeError, ValueError, RecursionError) as error:
        raise _malformed(f"The body is no CBOR: {error}.") from error
    if stream.tell() != len(body):
        raise _malformed("The body goes on after its CBOR value.")
    return value


def parse_value(shape: Shape, value: Any, path: str) -> Any:
    """A decoded item as its shape says; unknown members and nulls are left out."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            name: parse_value(member, value[name], f"{path}.{name}")
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if kind == "list" and isinstance(value, list):
        return [parse_value(shape.member, item, f"{path}[{i}]") for i, item in enumerate(value)]
    if kind == "map" and isinstance(value, dict):
        return {name: parse_value(shape.value, v, f"{path}.{name}") for name, v in value.items()}
    if kind == "timestamp" and isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, bool) != (kind == "boolean"):  # Python's bools are ints
        raise _mismatch(kind, path)
    if kind in ("float", "double") and isinstance(value, int | float):
        return float(value)
    if isinstance(value, _TYPES.get(kind, ())):
        return value
    raise _mismatch(kind, path)


def to_cbor(shape: Shape, value: Any) -> Any:
    """An answer's value with types that CBOR tells apart. Raises AnswerError."""
    kind = shape.type_name
    if kind == "structure":
        members, given = shape.members, value or {}
        if unknown := given.keys() - members.keys():
            raise AnswerError(f"{shape.name} has no member {', '.join(sorted(unknown))}")
        return {n: to_cbor(members[n], item) for n, item in given.items() if item is not None}
    if kind == "list":
        return [to_cbor(shape.member, item) for item in value]
    if kind == "map":
        return {name: to_cbor(shape.value, item) for name, item in value.items()}
    if kind in ("float", "double"):
        return float(value)
    if kind == "timestamp" and value.tzinfo is None:
        raise AnswerError(f"a timestamp without a zone: {value!r}")
    return value


def _mismatch(kind: str, path: str) -> ProtocolRefusal:
    return _malformed(f"The value at {path.lstrip('.') or 'the top'} is no {kind}.")


def _malformed(message: str) -> ProtocolRefusal:
    return ProtocolRefusal(Refusal.SERIALIZATION, message)
