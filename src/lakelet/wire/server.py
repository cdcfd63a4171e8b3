"""The application behind a socket: uvicorn with httptools and uvloop, loopback by default."""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

import uvicorn
import uvloop

from lakelet.model.errors import LakeletError
from lakelet.wire.http import Asgi

DEFAULT_PORT = 4566  # where people's tools look for a local AWS
BACKLOG = 512
GRACE_SECONDS = 10
# Longer than a client's pause between batches: one that sends into a connection we are
# closing can't know whether its records arrived, and sends them twice.
KEEP_ALIVE_SECONDS = 75


class PortInUse(LakeletError):
    code = "wire.port_in_use"


class ServerFailed(LakeletError):
    code = "wire.server_failed"


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        PortInUse, or ServerFailed for an address that is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by accepted connections: answers are small and must not wait for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Port {port} of {host} is in use by another program.",
                hint=f"End that program, or choose another port: lakelet up --port {port + 1}",
            ) from error
        raise ServerFailed(
            f"Cannot listen on {host}, port {port}: {error.strerror}.",
            hint="The host must be an address of this machine; ports under 1024 need root.",
        ) from error
    return listener


class Server:
    """Serves until stopped; for a node that runs its own event loop (uvloop's, for speed)."""

    def __init__(
        self,
        app: Asgi,
        listener: socket.socket,
        *,
        on_ready: Callable[[], None] = lambda: None,
        http_protocol: "type[asyncio.Protocol] | None" = None,
    ) -> None:
        """Args: http_protocol: in place of uvicorn's own (wire/firehose_fast.py)."""
        self._listener = listener
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=http_protocol or "httptools",
            ws="auto",  # the console's live pages
            lifespan="auto",
            access_log=False,
            log_config=None,
            server_header=False,
            # uvicorn would believe X-Forwarded-For of anybody on this machine; whom to
            # believe is the declaration's (collector/admission.py).
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            backlog=BACKLOG,
        )
        self._uvicorn = _Uvicorn(config, on_ready)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    async def serve(self) -> None:
        """Returns once stopped and drained. Signals stay the caller's business."""
        await self._uvicorn.serve(sockets=[self._listener])

    def stop(self) -> None:
        """From any thread: accept nothing new, finish what has begun."""
        self._uvicorn.should_exit = True


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own signal handlers, that tells when it accepts requests."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


class ServerThread:
    """A server in a thread of its own: for tests, and for programs that embed a node.

    with ServerThread(build_app(...)) as server:
        boto3.client("glue", endpoint_url=server.url, ...)
    """

    def __init__(
        self,
        app: Asgi,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        http_protocol: "type[asyncio.Protocol] | None" = None,
    ) -> None:
        self._host = host
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._server = Server(
            app, listen(host, port), on_ready=self._ready.set, http_protocol=http_protocol
        )
        self._port = self._server.port  # kept: the socket is gone once the server has stopped
        self._thread = threading.Thread(target=self._run, name="lakelet-http", daemon=True)

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    def start(self) -> "ServerThread":
        """Returns once requests are accepted. Raises ServerFailed."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise ServerFailed(
                f"The HTTP server could not start: {self._failure!r}.",
                hint="The log above says which part of the application failed.",
            ) from self._failure
        return self

    def stop(self) -> None:
        """Drains and returns; nothing happens where it has stopped already."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> "ServerThread":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._server.serve())
        except BaseException as error:  # noqa: BLE001 - `start` raises it in its own thread
            self._failure = error
        finally:
            self._ready.set()
