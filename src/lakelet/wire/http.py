"""One HTTP request and its answer, as the wire room sees them: ASGI at the edge, values inside."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from lakelet.wire.errors import RequestRefused

if TYPE_CHECKING:
    from lakelet.wire.sigv4 import Verified

AsgiScope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Asgi = Callable[[AsgiScope, Receive, Send], Awaitable[None]]


class ClientGone(Exception):
    """The client hung up before its body had arrived."""


@dataclass
class HttpRequest:
    """A request's head, and its body once somebody read it."""

    method: str
    raw_path: str  # as sent, still percent-encoded, without the query
    query_string: str  # as sent
    headers: Mapping[str, str]  # lower-case names; repeated ones joined by ","
    receive: Receive
    scheme: str = "http"
    body: bytes = b""
    labels: dict[str, str] = field(default_factory=dict)  # what a REST address names: Bucket, Key
    verified: "Verified | None" = None  # its signature, once that held
    is_body_begun: bool = False  # somebody asked for it, and so told the client to send it

    @classmethod
    def from_scope(cls, scope: AsgiScope, receive: Receive) -> "HttpRequest":
        headers: dict[str, str] = {}
        for name_bytes, value_bytes in scope["headers"]:
            name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        raw_path = scope.get("raw_path") or scope["path"].encode()
        return cls(
            method=scope["method"],
            raw_path=raw_path.decode("latin-1"),
            query_string=scope["query_string"].decode("latin-1"),
            headers=headers,
            receive=receive,
            scheme=scope.get("scheme", "http"),
        )

    @property
    def host(self) -> str:
        return self.headers.get("host", "localhost")

    @property
    def is_body_withheld(self) -> bool:
        """The client still waits for `100 Continue`.

        A final answer leaves open whether its body follows, so that the connection must
        end with it: what is sent next would be read as the body that never came.
        """
        return self.headers.get("expect", "").lower() == "100-continue" and not self.is_body_begun

    @cached_property
    def query(self) -> dict[str, str]:
        """Decoded; the last of repeated names wins, a name without `=` has the value ""."""
        return dict(query_pairs(self.query_string))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; once. Raises ClientGone."""
        self.is_body_begun = True
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if body := message.get("body", b""):
                yield body
            if not message.get("more_body", False):
                return

    async def read(self, size_bytes_max: int) -> bytes:
        """The whole body, contiguous. Raises RequestRefused over the limit, ClientGone."""
        declared = self.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > size_bytes_max:
            raise too_large(int(declared), size_bytes_max)
        parts: list[bytes] = []
        size_bytes = 0
        async for chunk in self.chunks():
            size_bytes += len(chunk)
            if size_bytes > size_bytes_max:
                raise too_large(size_bytes, size_bytes_max)
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(size_bytes: int, size_bytes_max: int) -> RequestRefused:
    return RequestRefused(
        "RequestEntityTooLargeException",
        f"The request's body of {size_bytes} bytes is over the limit of {size_bytes_max}.",
        http_status=413,
    )


def query_pairs(query_string: str, *, plus_is_space: bool = False) -> list[tuple[str, str]]:
    """`a=1&b&a=2` -> [("a", "1"), ("b", ""), ("a", "2")], percent-decoded as UTF-8."""
    pairs = []
    for part in query_string.split("&"):
        if not part:
            continue
        if plus_is_space:
            part = part.replace("+", " ")
        name, _, value = part.partition("=")
        pairs.append((percent_decode(name), percent_decode(value)))
    return pairs


def percent_decode(text: str) -> str:
    """Raises RequestRefused where the bytes are no UTF-8."""
    if "%" not in text and text.isascii():
        return text
    try:
        return unquote_to_bytes(text.encode("latin-1", "replace")).decode()
    except UnicodeDecodeError as error:
        raise RequestRefused(
            "InvalidURI", f"The address holds bytes that are not UTF-8: {error}."
        ) from error


@dataclass
class HttpResponse:
    """An answer; a body that is an async iterator is sent as it comes."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
    content_length: int | None = None  # of an iterated body, where known

    async def send(
        self, send: Send, *, receive: Receive | None = None, is_head: bool = False
    ) -> None:
        """
        Args:
            receive: tells when the client has left: then the rest of a stream is not read.
        """
        streamed = not isinstance(self.body, bytes | bytearray | memoryview)
        length = self.content_length
        if length is None and not streamed:
            length = len(self.body)  # type: ignore[arg-type]
        headers = dict(self.headers)
        if length is not None and self.status not in (204, 304):
            headers["content-length"] = str(length)
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
            }
        )
        if streamed and not is_head:
            await _send_stream(self.body, send, receive)  # type: ignore[arg-type]
        else:
            await send({"type": "http.response.body", "body": b"" if is_head else self.body})


async def _send_stream(body: AsyncIterator[bytes], send: Send, receive: Receive | None) -> None:
    gone = asyncio.ensure_future(_disconnect(receive)) if receive else None
    try:
        async for chunk in body:
            if gone is not None and gone.done():  # servers swallow what nobody takes
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        if gone is not None:
            gone.cancel()
        if isinstance(body, AsyncGenerator):
            await body.aclose()  # closes its file now, not when garbage is collected


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
