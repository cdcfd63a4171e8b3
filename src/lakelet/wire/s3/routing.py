"""From a REST address to S3's operation, bucket and key, by the model's own templates.

An operation fits where its method and address template do, the template's query literals
(`?uploads`) are there, and so is every query or header member that it requires. Of those that
fit, the one that asks for most is meant: UploadPart before PutObject.
"""

from dataclasses import dataclass
from functools import cache

from lakelet.wire.errors import ProtocolRefusal, Refusal
from lakelet.wire.http import HttpRequest, query_pairs
from lakelet.wire.models import service_model
from lakelet.wire.s3.addressing import address_of


@dataclass(frozen=True, slots=True)
class Route:
    operation: str
    literals: tuple[tuple[str, str], ...]  # of the query, with their values
    queries: tuple[str, ...]  # required members
    headers: tuple[str, ...]
    is_deprecated: bool

    def fits(self, request: HttpRequest) -> bool:
        query = request.query
        return (
            all(name in query and value in ("", query[name]) for name, value in self.literals)
            and all(name in query for name in self.queries)
            and all(name in request.headers for name in self.headers)
        )

    @property
    def weight(self) -> tuple[int, bool]:
        asked_for = len(self.literals) + len(self.queries) + len(self.headers)
        return asked_for, not self.is_deprecated


# Operations of other kinds of bucket share addresses with the ordinary ones.
_NOT_HERE = {"ListDirectoryBuckets", "CreateSession", "WriteGetObjectResponse"}


def find_route(request: HttpRequest) -> str:
    """The operation's name; bucket and key become the request's labels.

    Raises ProtocolRefusal (UNKNOWN_OPERATION).
    """
    address = address_of(request)
    request.labels = {"Bucket": address.bucket, "Key": address.key}
    template = "/{Bucket}/{Key+}" if address.key else "/{Bucket}" if address.bucket else "/"
    fitting = [r for r in _routes().get((request.method, template), ()) if r.fits(request)]
    if not fitting:
        raise ProtocolRefusal(
            Refusal.UNKNOWN_OPERATION,
            f"The specified method {request.method} is not allowed against this resource.",
        )
    return max(fitting, key=lambda route: route.weight).operation


@cache
def _routes() -> dict[tuple[str, str], list[Route]]:
    model = service_model("s3")
    routes: dict[tuple[str, str], list[Route]] = {}
    for name in model.operation_names:
        if name in _NOT_HERE:
            continue
        operation = model.operation_model(name)
        template, _, query = operation.http["requestUri"].partition("?")
        queries, headers = _required(operation.input_shape)
        route = Route(name, tuple(query_pairs(query)), queries, headers, bool(operation.deprecated))
        routes.setdefault((operation.http["method"], template), []).append(route)
    return routes


def _required(shape: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    queries, headers = [], []
    for name in getattr(shape, "required_members", ()):
        member = shape.members[name].serialization  # type: ignore[attr-defined]
        if member.get("location") == "querystring":
            queries.append(member["name"])
        elif member.get("location") == "header":
            headers.append(member["name"].lower())
    return tuple(queries), tuple(headers)
