"""What a month costs, before it is spent. A sum of list prices: tell it, don't trust it.

Prices are public list prices in USD for us-east-1, without free tiers, discounts or tax.
They are *(assumed)*, noted down on PRICES_AS_OF and not read from AWS's price API: check
them at https://calculator.aws before a decision hangs on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from lakelet.aws.settings import AwsSettings
from lakelet.model.pipeline import Pipeline

PRICES_REGION: Final = "us-east-1"
PRICES_AS_OF: Final = "2026-11-23"

FIREHOSE_GB: Final = 0.029  # first 500 TB, Direct PUT; each record rounded up to 5 KB
FIREHOSE_RECORD_STEP_BYTES: Final = 5_120
S3_GB_MONTH: Final = 0.023
S3_PUT_1000: Final = 0.005
S3_GET_1000: Final = 0.0004
LAMBDA_GB_SECOND: Final = 0.0000166667
LAMBDA_REQUEST_MILLION: Final = 0.20
CRAWLER_DPU_HOUR: Final = 0.44
CRAWLER_MINUTES_LEAST: Final = 10  # billed at least
CRAWLER_DPUS: Final = 2
GLUE_DPU_HOUR: Final = 0.44
ATHENA_TB: Final = 5.00
ATHENA_QUERY_BYTES_LEAST: Final = 10_000_000
ALARM_MONTH: Final = 0.10
CUSTOM_METRIC_MONTH: Final = 0.30
DASHBOARD_MONTH: Final = 3.00
LOGS_GB: Final = 0.50

SECONDS_A_MONTH: Final = 30 * 86_400
GB: Final = 1e9

# Measured with the shipped contract's generated traffic; yours will differ.
RAW_GZIP_RATIO: Final = 0.17
PARQUET_RATIO: Final = 0.16
TRANSFORM_EVENTS_A_SECOND: Final = 60_000  # one vCPU, with S3 in between (a guess, low)


@dataclass(frozen=True, slots=True)
class Traffic:
    events: int  # a month
    event_bytes: int = 520
    queries: int = 3_000  # a month: a hundred a day
    scanned_share: float = 0.02  # of the month's rows, a query
    months_kept: int = 1  # rows are kept: storage grows by a month's rows every month


@dataclass(frozen=True, slots=True)
class Line:
    service: str
    what: str
    usd: float


def estimate(
    pipeline: Pipeline, settings: AwsSettings, traffic: Traffic, *, alarm_count: int = 13
) -> list[Line]:
    """A line a service, USD a month."""
    volume = traffic.events * traffic.event_bytes
    objects = delivered_objects(pipeline, volume, traffic.events)
    day_objects = max(objects, 1)
    raw_gb = volume * RAW_GZIP_RATIO / GB * pipeline.retention.raw_days / 30
    rows_gb = volume * PARQUET_RATIO / GB * traffic.months_kept
    scanned = max(traffic.scanned_share * volume * PARQUET_RATIO, float(ATHENA_QUERY_BYTES_LEAST))
    seconds = traffic.events / TRANSFORM_EVENTS_A_SECOND + 0.5 * objects
    # Raw, Parquet, manifest; a list and two reads beside them.
    puts, gets = 4 * day_objects, 3 * day_objects
    steps = ceil(traffic.event_bytes / FIREHOSE_RECORD_STEP_BYTES) * FIREHOSE_RECORD_STEP_BYTES
    lines = [
        Line(
            "Firehose",
            f"{traffic.events:,} records, each billed as {steps:,} bytes",
            traffic.events * steps / GB * FIREHOSE_GB,
        ),
        Line("S3", f"{raw_gb + rows_gb:,.1f} GB kept", (raw_gb + rows_gb) * S3_GB_MONTH),
        Line(
            "S3 requests",
            f"{objects:,} raw objects",
            puts / 1000 * S3_PUT_1000 + gets / 1000 * S3_GET_1000,
        ),
        Line(
            "Lambda",
            f"{seconds:,.0f} s of {settings.function.memory_mb:,} MB",
            seconds * settings.function.memory_mb / 1024 * LAMBDA_GB_SECOND
            + objects / 1e6 * LAMBDA_REQUEST_MILLION,
        ),
        _crawler(pipeline, settings),
        Line(
            "Athena",
            f"{traffic.queries:,} queries of {scanned / 1e6:,.0f} MB",
            traffic.queries * scanned / 1e12 * ATHENA_TB,
        ),
        Line(
            "CloudWatch",
            f"{alarm_count} alarms, a dashboard, 6 metrics, logs",
            alarm_count * ALARM_MONTH
            + DASHBOARD_MONTH
            + 6 * CUSTOM_METRIC_MONTH
            + objects * 2_000 / GB * LOGS_GB,
        ),
    ]
    return [line for line in lines if line.usd > 0]


def delivered_objects(pipeline: Pipeline, volume_bytes: int, events: int) -> int:
    """Raw objects a month: a buffer ends by size or by age, whichever is first."""
    by_size = volume_bytes / (pipeline.stream.buffer_size_mb * 1024 * 1024)
    by_age = SECONDS_A_MONTH / max(pipeline.stream.buffer_interval_seconds, 1)
    return ceil(min(events, max(by_size, by_age)))


def _crawler(pipeline: Pipeline, settings: AwsSettings) -> Line:
    if settings.partitions != "crawler":
        return Line("Glue crawler", "none: partitions by projection", 0.0)
    runs = _runs_a_month(pipeline.crawler.schedule)
    hours = runs * CRAWLER_MINUTES_LEAST / 60
    return Line(
        "Glue crawler",
        f'{runs:,} runs of {CRAWLER_MINUTES_LEAST} min; [aws] partitions = "projection" needs none',
        hours * CRAWLER_DPUS * CRAWLER_DPU_HOUR,
    )


def _runs_a_month(schedule: str) -> int:
    seconds = {"minute": 60, "hour": 3600, "day": 86_400}
    for unit, size in seconds.items():
        if schedule.startswith("rate(") and unit in schedule:
            count = int(schedule[5:].split(" ", 1)[0])
            return SECONDS_A_MONTH // (count * size)
    return 30  # a cron expression: taken as once a day


def total(lines: Sequence[Line]) -> float:
    return sum(line.usd for line in lines)
