"""How soon a node answers, and how fresh its answers are: python bench/node.py

- `lakelet --help`, beside a Python that does nothing;
- from starting `lakelet up` to its first acknowledged record;
- from an acknowledged record to SQL that counts it, beside the buffer's interval.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from lakelet.testing.node import RunningNode, node_process

RUNS = 5
INTERVAL_SECONDS = 2


def main() -> None:
    bare = timed([sys.executable, "-c", "pass"])
    shown = timed([sys.executable, "-m", "lakelet.cli.main", "--help"])
    print(f"lakelet --help           {shown * 1000:6.0f} ms   (bare Python {bare * 1000:.0f} ms)")
    ready, fresh = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as scratch:
            config = Path(scratch) / "lakelet.toml"
            config.write_text(f"[stream]\nbuffer_interval_seconds = {INTERVAL_SECONDS}\n")
            started = time.monotonic()
            with node_process(Path(scratch) / "lake", config=config) as node:
                ready.append(time.monotonic() - started)
                fresh.append(freshness(node))
    print(f"ready for first record   {statistics.median(ready) * 1000:6.0f} ms   median of {RUNS}")
    over = [seconds - INTERVAL_SECONDS for seconds in fresh]
    print(
        f"accepted to visible      {statistics.median(fresh):6.2f} s    "
        f"interval {INTERVAL_SECONDS} s + {statistics.median(over):.2f} s "
        f"(worst + {max(over):.2f} s)"
    )


def timed(command: list[str]) -> float:
    samples = []
    for _ in range(RUNS):
        started = time.monotonic()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        samples.append(time.monotonic() - started)
    return statistics.median(samples)


def freshness(node: RunningNode) -> float:
    firehose = node.client("firehose")
    event = {"event_id": "e", "event_type": "login", "timestamp": datetime.now(UTC).isoformat()}
    firehose.put_record(
        DeliveryStreamName="clickstream", Record={"Data": json.dumps(event).encode()}
    )
    accepted = time.monotonic()
    while not node.lake.query("SELECT count(*) AS n FROM events")["n"][0].as_py():
        time.sleep(0.02)
    return time.monotonic() - accepted


if __name__ == "__main__":
    main()
