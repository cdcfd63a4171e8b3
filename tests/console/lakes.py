"""A real node with a small lake in it, and its console on a free port."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import uvicorn

from lakelet.console.door import ConsoleDoor
from lakelet.node.folder import DataFolder
from lakelet.node.logins import login_path
from lakelet.node.runtime import Node
from lakelet.testing.traffic import generate

TOKEN = "the-nodes-token"


@contextmanager
def small_lake(root: Path, *, events: int = 4_000, days: float = 20.0) -> Iterator[Node]:
    """Events of the last days, transformed and crawled."""
    node = Node(DataFolder(root), worker_processes=0)
    node.start(doors=False)
    try:
        node.announce("http://127.0.0.1:4566", TOKEN)
        if events:
            until = node.clock.now() - timedelta(minutes=1)
            node.put(list(generate(events, days=days, until=until)))
            node.flush()
        yield node
    finally:
        node.stop()


@contextmanager
def served_console(node: Node) -> Iterator[str]:
    """The address of the console."""
    door = ConsoleDoor(node, TOKEN)
    config = uvicorn.Config(door, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def link(node: Node, address: str) -> str:
    """A fresh login link."""
    return address + login_path(TOKEN, node.clock)
