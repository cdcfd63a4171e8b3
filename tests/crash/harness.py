"""A node under load, killed at random moments, restarted, and its lake counted.

Several producers send unique records for the whole of an episode; the node gets kill -9 a
few times, also while it starts or delivers. At the end everything is delivered and compared:
an acknowledged record is in the raw zone exactly once, and no record is there twice.

(A killed process leaves the page cache alive. What a power failure takes besides is tried
in tests/ingest/test_log_machine.py, on a disk made for it.)
"""

import gzip
import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path

from tests.crash.server import PIPELINE, open_ingestion

PRODUCERS = 3
REPOSITORY = Path(__file__).parents[2]
_START_SECONDS_MAX = 30


@dataclass
class Findings:
    """What the lake holds against what was promised; all empty where it is sound."""

    kills: int
    acknowledged: int
    delivered: int
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    imbalances: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return not (self.lost or self.doubled or self.imbalances)

    def __str__(self) -> str:
        if self.is_sound:
            return (
                f"{self.kills} kills, {self.acknowledged:,} records acknowledged, "
                f"{self.delivered:,} delivered: none lost, none doubled"
            )
        return (
            f"LOST {len(self.lost)} {self.lost[:5]}, DOUBLED {len(self.doubled)} "
            f"{self.doubled[:5]}, {self.imbalances[:5]}"
        )


def run_episode(folder: Path, *, seed: int, kills: int) -> Findings:
    """One lake from its first record to its audit. The same seed, the same moments."""
    chance = random.Random(seed)
    port = _free_port()
    notes = folder / "notes"
    notes.mkdir(parents=True)
    node = _start("tests.crash.server", str(folder), str(port))
    producers = []
    try:
        _wait_until_open(port, node)
        producers = [
            _start("tests.crash.producer", str(port), f"p{i}", str(seed), str(notes))
            for i in range(PRODUCERS)
        ]
        for _ in range(kills):
            if chance.random() < 0.8:
                _wait_until_open(port, node)  # else it is killed while it starts
            time.sleep(chance.uniform(0.0, 1.2))
            node.send_signal(signal.SIGKILL)
            node.wait()
            node = _start("tests.crash.server", str(folder), str(port))
        _wait_until_open(port, node)
        time.sleep(chance.uniform(0.0, 0.5))
        (notes / "stop").touch()
        for producer in producers:
            if producer.wait(60):
                raise RuntimeError("a producer failed; its error stands above")
        node.send_signal(chance.choice((signal.SIGKILL, signal.SIGTERM)))
        node.wait(60)
    finally:
        for process in (node, *producers):
            if process.poll() is None:
                process.kill()
                process.wait()
    return audit(folder, notes, kills)


def audit(folder: Path, notes: Path, kills: int) -> Findings:
    """Deliver what is left, then count every record of every object."""
    ingestion, store = open_ingestion(folder)
    stream, bucket = PIPELINE.name, PIPELINE.raw_bucket
    ingestion.flush()
    in_ledger = list(ingestion.deliveries(stream))
    accepted = ingestion.position_next(stream)
    ingestion.close(drain=True)
    counts: Counter[str] = Counter()
    imbalances = []
    bodies = {info.key: store.get(bucket, info.key) for info in store.list(bucket)}
    store.close()
    for body in bodies.values():
        lines = gzip.decompress(body).splitlines()
        counts.update(json.loads(line)["event_id"] for line in lines)
    position = 0
    for delivery in in_ledger:
        if delivery.first_position != position:
            imbalances.append(f"{delivery.key} begins at {delivery.first_position}, not {position}")
        position = delivery.end_position
        body = bodies.pop(delivery.key, b"")
        if md5(body).hexdigest() != delivery.etag:
            imbalances.append(f"{delivery.key} is not the object of the ledger")
        if len(gzip.decompress(body).splitlines()) != delivery.records:
            imbalances.append(f"{delivery.key} does not hold {delivery.records} records")
    if position != accepted:
        imbalances.append(f"{accepted} positions given, {position} delivered")
    imbalances += [f"{key} is not in the ledger" for key in bodies]
    acknowledged = [
        line for path in notes.glob("*.acknowledged") for line in path.read_text().splitlines()
    ]
    return Findings(
        kills,
        len(acknowledged),
        sum(counts.values()),
        [each for each in acknowledged if counts[each] == 0],
        [each for each, count in counts.items() if count > 1],
        imbalances,
    )


def _start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=REPOSITORY)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_open(port: int, node: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS_MAX
    while time.monotonic() < deadline:
        if node.poll() is not None:
            raise RuntimeError(f"the node ended with status {node.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"the node did not open its port in {_START_SECONDS_MAX} s")
