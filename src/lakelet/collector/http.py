"""As much HTTP as the collector needs, on plain ASGI.

Starlette comes with the console, but the door that browsers hammer needs none of
it: eight routes, one body limit, and bodies that are read in full.
"""

import gzip
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from lakelet.collector.errors import BodyTooLarge, BodyUnreadable, EncodingUnknown

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its body. Header names are lower case, repeated ones joined by a comma."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    peer: str  # the address of the connection, "" where unknown
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(status: int, value: object, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(value, separators=(",", ":")).encode()
    head = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(status, body, {**head, **(headers or {})})


def read_request(scope: Scope) -> Request:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    client = scope.get("client")
    return Request(
        scope["method"],
        scope["path"],
        scope.get("query_string", b""),
        headers,
        client[0] if client else "",
        scope.get("scheme", "http"),
    )


async def send_response(send: Send, response: Response, *, head_only: bool) -> None:
    headers = {"content-length": str(len(response.body)), **response.headers}
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [
                (name.encode(), value.encode("latin-1")) for name, value in headers.items()
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"" if head_only else response.body})


class ClientGone(Exception):
    """The connection broke before the body was whole: nobody waits for an answer."""


async def read_body(request: Request, receive: Receive, *, bytes_max: int) -> bytes:
    """The body as it came. Raises BodyTooLarge, without reading on; ClientGone."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > bytes_max:
        raise _too_large(f"of {int(declared):,} bytes", bytes_max)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        if len(body) > bytes_max:
            raise _too_large(f"of more than {len(body):,} bytes", bytes_max)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(what: str, bytes_max: int) -> BodyTooLarge:
    return BodyTooLarge(f"a body {what} is over {bytes_max:,}", hint="Send fewer events a request.")


def decode_body(body: bytes, content_encoding: str, *, bytes_max: int) -> bytes:
    """Undo Content-Encoding; never holds more than `bytes_max` of output.

    Raises BodyTooLarge, BodyUnreadable, EncodingUnknown.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip"):
        raise EncodingUnknown(
            f"Content-Encoding {content_encoding!r} is not known", hint="Use gzip, or none."
        )
    inflated = bytearray()
    rest = body
    try:
        while rest:  # members may follow each other
            inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            inflated += inflater.decompress(rest, bytes_max + 1 - len(inflated))
            if len(inflated) > bytes_max:
                raise BodyTooLarge(
                    f"the body inflates to more than {bytes_max:,} bytes",
                    hint="Send fewer events a request.",
                )
            if not inflater.eof:
                raise EOFError("it ends too early")
            rest = inflater.unused_data
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise BodyUnreadable(
            f"the body is not gzip: {error}", hint="Drop Content-Encoding, or compress it whole."
        ) from error
    return bytes(inflated)
