"""Reach the lake in a folder: through the node that holds it, or by opening it here."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakelet.model.errors import DataFolderError
from lakelet.node.folder import DataFolder
from lakelet.node.lake import Caller, Lake, Progress

if TYPE_CHECKING:
    import pyarrow as pa

    from lakelet.node.runtime import Node

DEFAULT_FOLDER = Path("lake")


def connect(data: Path | None = None, *, config: Path | None = None, create: bool = False) -> Lake:
    """A lake to talk to.

    Raises:
        DataFolderError where there is no lake (and `create` is not set), or the
        process that holds it opens no doors.
    """
    folder = DataFolder(data or DEFAULT_FOLDER)
    if holder := folder.running():
        if not holder.endpoint:
            raise DataFolderError(
                f"the lake {folder.root} is held by process {holder.pid}, which opens no doors",
                hint="It is another command or library at work, or a node that is starting: "
                "try again in a moment.",
            )
        from lakelet.node.remote import HttpCaller

        return Lake(HttpCaller(folder, holder))
    if not create and not folder.exists():
        raise DataFolderError(
            f"there is no lake in {folder.root}",
            hint=f"Start one: lakelet up --data {data or DEFAULT_FOLDER}, or name another: "
            "--data DIR",
        )
    return Lake(open_here(folder, config))


def open_here(folder: DataFolder, config: Path | None) -> Caller:
    from lakelet.node.runtime import Node

    node = Node(folder, config=config)
    node.start(doors=False)
    return _HereCaller(node)


class _HereCaller:
    """A node of our own, without doors, for as long as the lake is open."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._unseen = True  # what was put, by us or before us, and not yet flushed

    def call(
        self, name: str, arguments: Mapping[str, Any], on_progress: Progress | None = None
    ) -> Any:
        from lakelet.node.operations import run_operation

        return run_operation(self._node, name, arguments, on_progress)

    def query(self, sql: str, database: str | None) -> "pa.Table":
        if self._unseen:
            # Another stream's bucket may be missing, which is not this question's business.
            own = self._node.ingestion.streams.find(self._node.pipeline.name)
            self._node.flush(own.name if own else None)
            self._unseen = False
        return self._node.query_arrow(sql, database)

    def put(self, records: list[bytes], stream: str | None = None) -> int:
        self._unseen = True
        return self._node.put(records, stream)

    def close(self) -> None:
        from lakelet.ingest.errors import DeliveryFailed

        try:
            self._node.stop()
        except DeliveryFailed as error:
            # Of others than ours the log has told; what was put here arrived.
            if self._node.pipeline.name in error.streams:
                raise
