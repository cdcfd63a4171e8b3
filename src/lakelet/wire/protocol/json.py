"""AWS JSON 1.0 and 1.1: Firehose, Glue, Athena, CloudWatch Logs."""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from botocore.model import OperationModel

from lakelet.wire.decoders import native_decoder
from lakelet.wire.errors import AnswerError, ErrorAnswer, ProtocolRefusal, Refusal
from lakelet.wire.http import HttpRequest, HttpResponse
from lakelet.wire.models import Shape
from lakelet.wire.validation import check

Parser = Callable[[Any, str], Any]

_INTEGER_LIMIT = {"integer": 2**31, "long": 2**63}
_FLOAT_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

# Where a service's own front answers constraint violations under another code.
_VALIDATION_CODES = {"athena": "InvalidRequestException"}


class JsonProtocol:
    """`X-Amz-Target: <prefix>.<Operation>`, members as a JSON object."""

    internal_code = "InternalFailure"

    refusal_codes: Mapping[Refusal, tuple[str, int]] = {
        Refusal.UNSIGNED: ("MissingAuthenticationTokenException", 400),
        Refusal.MALFORMED_SIGNATURE: ("IncompleteSignatureException", 400),
        Refusal.UNKNOWN_KEY: ("UnrecognizedClientException", 400),
        Refusal.WRONG_SIGNATURE: ("InvalidSignatureException", 400),
        Refusal.SKEWED: ("InvalidSignatureException", 400),
        Refusal.EXPIRED: ("InvalidSignatureException", 400),
        Refusal.UNKNOWN_OPERATION: ("UnknownOperationException", 400),
        Refusal.NOT_IMPLEMENTED: ("UnknownOperationException", 400),
        Refusal.SERIALIZATION: ("SerializationException", 400),
        Refusal.VALIDATION: ("ValidationException", 400),
    }

    def __init__(self, version: str = "1.1", service: str = "") -> None:
        self.name = f"json {version}"
        self._content_type = f"application/x-amz-json-{version}"
        if code := _VALIDATION_CODES.get(service):
            self.refusal_codes = {**self.refusal_codes, Refusal.VALIDATION: (code, 400)}

    def parse(self, operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
        decoder = _native_decoder(operation)
        if decoder is not None:
            try:
                return decoder.decode(request.body)
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass  # the slow way below knows AWS's words for what is wrong
        return parse_slowly(operation.input_shape, request.body)

    def serialise(self, operation: OperationModel, answer: Any, request_id: str) -> HttpResponse:
        if not isinstance(answer, msgspec.Struct):
            answer = to_json(operation.output_shape, answer)
        return self._response(200, msgspec.json.encode(answer), request_id)

    def serialise_error(
        self, operation: OperationModel | None, error: ErrorAnswer, request_id: str
    ) -> HttpResponse:
        shape = error_shape(operation, error.code)
        body: dict[str, Any] = {"__type": error.code}
        if shape is not None:
            known = {k: v for k, v in error.members.items() if k in shape.members}
            body |= to_json(shape, known)
        body[message_name(shape)] = error.message
        response = self._response(error.http_status, msgspec.json.encode(body), request_id)
        response.headers["x-amzn-errortype"] = error.code
        return response

    def _response(self, status: int, body: bytes, request_id: str) -> HttpResponse:
        headers = {"x-amzn-requestid": request_id, "content-type": self._content_type}
        return HttpResponse(status, headers, body)


@lru_cache(maxsize=512)
def _native_decoder(operation: OperationModel) -> "msgspec.json.Decoder[dict[str, Any]] | None":
    return native_decoder(operation.input_shape)


def error_shape(operation: OperationModel | None, code: str) -> Shape | None:
    """The modelled shape of an error code; None for the codes any service may answer."""
    if operation is None:
        return None
    return operation.service_model.shape_for_error_code(code)  # type: ignore[arg-type]


def message_name(shape: Shape | None) -> str:
    """The member that holds the sentence: models spell it `message` or `Message`."""
    names = shape.members if shape is not None else ()
    return next((name for name in names if name.lower() == "message"), "message")


# --- requests, the explaining way -------------------------------------------------


def parse_slowly(shape: Shape | None, body: bytes) -> dict[str, Any]:
    """A body to its members; raises ProtocolRefusal that says what is wrong and where."""
    try:
        value = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise _malformed(f"The body is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise _malformed(f"The body is a JSON {_kind(value)}, an object was expected.")
    if shape is None:
        return {}
    members: dict[str, Any] = parse_value(shape, value, "")
    check(shape, members)
    return members


def parse_value(shape: Shape, value: Any, path: str) -> Any:
    """A JSON value as its shape says; unknown members and nulls are left out, as AWS does."""
    parser = _PARSERS.get(shape.type_name)
    if parser is None:
        raise _mismatch(shape, value, path)
    return parser(shape, value, path)


def _parse_structure(shape: Shape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _mismatch(shape, value, path)
    if shape.metadata.get("document"):
        return value
    members = {}
    for name, member in shape.members.items():
        item = value.get(member.serialization.get("name", name))
        if item is not None:
            members[name] = parse_value(member, item, f"{path}.{name}")
    return members


def _parse_list(shape: Shape, value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise _mismatch(shape, value, path)
    return [
        parse_value(shape.member, item, f"{path}[{index}]")
        for index, item in enumerate(value)
        if item is not None
    ]


def _parse_map(shape: Shape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _mismatch(shape, value, path)
    return {
        name: parse_value(shape.value, item, f"{path}.{name}")
        for name, item in value.items()
        if item is not None
    }


def _parse_string(shape: Shape, value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _mismatch(shape, value, path)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _malformed(f"The string at {path} holds half a surrogate pair.") from error
    return value


def _parse_blob(shape: Shape, value: Any, path: str) -> bytes:
    if not isinstance(value, str):
        raise _mismatch(shape, value, path)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed(f"The value at {path} is no Base64: {error}.") from error


def _parse_boolean(shape: Shape, value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(shape, value, path)
    return value


def _parse_integer(shape: Shape, value: Any, path: str) -> int:
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (isinstance(value, int) or whole):
        raise _mismatch(shape, value, path)
    number, limit = int(value), _INTEGER_LIMIT[shape.type_name]
    if not -limit <= number < limit:
        raise _malformed(f"The number {number} at {path} does not fit into {shape.type_name}.")
    return number


def _parse_float(shape: Shape, value: Any, path: str) -> float:
    if isinstance(value, str) and value in _FLOAT_WORDS:
        return _FLOAT_WORDS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(shape, value, path)
    return float(value)


def _parse_timestamp(shape: Shape, value: Any, path: str) -> datetime:
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise _malformed(f"The value {value!r} at {path} is no timestamp: {error}.") from error
    raise _mismatch(shape, value, path)


_PARSERS: dict[str, Callable[[Shape, Any, str], Any]] = {
    "structure": _parse_structure,
    "list": _parse_list,
    "map": _parse_map,
    "string": _parse_string,
    "character": _parse_string,
    "blob": _parse_blob,
    "boolean": _parse_boolean,
    "integer": _parse_integer,
    "long": _parse_integer,
    "float": _parse_float,
    "double": _parse_float,
    "timestamp": _parse_timestamp,
}


def _malformed(message: str) -> ProtocolRefusal:
    return ProtocolRefusal(Refusal.SERIALIZATION, message)


def _mismatch(shape: Shape, value: Any, path: str) -> ProtocolRefusal:
    return _malformed(
        f"The value at {path.lstrip('.') or 'the top'} is a JSON {_kind(value)}, "
        f"{shape.type_name} was expected."
    )


def _kind(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


# --- answers ----------------------------------------------------------------------


def to_json(shape: Shape | None, value: Any) -> Any:
    """An answer's value as msgspec encodes it for AWS; bytes become Base64 there.

    Raises AnswerError for members that the shape does not have.
    """
    if shape is None:
        if value:
            raise AnswerError(f"an answer {sorted(value)} where the model has none")
        return {}
    kind = shape.type_name
    if kind == "structure":
        return _structure_to_json(shape, {} if value is None else value)
    if kind == "list":
        return [to_json(shape.member, item) for item in value]
    if kind == "map":
        return {name: to_json(shape.value, item) for name, item in value.items()}
    if kind == "timestamp" and isinstance(value, datetime):
        return epoch_seconds(value)
    return value


def _structure_to_json(shape: Shape, value: Mapping[str, Any]) -> Any:
    if shape.metadata.get("document"):
        return value
    members = shape.members
    if unknown := value.keys() - members.keys():
        raise AnswerError(f"{shape.name} has no member {', '.join(sorted(unknown))}")
    return {
        members[name].serialization.get("name", name): to_json(members[name], item)
        for name, item in value.items()
        if item is not None
    }


def epoch_seconds(at: datetime) -> float:
    """To the millisecond, as AWS gives them."""
    if at.tzinfo is None:
        raise AnswerError(f"a timestamp without a zone: {at!r}")
    return round(at.timestamp(), 3)
