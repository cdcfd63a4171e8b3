"""What Prometheus is told, read back by its own parsers."""

from datetime import UTC, datetime

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from lakelet.model.manifest import Manifest, RawObject
from lakelet.testing.clock import ManualClock
from lakelet.watch.exposition import render
from lakelet.watch.history import MetricHistory
from lakelet.watch.meters import Meters
from lakelet.watch.names import KNOWN
from lakelet.watch.registry import Metrics


def busy_meters() -> Meters:
    """Every meter used once."""
    meters = Meters(Metrics(ManualClock()), "clickstream")
    raw = RawObject("clickstream-raw", "a.gz", "e", 10, datetime(2026, 3, 9, tzinfo=UTC))
    manifest = Manifest(raw, 1, "f", 100, 10, 7, 1, {"not_json": 2}, {})
    meters.accepted("clickstream", 500, 250_000, 3.5)
    meters.throttled("clickstream", 1)
    meters.delivered("clickstream", 500, 25_000, 61.0)
    meters.delivery_failed("clickstream")
    meters.stream_backlog("clickstream", 1_000, 5.0)
    meters.transformed(manifest, 120.0)
    meters.visible(61.5)
    meters.transform_failed(10.0, given_up=True)
    meters.transform_backlog(2, 1)
    meters.crawled(0.5, 3)
    meters.queried("clickstream", "FAILED", {"DataScannedInBytes": 5, "QueryQueueTimeInMillis": 1})
    meters.audited(0)
    meters.stored("clickstream-raw", 10**9, 77)
    meters.disk(50, 200)
    return meters


def test_openmetrics_is_read_back():
    body, content_type = render(busy_meters().metrics, "application/openmetrics-text")
    assert content_type.startswith("application/openmetrics-text")
    families = {family.name: family for family in openmetrics(body.decode())}
    accepted = families["aws_firehose_incoming_records"]
    assert accepted.type == "counter"
    (sample,) = accepted.samples
    assert (sample.value, sample.labels) == (500, {"DeliveryStreamName": "clickstream"})
    freshness = families["aws_firehose_delivery_to_s3_data_freshness_seconds"]
    assert [s.value for s in freshness.samples] == [5.0]
    duration = families["aws_lambda_duration_milliseconds"]
    assert {s.labels.get("quantile") for s in duration.samples} >= {"0.5", "0.99"}
    assert families["lakelet_disk_used_percent"].samples[0].value == 25


def test_classic_text_is_read_back_too():
    body, content_type = render(busy_meters().metrics)
    assert content_type.startswith("text/plain")
    names = {family.name for family in classic(body.decode())}
    assert "aws_athena_processed_bytes" in names


def test_no_two_measures_share_a_prometheus_name():
    metrics = Metrics(ManualClock())
    for measure in KNOWN.values():
        metrics.record(measure, 1, *("x" for _ in measure.dimension_names))
    body, _ = render(metrics, "application/openmetrics-text")
    assert len(list(openmetrics(body.decode()))) == len(KNOWN)


def test_a_users_own_metric_with_other_dimensions_each_time():
    metrics = Metrics(ManualClock())
    metrics.count("My Shop!", "carts/min", 1, "Count", {"a-b": 'say "hi"\n'})
    metrics.count("My Shop!", "carts/min", 2, "Count", {"other": "x"})
    body, _ = render(metrics, "application/openmetrics-text")
    (family,) = openmetrics(body.decode())
    assert {sample.value for sample in family.samples} == {1, 2}


def test_every_meter_measures_what_is_known():
    history = MetricHistory()
    history.write(busy_meters().metrics.drain())
    seen = {(key.namespace, key.name) for key in history.list_series()}
    assert seen <= set(KNOWN)
    assert len(seen) > 30
