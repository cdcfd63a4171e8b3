"""What each thing that happens in a pipeline means in metrics: one call a happening.

The node calls these where the thing happens; nobody else needs to know which of AWS's
names a happening goes by.
"""

from collections.abc import Mapping

from lakelet.model.manifest import Manifest
from lakelet.watch.alarms import dead_letter_queue
from lakelet.watch.names import S3, Athena, Firehose, Glue, Lakelet, Lambda, Sqs
from lakelet.watch.registry import Metrics


class Meters:
    """The pipeline's own series. Streams may be many; the rest is one a pipeline."""

    def __init__(self, metrics: Metrics, pipeline: str) -> None:
        self.metrics = metrics
        self.pipeline = pipeline
        self.function = f"{pipeline}-transform"

    # --- ingest ---

    def accepted(self, stream: str, records: int, size_bytes: int, latency_ms: float) -> None:
        """A put request was answered with record ids."""
        record = self.metrics.record
        record(Firehose.INCOMING_PUT_REQUESTS, 1, stream)
        record(Firehose.INCOMING_RECORDS, records, stream)
        record(Firehose.INCOMING_BYTES, size_bytes, stream)
        record(Firehose.PUT_LATENCY, latency_ms, stream)

    def throttled(self, stream: str, records: int) -> None:
        self.metrics.record(Firehose.THROTTLED_RECORDS, records, stream)

    def delivered(
        self, stream: str, records: int, size_bytes: int, freshness_seconds: float
    ) -> None:
        """One object was written to the raw zone; its oldest record was that old."""
        record = self.metrics.record
        record(Firehose.S3_OBJECTS, 1, stream)
        record(Firehose.S3_RECORDS, records, stream)
        record(Firehose.S3_BYTES, size_bytes, stream)
        record(Firehose.S3_SUCCESS, 1, stream)
        record(Firehose.S3_FRESHNESS, freshness_seconds, stream)

    def delivery_failed(self, stream: str) -> None:
        self.metrics.record(Firehose.S3_SUCCESS, 0, stream)

    def stream_backlog(self, stream: str, size_bytes: int, oldest_age_seconds: float) -> None:
        """Sampled: what is accepted and not yet delivered."""
        self.metrics.record(Firehose.BACKLOG_BYTES, size_bytes, stream)
        self.metrics.record(Firehose.S3_FRESHNESS, oldest_age_seconds, stream)

    # --- transform ---

    def transformed(
        self,
        manifest: Manifest,
        duration_ms: float,
        *,
        waited_ms: float = 0.0,
    ) -> None:
        """A raw object became rows and rejects; its ledger entry is written."""
        record, function = self.metrics.record, self.function
        record(Lambda.INVOCATIONS, 1, function)
        record(Lambda.ERRORS, 0, function)
        record(Lambda.DURATION, duration_ms, function)
        record(Lambda.EVENT_AGE, waited_ms, function)
        record(Lakelet.EVENTS, manifest.events, self.pipeline)
        record(Lakelet.ROWS, manifest.rows, self.pipeline)
        record(Lakelet.DUPLICATES, manifest.duplicates, self.pipeline)
        record(Lakelet.QUARANTINED, manifest.quarantined_count, self.pipeline)
        record(Lakelet.DROPPED, manifest.dropped_count, self.pipeline)
        record(Lakelet.IMBALANCE, abs(manifest.imbalance()), self.pipeline)
        if manifest.events:
            rate = 100 * manifest.quarantined_count / manifest.events
            record(Lakelet.QUARANTINE_RATE, rate, self.pipeline)

    def transform_failed(self, duration_ms: float, *, given_up: bool) -> None:
        record = self.metrics.record
        record(Lambda.INVOCATIONS, 1, self.function)
        record(Lambda.ERRORS, 1, self.function)
        record(Lambda.DURATION, duration_ms, self.function)
        if given_up:
            record(Lambda.DEAD_LETTERS, 1, self.function)

    def transform_backlog(self, waiting: int, dead_letters: int) -> None:
        """Sampled."""
        self.metrics.record(Lambda.EVENTS_WAITING, waiting, self.function)
        self.metrics.record(Sqs.WAITING, dead_letters, dead_letter_queue(self.pipeline))

    # --- catalog and query ---

    def crawled(self, duration_seconds: float, changes: int, *, failed: bool = False) -> None:
        record = self.metrics.record
        record(Glue.CRAWLS, 1, self.pipeline)
        record(Glue.CRAWL_FAILURES, float(failed), self.pipeline)
        record(Glue.CRAWL_DURATION, duration_seconds, self.pipeline)
        record(Glue.PARTITIONS, changes, self.pipeline)

    def queried(self, workgroup: str, state: str, statistics: Mapping[str, float]) -> None:
        """A query ended. `statistics` has the names of Athena's QueryExecutionStatistics."""
        record = self.metrics.record
        record(Athena.QUERIES, 1, workgroup)
        record(Athena.QUERY_FAILURES, float(state == "FAILED"), workgroup)
        for name, measure in _ATHENA_STATISTICS.items():
            if name in statistics:
                record(measure, float(statistics[name]), workgroup)

    def visible(self, delay_seconds: float) -> None:
        """A crawl made new data visible; its oldest record was accepted so long ago."""
        self.metrics.record(Lakelet.VISIBLE_DELAY, delay_seconds, self.pipeline)

    # --- storage ---

    def audited(self, imbalance: int) -> None:
        """The whole ledger was added up."""
        self.metrics.record(Lakelet.IMBALANCE, abs(imbalance), self.pipeline)

    def stored(self, bucket: str, size_bytes: int, objects: int) -> None:
        """Sampled."""
        self.metrics.record(S3.BUCKET_SIZE, size_bytes, bucket, "StandardStorage")
        self.metrics.record(S3.OBJECTS, objects, bucket, "AllStorageTypes")

    def disk(self, used_bytes: int, total_bytes: int) -> None:
        """Sampled."""
        if total_bytes:
            self.metrics.record(Lakelet.DISK_USED, 100 * used_bytes / total_bytes, self.pipeline)


_ATHENA_STATISTICS = {
    "DataScannedInBytes": Athena.PROCESSED_BYTES,
    "TotalExecutionTimeInMillis": Athena.TOTAL_TIME,
    "EngineExecutionTimeInMillis": Athena.ENGINE_TIME,
    "QueryQueueTimeInMillis": Athena.QUEUE_TIME,
    "QueryPlanningTimeInMillis": Athena.PLANNING_TIME,
    "ServiceProcessingTimeInMillis": Athena.SERVICE_TIME,
}
