"""What a node says of itself: plain data, for the command line, the doors and the console."""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from lakelet.model.errors import DeclarationError

if TYPE_CHECKING:
    from lakelet.node.runtime import Node
    from lakelet.node.stream import StreamStats

DELETED = "DELETED"  # beside Firehose's own ACTIVE and DELETING


def status_report(node: "Node") -> dict[str, Any]:
    """Counts of every stage of the road.

    Returns:
        node, stream, streams, transform, ledger, crawl, tables: see the keys below; sizes
        in bytes, ages in seconds, instants as ISO 8601. `stream` is the pipeline's own,
        and among `streams` too; its `status` is DELETED where somebody deleted it.
    """
    depth = node.queue.depth()
    streams = stream_reports(node)
    return {
        "node": {"endpoint": node.endpoint, "data": str(node.folder.root)},
        "stream": next(each for each in streams if each["name"] == node.pipeline.name),
        "streams": streams,
        "transform": {
            "waiting": depth.ready,
            "running": depth.leased,
            "dead": depth.dead,
            "failed_attempts": node.worker.stats.failed,
            "last_error": node.worker.stats.last_error,
        },
        "ledger": node.ledger.totals(),
        "crawl": {
            "runs": node.crawls.runs,
            "pending": node.crawls.pending,
            "failures": node.crawls.failures,
            "last_at": node.crawls.last_at.isoformat() if node.crawls.last_at else None,
            "last_lines": node.crawls.last_lines,
            "last_error": node.crawls.last_error,
        },
        "tables": _tables(node),
    }


def _tables(node: "Node") -> list[dict[str, Any]]:
    database = node.pipeline.database
    found, _ = node.catalog.get_tables(database)
    return [
        {
            "name": table["Name"],
            "partitions": node.catalog.count_partitions(database, table["Name"]),
        }
        for table in found
    ]


def stream_reports(node: "Node") -> list[dict[str, Any]]:
    """Each delivery stream's acceptance, buffer and deliveries, by name; the pipeline's own
    even where it was deleted."""
    found: dict[str, StreamStats | None] = {node.pipeline.name: None, **node.ingestion.stats()}
    return [
        _stream(name, stats) if stats else _deleted(name) for name, stats in sorted(found.items())
    ]


def deleted(stream: Mapping[str, Any]) -> str:
    """What to do where the pipeline's own stream is gone; "" where it is there."""
    if stream["status"] != DELETED:
        return ""
    return (
        "deleted through the API, so it takes no records. "
        "Start the node again and it is made as declared"
    )


def _deleted(name: str) -> dict[str, Any]:
    """What it accepted in its life stands in the audit."""
    zeros = dict.fromkeys(_COUNTS, 0)
    return {"name": name, "status": DELETED, **zeros, "last_error": "", "failing_since": None}


_COUNTS = (
    *("accepted_records", "accepted_bytes", "buffered_records", "buffered_bytes"),
    *("oldest_seconds", "delivered_objects"),
)


def _stream(name: str, stats: "StreamStats") -> dict[str, Any]:
    since = stats.failing_since
    return {
        "name": name,
        "status": stats.status.value,
        "accepted_records": stats.accepted_records,
        "accepted_bytes": stats.accepted_bytes,
        "buffered_records": stats.buffered_records,
        "buffered_bytes": stats.buffered_bytes,
        "oldest_seconds": stats.oldest_age_seconds,
        "delivered_objects": stats.delivered_objects,
        "last_error": stats.last_error,
        "failing_since": since.isoformat(timespec="seconds") if since else None,
    }


def audit_report(node: "Node", *, day: str | None = None, deep: bool = False) -> dict[str, Any]:
    """The ledger of the lake, added up now; see `lake.audit.Audit.report` for the keys.

    Args:
        day: of arrival, YYYY-MM-DD; raises DeclarationError where it is no date.
        deep: count rows in every Parquet footer, not only in the manifests.
    """
    from concurrent.futures import ThreadPoolExecutor

    from lakelet.lake.audit import Audit, audit, parquet_rows, persistent
    from lakelet.lake.ledger import read_books
    from lakelet.node.stream_ledgers import stream_ledgers

    arrived_on = _day(day)

    def look() -> Audit:
        # The streams' ledger first: what arrives in between is then later news, not a loss.
        streams = stream_ledgers(node)
        pending = {item.key for item in node.queue.pending()}
        dead = {item.key for item in node.queue.dead_letters()}
        with ThreadPoolExecutor(4) as pool:
            books = read_books(node.store, node.pipeline, day=arrived_on, each=pool.map)
        return audit(
            books,
            node.pipeline,
            node.clock.now(),
            streams=streams,
            pending=pending,
            dead=dead,
            rows_of=parquet_rows(node.store) if deep else None,
        )

    result = persistent(look)
    node.watch.meters.audited(len(result.findings))
    return result.report()


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise DeclarationError(f"{text!r} is no date", hint="Write YYYY-MM-DD.") from error


def reasons_not_ready(node: "Node") -> list[str]:
    """Why a load balancer should send nothing here; [] where it may."""
    reasons = []
    if not node.ingestion.is_open:
        reasons.append("the delivery streams do not accept records")
    if node.is_disk_full():
        reasons.append("the disk is full")
    return reasons
