"""The registry, statistic sets and their history."""

import random
import sqlite3
import statistics
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.testing.clock import ManualClock
from lakelet.watch.history import DAY_SECONDS, MetricHistory
from lakelet.watch.names import KNOWN, Firehose
from lakelet.watch.registry import Metrics, SeriesKey
from lakelet.watch.statistics import (
    StatisticSet,
    StatisticUnknown,
    bucket_of,
    bucket_value,
    check_statistic,
    decode_buckets,
    encode_buckets,
    statistic,
)

KEY = SeriesKey("Shop", "Carts", (("Country", "DE"),))
finite = st.floats(-1e12, 1e12, allow_nan=False)


@given(finite)
def test_a_bucket_stands_for_its_values_within_one_percent(value):
    stands = bucket_value(bucket_of(value))
    assert abs(stands - value) <= max(0.0101 * abs(value), 1e-9)


@given(st.lists(finite, min_size=1, max_size=60))
def test_buckets_survive_their_encoding(values):
    stored = StatisticSet.of(values)
    again = decode_buckets(encode_buckets(stored), stored.count, stored.min)
    assert again == stored.buckets


@given(st.lists(finite, max_size=20), st.lists(finite, max_size=20))
def test_merging_equals_adding_one_by_one(first, second):
    merged = StatisticSet.of(first)
    merged.merge(StatisticSet.of(second))
    whole = StatisticSet.of(first + second)
    assert (merged.count, merged.min, merged.max) == (whole.count, whole.min, whole.max)
    assert merged.buckets == whole.buckets
    assert merged.sum == pytest.approx(whole.sum, abs=1)


def test_percentiles_lie_within_one_percent_of_the_true_ones():
    source = random.Random(7)
    values = [source.lognormvariate(3, 1.5) for _ in range(5000)]
    stored = StatisticSet.of(values)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    for percent in (10, 50, 90, 99):
        assert statistic(stored, f"p{percent}") == pytest.approx(cuts[percent - 1], rel=0.03)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SampleCount", 4),
        ("Sum", 106),
        ("Average", 26.5),
        ("Minimum", 1),
        ("Maximum", 100),
        ("p50", 2),
        ("p100", 100),
        ("tm75", 2),
        ("TM(25%:75%)", 2.5),
        ("TC(0%:50%)", 2),
        ("TS(:75%)", 6),
        ("PR(:3)", 75),
        ("IQM", 2.5),
    ],
)
def test_statistics(name, expected):
    assert statistic(StatisticSet.of([1, 2, 3, 100]), name) == pytest.approx(expected, rel=0.011)


@pytest.mark.parametrize("name", ["p101", "Median", "p", "sum", ""])
def test_an_unknown_statistic_is_refused(name):
    with pytest.raises(StatisticUnknown):
        check_statistic(name)


def test_a_summary_without_distribution_has_no_percentile():
    known = StatisticSet.of([5, 5])
    assert statistic(StatisticSet.summary(3, 15, 5, 5), "p99") == 5
    known.merge(StatisticSet.summary(3, 12, 1, 9))
    assert statistic(known, "p99") is None
    assert statistic(known, "Maximum") == 9


def test_counts_fall_into_their_minutes_and_add_up():
    clock = ManualClock()
    metrics, history = Metrics(clock), MetricHistory()
    start = int(clock.now().timestamp())
    for _ in range(3):
        metrics.record(Firehose.INCOMING_RECORDS, 500, "clicks")
        clock.advance(30)
        history.write(metrics.drain())  # an open minute is written in parts
    key = SeriesKey("AWS/Firehose", "IncomingRecords", (("DeliveryStreamName", "clicks"),))
    points = history.read(key, start, start + 120, 60)
    assert {at - start: (p.count, p.sum) for at, p in points.items()} == {
        0: (2, 1000),
        60: (1, 500),
    }
    assert history.unit_of(key) == "Count"
    assert metrics.drain() == []


def test_what_could_not_be_written_comes_with_the_next_drain():
    metrics = Metrics(ManualClock())
    metrics.count("Shop", "Carts", 2)
    data = metrics.drain()
    metrics.count("Shop", "Carts", 3)
    metrics.give_back(data)
    (datum,) = metrics.drain()
    assert (datum.values.sum, datum.values.count) == (5, 2)


def test_a_failed_write_leaves_nothing_behind():
    clock = ManualClock()
    metrics, history = Metrics(clock), MetricHistory()
    metrics.count("Shop", "Carts")
    data = metrics.drain()

    def broken():
        yield data[0]
        raise OSError("disk")

    with pytest.raises(OSError):
        history.write(broken())
    assert history.list_series() == []
    history.write(data)
    assert history.list_series() == [SeriesKey("Shop", "Carts")]


def test_a_full_disk_at_the_commit_is_outlived():
    metrics, history = Metrics(ManualClock()), MetricHistory()
    metrics.count("Shop", "Carts")
    data = metrics.drain()
    database = history._db

    class Full:
        def __getattr__(self, name):
            return getattr(database, name)

        def execute(self, sql, *values):
            if sql == "COMMIT":
                raise sqlite3.OperationalError("database or disk is full")
            return database.execute(sql, *values)

    history._db = Full()
    with pytest.raises(sqlite3.OperationalError):
        history.write(data)
    history._db = database
    history.write(data)
    assert len(history.list_series()) == 1


def test_old_points_get_coarser_keep_their_sum_and_end():
    clock = ManualClock()
    metrics, history = Metrics(clock), MetricHistory()
    start = int(clock.now().timestamp()) // 3600 * 3600
    for _ in range(120):
        metrics.count("Shop", "Carts", 1, "Count", {"Country": "DE"})
        clock.advance(60)
    history.write(metrics.drain())

    def rows_and_sum():
        points = history.read(KEY, start - 7200, start + 4 * 3600, 60)
        return len(points), sum(p.sum for p in points.values())

    assert rows_and_sum() == (120, 120)
    clock.advance(16 * DAY_SECONDS)
    assert history.tidy(clock.now()) == 120
    assert rows_and_sum() == (24, 120)
    assert history.tidy(clock.now()) == 0
    clock.advance(60 * DAY_SECONDS)
    history.tidy(clock.now())
    rows, total = rows_and_sum()
    assert rows <= 3 and total == 120
    history.tidy(clock.now() + timedelta(days=500))
    assert rows_and_sum() == (0, 0)


def test_a_minute_of_fifty_durations_takes_less_than_250_bytes():
    clock = ManualClock()
    metrics, history = Metrics(clock), MetricHistory()
    source = random.Random(1)
    for _ in range(200):
        for _ in range(50):
            metrics.observe("Shop", "Latency", source.lognormvariate(1, 0.3), "Milliseconds")
        clock.advance(60)
    history.write(metrics.drain())
    assert history.size_bytes() / 200 < 250


def test_an_hour_is_read_without_reading_the_fortnight_before_it():
    clock = ManualClock()
    metrics, history = Metrics(clock), MetricHistory()
    for _ in range(5_000):
        metrics.count("Shop", "Carts")
        clock.advance(60)
    history.write(metrics.drain())
    steps = 0

    def count_steps():
        nonlocal steps
        steps += 1

    history._db.set_progress_handler(count_steps, 10)  # each ten instructions of SQLite's
    end = int(clock.now().timestamp())
    points = history.read(SeriesKey("Shop", "Carts"), end - 3600, end, 60)
    assert len(points) == 60
    assert steps < 300  # about five instructions a row; 5,000 rows would take 4,000 steps


def test_listing_filters_by_name_and_dimension():
    clock = ManualClock()
    metrics, history = Metrics(clock), MetricHistory()
    for country in ("DE", "FR"):
        metrics.count("Shop", "Carts", 1, "Count", {"Country": country})
    metrics.count("Shop", "Orders")
    history.write(metrics.drain())
    assert len(history.list_series(namespace="Shop")) == 3
    assert len(history.list_series(dimensions={"Country": None})) == 2
    assert history.list_series(dimensions={"Country": "DE"}) == [KEY]
    later = int(clock.now().timestamp()) + 3600
    assert history.list_series(since_at=later) == []


def test_every_known_unit_is_one_of_cloudwatchs():
    import botocore.session

    model = botocore.session.get_session().get_service_model("cloudwatch")
    units = set(model.shape_for("StandardUnit").enum)
    assert {measure.unit for measure in KNOWN.values()} <= units
    assert len(KNOWN) >= 40
