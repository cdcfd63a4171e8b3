"""What a month of a pipeline costs on AWS, from what it does. Pure arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lakelet.watch.prices import Prices

GB = 10**9
MB = 10**6
MONTH_DAYS = 365.25 / 12
HOURS_MONTH = MONTH_DAYS * 24

RECORD_UNIT_BYTES = 5120  # Firehose rounds each record up to 5 KB
CRAWL_MINUTES_MIN = 10  # Glue bills a crawl for ten minutes at least
CRAWLER_DPUS = 2  # (assumed): what small crawls were seen to use
SCAN_UNIT_BYTES = MB  # Athena rounds up to 1 MB ...
SCAN_BYTES_MIN = 10 * MB  # ... and bills 10 MB a query at least
CATALOG_OBJECTS_FREE = 1_000_000
RECORD_BYTES_MAX = 1_024_000


@dataclass(frozen=True, slots=True)
class Usage:
    """A month of a pipeline's work."""

    events: float = 0.0
    event_bytes: float = 500.0  # mean, as sent
    events_per_record: float = 1.0  # 1: each event is a record of its own
    raw_objects: float = 0.0
    raw_bytes: float = 0.0  # compressed, written in the month
    raw_days: float = 30.0  # how long the raw zone keeps them
    transformed_objects: float = 0.0
    transformed_bytes: float = 0.0  # written in the month, kept
    months_kept: float = 12.0  # how much history the transformed zone holds
    lambda_seconds: float = 0.0
    lambda_memory_gb: float = 1.0
    crawls: float = 0.0
    crawl_minutes: float = 1.0  # one crawl's real length
    queries: float = 0.0
    query_bytes: float = 0.0  # mean bytes scanned a query
    results_bytes: float = 0.0  # written in the month
    results_days: float = 7.0
    log_bytes: float = 0.0
    alarms: float = 7.0
    partitions: float = 0.0

    def grown(self, factor: float) -> "Usage":
        """The same pipeline with `factor` times the events and queries.

        Larger objects before more of them: buffering by time gives as many objects as
        before until 5 MB fill within it.
        """
        return replace(
            self,
            events=self.events * factor,
            raw_bytes=self.raw_bytes * factor,
            transformed_bytes=self.transformed_bytes * factor,
            raw_objects=max(self.raw_objects, self.raw_bytes * factor / MB),
            transformed_objects=max(self.transformed_objects, self.raw_bytes * factor / MB),
            lambda_seconds=self.lambda_seconds * factor,
            queries=self.queries * factor,
            query_bytes=self.query_bytes * factor,
            results_bytes=self.results_bytes * factor,
            log_bytes=self.log_bytes * factor,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill."""

    component: str
    quantity: float
    unit: str
    dollars: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that would cost less, and how much."""

    title: str
    dollars_saved: float
    detail: str


@dataclass(frozen=True, slots=True)
class Bill:
    lines: tuple[Line, ...]
    region: str
    prices_date: str
    prices_source: str

    @property
    def dollars(self) -> float:
        return sum(line.dollars for line in self.lines)

    def of(self, component: str) -> float:
        return sum(line.dollars for line in self.lines if line.component.startswith(component))


def billed_record_bytes(size_bytes: float) -> int:
    """What Firehose counts one record as."""
    return max(1, math.ceil(size_bytes / RECORD_UNIT_BYTES)) * RECORD_UNIT_BYTES


def billed_scan_bytes(scanned_bytes: float) -> int:
    """What Athena counts one query's scan as; DDL and failed queries are free."""
    rounded = math.ceil(scanned_bytes / SCAN_UNIT_BYTES) * SCAN_UNIT_BYTES
    return max(SCAN_BYTES_MIN, rounded)


def query_cost(scanned_bytes: float, prices: Prices) -> float:
    """Dollars for one query that scans so much."""
    return billed_scan_bytes(scanned_bytes) * prices.athena_byte


def estimate(usage: Usage, prices: Prices) -> Bill:
    """The bill of a month, dearest line first."""
    lines = (
        *_ingest(usage, prices),
        *_storage(usage, prices),
        *_compute(usage, prices),
        *_watching(usage, prices),
    )
    ordered = tuple(sorted(lines, key=lambda line: -line.dollars))
    return Bill(ordered, prices.region, prices.date, prices.source)


def ranges(usage: Usage, prices: Prices, factors: Sequence[float]) -> list[tuple[float, Bill]]:
    """The bill at so many times the traffic."""
    return [(factor, estimate(usage.grown(factor), prices)) for factor in factors]


def _ingest(usage: Usage, prices: Prices) -> list[Line]:
    records = usage.events / usage.events_per_record
    record_bytes = usage.event_bytes * usage.events_per_record
    billed_gb = records * billed_record_bytes(record_bytes) / GB
    sent_gb = usage.events * usage.event_bytes / GB
    times = f"; {billed_gb / sent_gb:.1f} times the {sent_gb:,.2f} GB sent" if sent_gb else ""
    note = f"each record rounds up to 5 KB{times}"
    return [Line("Firehose ingestion", billed_gb, "GB", billed_gb * prices.firehose_gb, note)]


def _storage(usage: Usage, prices: Prices) -> list[Line]:
    kept_bytes = (
        usage.raw_bytes * usage.raw_days / MONTH_DAYS
        + usage.transformed_bytes * usage.months_kept
        + usage.results_bytes * usage.results_days / MONTH_DAYS
    )
    # A raw object, its Parquet, its manifest; a query writes its result and metadata.
    puts = usage.raw_objects + 2 * usage.transformed_objects + 2 * usage.queries
    gets = usage.raw_objects + usage.queries * _files_a_query(usage)
    kept_gb = kept_bytes / GB
    note = f"raw {usage.raw_days:.0f} days, transformed {usage.months_kept:.0f} months"
    return [
        Line("S3 storage", kept_gb, "GB-months", kept_gb * prices.s3_gb_month, note),
        Line("S3 requests", puts + gets, "requests", puts * prices.s3_put + gets * prices.s3_get),
    ]


def _files_a_query(usage: Usage) -> float:
    """Objects one query opens: its share of the stored bytes is its share of the files."""
    stored_bytes = usage.transformed_bytes * usage.months_kept
    if not stored_bytes:
        return 0.0
    share = min(1.0, usage.query_bytes / stored_bytes)
    return share * usage.transformed_objects * usage.months_kept


def _compute(usage: Usage, prices: Prices) -> list[Line]:
    gb_seconds = usage.lambda_seconds * usage.lambda_memory_gb
    function = gb_seconds * prices.lambda_gb_second + usage.raw_objects * prices.lambda_request
    crawl_hours = usage.crawls * max(CRAWL_MINUTES_MIN, usage.crawl_minutes) / 60 * CRAWLER_DPUS
    catalog_objects = max(0.0, usage.partitions - CATALOG_OBJECTS_FREE)
    scanned = usage.queries * billed_scan_bytes(usage.query_bytes)
    return [
        Line("Lambda transform", gb_seconds, "GB-seconds", function),
        Line(
            "Glue crawler",
            crawl_hours,
            "DPU-hours",
            crawl_hours * prices.glue_dpu_hour,
            f"{usage.crawls:,.0f} crawls, {CRAWL_MINUTES_MIN} minutes each at least",
        ),
        Line(
            "Glue catalog",
            usage.partitions,
            "objects",
            catalog_objects * prices.glue_catalog_object_month,
            "the first million is free",
        ),
        Line(
            "Athena queries",
            scanned / GB,
            "GB scanned",
            scanned * prices.athena_byte,
            f"{usage.queries:,.0f} queries, 10 MB each at least",
        ),
    ]


def _watching(usage: Usage, prices: Prices) -> list[Line]:
    log_gb = usage.log_bytes / GB
    logs = log_gb * (prices.logs_ingested_gb + prices.logs_gb_month)
    return [
        Line("CloudWatch logs", log_gb, "GB", logs),
        Line("CloudWatch alarms", usage.alarms, "alarms", usage.alarms * prices.alarm_month),
    ]


# --- what would cost less --------------------------------------------------------

_WORTH_DOLLARS = 0.5  # a month: below it, nobody's minute is paid


def advise(usage: Usage, prices: Prices) -> list[Advice]:
    """Changes that would pay, the most worthwhile first; each is the bill done again."""
    bill = estimate(usage, prices)
    found = (
        _pack(usage, prices, bill),
        _project(usage, bill),
        _buffer_longer(usage, prices, bill),
        _prune(usage, prices, bill),
    )
    worth = [a for a in found if a is not None and a.dollars_saved >= _WORTH_DOLLARS]
    return sorted(worth, key=lambda advice: -advice.dollars_saved)


def _saving(changed: Usage, prices: Prices, bill: Bill) -> float:
    return bill.dollars - estimate(changed, prices).dollars


def _pack(usage: Usage, prices: Prices, bill: Bill) -> Advice | None:
    """As many events a record as fit its 5 KB."""
    fit = math.floor(RECORD_UNIT_BYTES / usage.event_bytes) if usage.event_bytes else 0
    if fit <= usage.events_per_record:
        return None
    saved = _saving(replace(usage, events_per_record=float(fit)), prices, bill)
    share = saved / bill.of("Firehose") if bill.of("Firehose") else 0.0
    return Advice(
        f"Pack {fit} events into a record: −{share:.0%} on Firehose",
        saved,
        f"An event of {usage.event_bytes:,.0f} bytes is billed as {RECORD_UNIT_BYTES:,}. "
        "Lakelet's producer packs; the transform reads joined events.",
    )


def _project(usage: Usage, bill: Bill) -> Advice | None:
    """Partition projection needs no crawler."""
    crawler = bill.of("Glue crawler")
    if not crawler:
        return None
    rest = bill.dollars - crawler
    more = "costs more than the rest together" if crawler > rest else f"costs ${crawler:,.2f}"
    return Advice(
        f"Use partition projection instead of a crawler: it {more}",
        crawler,
        f"{usage.crawls:,.0f} crawls a month are billed ten minutes each. Days are known "
        "without looking: a table with projection needs no partitions in the catalog.",
    )


def _buffer_longer(usage: Usage, prices: Prices, bill: Bill) -> Advice | None:
    """Small objects: fewer puts, calls and opens where the buffer waits longer."""
    if not usage.raw_objects or usage.raw_bytes / usage.raw_objects >= MB:
        return None
    factor = min(15.0, MB * usage.raw_objects / max(1.0, usage.raw_bytes))
    if factor < 2:
        return None
    changed = replace(
        usage,
        raw_objects=usage.raw_objects / factor,
        transformed_objects=usage.transformed_objects / factor,
    )
    return Advice(
        f"Buffer {factor:.0f} times longer",
        _saving(changed, prices, bill),
        f"A raw object holds {usage.raw_bytes / usage.raw_objects / 1000:,.0f} kB on average. "
        "Fewer and larger ones mean fewer requests and calls, and events are seen later.",
    )


def _prune(usage: Usage, prices: Prices, bill: Bill) -> Advice | None:
    """Queries that read most of what is stored."""
    stored = usage.transformed_bytes * usage.months_kept
    if not stored or usage.query_bytes < 0.5 * stored:
        return None
    changed = replace(usage, query_bytes=stored / MONTH_DAYS / usage.months_kept * 7)
    return Advice(
        "Name the days in queries: most of the lake is read each time",
        _saving(changed, prices, bill),
        f"A query scans {usage.query_bytes / GB:,.2f} GB of {stored / GB:,.2f}. With "
        "year, month and day in WHERE, a week's query reads a week.",
    )
