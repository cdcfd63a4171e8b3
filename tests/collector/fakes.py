"""A sink that remembers, and the collector as a running server."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from lakelet.collector import CollectorSettings, Put, create_app
from lakelet.model.errors import LakeletError
from lakelet.store.clock import SystemClock

SITE = Path(__file__).parent / "site"
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript"}


@dataclass
class FakeSink:
    """A RecordSink in memory. `failing` holds what records must contain to fail."""

    failing: bytes | None = None
    raising: LakeletError | None = None
    records: list[tuple[str, bytes]] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    async def put(self, stream: str, records: Sequence[bytes]) -> list[Put]:
        if self.raising:
            raise self.raising
        self.batch_sizes.append(len(records))
        puts = []
        with self.arrived:
            for record in records:
                if self.failing and self.failing in record:
                    puts.append(Put("", "ServiceUnavailableException", "Slow down."))
                else:
                    self.records.append((stream, record))
                    puts.append(Put(f"id-{len(self.records)}"))
            self.arrived.notify_all()
        return puts

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(record) for _, record in self.records]

    def wait_for(self, count: int, timeout_seconds: float = 10) -> list[dict[str, Any]]:
        """The events once there are `count`; fails loudly otherwise."""
        with self.arrived:
            done = self.arrived.wait_for(lambda: len(self.records) >= count, timeout_seconds)
        assert done, f"{len(self.records)} of {count} events came: {self.events}"
        return self.events


@contextmanager
def serve(app: Any) -> Iterator[str]:
    """Run an ASGI application on a free port of 127.0.0.1; gives its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", loop="asyncio", proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    listener.listen()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def with_site(collector: Any, files: dict[str, Path | bytes]) -> Any:
    """The collector, and beside it the pages of a shop: `/name` -> file or bytes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/v1/"):
            await collector(scope, receive, send)
            return
        found = files.get(scope["path"])
        body = found.read_bytes() if isinstance(found, Path) else found
        kind = _TYPES.get(Path(scope["path"]).suffix, "text/html; charset=utf-8")
        status = 404 if body is None else 200
        headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body or b""})

    return app


@contextmanager
def collector_server(
    settings: CollectorSettings, files: dict[str, Path | bytes] | None = None
) -> Iterator[tuple[str, FakeSink]]:
    sink = FakeSink()
    app = create_app(sink, settings, SystemClock())
    with serve(with_site(app, {} if files is None else files)) as url:
        yield url, sink
