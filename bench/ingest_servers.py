"""The servers that bench/ingest.py compares, each started as a process of its own.

python bench/ingest_servers.py bare|lakelet PORT FOLDER
"""

import asyncio
import os
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import uvloop

from lakelet.ingest.gate import Faults
from lakelet.model.pipeline import Pipeline
from lakelet.node.interpreter import calm_collector, do_without_pandas, serve_first
from lakelet.wire.server import Server, listen


class BareApp:
    """Reads a body, appends it to one file, answers when a shared fsync is done. No
    parsing, no signatures: the least that any durable HTTP ingest has to do here."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "bare.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._queue: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._commit, daemon=True).start()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        chunks = []
        more = True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._queue.put((chunks, future, loop))
        await future
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"2")],
            }
        )
        await send({"type": "http.response.body", "body": b"{}"})

    def _commit(self) -> None:
        while True:
            group = [self._queue.get()]
            try:
                while True:
                    group.append(self._queue.get_nowait())
            except Empty:
                pass
            for chunks, _, _ in group:
                os.write(self._file, b"".join(chunks))
            os.fdatasync(self._file)
            futures = [future for _, future, _ in group]
            group[0][2].call_soon_threadsafe(_resolve, futures)


def _resolve(futures: list[Any]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def lakelet_app(folder: Path, faults: Faults) -> tuple[Any, Any]:
    """The real door: signatures, limits, log, and delivery of all that is accepted."""
    from lakelet.node.body_process import BodyProcess
    from lakelet.node.ingestion import Ingestion
    from lakelet.store.clock import SystemClock
    from lakelet.store.disk import DiskObjectStore
    from lakelet.store.files import LocalFileSystem
    from lakelet.wire.app import build_app
    from lakelet.wire.credentials import Credentials
    from lakelet.wire.firehose import firehose_service
    from lakelet.wire.firehose_fast import FastPuts

    clock, pipeline = SystemClock(), Pipeline()
    (folder / "state").mkdir()
    store = DiskObjectStore(folder / "buckets", clock, folder / "state" / "objects.sqlite")
    store.create_bucket(pipeline.raw_bucket)
    ingestion = Ingestion(
        pipeline,
        files=LocalFileSystem(folder),
        store=store,
        clock=clock,
        folder=folder / "state",
        undelivered_bytes_max=16 * 1024**3,  # the runs are short; nothing is to be refused
    )
    ingestion.start()
    ingestion.set_faults(pipeline.name, faults)
    keys = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    app = build_app({"firehose": firehose_service(ingestion)}, credentials=keys, clock=clock)
    puts = FastPuts(ingestion, credentials=keys, clock=clock, reader=BodyProcess())
    return app, puts.http_protocol()


def main() -> None:
    kind, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if kind == "bare":
        app, protocol = BareApp(folder), None
    elif kind == "accept":
        app, protocol = lakelet_app(folder, Faults(delivery_delay_seconds=3600))
    else:
        app, protocol = lakelet_app(folder, Faults())
    calm_collector()  # as `lakelet up` does; the bare server has it too
    do_without_pandas()
    serve_first()
    server = Server(app, listen("127.0.0.1", port), http_protocol=protocol)
    uvloop.run(server.serve())


if __name__ == "__main__":
    main()
