"""Our delivery stream in front of somebody else's S3: buffers, joins, gzips, delivers.

For an AWS emulator whose own Firehose writes an object a record: producers are pointed here
(`AWS_ENDPOINT_URL_FIREHOSE`), and the objects land where a real stream would put them.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lakelet.model.pipeline import Pipeline
from lakelet.node.ingestion import Ingestion
from lakelet.store.clock import SystemClock
from lakelet.store.files import LocalFileSystem
from lakelet.store.s3 import S3ObjectStore
from lakelet.wire.app import build_app
from lakelet.wire.firehose import firehose_service
from lakelet.wire.server import ServerThread


class FirehoseFront:
    """One stream of `pipeline`, delivering through an S3 client; gone with the `with` block."""

    def __init__(self, pipeline: Pipeline, s3: Any, folder: Path) -> None:
        """
        Args:
            pipeline: with its bucket suffix: it names the raw bucket.
            s3: a boto3 client, with the stream's own rights.
            folder: for the log.
        """
        clock = SystemClock()
        (folder / "state").mkdir(parents=True, exist_ok=True)
        self._ingestion = Ingestion(
            pipeline,
            files=LocalFileSystem(folder),
            store=S3ObjectStore(s3),
            clock=clock,
            folder=folder / "state",
        )
        app = build_app(
            {"firehose": firehose_service(self._ingestion)}, credentials=None, clock=clock
        )
        self._server = ServerThread(app)

    @property
    def url(self) -> str:
        return self._server.url

    def flush(self) -> None:
        """Deliver what is buffered; raises what the delivery raises."""
        self._ingestion.flush()

    def __enter__(self) -> Self:
        self._ingestion.start()
        self._server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.__exit__(kind, error, trace)
        self._ingestion.close(drain=False)
