"""`lakelet up`: a node with its doors open, until it is told to stop."""

import asyncio
import gc
import secrets
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lakelet.node.body_process import BodyProcess
from lakelet.node.connect import DEFAULT_FOLDER
from lakelet.node.doors import Application, Doors
from lakelet.node.folder import DataFolder
from lakelet.node.interpreter import calm_collector, do_without_pandas, serve_first
from lakelet.node.runtime import Node
from lakelet.watch.logs import configure
from lakelet.wire.credentials import load_or_create
from lakelet.wire.firehose_fast import FastPuts
from lakelet.wire.http import Asgi
from lakelet.wire.server import Server, listen

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


MakeConsole = Callable[[Node, str], Application]  # the room above hands itself in


def build_doors(node: Node, token: str, *, insecure: bool, make_console: MakeConsole) -> Asgi:
    """Everything that answers on the node's port."""
    from lakelet.node.services import aws_services, make_collector
    from lakelet.wire.app import build_app

    return build_app(
        aws_services(node),
        credentials=None if insecure else load_or_create(node.folder.keys),
        clock=node.clock,
        fallback=Doors(
            node,
            token,
            make_collector=lambda: make_collector(node),
            make_console=lambda: make_console(node, token),
        ),
        observer=node.measuring.request_served,
    )


def serve(
    *,
    data: Path | None,
    config: Path | None,
    host: str,
    port: int,
    insecure: bool,
    make_console: MakeConsole,
) -> None:
    """Blocks until SIGINT or SIGTERM, then drains. A second signal ends at once:
    what was acknowledged is on disk either way.

    Raises:
        DataFolderError, DeclarationError, PortInUse: before anything was started.
    """
    import uvloop

    from lakelet.node.banner import print_farewell, print_ready, warn_insecure

    root = data or DEFAULT_FOLDER
    chosen = config or (Path("lakelet.toml") if Path("lakelet.toml").exists() else None)
    listener = listen(host, port)
    node = Node(DataFolder(root), config=chosen)
    if not node.ingest_settings.functions:  # which may use pandas, with pyarrow too
        do_without_pandas()
    serve_first()
    restore_logging = configure(sink=node.watch.logs)
    token = secrets.token_urlsafe(24)
    load_or_create(node.folder.keys)
    node.start()
    server: Server

    def on_ready() -> None:
        address = f"[{host}]" if ":" in host else host
        endpoint = f"http://{address}:{server.port}"
        node.announce(endpoint, token)
        calm_collector()
        print_ready(node, endpoint, root, token)
        if insecure:
            warn_insecure(exposed=host not in _LOOPBACK)

    doors = build_doors(node, token, insecure=insecure, make_console=make_console)
    reader = BodyProcess()
    fast_puts = FastPuts(
        node.ingestion,
        credentials=None if insecure else load_or_create(node.folder.keys),
        clock=node.clock,
        observer=node.measuring.request_served,
        reader=reader,
    )
    server = Server(doors, listener, on_ready=on_ready, http_protocol=fast_puts.http_protocol())
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told(server, reader))
    finally:
        print_farewell(node)
        try:
            node.stop()
        finally:
            restore_logging()
            # What stays frozen is never freed, and DuckDB's bindings complain of that on exit.
            gc.unfreeze()


async def _until_told(server: Server, reader: BodyProcess) -> None:
    loop = asyncio.get_running_loop()

    def stop(*_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # the next one acts as it would without us
        server.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await server.serve()
    finally:
        reader.close()
