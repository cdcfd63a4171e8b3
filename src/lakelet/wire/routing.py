"""In which protocol is a request written, and which service does it want?

By its form alone, as AWS's own front does: `X-Amz-Target` is JSON, `smithy-protocol` is
CBOR, a form with `Action` is the query protocol, what is left of AWS's is S3.
"""

from dataclasses import dataclass
from functools import cache

from lakelet.wire.errors import ProtocolRefusal, Refusal
from lakelet.wire.http import HttpRequest, query_pairs
from lakelet.wire.protocol.base import WireProtocol
from lakelet.wire.protocol.json import JsonProtocol
from lakelet.wire.registry import Registry
from lakelet.wire.service import Service
from lakelet.wire.sigv4 import Claim


@dataclass(frozen=True, slots=True)
class Form:
    """How a request is written, as its head tells."""

    protocol: WireProtocol
    prefix: str = ""  # the service's word in the target or the path
    operation: str = ""  # "" where it stands in the body
    service: str = ""  # botocore's name, where the form itself tells it


def form_of(request: HttpRequest, claim: Claim | None, *, is_signed: bool) -> Form | None:
    """None where the request is not AWS's: it belongs to the fallback."""
    if target := request.headers.get("x-amz-target"):
        prefix, _, operation = target.rpartition(".")
        return Form(_json_protocol(request), prefix, operation)
    return None


def find_service(form: Form, claim: Claim | None, registry: Registry) -> Service | None:
    """None where only the body tells. Raises ProtocolRefusal (UNKNOWN_OPERATION)."""
    signed_for = claim.scope.service if claim else ""
    if form.prefix:
        return registry.by_target_prefix(form.prefix, likely=signed_for)
    if form.service:
        return registry.get(form.service)
    return registry.by_signing_name(signed_for) if signed_for else None


def operation_in_body(request: HttpRequest) -> str:
    """The query protocol's `Action`. Raises ProtocolRefusal where there is none."""
    for name, value in query_pairs(request.body.decode("latin-1"), plus_is_space=True):
        if name == "Action":
            return value
    raise ProtocolRefusal(Refusal.UNKNOWN_OPERATION, "The request names no operation.")


def _json_protocol(request: HttpRequest) -> JsonProtocol:
    kind = request.headers.get("content-type", "")
    return json_protocol("1.0" if kind.startswith("application/x-amz-json-1.0") else "1.1")


@cache
def json_protocol(version: str) -> JsonProtocol:
    return JsonProtocol(version)
