"""Does a node stay as it is? Memory and freshness under a steady load, with transform running.

    python bench/ingest_steady.py [--minutes 10] [--rate 40] [--folder DIR]

Starts `lakelet up`, sends PutRecordBatch at a fixed rate (batches a second) from another
process, each event made anew (so that every one becomes a row, and its id is remembered), and
prints each ten seconds: the memory of the node and its transform processes (their own; files they
map, as those of seen keys, are the kernel's to take), backlog, and the age of the oldest
undelivered record. Ends with each minute's mean, the growth of memory after the first minute (a
line through all samples), and the worst age; exit status 1 where memory grew by more than a
twentieth, or a record waited longer than the interval and two seconds.
"""

import argparse
import http.client
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import linear_regression, mean

from ingest import BATCH, body_of, event
from lakelet.node.connect import connect

# Not ten: so often a transform process gives memory back, and samples drifted through its swing.
SAMPLE_SECONDS, PRINTED_EVERY = 0.7, 14
INTERVAL_SECONDS = 10
DECLARATION = f"version = 1\n[stream]\nbuffer_interval_seconds = {INTERVAL_SECONDS}\n"


@dataclass
class Sample:
    seconds: float
    own_bytes: int
    buffered_bytes: int
    oldest_age_seconds: float


def own_bytes(pid: int) -> int:
    """Of a process and all below it."""
    own = 0
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            own = int(line.split()[1]) * 1024
    # Each thread has children of its own: the transform processes are their workers'.
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return own + sum(map(own_bytes, children))


def watch(node: subprocess.Popen[bytes], data: Path, minutes: float) -> list[Sample]:
    samples = []
    began = time.monotonic()
    with connect(data) as lake:
        while (passed := time.monotonic() - began) < minutes * 60:
            stream = lake.status()["stream"]
            sample = Sample(
                passed,
                own_bytes(node.pid),
                stream["buffered_bytes"],
                stream["oldest_seconds"],
            )
            samples.append(sample)
            if len(samples) % PRINTED_EVERY == 1:
                print(
                    f"{sample.seconds:6.0f} s {sample.own_bytes / 1e6:8.0f} MB of memory"
                    f"{sample.buffered_bytes / 1e6:8.1f} MB buffered"
                    f"{sample.oldest_age_seconds:6.1f} s oldest",
                    flush=True,
                )
            time.sleep(SAMPLE_SECONDS)
    return samples


def send(port: int, rate: float) -> None:
    """Until told to end; then print how many events were acknowledged."""
    chance, sent, began = random.Random(), 0, time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "Firehose_20150804.PutRecordBatch",
    }
    try:
        while True:
            hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")
            events = [event(chance, hour) for _ in range(BATCH)]
            body = body_of("PutRecordBatch", events)
            time.sleep(max(0.0, began + sent / BATCH / rate - time.monotonic()))
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            failed = json.loads(answer.read())["FailedPutCount"]
            sent += BATCH - failed
    finally:
        print(sent)


def rows(data: Path) -> int:
    with connect(data) as lake:
        return int(lake.query("SELECT count(*) AS n FROM events")["n"][0].as_py())


def judge(samples: list[Sample]) -> int:
    """By a line through all samples after the first minute: memory swings by what is in work, and
    by what the processes keep for the next object, so any two minutes may lie 3 % apart."""
    end = samples[-1].seconds
    worst = max(sample.oldest_age_seconds for sample in samples)
    print(f"oldest record at most {worst:.1f} s")
    if end < 180:
        print("too short to say whether memory grows")
        return int(worst > INTERVAL_SECONDS + 2)
    minutes: dict[int, list[float]] = {}
    for sample in samples:
        minutes.setdefault(int(sample.seconds // 60), []).append(sample.own_bytes / 1e6)
    print("mean of each minute:", *(f"{mean(each):.0f}" for each in minutes.values()), "MB")
    settled = [sample for sample in samples if sample.seconds >= 60]
    line = linear_regression(
        [sample.seconds for sample in settled], [sample.own_bytes for sample in settled]
    )
    before, after = (line.intercept + line.slope * seconds for seconds in (60, end))
    growth = after / before - 1
    print(f"memory {before / 1e6:.0f} MB after a minute, {growth:+.1%} at the end")
    return int(growth > 0.05 or worst > INTERVAL_SECONDS + 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=40, help="batches of 500 a second")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--load", type=int, metavar="PORT", help="be the other process")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an end like Ctrl-C's: no orphans
    if arguments.load:
        send(arguments.load, arguments.rate)
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.folder) as root:
        data, config = Path(root) / "lake", Path(root) / "lakelet.toml"
        config.write_text(DECLARATION)
        command = [sys.executable, "-m", "lakelet.cli.main", "up", "--port", "0", "--insecure"]
        node = subprocess.Popen([*command, "--data", str(data), "--config", str(config)])
        load = None
        try:
            port = wait_for_port(data, node)
            load = subprocess.Popen(
                [sys.executable, __file__, f"--rate={arguments.rate}", f"--load={port}"],
                stdout=subprocess.PIPE,
            )
            samples = watch(node, data, arguments.minutes)
            load.terminate()
            output, _ = load.communicate()
            print(f"{int(output):,} events sent, {rows(data):,} rows and more to come")
            return judge(samples)
        finally:
            for process in (load, node):
                if process:
                    process.terminate()
                    process.wait(60)


def wait_for_port(data: Path, node: subprocess.Popen[bytes]) -> int:
    for _ in range(600):
        if node.poll() is not None:
            raise SystemExit("the node ended; its reason stands above")
        try:
            endpoint = json.loads((data / "node.json").read_text())["endpoint"]
        except (OSError, ValueError, KeyError):
            endpoint = ""
        if endpoint:
            return int(endpoint.rsplit(":", 1)[1])
        time.sleep(0.1)
    raise SystemExit("the node did not start")


if __name__ == "__main__":
    sys.exit(main())
