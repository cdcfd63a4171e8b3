"""The bill before it is spent: orders of magnitude, and what drives them."""

import pytest

from lakelet.aws.estimate import Traffic, delivered_objects, estimate, total
from lakelet.aws.settings import AwsSettings
from lakelet.model.pipeline import CrawlerSettings, Pipeline

PROJECTED = AwsSettings(partitions="projection")


def usd(service: str, events: int, settings: AwsSettings = PROJECTED) -> float:
    lines = estimate(Pipeline(), settings, Traffic(events))
    return sum(line.usd for line in lines if line.service == service)


def test_firehose_bills_five_kilobytes_a_record() -> None:
    # 30 million records of 520 bytes are billed as 153.6 GB, not as 15.6.
    assert usd("Firehose", 30_000_000) == pytest.approx(30e6 * 5120 / 1e9 * 0.029)
    small, large = (
        total(estimate(Pipeline(), PROJECTED, Traffic(10**9, event_bytes=size)))
        for size in (5_000, 5_200)
    )
    assert large > small * 1.2  # over the step, the record is billed twice


def test_objects_follow_time_until_size_is_faster() -> None:
    assert delivered_objects(Pipeline(), 10**9, 10**7) == 43_200  # one a minute
    assert delivered_objects(Pipeline(), 520 * 10**9, 10**9) == 99_183  # 5 MiB each
    assert delivered_objects(Pipeline(), 0, 0) == 0


def test_a_crawler_on_the_hour_is_the_dearest_thing_of_a_small_site() -> None:
    lines = estimate(Pipeline(), AwsSettings(), Traffic(1_000_000))
    assert max(lines, key=lambda line: line.usd).service == "Glue crawler"
    daily = Pipeline(crawler=CrawlerSettings(schedule="rate(1 day)"))
    assert total(estimate(daily, AwsSettings(), Traffic(1_000_000))) < total(lines) / 5
    assert usd("Glue crawler", 1_000_000) == 0


def test_more_events_cost_more() -> None:
    totals = [total(estimate(Pipeline(), PROJECTED, Traffic(n))) for n in (10**6, 3 * 10**7, 10**9)]
    assert totals == sorted(totals)
