"""What happens on the node, told to the watch room: metrics out, log lines with correlation."""

import logging
import re
import shutil
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from lakelet.model.errors import LakeletError
from lakelet.model.layout import parse_delivered_name
from lakelet.model.manifest import Manifest, RawObject
from lakelet.node.queue import Item

if TYPE_CHECKING:
    from lakelet.node.runtime import Node
    from lakelet.wire.app import Served

_transform_log = logging.getLogger("lakelet.transform")
_wire_log = logging.getLogger("lakelet.wire")

_WEIGH_RATIO = 100
_WEIGH_SECONDS_MAX = 3600.0


class Measuring:
    """Callbacks and samplers over one node. Log lines carry keys and counts, never data."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._lock = threading.Lock()
        self._busy_seconds_told = 0.0
        self._unseen: list[RawObject] = []  # transformed, and not crawled yet
        self._weigh_due = 0.0  # by the monotonic clock

    # --- happenings ---------------------------------------------------------------

    def delivered(self, key: str, size_bytes: int) -> None:
        """An object stands in the raw zone; its road began with its oldest record."""
        name = parse_delivered_name(key)
        if name is not None:
            now = self._node.clock.now()
            self._node.watch.traces.road(
                key, "deliver", name.arrived_at, now, size_bytes=size_bytes
            )

    def transformed(self, manifest: Manifest) -> None:
        with self._lock:
            busy_seconds = self._node.worker.stats.busy_seconds
            spent_ms = (busy_seconds - self._busy_seconds_told) * 1000
            self._busy_seconds_told = busy_seconds
            self._unseen.append(manifest.raw)
        self._node.watch.meters.transformed(manifest, spent_ms)
        now = self._node.clock.now()
        begun_at = now - timedelta(milliseconds=spent_ms)
        counts = {"events": manifest.events, "rows": manifest.rows}
        self._node.watch.traces.road(manifest.raw.key, "transform", begun_at, now, **counts)
        _transform_log.info(
            "transformed %d events: %d rows, %d duplicates, %d quarantined, %d dropped",
            manifest.events,
            manifest.rows,
            manifest.duplicates,
            manifest.quarantined_count,
            manifest.dropped_count,
            extra={"raw_key": manifest.raw.key},
        )

    def transform_failed(self, item: Item, error: LakeletError, dead: bool) -> None:
        self._node.watch.meters.transform_failed(0.0, given_up=dead)
        say = _transform_log.error if dead else _transform_log.warning
        say(
            "attempt %d failed%s: %s",
            item.attempts,
            ", given up (lakelet quarantine --dead-letters)" if dead else ", will be tried again",
            error.code,
            extra={"raw_key": item.key},
        )

    def crawled(self, seconds: float, lines: list[str] | None) -> None:
        """`lines` as `tables.crawl` gives them; None where it failed."""
        failed = lines is None
        with self._lock:
            arrivals, self._unseen = self._unseen, ([] if not failed else self._unseen)
        self._node.watch.meters.crawled(seconds, _partitions(lines or []), failed=failed)
        if not failed and arrivals:
            now = self._node.clock.now()
            oldest_at = min(raw.received_at for raw in arrivals)
            self._node.watch.meters.visible((now - oldest_at).total_seconds())
            for raw in arrivals:
                self._node.watch.traces.road(
                    raw.key, "crawl", now - timedelta(seconds=seconds), now
                )

    def query_ended(self, execution_id: str, state: str) -> None:
        execution = self._node.engine.get(execution_id)
        statistics = execution.get("Statistics", {})
        self._node.watch.meters.queried(execution.get("WorkGroup", ""), state, statistics)

    def request_served(self, served: "Served") -> None:
        if served.http_status >= 500:
            _wire_log.warning(
                "%s.%s was answered %d %s",
                served.service,
                served.operation,
                served.http_status,
                served.error_code,
                extra={"request_id": served.request_id},
            )

    # --- samples ------------------------------------------------------------------

    def sample(self) -> None:
        """Backlogs and disk; cheap enough for every second."""
        node, meters = self._node, self._node.watch.meters
        for name, stats in node.ingestion.stats().items():
            meters.stream_backlog(name, stats.buffered_bytes, stats.oldest_age_seconds)
        depth = node.queue.depth()
        meters.transform_backlog(depth.pending, depth.dead)
        usage = shutil.disk_usage(node.folder.root)
        meters.disk(usage.used, usage.total)
        node.watch.flush()

    def weigh(self) -> None:
        """Every bucket's size: a listing."""
        began = self._node.clock.monotonic()
        for bucket in self._node.store.list_buckets():
            size_bytes = count = 0
            for info in self._node.store.list(bucket):
                size_bytes += info.size_bytes
                count += 1
            self._node.watch.meters.stored(bucket, size_bytes, count)
        now = self._node.clock.monotonic()
        self._weigh_due = now + min(_WEIGH_SECONDS_MAX, (now - began) * _WEIGH_RATIO)

    def weigh_again(self) -> None:
        """So often that it takes a hundredth of the time: a small lake's size is never old."""
        if self._node.clock.monotonic() >= self._weigh_due:
            self.weigh()


def _partitions(lines: list[str]) -> int:
    """How many partitions a crawl's account speaks of: `6 partitions added`."""
    found = (re.match(r"([\d,]+) partitions?\b", line) for line in lines)
    return sum(int(match[1].replace(",", "")) for match in found if match)
