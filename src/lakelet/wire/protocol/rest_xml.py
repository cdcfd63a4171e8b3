"""REST-XML, S3's protocol: members in the address, the query, the headers and the body.

Where each member stands is told by the model's `location` traits. Streamed bodies are handed
on unread, as a `BodyStream`, and answers may stream theirs.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as Tree

from botocore.model import OperationModel

from lakelet.wire.errors import AnswerError, ErrorAnswer, ProtocolRefusal, Refusal, RequestRefused
from lakelet.wire.http import HttpRequest, HttpResponse
from lakelet.wire.models import Shape
from lakelet.wire.payload import BodyStream, body_stream
from lakelet.wire.protocol import xml
from lakelet.wire.protocol.values import format_text, parse_text
from lakelet.wire.validation import check

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

# The models name output shapes, the S3 API reference the elements that clients see.
_ROOT_NAMES = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketTagging": "Tagging",
    "GetObjectTagging": "Tagging",
    "GetBucketAcl": "AccessControlPolicy",
    "GetObjectAcl": "AccessControlPolicy",
}

# S3 has its own words for what other services answer.
_S3_CODES = {
    "ServiceUnavailableException": "ServiceUnavailable",
    "RequestEntityTooLargeException": "EntityTooLarge",
    "InternalFailure": "InternalError",
}


class RestXmlProtocol:
    name = "rest-xml"
    internal_code = "InternalError"
    refusal_codes: Mapping[Refusal, tuple[str, int]] = {
        Refusal.UNSIGNED: ("AccessDenied", 403),
        Refusal.MALFORMED_SIGNATURE: ("AuthorizationHeaderMalformed", 400),
        Refusal.UNKNOWN_KEY: ("InvalidAccessKeyId", 403),
        Refusal.WRONG_SIGNATURE: ("SignatureDoesNotMatch", 403),
        Refusal.SKEWED: ("RequestTimeTooSkewed", 403),
        Refusal.EXPIRED: ("AccessDenied", 403),
        Refusal.UNKNOWN_OPERATION: ("MethodNotAllowed", 405),
        Refusal.NOT_IMPLEMENTED: ("NotImplemented", 501),
        Refusal.SERIALIZATION: ("MalformedXML", 400),
        Refusal.VALIDATION: ("InvalidArgument", 400),
    }

    def parse(self, operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
        shape = operation.input_shape
        if shape is None:
            return {}
        members = _members_of_head(shape, request)
        payload = shape.serialization.get("payload")
        if payload is not None:
            value = _payload(shape.members[payload], request)
            if value is not None:
                members[payload] = value
        check(shape, {name: v for name, v in members.items() if not isinstance(v, BodyStream)})
        return members

    def serialise(self, operation: OperationModel, answer: Any, request_id: str) -> HttpResponse:
        shape, value = operation.output_shape, answer or {}
        status = int(operation.http.get("responseCode", 200))
        response = HttpResponse(status, {"x-amz-request-id": request_id})
        if shape is None:
            return response
        if unknown := value.keys() - shape.members.keys():
            raise AnswerError(f"{shape.name} has no member {', '.join(sorted(unknown))}")
        _write_headers(response, shape, value)
        if "ContentRange" in value:
            response.status = 206  # the model knows one status an operation; a range has this
        _write_body(response, operation, shape, value)
        return response

    def serialise_error(
        self,
        operation: OperationModel | None,
        error: ErrorAnswer,
        request_id: str,
    ) -> HttpResponse:
        headers = {"x-amz-request-id": request_id}
        if error.http_status == 304:
            headers |= {k: str(v) for k, v in error.members.items()}
            return HttpResponse(304, headers)
        root = Tree.Element("Error")
        code = _S3_CODES.get(error.code, error.code)
        told = {"Code": code, "Message": error.message, **error.members, "RequestId": request_id}
        for name, text in told.items():
            Tree.SubElement(root, name).text = str(text)
        headers["content-type"] = "application/xml"
        return HttpResponse(error.http_status, headers, xml.to_bytes(root))


# --- requests ---------------------------------------------------------------------


def _members_of_head(shape: Shape, request: HttpRequest) -> dict[str, Any]:
    members = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        spelt = member.serialization.get("name", name)
        text: str | None = None
        if location == "uri":
            text = request.labels.get(spelt)
        elif location == "querystring":
            text = request.query.get(spelt)
        elif location == "header":
            text = request.headers.get(spelt.lower())
        elif location == "headers" and (found := _prefixed(request.headers, spelt.lower())):
            members[name] = found
        if text is not None and (text or member.type_name == "string"):
            members[name] = _from_header(member, text, spelt)
    return members


def _from_header(member: Shape, text: str, name: str) -> Any:
    if member.type_name == "list":
        return [parse_text(member.member, part.strip(), name) for part in text.split(",")]
    if enum := member.metadata.get("enum"):  # AWS's C++ SDK says `enabled` for ENABLED
        return next((value for value in enum if value.lower() == text.lower()), text)
    try:
        return parse_text(member, text, name)
    except ProtocolRefusal as error:
        raise RequestRefused("InvalidArgument", f"{name}: {text[:100]!r} is no value.") from error


def _prefixed(headers: Mapping[str, str], prefix: str) -> dict[str, str]:
    """HTTP's latin-1 carries the UTF-8 that SDKs put into metadata."""
    return {
        name[len(prefix) :]: _utf8(text)
        for name, text in headers.items()
        if name.startswith(prefix)
    }


def _utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def _payload(member: Shape, request: HttpRequest) -> Any:
    if member.serialization.get("streaming"):
        return body_stream(request)
    if member.type_name == "structure":
        return xml.read_members(member, xml.read_document(request.body)) if request.body else None
    return request.body.decode("utf-8", "replace") if member.type_name == "string" else request.body


# --- answers ----------------------------------------------------------------------


def _write_headers(response: HttpResponse, shape: Shape, value: Mapping[str, Any]) -> None:
    for name, member in shape.members.items():
        item, location = value.get(name), member.serialization.get("location")
        if item is None or location is None:
            continue
        spelt = member.serialization.get("name", name).lower()
        if location == "headers":
            for key, text in item.items():
                response.headers[f"{spelt}{key}"] = _latin1(text)
        elif spelt == "content-length":
            response.content_length = int(item)
        else:
            response.headers[spelt] = _latin1(format_text(member, item, "rfc822"))


def _latin1(text: str) -> str:
    """Bytes of UTF-8, each as one character: what `send` encodes as they were."""
    safe = "".join(max(c, " ") for c in text)
    return safe.encode().decode("latin-1")


def _write_body(
    response: HttpResponse, operation: OperationModel, shape: Shape, value: Mapping[str, Any]
) -> None:
    payload = shape.serialization.get("payload")
    if payload is not None:
        member, item = shape.members[payload], value.get(payload)
        if member.type_name != "structure":
            response.body = _raw(item)
            return
        if item is not None:
            name = _payload_root(operation, member)
            _set_xml(response, _document(name, member, item))
        return
    if all("location" in member.serialization for member in shape.members.values()):
        return
    if operation.name == "GetBucketLocation":  # its one member is the root's own text
        root = Tree.Element("LocationConstraint", {"xmlns": NAMESPACE})
        root.text = value.get("LocationConstraint")
        _set_xml(response, root)
        return
    name = _ROOT_NAMES.get(operation.name, shape.name)
    _set_xml(response, _document(name, shape, value))


def _payload_root(operation: OperationModel, member: Shape) -> str:
    if operation.name == "UploadPartCopy":
        return "CopyPartResult"
    return str(member.serialization.get("name") or _ROOT_NAMES.get(operation.name) or member.name)


def _document(name: str, shape: Shape, value: Mapping[str, Any]) -> Tree.Element:
    root = Tree.Element(name, {"xmlns": NAMESPACE})
    xml.write_members(root, shape, value)
    return root


def _set_xml(response: HttpResponse, root: Tree.Element) -> None:
    response.headers["content-type"] = "application/xml"
    response.body = xml.to_bytes(root)


def _raw(item: Any) -> bytes | AsyncIterator[bytes]:
    if item is None:
        return b""
    return item.encode() if isinstance(item, str) else item


def encode_key(key: str) -> str:
    """`encoding-type=url`: for keys that XML 1.0 cannot carry."""
    return quote(key, safe="/*-._")
