"""The browser's door: an ASGI application over a RecordSink.

    preflight → address limit → origin → write key → key limit → read → events → sink → answer

Whatever a step refuses becomes one JSON error, in one place.
"""

import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lakelet.collector import admission, segment, tracker
from lakelet.collector.admission import TokenBuckets, WriteKeys
from lakelet.collector.errors import (
    BodyUnreadable,
    CollectorError,
    MethodNotAllowed,
    NoSuchRoute,
    NotReady,
)
from lakelet.collector.events import (
    additions,
    device_of,
    pixel_event,
    split_body,
    to_record,
)
from lakelet.collector.http import (
    AsgiApp,
    ClientGone,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    decode_body,
    json_response,
    read_body,
    read_request,
    send_response,
)
from lakelet.collector.outcome import Fate, answer, failures_of
from lakelet.collector.rejected import NOT_JSON, Rejected
from lakelet.collector.settings import CollectorSettings
from lakelet.collector.sink import Put, RecordSink
from lakelet.model.errors import LakeletError, Outcome
from lakelet.model.ports import Clock

log = logging.getLogger("lakelet.collector")

BATCH_RECORDS_MAX = 500  # PutRecordBatch's own bounds, which the sink keeps to
BATCH_BYTES_MAX = 4 * 1024 * 1024

NOT_STORED = "Events cannot be stored now."
NOT_SEGMENT = Rejected("not_segment", f"A message's type is one of {', '.join(segment.KINDS)}.")


def create_app(
    sink: RecordSink,
    settings: CollectorSettings,
    clock: Clock,
    *,
    new_event_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> AsgiApp:
    """The collector. All its paths begin with `/v1/`.

    Raises ValueError for a trusted proxy that is no network.
    """
    return Collector(sink, settings, clock, new_event_id=new_event_id)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that was let in."""

    request: Request
    receive: Receive
    stream: str
    address: str


Handler = Callable[[Visit], Awaitable[Response]]


class Collector:
    """See `create_app`."""

    def __init__(
        self,
        sink: RecordSink,
        settings: CollectorSettings,
        clock: Clock,
        *,
        new_event_id: Callable[[], str],
    ) -> None:
        self._sink = sink
        self._settings = settings
        self._clock = clock
        self._new_event_id = new_event_id
        self._keys = WriteKeys(settings.write_keys, settings.stream)
        self._trusted = admission.parse_networks(settings.trusted_proxies)
        count_max = settings.buckets_max
        per_address, per_key = settings.per_address, settings.per_key
        self._addresses = TokenBuckets(per_address, clock, count_max) if per_address else None
        self._key_buckets = TokenBuckets(per_key, clock, count_max) if per_key else None
        self._routes: dict[str, tuple[str, Handler]] = {
            "/v1/events": ("POST", self._events),
            tracker.PIXEL_PATH: ("GET", self._pixel),
            **{
                f"/v1/{name}": ("POST", self._segment(kind))
                for name, kind in segment.ROUTES.items()
            },
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = read_request(scope)
        try:
            response = await self._respond(request, receive)
        except ClientGone:
            return
        await send_response(send, response, head_only=request.method == "HEAD")

    async def _respond(self, request: Request, receive: Receive) -> Response:
        origin: str | None = None
        try:
            origin = admission.check_origin(request, self._settings.origins)
            response = await self._route(request, receive)
        except CollectorError as error:
            response = _error_response(error, self._settings.retry_after_seconds)
            if request.path == tracker.PIXEL_PATH and request.method in ("GET", "HEAD"):
                response = tracker.pixel(response.status, response.headers)
        return Response(
            response.status, response.body, {**response.headers, **admission.cors_headers(origin)}
        )

    async def _route(self, request: Request, receive: Receive) -> Response:
        if request.path == tracker.PATH:
            _check_method(request, "GET")
            return tracker.respond(request, cache_seconds=self._settings.tracker_cache_seconds)
        if key := segment.settings_key(request.path):
            _check_method(request, "GET")
            self._admit_address(request)
            self._keys.stream_for(key)
            return json_response(200, segment.library_settings(key, request))
        if request.path not in self._routes:
            raise NoSuchRoute(
                f"{request.path} is no path of the collector",
                hint="POST /v1/events takes events; docs/tracker.md names the rest.",
            )
        method, handler = self._routes[request.path]
        if request.method == "OPTIONS":
            return Response(204, b"", admission.PREFLIGHT_HEADERS)
        _check_method(request, method)
        return await handler(self._admit(request, receive))

    def _admit(self, request: Request, receive: Receive) -> Visit:
        """Raises TooManyRequests, WriteKeyInvalid."""
        address = self._admit_address(request)
        key = admission.find_write_key(request)
        stream = self._keys.stream_for(key)
        if self._key_buckets is not None and key:
            self._key_buckets.take(key)
        return Visit(request, receive, stream, address)

    def _admit_address(self, request: Request) -> str:
        """Before any key is looked at: it is what slows guessing down."""
        address = admission.client_address(request, self._trusted)
        if self._addresses is not None:
            self._addresses.take(admission.bucket_of(address))
        return address

    # --- routes -------------------------------------------------------------------

    async def _events(self, visit: Visit) -> Response:
        texts = split_body(await self._body(visit))
        return await self._take(visit, [[text] for text in texts])

    def _segment(self, route_kind: str) -> Handler:
        async def handle(visit: Visit) -> Response:
            return await self._take(visit, self._segment_texts(route_kind, await self._body(visit)))

        return handle

    def _segment_texts(self, route_kind: str, body: bytes) -> list[Sequence[bytes | Rejected]]:
        decoded, encode = segment.read_body(route_kind, body)
        messages = segment.messages_of(route_kind, decoded)
        if not messages:
            raise BodyUnreadable("there is no `batch` in the body", hint="Send at least one.")
        return [self._segment_events(message, encode) for message in messages]

    def _segment_events(
        self, message: segment.Message | Rejected, encode: segment.Encode
    ) -> Sequence[bytes | Rejected]:
        if isinstance(message, Rejected):
            return [message]
        events = segment.map_message(message, self._settings.segment)
        if self._settings.enrichment.device_fields:
            events = [{**device_of(str(e.get("user_agent", ""))), **e} for e in events]
        try:
            return [encode(event) for event in events] or [NOT_SEGMENT]
        except ValueError:
            return [NOT_JSON]

    async def _pixel(self, visit: Visit) -> Response:
        """An image whatever happens, as a broken one would show on the page.

        What is refused on the way here becomes one in `_respond`. To look is no event: HEAD is
        what proxies and link checkers send.
        """
        headers = visit.request.headers
        if visit.request.method == "HEAD":
            return tracker.pixel(200)
        if self._settings.pixel_honours_signals and (
            headers.get("dnt") == "1" or headers.get("sec-gpc") == "1"
        ):
            return tracker.pixel(200)
        event = pixel_event(visit.request.query, key_parameter=admission.KEY_PARAMETER)
        response = await self._take(visit, [[msgspec.json.encode(event)]])
        return tracker.pixel(response.status)

    # --- from bytes to durable records --------------------------------------------

    async def _body(self, visit: Visit) -> bytes:
        request, settings = visit.request, self._settings
        body = await read_body(request, visit.receive, bytes_max=settings.body_bytes_max)
        encoding = request.headers.get("content-encoding", "")
        return decode_body(body, encoding, bytes_max=settings.inflated_bytes_max)

    async def _take(self, visit: Visit, events: Sequence[Sequence[bytes | Rejected]]) -> Response:
        """Each event (its one or more JSON texts) into the sink, and the answer."""
        added = additions(
            self._settings.enrichment,
            now=self._clock.now(),
            address=visit.address,
            user_agent=visit.request.headers.get("user-agent", ""),
        )
        records = [[self._record(text, added) for text in texts] for texts in events]
        # An event with a text that cannot go is not taken by halves.
        whole = [r for texts in records for r in texts if _is_whole(texts)]
        puts = iter(await self._put(visit.stream, [r for r in whole if isinstance(r, bytes)]))
        fates: list[list[Fate]] = [
            [next(puts) for _ in texts]
            if _is_whole(texts)
            else [text for text in texts if isinstance(text, Rejected)]
            for texts in records
        ]
        return answer(
            len(events),
            failures_of(fates),
            retry_after_seconds=self._settings.retry_after_seconds,
        )

    def _record(self, text: bytes | Rejected, added: Mapping[str, Any]) -> bytes | Rejected:
        if isinstance(text, Rejected):
            return text
        if self._settings.enrichment.event_id:
            added = {"event_id": self._new_event_id(), **added}
        return to_record(text, added)

    async def _put(self, stream: str, records: Sequence[bytes]) -> list[Put]:
        """Batch by batch; the first that fails as a whole ends it for the rest."""
        puts: list[Put] = []
        for batch in batches(records):
            try:
                puts += await self._sink.put(stream, batch)
            except LakeletError as error:
                # The error's own words name streams and folders: they are the operator's.
                if not _is_passing(error):
                    log.error("events for the stream %s cannot be stored: %s", stream, error)
                    raise NotReady(NOT_STORED, hint="The node's log says why.") from error
                log.warning("events for the stream %s wait: %s", stream, error)
                failed = Put(error_code=error.aws_code, error_message=NOT_STORED)
                return puts + [failed] * (len(records) - len(puts))
        return puts


def batches(records: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Records in order, at most 500 and 4 MiB together."""
    found: list[Sequence[bytes]] = []
    start, total_bytes = 0, 0
    for index, record in enumerate(records):
        if index - start == BATCH_RECORDS_MAX or total_bytes + len(record) > BATCH_BYTES_MAX:
            found.append(records[start:index])
            start, total_bytes = index, 0
        total_bytes += len(record)
    if start < len(records):
        found.append(records[start:])
    return found


def _is_whole(texts: Sequence[bytes | Rejected]) -> bool:
    return all(isinstance(text, bytes) for text in texts)


def _is_passing(error: LakeletError) -> bool:
    return error.outcome is not Outcome.NEVER or error.http_status == 503


def _check_method(request: Request, method: str) -> None:
    if request.method != method and not (method == "GET" and request.method == "HEAD"):
        raise MethodNotAllowed(
            f"{request.method} does not go with {request.path}", hint=f"Use {method}."
        )


def _error_response(error: CollectorError, retry_after_seconds: int) -> Response:
    """The one place where an error becomes HTTP. `code` and `message` are Segment's names too."""
    headers: dict[str, str] = {}
    if error.http_status in (429, 503):
        headers["retry-after"] = str(error.retry_after_seconds or retry_after_seconds)
    if error.http_status == 401:
        # Not `Basic`: that would open the browser's password box over the shop.
        headers["www-authenticate"] = 'WriteKey realm="collector"'
    body: Mapping[str, object] = {
        "success": False,
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
    }
    return json_response(error.http_status, body, headers)
