"""A small node to be killed: ingestion, its bucket and its door, with buffers so short that
deliveries are always under way.

    python -m tests.crash.server FOLDER PORT
"""

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from lakelet.model.pipeline import Pipeline, StreamSettings
from lakelet.node.body_process import BodyProcess
from lakelet.node.ingestion import Ingestion
from lakelet.store.clock import SystemClock
from lakelet.store.disk import DiskObjectStore
from lakelet.store.files import LocalFileSystem
from lakelet.wire.app import build_app
from lakelet.wire.firehose import firehose_service
from lakelet.wire.firehose_fast import FastPuts
from lakelet.wire.server import Server, listen

PIPELINE = Pipeline(stream=StreamSettings(buffer_interval_seconds=1, buffer_size_mb=1))


def open_ingestion(folder: Path) -> tuple[Ingestion, DiskObjectStore]:
    clock, state = SystemClock(), folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    store = DiskObjectStore(folder / "buckets", clock, state / "objects.sqlite")
    store.create_bucket(PIPELINE.raw_bucket)
    ingestion = Ingestion(
        PIPELINE, files=LocalFileSystem(folder), store=store, clock=clock, folder=state
    )
    ingestion.start()
    return ingestion, store


async def serve(folder: Path, port: int) -> None:
    ingestion, store = open_ingestion(folder)
    clock = SystemClock()
    app = build_app({"firehose": firehose_service(ingestion)}, credentials=None, clock=clock)
    reader = BodyProcess()
    reader.start()  # as under load; it reads from the first large batch on
    while not reader.is_ready and reader.pid:
        await asyncio.sleep(0.01)
    fast = FastPuts(ingestion, credentials=None, clock=clock, reader=reader)
    server = Server(app, listen("127.0.0.1", port), http_protocol=fast.http_protocol())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()
    reader.close()
    ingestion.close(drain=True)
    store.close()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
