"""The bill: AWS's roundings and minimums, growth, advice, and what a node really did."""

import pytest

from lakelet.model.errors import DeclarationError
from lakelet.model.pipeline import Pipeline
from lakelet.testing.clock import ManualClock
from lakelet.watch.cost import (
    MONTH_DAYS,
    Usage,
    advise,
    billed_record_bytes,
    billed_scan_bytes,
    estimate,
    query_cost,
    ranges,
)
from lakelet.watch.history import MetricHistory
from lakelet.watch.meters import Meters
from lakelet.watch.prices import load_prices
from lakelet.watch.registry import Metrics
from lakelet.watch.usage import measure

PRICES = load_prices()


@pytest.mark.parametrize(
    ("size", "billed"), [(0, 5120), (1, 5120), (500, 5120), (5120, 5120), (5121, 10240)]
)
def test_firehose_rounds_each_record_up(size, billed):
    assert billed_record_bytes(size) == billed


@pytest.mark.parametrize(
    ("scanned", "billed"),
    [(0, 10_000_000), (10_000_000, 10_000_000), (10_000_001, 11_000_000), (1e12, 1e12)],
)
def test_athena_rounds_up_from_ten_megabytes(scanned, billed):
    assert billed_scan_bytes(scanned) == billed


def test_a_terabyte_scanned_costs_five_dollars_and_a_glance_fifty_millionths():
    assert query_cost(1e12, PRICES) == pytest.approx(5.0)
    assert query_cost(0, PRICES) == pytest.approx(0.00005)


def test_a_bill_done_by_hand():
    """100 million events of 500 bytes, an hourly crawler, nothing else."""
    usage = Usage(events=100e6, crawls=MONTH_DAYS * 24, alarms=0)
    bill = estimate(usage, PRICES)
    firehose = 100e6 * 5120 / 1e9 * 0.029
    crawler = MONTH_DAYS * 24 * (10 / 60) * 2 * 0.44
    assert bill.of("Firehose") == pytest.approx(firehose) == pytest.approx(14.848)
    assert bill.of("Glue crawler") == pytest.approx(crawler) == pytest.approx(107.14, abs=0.01)
    assert bill.dollars == pytest.approx(firehose + crawler)
    assert [line.dollars for line in bill.lines] == sorted(
        (line.dollars for line in bill.lines), reverse=True
    )


def test_a_long_crawl_is_billed_as_long_as_it_is():
    short, long = (
        estimate(Usage(crawls=1, crawl_minutes=m), PRICES).of("Glue crawler") for m in (1, 30)
    )
    assert long == pytest.approx(3 * short)


def test_retention_bounds_what_is_stored():
    kept = [estimate(Usage(raw_bytes=1e12, raw_days=d), PRICES).of("S3 storage") for d in (30, 60)]
    assert kept[1] == pytest.approx(2 * kept[0])


def test_growth_multiplies_traffic_and_not_crawls():
    usage = Usage(events=1e6, raw_bytes=1e8, raw_objects=40_000, crawls=730, queries=100)
    (_, now), (_, tenfold) = ranges(usage, PRICES, (1, 10))
    assert tenfold.of("Firehose") == pytest.approx(10 * now.of("Firehose"))
    assert tenfold.of("Glue crawler") == pytest.approx(now.of("Glue crawler"))


def test_advice_is_the_bill_done_again():
    usage = Usage(events=100e6, event_bytes=620, crawls=MONTH_DAYS * 24)
    advice = {a.title.split(":")[0]: a for a in advise(usage, PRICES)}
    packed = advice["Pack 8 events into a record"]
    assert "−88% on Firehose" in packed.title or "−87% on Firehose" in packed.title
    assert packed.dollars_saved == pytest.approx(14.848 * 7 / 8)
    crawler = advice["Use partition projection instead of a crawler"]
    assert "more than the rest together" in crawler.title
    assert next(iter(advice.values())) is crawler  # the dearest first


def test_nothing_is_advised_where_nothing_is_to_gain():
    usage = Usage(events=1e6, event_bytes=4000, raw_objects=100, raw_bytes=5e8)
    assert advise(usage, PRICES) == []


def test_whole_lake_scans_are_noticed():
    usage = Usage(transformed_bytes=1e12, queries=100, query_bytes=12e12)
    assert any("Name the days" in advice.title for advice in advise(usage, PRICES))


def test_a_table_of_ones_own(tmp_path):
    from importlib import resources

    shipped = resources.files("lakelet.watch").joinpath("prices.toml").read_text()
    own = tmp_path / "prices.toml"
    own.write_text(shipped.replace("us-east-1", "eu-central-1").replace("5.00", "5.50"))
    prices = load_prices(own)
    assert prices.region == "eu-central-1"
    assert query_cost(1e12, prices) == pytest.approx(5.5)
    own.write_text(shipped.replace("scanned_tb", "scaned_tb"))
    with pytest.raises(DeclarationError, match="scanned_tb"):
        load_prices(own)


def test_what_a_node_did_is_scaled_to_a_month():
    clock = ManualClock()
    metrics, history = Metrics(clock), MetricHistory()
    meters = Meters(metrics, "clickstream")
    for _ in range(48):  # two days of it
        meters.accepted("clickstream", 1000, 620_000, 1.0)
        meters.delivered("clickstream", 1000, 60_000, 60.0)
        meters.crawled(30.0, 0)
        meters.queried("clickstream", "SUCCEEDED", {"DataScannedInBytes": 2_000_000})
        clock.advance(3600)
    meters.stored("clickstream-transformed", 4_000_000, 48)
    history.write(metrics.drain())
    measured = measure(history, Pipeline(), clock.now())
    usage = measured.usage
    assert measured.observed_days == pytest.approx(2, abs=0.01) and not measured.is_thin
    month = MONTH_DAYS / measured.observed_days
    assert usage.events == pytest.approx(48_000 * month)
    assert usage.event_bytes == pytest.approx(620)
    assert usage.raw_bytes == pytest.approx(48 * 60_000 * month)
    assert usage.crawl_minutes == pytest.approx(0.5)
    assert usage.query_bytes == pytest.approx(2e6)
    assert usage.transformed_bytes == pytest.approx(4e6 * month)
    assert estimate(usage, PRICES).of("Glue crawler") > 50


def test_a_node_without_history_says_so():
    assert measure(MetricHistory(), Pipeline(), ManualClock().now()).is_thin
