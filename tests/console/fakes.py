"""A node that stands still: what the console reads of one, with a busy hour behind it."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn

from lakelet.console.door import ConsoleDoor
from lakelet.model.manifest import Manifest, RawObject
from lakelet.model.pipeline import Pipeline
from lakelet.node.logins import login_path
from lakelet.testing.clock import ManualClock
from lakelet.watch.room import open_watch

TOKEN = "the-nodes-token"


def busy_node(root: Path, *, busy: bool = True) -> Any:
    clock = ManualClock()
    pipeline = Pipeline()
    watch = open_watch(clock, pipeline.name)
    if busy:
        _measure_an_hour(clock, watch)
    quarantined = {"not_json": 12, "timestamp_out_of_range": 3} if busy else {}
    totals = {
        "objects": 60 if busy else 0,
        "events": 181_500 if busy else 0,
        "rows": 180_000 if busy else 0,
        "duplicates": 1_485 if busy else 0,
        "raw_bytes": 9_000_000,
        "inflated_bytes": 90_000_000,
        "output_bytes": 12_000_000,
        "quarantined": quarantined,
        "dropped": {},
    }
    stream = SimpleNamespace(
        accepted_records=181_500,
        accepted_bytes=90_000_000,
        buffered_records=2_310 if busy else 0,
        buffered_bytes=1_200_000 if busy else 0,
        oldest_age_seconds=41.0 if busy else 0.0,
        delivered_objects=60,
    )
    crawl_lines = ["events: 1 partition added, year=2026/month=03/day=09"]
    return SimpleNamespace(
        clock=clock,
        pipeline=pipeline,
        watch=watch,
        endpoint="http://127.0.0.1:4566",
        folder=SimpleNamespace(root=root),
        queue=SimpleNamespace(
            depth=lambda: SimpleNamespace(ready=2, leased=1, dead=0, pending=3),
        ),
        worker=SimpleNamespace(stats=SimpleNamespace(failed=0, last_error="")),
        ledger=SimpleNamespace(totals=lambda: totals),
        crawls=SimpleNamespace(
            runs=14,
            pending=False,
            failures=0,
            last_at=clock.now(),
            last_lines=crawl_lines,
            last_error="",
        ),
        catalog=SimpleNamespace(
            partition_counts=lambda _: {"events": 31, "quarantine": 2} if busy else {}
        ),
        ingestion=SimpleNamespace(stats=lambda: {pipeline.name: stream}),
    )


def _measure_an_hour(clock: ManualClock, watch: Any) -> None:
    clock.advance(-3600)
    raw = RawObject("clickstream-raw", "a.gz", "e", 150_000, datetime(2026, 3, 9, tzinfo=UTC))
    for minute in range(61):
        events = int(3000 + 1400 * math.sin(minute / 6) + 37 * (minute % 5))
        watch.meters.accepted("clickstream", events, events * 500, 3.0)
        watch.meters.delivered("clickstream", events, events * 50, 60)
        manifest = Manifest(raw, 1, "f", events * 500, events, events - 30, 25, {"not_json": 5})
        watch.meters.transformed(manifest, 80 + minute)
        if minute % 6 == 0:
            watch.meters.crawled(0.4, 1)
            times = {"DataScannedInBytes": 4e6, "TotalExecutionTimeInMillis": 130}
            watch.meters.queried("clickstream", "SUCCEEDED", times)
        watch.flush()
        clock.advance(60 if minute < 60 else 0)


@contextmanager
def served_console(node: Any) -> Iterator[tuple[str, str]]:
    """The console on a free port: its address, and a login link."""
    door = ConsoleDoor(node, TOKEN)
    config = uvicorn.Config(door, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    address = f"http://127.0.0.1:{socket.getsockname()[1]}"
    try:
        yield address, address + login_path(TOKEN, node.clock)
    finally:
        server.should_exit = True
        thread.join()
