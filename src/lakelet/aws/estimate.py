"""What a month will cost, before there is anything to measure: the declaration and a number
of events, turned into the usage that `watch.cost` prices."""

from dataclasses import dataclass
from math import ceil
from typing import Final

from lakelet.aws.settings import AwsSettings
from lakelet.model.pipeline import Pipeline
from lakelet.watch.cost import HOURS_MONTH, Bill, Line, Usage, estimate
from lakelet.watch.prices import Prices

SECONDS_MONTH: Final = HOURS_MONTH * 3600
MIB: Final = 1 << 20

# Of the shipped contract's generated traffic, 10,000 events an object (measured 2026-11-23,
# gzip level 6 and our Parquet: 0.12 and 0.15); yours will differ.
RAW_RATIO: Final = 0.12
PARQUET_RATIO: Final = 0.15
TRANSFORM_EVENTS_A_SECOND: Final = 50_000  # measured 49,000 to 76,000 on one busy core
OBJECT_SECONDS: Final = 0.5  # a raw object's requests to S3, whatever it holds (a guess)
LOG_BYTES_AN_OBJECT: Final = 2_000

# Beside the price table: what is there whether events come or not. *(assumed)*
DASHBOARD_MONTH: Final = 3.00
CUSTOM_METRIC_MONTH: Final = 0.30
CUSTOM_METRICS: Final = 7


@dataclass(frozen=True, slots=True)
class Traffic:
    """A month, as it is expected."""

    events: int
    event_bytes: int = 520
    queries: int = 3_000  # a hundred a day
    days_a_query: float = 1.0  # of the month's 30, that a query's WHERE leaves
    months_kept: float = 1.0  # rows are kept: storage grows by as much every month


def planned_usage(
    pipeline: Pipeline, settings: AwsSettings, traffic: Traffic, *, alarm_count: int = 13
) -> Usage:
    """What the pipeline will do with this traffic."""
    volume = traffic.events * traffic.event_bytes
    objects = delivered_objects(pipeline, volume, traffic.events)
    rows_bytes = volume * PARQUET_RATIO
    return Usage(
        events=traffic.events,
        event_bytes=traffic.event_bytes,
        raw_objects=objects,
        raw_bytes=volume * RAW_RATIO,
        raw_days=pipeline.retention.raw_days,
        transformed_objects=objects,
        transformed_bytes=rows_bytes,
        months_kept=traffic.months_kept,
        lambda_seconds=traffic.events / TRANSFORM_EVENTS_A_SECOND + objects * OBJECT_SECONDS,
        lambda_memory_gb=settings.function.memory_mb / 1024,
        crawls=crawls_a_month(pipeline.crawler.schedule)
        if settings.partitions == "crawler"
        else 0.0,
        queries=traffic.queries,
        query_bytes=rows_bytes / 30 * traffic.days_a_query,
        results_days=pipeline.retention.results_days,
        log_bytes=objects * LOG_BYTES_AN_OBJECT,
        alarms=alarm_count,
        partitions=30 * traffic.months_kept,
    )


def planned_bill(
    pipeline: Pipeline, settings: AwsSettings, traffic: Traffic, prices: Prices
) -> Bill:
    """Dearest line first; lines of nothing left out."""
    bill = estimate(planned_usage(pipeline, settings, traffic), prices)
    standing = DASHBOARD_MONTH + CUSTOM_METRICS * CUSTOM_METRIC_MONTH
    note = "whether events come or not"
    lines = [*bill.lines, Line("CloudWatch dashboard and metrics", 1, "", standing, note)]
    kept = sorted((line for line in lines if line.dollars >= 0.005), key=lambda x: -x.dollars)
    return Bill(tuple(kept), bill.region, bill.prices_date, bill.prices_source)


def delivered_objects(pipeline: Pipeline, volume_bytes: int, events: int) -> int:
    """Raw objects a month: a buffer ends by size or by age, whichever is first."""
    by_size = volume_bytes / (pipeline.stream.buffer_size_mb * MIB)
    by_age = SECONDS_MONTH / max(pipeline.stream.buffer_interval_seconds, 1)
    return ceil(min(events, max(by_size, by_age)))


def crawls_a_month(schedule: str) -> float:
    """Of a rate; a cron expression is taken as once a day."""
    seconds = {"minute": 60, "hour": 3600, "day": 86_400}
    for unit, size in seconds.items():
        if schedule.startswith("rate(") and unit in schedule:
            return SECONDS_MONTH / (int(schedule[5:].split(" ", 1)[0]) * size)
    return SECONDS_MONTH / 86_400
