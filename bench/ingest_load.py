"""The load of bench/ingest.py: a process of its own that sends prepared HTTP requests.

Bodies are built and signed beforehand, so that what is measured is the server. Prints one
JSON line: requests, events, seconds, latencies in ms, and how many answers were no success.
"""

import argparse
import asyncio
import contextlib
import json
import pickle
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httptools
import uvloop

GRACE_SECONDS = 5


class Connection(asyncio.Protocol):
    """One keep-alive connection: the next request goes when the answer is whole."""

    def __init__(self, run: "Run", offset: int) -> None:
        self._run, self._index = run, offset
        self._parser = httptools.HttpResponseParser(self)
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, _error: Exception | None) -> None:
        """Some servers close after each answer: connect again, as their clients do."""
        if self._run.is_over:
            self._run.lost()
        else:
            asyncio.get_running_loop().create_task(connect(self._run, self._index))

    def on_message_complete(self) -> None:
        self._run.answered(time.perf_counter() - self._sent_at, self._parser.get_status_code())
        keeps_alive = self._parser.should_keep_alive()
        self._parser = httptools.HttpResponseParser(self)
        if keeps_alive:
            self._send()
        else:
            self._transport.close()

    def _send(self) -> None:
        wait = self._run.next_wait()
        if wait is None:
            self._transport.close()
        elif wait > 0:
            asyncio.get_running_loop().call_later(wait, self._write)
        else:
            self._write()

    def _write(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._run.requests[self._index % len(self._run.requests)])
        self._index += 1


async def connect(run: "Run", index: int) -> None:
    await asyncio.get_running_loop().create_connection(
        lambda: Connection(run, index), "127.0.0.1", run.port
    )


class Run:
    def __init__(
        self,
        requests: Sequence[bytes],
        port: int,
        seconds: float,
        connections: int,
        rate: float,
    ) -> None:
        self.requests, self.port = requests, port
        self._seconds, self._open, self._rate = seconds, connections, rate
        self.latencies_ms: list[float] = []
        self.failed = 0
        self.done = asyncio.get_running_loop().create_future()
        self.began = time.perf_counter()
        self._planned = 0

    @property
    def is_over(self) -> bool:
        return time.perf_counter() - self.began >= self._seconds

    def next_wait(self) -> float | None:
        """Seconds until the next request may go: by the clock where a rate is asked for."""
        elapsed = time.perf_counter() - self.began
        if elapsed >= self._seconds:
            return None
        if not self._rate:
            return 0.0
        self._planned += 1
        return max(0.0, self._planned / self._rate - elapsed)

    def answered(self, seconds: float, status: int) -> None:
        if status == 200:
            self.latencies_ms.append(seconds * 1000)
        else:
            self.failed += 1

    def lost(self) -> None:
        self._open -= 1
        if self._open == 0 and not self.done.done():
            self.done.set_result(time.perf_counter() - self.began)


async def drive(arguments: argparse.Namespace) -> dict[str, float]:
    requests = pickle.loads(Path(arguments.requests).read_bytes())
    run = Run(requests, arguments.port, arguments.seconds, arguments.connections, arguments.rate)
    for index in range(arguments.connections):
        await connect(run, index)
    # What hangs past the end is not waited for: it counts as not answered.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(run.done, arguments.seconds + GRACE_SECONDS)
    seconds = time.perf_counter() - run.began
    latencies = sorted(run.latencies_ms)
    return {
        "requests": len(latencies),
        "failed": run.failed,
        "seconds": seconds,
        "p50_ms": latencies[len(latencies) // 2] if latencies else 0.0,
        "p99_ms": latencies[int(len(latencies) * 0.99)] if latencies else 0.0,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("requests", help="a pickled list of raw HTTP requests")
    parser.add_argument("port", type=int)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0, help="requests a second; 0: all it takes")
    json.dump(uvloop.run(drive(parser.parse_args())), sys.stdout)
