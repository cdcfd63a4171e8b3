"""The node's own door: `/_lakelet/…`, for the command line and the library.

    POST /_lakelet/call/<operation>   JSON arguments in; NDJSON out: {"progress": …}*,
                                      then {"result": …} or {"error": …}
    POST /_lakelet/query              {"sql", "database"} in; an Arrow stream out

Who may call holds the token of `node.json`, a file only the node's user can read.
"""

import asyncio
import errno
import hmac
import json
import logging
import queue
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lakelet.model.errors import LakeletError
from lakelet.node.remote import CONTROL_PREFIX

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY_SIZE_BYTES_MAX = 4_000_000  # SQL and arguments; data goes through Firehose
_ARROW_CHUNK_BYTES = 1 << 20

log = logging.getLogger("lakelet.control")


class ControlDoor:
    """An ASGI application for paths under `/_lakelet/`."""

    def __init__(self, node: "Node", token: str) -> None:
        self._node, self._token = node, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._may_enter(scope):
            await _answer(
                send, 401, {"error": _error("node.token", "the token is not this node's")}
            )
            return
        body = await _read(receive)
        path = scope["path"].removeprefix(CONTROL_PREFIX)
        try:
            arguments = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            await _answer(send, 400, {"error": _error("node.json", "the body is not JSON")})
            return
        if path == "query":
            await self._query(arguments, send)
        elif path.startswith("call/"):
            await self._call(path.removeprefix("call/"), arguments, send)
        else:
            await _answer(send, 404, {"error": _error("node.path", f"there is no {path!r} here")})

    def _may_enter(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, f"Bearer {self._token}".encode())

    async def _query(self, arguments: Any, send: Send) -> None:
        import pyarrow as pa

        from lakelet.node.arguments import check_arguments

        def run() -> pa.Buffer:
            check_arguments("query", _query_arguments, arguments)
            table = self._node.query_arrow(arguments["sql"], arguments.get("database"))
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            return sink.getvalue()

        try:
            buffer = await asyncio.to_thread(run)
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            await _answer(send, 200, {"error": _told(error)})
            return
        await _start(send, 200, b"application/vnd.apache.arrow.stream")
        view = memoryview(buffer)
        for offset in range(0, len(view), _ARROW_CHUNK_BYTES):
            chunk = bytes(view[offset : offset + _ARROW_CHUNK_BYTES])
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _call(self, name: str, arguments: Any, send: Send) -> None:
        from lakelet.node.operations import run_operation

        lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        arrived = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell(progress: dict[str, Any]) -> None:
            lines.put({"progress": progress})
            loop.call_soon_threadsafe(arrived.set)

        def run() -> dict[str, Any]:
            try:
                return {"result": run_operation(self._node, name, arguments, tell)}
            except Exception as error:  # noqa: BLE001 - told to whoever asked
                return {"error": _told(error)}

        await _start(send, 200, b"application/x-ndjson")
        task = asyncio.create_task(asyncio.to_thread(run))
        task.add_done_callback(lambda _: arrived.set())
        while True:
            await arrived.wait()
            arrived.clear()
            while not lines.empty():
                await _line(send, lines.get())
            if task.done() and lines.empty():
                break
        await _line(send, task.result())
        await send({"type": "http.response.body", "body": b""})


def _query_arguments(*, sql: str, database: str | None = None) -> None:
    """What a query takes."""


def _told(error: Exception) -> dict[str, str]:
    if isinstance(error, LakeletError):
        return _error(error.code, error.message, error.hint)
    if _is_disk_full(error):
        return _error(
            "store.full",
            "the disk is full",
            "Make room and try again: what was acknowledged is on disk, and waits.",
        )
    log.error("an operation failed unexpectedly", exc_info=error)
    return _error(
        "lakelet.internal",
        f"{type(error).__name__}: {error}",
        "This is a fault of Lakelet's; the node's log has the details.",
    )


def _is_disk_full(error: Exception) -> bool:
    by_sqlite = isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error)
    return by_sqlite or (isinstance(error, OSError) and error.errno == errno.ENOSPC)


def _error(code: str, message: str, hint: str = "") -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while len(body) <= BODY_SIZE_BYTES_MAX:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return bytes(body[:BODY_SIZE_BYTES_MAX])


async def _answer(send: Send, status: int, value: dict[str, Any]) -> None:
    await _start(send, status, b"application/json")
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


async def _start(send: Send, status: int, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _line(send: Send, value: dict[str, Any]) -> None:
    body = json.dumps(value, default=str).encode() + b"\n"
    await send({"type": "http.response.body", "body": body, "more_body": True})
