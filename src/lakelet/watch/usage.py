"""What a node really did, as the month of work that a bill is made from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lakelet.model.pipeline import Pipeline
from lakelet.watch.cost import MONTH_DAYS, Usage
from lakelet.watch.history import DAY_SECONDS, MetricHistory
from lakelet.watch.names import S3, Athena, Firehose, Glue, Lambda, Measure
from lakelet.watch.registry import SeriesKey
from lakelet.watch.statistics import StatisticSet

LOG_BYTES_PER_INVOCATION = 600.0  # START, END, REPORT and our line (a guess)
PERIOD_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Measured:
    """A usage, and how much of real life stands behind it."""

    usage: Usage
    observed_days: float

    @property
    def is_thin(self) -> bool:
        """Too little to speak of a month."""
        return self.observed_days < 1 or not self.usage.events


def measure(
    history: MetricHistory,
    pipeline: Pipeline,
    now: datetime,
    *,
    days: float = 15.0,
    crawls_a_month: float | None = None,
) -> Measured:
    """Scale what the metrics hold of the last `days` to a month.

    A node younger than that is scaled by its own age, an hour at least.

    Args:
        crawls_a_month: of the schedule; by default as many as there were.
    """
    end_at = int(now.timestamp())
    start_at = end_at - int(days * DAY_SECONDS)
    reader = _Reader(history, start_at, end_at + PERIOD_SECONDS)
    records = reader.total(Firehose.INCOMING_RECORDS)
    first_at = reader.first_at
    observed_days = max((end_at - first_at) / DAY_SECONDS, 1 / 24) if first_at else 0.0
    month = MONTH_DAYS / observed_days if observed_days else 0.0
    sent = reader.total(Firehose.INCOMING_BYTES)
    objects = reader.total(Firehose.S3_OBJECTS)
    durations = reader.total(Lambda.DURATION)
    scanned = reader.total(Athena.PROCESSED_BYTES)
    crawls = reader.total(Glue.CRAWL_DURATION)
    stored = reader.growth_of(S3.BUCKET_SIZE, pipeline.transformed_bucket)
    usage = Usage(
        events=records.sum * month,
        event_bytes=sent.sum / records.sum if records.sum else Usage().event_bytes,
        raw_objects=objects.sum * month,
        raw_bytes=reader.total(Firehose.S3_BYTES).sum * month,
        raw_days=pipeline.retention.raw_days,
        transformed_objects=durations.count * month,
        transformed_bytes=stored * month,
        lambda_seconds=durations.sum / 1000 * month,
        crawls=crawls.count * month if crawls_a_month is None else crawls_a_month,
        crawl_minutes=crawls.sum / crawls.count / 60 if crawls.count else 1.0,
        queries=reader.total(Athena.QUERIES).sum * month,
        query_bytes=scanned.sum / scanned.count if scanned.count else 0.0,
        results_days=pipeline.retention.results_days,
        log_bytes=durations.count * LOG_BYTES_PER_INVOCATION * month,
    )
    return Measured(usage, observed_days)


class _Reader:
    """Sums over all series of a measure, whatever their dimensions."""

    def __init__(self, history: MetricHistory, start_at: int, end_at: int) -> None:
        self._history, self._start_at, self._end_at = history, start_at, end_at
        self.first_at: int | None = None

    def total(self, measure: Measure) -> StatisticSet:
        found = StatisticSet()
        for key in self._history.list_series(namespace=measure.namespace, name=measure.name):
            points = self._read(key)
            for values in points.values():
                found.merge(values)
            self._remember_first(points)
        return found

    def growth_of(self, measure: Measure, dimension: str) -> float:
        """How much the series with this dimension's value grew in the window.

        A series that begins within the window began at nothing.
        """
        for key in self._history.list_series(namespace=measure.namespace, name=measure.name):
            points = self._read(key) if dimension in key.dimension_map.values() else {}
            if points:
                began_before = min(points) <= self._start_at + PERIOD_SECONDS
                first = points[min(points)].min if began_before else 0.0
                return max(0.0, points[max(points)].max - first)
        return 0.0

    def _read(self, key: SeriesKey) -> Mapping[int, StatisticSet]:
        return self._history.read(key, self._start_at, self._end_at, PERIOD_SECONDS)

    def _remember_first(self, times: Iterable[int]) -> None:
        for at in times:
            self.first_at = at if self.first_at is None else min(self.first_at, at)
