"""The bill before it is spent: orders of magnitude, and what drives them."""

import pytest

from lakelet.aws.estimate import Traffic, crawls_a_month, delivered_objects, planned_bill
from lakelet.aws.settings import AwsSettings
from lakelet.model.pipeline import CrawlerSettings, Pipeline
from lakelet.watch.cost import Bill
from lakelet.watch.prices import load_prices

PROJECTED = AwsSettings(partitions="projection")
PRICES = load_prices()


def bill(events: int, settings: AwsSettings = PROJECTED, pipeline: Pipeline | None = None) -> Bill:
    return planned_bill(pipeline or Pipeline(), settings, Traffic(events), PRICES)


def test_firehose_bills_five_kilobytes_a_record() -> None:
    # 30 million records of 520 bytes are billed as 153.6 GB, not as 15.6.
    expected = 30e6 * 5120 / 1e9 * PRICES.firehose_gb
    assert bill(30_000_000).of("Firehose") == pytest.approx(expected)


def test_objects_follow_time_until_size_is_faster() -> None:
    assert delivered_objects(Pipeline(), 10**9, 10**7) == 43_830  # one a minute
    assert delivered_objects(Pipeline(), 520 * 10**9, 10**9) == 99_183  # 5 MiB each
    assert delivered_objects(Pipeline(), 0, 0) == 0


def test_a_crawler_on_the_hour_is_the_dearest_thing_of_a_small_site() -> None:
    hourly = bill(1_000_000, AwsSettings())
    assert hourly.lines[0].component == "Glue crawler"
    daily = Pipeline(crawler=CrawlerSettings(schedule="rate(1 day)"))
    assert bill(1_000_000, AwsSettings(), daily).dollars < hourly.dollars / 5
    assert bill(1_000_000).of("Glue crawler") == 0


def test_more_events_cost_more() -> None:
    totals = [bill(events).dollars for events in (10**6, 3 * 10**7, 10**9)]
    assert totals == sorted(totals)


@pytest.mark.parametrize(
    ("schedule", "a_day"),
    [("rate(1 hour)", 24), ("rate(15 minutes)", 96), ("rate(1 day)", 1), ("cron(0 3 * * ? *)", 1)],
)
def test_crawls(schedule: str, a_day: int) -> None:
    assert crawls_a_month(schedule) == pytest.approx(a_day * 365.25 / 12)
