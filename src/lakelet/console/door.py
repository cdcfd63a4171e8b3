"""The console's ASGI application: who may enter, JSON twins, assets; then the pages.

NiceGUI takes more than a second to import. So it is imported by the first page that
somebody opens, in a thread: producers never wait for a person's browser.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from lakelet.console.twins import FACTS
from lakelet.model.errors import LakeletError
from lakelet.node.logins import Logins, set_cookie

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

ASSETS = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
}
# NiceGUI's pages carry their elements in an inline script, and Vue compiles templates.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)

SOON_SECONDS = 0.3
_STRANGER = "Requests of another site's page are not taken."

log = logging.getLogger("lakelet.console")


class ConsoleDoor:
    """Made by the node's services for paths that are nobody else's."""

    def __init__(self, node: "Node", token: str) -> None:
        self._node = node
        self._logins = Logins(token, node.clock)
        self._opening: asyncio.Task[Asgi] | None = None
        self._life = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in scope["headers"]}
        if scope["type"] == "websocket":
            if self._may_enter(headers) and _same_origin(headers):
                await (await self._pages())(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 4401})
            return
        path: str = scope["path"]
        if not _same_origin(headers):
            await _json(send, 403, {"error": {"code": "console.origin", "message": _STRANGER}})
        elif path == "/login":
            await self._login(scope, send)
        elif path.startswith("/_console/"):
            await _asset(path.removeprefix("/_console/"), send)
        elif not self._may_enter(headers):
            await _refuse(path, send)
        elif path.endswith(".json") and path[1:-5] in FACTS:
            await self._facts(path[1:-5], scope, send)
        elif await self._is_open() or not _is_navigation(headers):
            await (await self._pages())(scope, receive, _guarded(send))
        else:
            await _page(send, 200, "opening.html")

    def _may_enter(self, headers: dict[str, str]) -> bool:
        return self._logins.has_session(headers.get("cookie", "")) or self._logins.is_token(
            headers.get("authorization", "")
        )

    async def _login(self, scope: Scope, send: Send) -> None:
        link = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        cookie = self._logins.redeem(link) if link else None
        if cookie is None:
            await _page(send, 401, "login.html")
            return
        secure = scope.get("scheme") == "https"
        headers = [
            (b"location", b"/"),
            (b"set-cookie", set_cookie(cookie, secure=secure).encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _facts(self, name: str, scope: Scope, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        arguments = {key: values[-1] for key, values in query.items()}
        try:
            facts = await asyncio.to_thread(FACTS[name], self._node, **arguments)
        except LakeletError as error:
            problem = {"code": error.code, "message": error.message, "hint": error.hint}
            await _json(send, error.http_status, {"error": problem})
        except (TypeError, ValueError) as error:  # of the query string
            await _json(send, 400, {"error": {"code": "console.query", "message": str(error)}})
        else:
            await _json(send, 200, facts)

    async def _is_open(self) -> bool:
        """Whether the pages are there, or will be before a person notices."""
        if self._opening is None or not self._opening.done():
            opening = asyncio.ensure_future(self._pages())
            await asyncio.wait({opening}, timeout=SOON_SECONDS)
            return opening.done()
        return True

    async def _pages(self) -> Asgi:
        """The NiceGUI application, opened once however many ask at the same time."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Asgi:
        app = await asyncio.to_thread(_build, self._node)
        await self._life.enter_async_context(app.router.lifespan_context(app))
        log.info("the console is open")
        return app  # type: ignore[no-any-return]

    async def close(self) -> None:
        await self._life.aclose()


def _build(node: "Node") -> Any:
    from lakelet.console.app import build_app

    return build_app(node)


def _same_origin(headers: dict[str, str]) -> bool:
    """A page of another site may send requests and open web sockets here with our cookie
    (ports do not part sites): it must not."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _is_navigation(headers: dict[str, str]) -> bool:
    return headers.get("sec-fetch-mode", "navigate") == "navigate" and "text/html" in headers.get(
        "accept", ""
    )


def _guarded(send: Send) -> Send:
    """Every answer carries the headers that keep a page to itself."""

    async def guarded(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_SAFETY]}
        await send(message)

    return guarded


_SAFETY = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


async def _refuse(path: str, send: Send) -> None:
    if path.endswith(".json"):
        hint = "Open the link that `lakelet console` prints, or send the node's token as Bearer."
        await _json(send, 401, {"error": {"code": "console.login", "message": hint}})
    else:
        await _page(send, 401, "login.html")


async def _asset(name: str, send: Send) -> None:
    if name not in ASSETS:
        await _json(send, 404, {"error": {"code": "console.asset", "message": "no such asset"}})
        return
    await _answer(send, 200, _read(name), ASSETS[name], b"max-age=300")


async def _page(send: Send, status: int, name: str) -> None:
    await _answer(send, status, _read(name), "text/html; charset=utf-8", b"no-store")


async def _json(send: Send, status: int, body: Any) -> None:
    data = json.dumps(body, default=str).encode()
    await _answer(send, status, data, "application/json", b"no-store")


def _read(name: str) -> bytes:
    return resources.files("lakelet.console").joinpath("assets", name).read_bytes()


async def _answer(send: Send, status: int, body: bytes, kind: str, caching: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"cache-control", caching), *_SAFETY]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
