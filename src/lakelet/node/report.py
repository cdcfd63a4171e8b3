"""What a node says of itself: plain data, for the command line, the doors and the console."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakelet.node.runtime import Node


def status_report(node: "Node") -> dict[str, Any]:
    """Counts of every stage of the road.

    Returns:
        node, stream, transform, ledger, crawl, tables: see the keys below; sizes in
        bytes, ages in seconds, instants as ISO 8601.
    """
    depth = node.queue.depth()
    return {
        "node": {"endpoint": node.endpoint, "data": str(node.folder.root)},
        "stream": _stream(node),
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
        "tables": [
            {"name": name, "partitions": count}
            for name, count in node.catalog.partition_counts(node.pipeline.database).items()
        ],
    }


def _stream(node: "Node") -> dict[str, Any]:
    name = node.pipeline.name
    stats = node.ingestion.stats()[name]
    return {
        "name": name,
        "accepted_records": stats.accepted_records,
        "accepted_bytes": stats.accepted_bytes,
        "buffered_records": stats.buffered_records,
        "buffered_bytes": stats.buffered_bytes,
        "oldest_seconds": stats.oldest_seconds,
        "delivered_objects": stats.delivered_objects,
    }
