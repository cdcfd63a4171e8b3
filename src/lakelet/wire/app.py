"""The ASGI application: a request's whole life, as one list of named steps.

    identify → read body → authenticate → find operation → parse → handle → serialise

Whatever a step raises becomes an error answer in the client's own protocol, in one place.
What is not AWS's goes to `fallback`: console, health, metrics, collector.
"""

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.model import OperationModel

from lakelet.model.errors import LakeletError
from lakelet.model.ports import Clock
from lakelet.wire.authentication import read_claim, verify
from lakelet.wire.body import check_payload, inflate
from lakelet.wire.errors import AnswerError, ErrorAnswer, ProtocolRefusal, Refusal, to_answer
from lakelet.wire.http import Asgi, AsgiScope, ClientGone, HttpRequest, HttpResponse, Receive, Send
from lakelet.wire.models import signing_name
from lakelet.wire.registry import Registry, handler_of, operation_of
from lakelet.wire.routing import Form, find_service, form_of, operation_in_body
from lakelet.wire.s3.routing import find_route
from lakelet.wire.service import DEFAULT_REGION, Principal, RequestContext, Service
from lakelet.wire.sigv4 import Claim, CredentialStore, Scope, Verified

logger = logging.getLogger("lakelet.wire")

# A full PutRecordBatch is 4 MiB of records, 5.6 MB as Base64, and the JSON around them;
# nothing is larger but S3's objects, and those are streamed.
BODY_SIZE_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Served:
    """What became of one request, for metrics and logs: never its content."""

    service: str  # "" where it could not be told
    operation: str
    http_status: int
    error_code: str  # "" where all went well
    duration_seconds: float
    request_id: str


Observer = Callable[[Served], None]


@dataclass(frozen=True, slots=True)
class Target:
    """What a request asks for; the operation is AWS's, whether we answer it or not."""

    service: Service
    operation: OperationModel

    @property
    def is_streamed(self) -> bool:
        return bool(self.operation.has_streaming_input)


@dataclass
class Exchange:
    """One request on its way through the steps; each step fills in what it found."""

    request: HttpRequest
    request_id: str
    form: Form
    claim: Claim | None
    unreadable: LakeletError | None = None  # a signature is there, but no claim in it
    service: Service | None = None
    target: Target | None = None  # known later than the service in the query protocol
    verified: Verified | None = None
    members: dict[str, Any] = field(default_factory=dict)
    answer: Any = None
    response: HttpResponse = field(default_factory=HttpResponse)
    error: ErrorAnswer | None = None

    @property
    def known_target(self) -> Target:
        """For the steps after `find_operation`."""
        if self.target is None:
            raise AnswerError("a step that needs the operation runs before it is found")
        return self.target

    @property
    def is_streamed(self) -> bool:
        """The body stays unread until the operation's handler takes it."""
        return self.target is not None and self.target.is_streamed


Step = Callable[[Exchange], Awaitable[None]]


def build_app(
    services: Mapping[str, Service],
    *,
    credentials: CredentialStore | None,
    clock: Clock,
    fallback: Asgi | None = None,
    observer: Observer | None = None,
) -> "WireApp":
    """Every AWS door in one ASGI application.

    Args:
        services: by botocore's name.
        credentials: whose signatures hold; None asks for no signature at all (insecure).
        fallback: answers what is no AWS request; a 404 in plain text where absent.
        observer: told of every AWS request once it is answered.
    """
    return WireApp(Registry(services), credentials, clock, fallback or _not_found, observer)


class WireApp:
    """Made by `build_app`; `steps` is the order of a request's life."""

    def __init__(
        self,
        registry: Registry,
        credentials: CredentialStore | None,
        clock: Clock,
        fallback: Asgi,
        observer: Observer | None,
    ) -> None:
        self._registry = registry
        self._credentials = credentials
        self._clock = clock
        self._fallback = fallback
        self._observer = observer
        self.steps: tuple[Step, ...] = (
            self.identify,
            self.read_body,
            self.authenticate,
            self.find_operation,
            self.parse,
            self.handle,
            self.serialise,
        )

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._fallback(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = open_exchange(HttpRequest.from_scope(scope, receive))
        if exchange is None:
            await self._fallback(scope, receive, send)
            return
        try:
            response = await self._live(exchange)
            if exchange.request.is_body_withheld:
                response.headers["Connection"] = "close"
            is_head = exchange.request.method == "HEAD"
            await response.send(send, receive=receive, is_head=is_head)
        except ClientGone:
            logger.debug("%s: the client left before its body had arrived", exchange.request_id)
            return
        self._report(exchange, response.status, time.perf_counter() - started)

    async def _live(self, exchange: Exchange) -> HttpResponse:
        try:
            for step in self.steps:
                await step(exchange)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: here any error becomes an answer
            return self._refuse(exchange, error)
        return exchange.response

    # --- the steps ----------------------------------------------------------------

    async def identify(self, exchange: Exchange) -> None:
        """The service and the operation, where the head tells them."""
        exchange.service = find_service(exchange.form, exchange.claim, self._registry)
        name = exchange.form.operation
        if exchange.form.is_rest:
            name = find_route(exchange.request)
        if exchange.service is not None and name:
            exchange.target = Target(exchange.service, operation_of(exchange.service, name))

    async def read_body(self, exchange: Exchange) -> None:
        """All of it, but for operations that stream theirs."""
        if not exchange.is_streamed:
            exchange.request.body = await exchange.request.read(BODY_SIZE_BYTES_MAX)

    async def authenticate(self, exchange: Exchange) -> None:
        if self._credentials is None:
            return
        if exchange.unreadable is not None:
            raise exchange.unreadable
        if exchange.claim is None:
            raise ProtocolRefusal(
                Refusal.UNSIGNED,
                "Request is missing Authentication Token.",
                hint="`lakelet env` prints the keys of this node.",
            )
        now = self._clock.now()
        exchange.verified = verify(exchange.request, exchange.claim, self._credentials, now)
        exchange.request.verified = exchange.verified
        if not exchange.is_streamed:
            check_payload(exchange.request.body, exchange.verified)

    async def find_operation(self, exchange: Exchange) -> None:
        """For requests that name it in the body; and do we answer it, may this signature ask?"""
        if exchange.target is None:
            name = operation_in_body(exchange.request)
            service = exchange.service or self._registry.with_operation(name)
            exchange.target = Target(service, operation_of(service, name))
        handler_of(exchange.target.service, exchange.target.operation.name)
        if exchange.verified is not None:
            check_scope(exchange.verified.claim.scope, exchange.target.service)

    async def parse(self, exchange: Exchange) -> None:
        request, target = exchange.request, exchange.known_target
        encoding = request.headers.get("content-encoding", "")
        if encoding and request.body:
            request.body = inflate(request.body, encoding, BODY_SIZE_BYTES_MAX)
        exchange.members = exchange.form.protocol.parse(target.operation, request)

    async def handle(self, exchange: Exchange) -> None:
        target = exchange.known_target
        handler = handler_of(target.service, target.operation.name)
        exchange.answer = await handler(exchange.members, self._context(exchange))

    async def serialise(self, exchange: Exchange) -> None:
        operation = exchange.known_target.operation
        exchange.response = exchange.form.protocol.serialise(
            operation, exchange.answer, exchange.request_id
        )

    # --- around them --------------------------------------------------------------

    def _context(self, exchange: Exchange) -> RequestContext:
        claim, request, target = exchange.claim, exchange.request, exchange.known_target
        return RequestContext(
            request_id=exchange.request_id,
            service=target.service.name,
            operation=target.operation.name,
            clock=self._clock,
            region=claim.scope.region if claim else DEFAULT_REGION,
            principal=Principal(claim.access_key_id) if claim and exchange.verified else None,
            endpoint=f"{request.scheme}://{request.host}",
        )

    def _refuse(self, exchange: Exchange, error: Exception) -> HttpResponse:
        """The one place where an exception becomes an answer."""
        protocol = exchange.form.protocol
        exchange.error = to_answer(error, protocol.refusal_codes, protocol.internal_code)
        if not isinstance(error, LakeletError):
            names = (*_names(exchange), exchange.request_id)
            logger.error("%s %s failed: %s", *names, exc_info=error)
        operation = exchange.target.operation if exchange.target else None
        return protocol.serialise_error(operation, exchange.error, exchange.request_id)

    def _report(self, exchange: Exchange, http_status: int, duration_seconds: float) -> None:
        service, operation = _names(exchange)
        code = exchange.error.code if exchange.error else ""
        logger.debug(
            "%s %s %d %s %.1f ms %s",
            *(service, operation, http_status, code or "ok"),
            *(duration_seconds * 1000, exchange.request_id),
        )
        if self._observer is not None:
            self._observer(
                Served(service, operation, http_status, code, duration_seconds, exchange.request_id)
            )


def open_exchange(request: HttpRequest) -> Exchange | None:
    """None where the request is none of AWS's."""
    claim, unreadable = None, None
    try:
        claim = read_claim(request)
    except LakeletError as error:
        unreadable = error
    form = form_of(request, claim, is_signed=claim is not None or unreadable is not None)
    if form is None:
        return None
    return Exchange(request, str(uuid.uuid4()), form, claim, unreadable)


def check_scope(scope: Scope, service: Service) -> None:
    """Raises ProtocolRefusal where a signature was made for another service."""
    if scope.service != signing_name(service.name):
        raise ProtocolRefusal(
            Refusal.WRONG_SIGNATURE,
            f"Credential should be scoped to correct service: {signing_name(service.name)!r}.",
        )


def _names(exchange: Exchange) -> tuple[str, str]:
    service = exchange.service.name if exchange.service else ""
    return service, exchange.target.operation.name if exchange.target else ""


async def _not_found(scope: AsgiScope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        text = b"Not an AWS request, and nothing else is served here.\n"
        await HttpResponse(404, {"content-type": "text/plain"}, text).send(send)
