"""In which protocol is a request written, and which service does it want?

By its form alone, as AWS's own front does: `X-Amz-Target` is JSON, `smithy-protocol` is
CBOR, a signature for another service than S3 is the query protocol, and what is left of
AWS's is S3.
"""

import re
from dataclasses import dataclass
from functools import cache

from lakelet.wire.errors import ProtocolRefusal, Refusal
from lakelet.wire.http import HttpRequest, query_pairs
from lakelet.wire.protocol.base import WireProtocol
from lakelet.wire.protocol.cbor import CborProtocol
from lakelet.wire.protocol.json import JsonProtocol
from lakelet.wire.protocol.query import QueryProtocol
from lakelet.wire.protocol.rest_xml import RestXmlProtocol
from lakelet.wire.registry import Registry
from lakelet.wire.service import Service
from lakelet.wire.sigv4 import Claim

_CBOR_PATH = re.compile(r"/service/([A-Za-z0-9_.]+)/operation/([A-Za-z0-9]+)/?$")
_CBOR, _QUERY, _REST_XML = CborProtocol(), QueryProtocol(), RestXmlProtocol()


@dataclass(frozen=True, slots=True)
class Form:
    """How a request is written, as its head tells."""

    protocol: WireProtocol
    prefix: str = ""  # the service's word in the target or the path
    operation: str = ""  # "" where it stands in the body, or in a REST address
    is_rest: bool = False


def form_of(request: HttpRequest, claim: Claim | None, *, is_signed: bool) -> Form | None:
    """None where the request is not AWS's: it belongs to the fallback.

    Args:
        is_signed: there is a signature, if perhaps one without a readable claim.
    """
    if target := request.headers.get("x-amz-target"):
        prefix, _, operation = target.rpartition(".")
        return Form(_json_protocol(request, claim), prefix or target, operation)
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        found = _CBOR_PATH.search(request.raw_path)
        return Form(_CBOR, found[1], found[2]) if found else Form(_CBOR, request.raw_path, "?")
    if claim is not None:
        return Form(_REST_XML, is_rest=True) if claim.scope.service == "s3" else Form(_QUERY)
    if is_signed or _is_from_sdk(request):
        return Form(_QUERY) if _is_form(request) else Form(_REST_XML, is_rest=True)
    return None


def find_service(form: Form, claim: Claim | None, registry: Registry) -> Service | None:
    """None where only the body tells. Raises ProtocolRefusal (UNKNOWN_OPERATION)."""
    signed_for = claim.scope.service if claim else ""
    if form.prefix or form.operation:
        return registry.by_target_prefix(form.prefix, likely=signed_for)
    if form.is_rest:
        return registry.by_signing_name("s3")
    return registry.by_signing_name(signed_for) if signed_for else None


def operation_in_body(request: HttpRequest) -> str:
    """The query protocol's `Action`. Raises ProtocolRefusal where there is none."""
    for pairs in (request.body.decode("latin-1"), request.query_string):
        for name, value in query_pairs(pairs, plus_is_space=True):
            if name == "Action":
                return value
    raise ProtocolRefusal(Refusal.UNKNOWN_OPERATION, "The request names no operation.")


def _is_from_sdk(request: HttpRequest) -> bool:
    """Unsigned, but sent by an AWS SDK or tool: their requests carry these headers."""
    return any(name.startswith(("x-amz-", "amz-sdk-")) for name in request.headers)


def _is_form(request: HttpRequest) -> bool:
    kind = request.headers.get("content-type", "")
    return request.method == "POST" and kind.startswith("application/x-www-form-urlencoded")


def _json_protocol(request: HttpRequest, claim: Claim | None) -> JsonProtocol:
    kind = request.headers.get("content-type", "")
    version = "1.0" if kind.startswith("application/x-amz-json-1.0") else "1.1"
    return json_protocol(version, "athena" if claim and claim.scope.service == "athena" else "")


@cache
def json_protocol(version: str, service: str) -> JsonProtocol:
    return JsonProtocol(version, service)
