"""`lakelet up` in a process of its own: for the demo, for tests, for whoever embeds a node."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lakelet.model.errors import DataFolderError
from lakelet.node.folder import DataFolder, Holder

READY_SECONDS_MAX = 60.0
DRAIN_SECONDS_MAX = 60.0


class NodeDidNotStart(DataFolderError):
    code = "node.did_not_start"


@dataclass(frozen=True, slots=True)
class Spawned:
    process: "subprocess.Popen[bytes]"
    endpoint: str


@contextmanager
def spawned_node(
    folder: Path, *, port: int = 0, arguments: tuple[str, ...] = ()
) -> Iterator[Spawned]:
    """Its output goes to `node.log` in the folder; it is interrupted, and so drains, at
    the end. Ctrl-C in the terminal reaches this process only.

    Raises:
        NodeDidNotStart, with the end of its log.
    """
    command = [sys.executable, "-m", "lakelet.cli.main", "up", "--data", str(folder.absolute())]
    folder.mkdir(parents=True, exist_ok=True)
    log_path = folder / "node.log"
    with log_path.open("ab") as log_file:
        process = subprocess.Popen(
            [*command, "--port", str(port), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield Spawned(process, _await_doors(folder, process, log_path).endpoint)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(DRAIN_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_doors(folder: Path, process: "subprocess.Popen[bytes]", log_path: Path) -> Holder:
    data, deadline = DataFolder(folder), time.monotonic() + READY_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        holder = data.running()
        if holder and holder.endpoint and holder.pid == process.pid:
            return holder
        time.sleep(0.01)
    tail = log_path.read_text(errors="replace")[-4000:]
    raise NodeDidNotStart(f"the node did not open its doors:\n{tail}", hint=f"See {log_path}")
