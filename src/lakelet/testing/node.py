"""A node for tests: real doors on a free loopback port, in this process or in its own."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakelet.node.connect import connect
from lakelet.node.exports import running_environment
from lakelet.node.folder import DataFolder
from lakelet.node.lake import Lake


@dataclass(frozen=True)
class RunningNode:
    """Where it is and how to talk to it."""

    folder: Path
    endpoint: str
    process: "subprocess.Popen[bytes] | None" = None  # None where it runs in this process

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point any AWS SDK at it, as `lakelet env` prints them."""
        return running_environment(self.folder)

    @property
    def lake(self) -> Lake:
        return connect(self.folder)

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of this node."""
        import boto3

        keys = self.environment
        make_client: Any = boto3.client  # its stubs want a literal name
        return make_client(
            service,
            endpoint_url=self.endpoint,
            region_name=keys["AWS_REGION"],
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            **options,
        )

    def kill(self) -> None:
        """As a power cut would: no signal handler runs. Only a node of its own process."""
        if self.process is None:
            raise RuntimeError("this node runs in the test's own process")
        self.process.kill()
        self.process.wait()


@contextmanager
def running_node(
    folder: Path, *, config: Path | None = None, insecure: bool = False
) -> Iterator[RunningNode]:
    """A node in this process; drained and stopped at the end."""
    from lakelet.console import make_console
    from lakelet.node.runtime import Node
    from lakelet.node.serve import build_doors
    from lakelet.wire.credentials import load_or_create
    from lakelet.wire.server import ServerThread

    node = Node(DataFolder(folder), config=config, worker_processes=0)
    token = secrets.token_urlsafe(16)
    load_or_create(node.folder.keys)
    node.start()
    try:
        doors = build_doors(node, token, insecure=insecure, make_console=make_console)
        with ServerThread(doors) as server:
            node.announce(server.url, token)
            yield RunningNode(folder, server.url)
    finally:
        node.stop()


@contextmanager
def node_process(folder: Path, *, config: Path | None = None) -> Iterator[RunningNode]:
    """`lakelet up` in a process of its own; interrupted at the end if it still runs."""
    from lakelet.node.spawn import spawned_node

    arguments = ("--config", str(config.absolute())) if config else ()
    with spawned_node(folder, arguments=arguments) as spawned:
        yield RunningNode(folder, spawned.endpoint, spawned.process)
