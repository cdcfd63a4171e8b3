"""The measures of a pipeline: AWS's names and units, said once.

`AWS/*` measures mean what the service's documentation says of them; `Lakelet` holds
what AWS has no word for. Users put their own beside them with PutMetricData.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Dimensions = tuple[tuple[str, str], ...]  # sorted by name: a series' identity


class Kind(StrEnum):
    """How Prometheus is told; CloudWatch knows only values."""

    COUNTER = "counter"  # each value adds to a total
    GAUGE = "gauge"  # the last value is what holds
    HISTOGRAM = "histogram"  # the spread matters


def dimensions_of(values: Mapping[str, str] | None) -> Dimensions:
    return tuple(sorted(values.items())) if values else ()


@dataclass(frozen=True, slots=True)
class Measure:
    namespace: str
    name: str
    unit: str
    kind: Kind
    help: str
    dimension_names: tuple[str, ...] = ()


def _of(namespace: str, *dimension_names: str) -> Callable[[str, str, Kind, str], Measure]:
    def measure(name: str, unit: str, kind: Kind, text: str) -> Measure:
        return Measure(namespace, name, unit, kind, text, dimension_names)

    return measure


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM


class Firehose:
    """Dimension: DeliveryStreamName."""

    _m = _of("AWS/Firehose", "DeliveryStreamName")
    INCOMING_BYTES: Final = _m("IncomingBytes", "Bytes", _C, "Bytes accepted.")
    INCOMING_RECORDS: Final = _m("IncomingRecords", "Count", _C, "Records accepted.")
    INCOMING_PUT_REQUESTS: Final = _m("IncomingPutRequests", "Count", _C, "Put requests.")
    THROTTLED_RECORDS: Final = _m("ThrottledRecords", "Count", _C, "Records refused for now.")
    BACKLOG_BYTES: Final = _m("BytesInLog", "Bytes", _G, "Accepted, not yet delivered.")
    PUT_LATENCY: Final = _m("PutRecordBatch.Latency", "Milliseconds", _H, "Until durable.")
    S3_BYTES: Final = _m("DeliveryToS3.Bytes", "Bytes", _C, "Bytes delivered to S3.")
    S3_RECORDS: Final = _m("DeliveryToS3.Records", "Count", _C, "Records delivered to S3.")
    S3_OBJECTS: Final = _m("DeliveryToS3.ObjectCount", "Count", _C, "Objects written to S3.")
    S3_SUCCESS: Final = _m("DeliveryToS3.Success", "None", _H, "1 a delivery that worked, else 0.")
    S3_FRESHNESS: Final = _m(
        "DeliveryToS3.DataFreshness", "Seconds", _G, "Age of the oldest undelivered record."
    )
    PROCESSING_DURATION: Final = _m(
        "ExecuteProcessing.Duration", "Milliseconds", _H, "A processor's call."
    )
    PROCESSING_SUCCESS: Final = _m(
        "ExecuteProcessing.Success", "None", _H, "1 a processor's call that worked, else 0."
    )
    PROCESSED_RECORDS: Final = _m("SucceedProcessing.Records", "Count", _C, "Records processed.")
    PROCESSED_BYTES: Final = _m("SucceedProcessing.Bytes", "Bytes", _C, "Bytes processed.")


class Lambda:
    """The transform, whoever runs it. Dimension: FunctionName."""

    _m = _of("AWS/Lambda", "FunctionName")
    INVOCATIONS: Final = _m("Invocations", "Count", _C, "Raw objects taken up.")
    ERRORS: Final = _m("Errors", "Count", _C, "Attempts that failed.")
    THROTTLES: Final = _m("Throttles", "Count", _C, "Attempts put off for want of a worker.")
    DEAD_LETTERS: Final = _m("DeadLetterErrors", "Count", _C, "Objects given up.")
    DURATION: Final = _m("Duration", "Milliseconds", _H, "One attempt.")
    EVENT_AGE: Final = _m("AsyncEventAge", "Milliseconds", _H, "From arrival to taken up.")
    EVENTS_WAITING: Final = _m("AsyncEventsPending", "Count", _G, "Raw objects waiting.")


class Sqs:
    """The transform's dead-letter queue. Dimension: QueueName."""

    _m = _of("AWS/SQS", "QueueName")
    WAITING: Final = _m(
        "ApproximateNumberOfMessagesVisible", "Count", _G, "Raw objects given up, to look at."
    )


class Glue:
    """The crawler. Dimension: CrawlerName."""

    _m = _of("AWS/Glue", "CrawlerName")
    CRAWLS: Final = _m("Crawls", "Count", _C, "Crawls that ended.")
    CRAWL_FAILURES: Final = _m("CrawlFailures", "Count", _C, "Crawls that failed.")
    CRAWL_DURATION: Final = _m("CrawlDuration", "Seconds", _H, "One crawl.")
    PARTITIONS: Final = _m("PartitionsChanged", "Count", _C, "Partitions added or changed.")


class Athena:
    """Dimension: WorkGroup."""

    _m = _of("AWS/Athena", "WorkGroup")
    PROCESSED_BYTES: Final = _m("ProcessedBytes", "Bytes", _H, "Bytes scanned a query.")
    TOTAL_TIME: Final = _m("TotalExecutionTime", "Milliseconds", _H, "Submitted to done.")
    ENGINE_TIME: Final = _m("EngineExecutionTime", "Milliseconds", _H, "In the engine.")
    QUEUE_TIME: Final = _m("QueryQueueTime", "Milliseconds", _H, "Waiting for a slot.")
    PLANNING_TIME: Final = _m("QueryPlanningTime", "Milliseconds", _H, "Planning.")
    SERVICE_TIME: Final = _m("ServiceProcessingTime", "Milliseconds", _H, "Writing results.")
    QUERIES: Final = _m("QueryCount", "Count", _C, "Queries that ended.")
    QUERY_FAILURES: Final = _m("QueryFailures", "Count", _C, "Queries that ended FAILED.")


class S3:
    """Dimensions: BucketName, StorageType."""

    _m = _of("AWS/S3", "BucketName", "StorageType")
    BUCKET_SIZE: Final = _m("BucketSizeBytes", "Bytes", _G, "Bytes stored.")
    OBJECTS: Final = _m("NumberOfObjects", "Count", _G, "Objects stored.")


class Lakelet:
    """What AWS has no word for. Dimension: Pipeline."""

    _m = _of("Lakelet", "Pipeline")
    EVENTS: Final = _m("TransformedEvents", "Count", _C, "Events read from raw objects.")
    ROWS: Final = _m("Rows", "Count", _C, "Events that became rows.")
    DUPLICATES: Final = _m("Duplicates", "Count", _C, "Events seen before.")
    QUARANTINED: Final = _m("Quarantined", "Count", _C, "Events set aside with a reason.")
    DROPPED: Final = _m("Dropped", "Count", _C, "Events the contract asked to drop.")
    QUARANTINE_RATE: Final = _m("QuarantineRate", "Percent", _H, "Set aside, of an object's.")
    IMBALANCE: Final = _m("LedgerImbalance", "Count", _G, "Records unaccounted for.")
    DISK_USED: Final = _m("DiskUsedPercent", "Percent", _G, "Of the data folder's disk.")
    VISIBLE_DELAY: Final = _m("AcceptedToVisible", "Seconds", _H, "Arrival to SQL.")


def known_measures() -> Iterator[Measure]:
    for service in (Firehose, Lambda, Sqs, Glue, Athena, S3, Lakelet):
        for value in vars(service).values():
            if isinstance(value, Measure):
                yield value


KNOWN: Final[Mapping[tuple[str, str], Measure]] = {
    (measure.namespace, measure.name): measure for measure in known_measures()
}
