"""Who answers which path on the one port.

AWS requests carry a signature or a target header and go to the services (`wire`).
Everything else comes here: health for machines, metrics, the collector for browsers,
the command line's control door, and the console for people.
"""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lakelet.node.control import ControlDoor, Receive, Scope, Send
from lakelet.node.remote import CONTROL_PREFIX
from lakelet.node.report import reasons_not_ready
from lakelet.watch.exposition import render

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

# Frameworks spell ASGI's three arguments in different, incompatible types.
Application = Callable[[Any, Any, Any], Awaitable[None]]


class Doors:
    """An ASGI application for what is not AWS's.

    `collector` and `console` are made on their first request: a node must be ready
    for its first record before a web framework has been imported.
    """

    def __init__(
        self,
        node: "Node",
        token: str,
        *,
        make_collector: Callable[[], Application],
        make_console: Callable[[], Application],
    ) -> None:
        self._node = node
        self._control = ControlDoor(node, token)
        self._makers = {"collector": make_collector, "console": make_console}
        self._made: dict[str, Application] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        if scope["type"] == "websocket":
            await self._app("console")(scope, receive, send)
            return
        path = scope["path"]
        if path.startswith(CONTROL_PREFIX):
            await self._control(scope, receive, send)
        elif path == "/healthz":
            await _answer(send, 200, {"status": "live"})
        elif path == "/readyz":
            reasons = reasons_not_ready(self._node)
            state = {"status": "not ready" if reasons else "ready", "reasons": reasons}
            await _answer(send, 503 if reasons else 200, state)
        elif path == "/metrics":
            accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
            body, content_type = render(self._node.watch.metrics, accept)
            await _answer(send, 200, body, content_type)
        elif path.startswith("/v1/"):
            await self._app("collector")(scope, receive, send)
        else:
            await self._app("console")(scope, receive, send)

    def _app(self, name: str) -> Application:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]


async def _answer(
    send: Send, status: int, body: Any, content_type: str = "application/json"
) -> None:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})
