"""The registry as Prometheus reads it: OpenMetrics text.

prometheus-client renders; our registry stays the only one, read through a collector.
"""

import re
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder

from lakelet.watch.names import KNOWN, Kind
from lakelet.watch.registry import Metrics, Reading
from lakelet.watch.statistics import statistic

_UNIT_SUFFIX = {
    "Seconds": "_seconds",
    "Milliseconds": "_milliseconds",
    "Bytes": "_bytes",
    "Percent": "_percent",
}
_QUANTILES = ("0.5", "0.9", "0.99")


def metric_name(reading: Reading) -> str:
    """`AWS/Firehose` `DeliveryToS3.DataFreshness` is `aws_firehose_delivery_to_s3_data_…`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", reading.key.name)
    words = re.sub(r"_?S3_?", "_s3_", words)
    name = re.sub(r"[^a-zA-Z0-9]+", "_", f"{reading.key.namespace}_{words}").lower().strip("_")
    name = name if re.match(r"[a-z_]", name) else f"_{name}"
    suffix = _UNIT_SUFFIX.get(reading.unit, "")
    if suffix and not name.endswith(suffix):
        name = name.removesuffix("_bytes" if suffix == "_bytes" else "") + suffix
    return name


class RegistryCollector:
    """prometheus-client's custom collector protocol."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        families: dict[str, list[Reading]] = {}
        for reading in self._metrics.readings():
            families.setdefault(metric_name(reading), []).append(reading)
        for name, readings in sorted(families.items()):
            yield _family(name, readings)

    def describe(self) -> Iterable[Metric]:
        """Nothing: series are known only once something was measured."""
        return []


def render(metrics: Metrics, accept: str = "") -> tuple[bytes, str]:
    """The body and content type a scrape is answered with, by its Accept header."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RegistryCollector(metrics))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _family(name: str, readings: list[Reading]) -> Metric:
    first = readings[0]
    known = KNOWN.get((first.key.namespace, first.key.name))
    text = known.help if known else f"{first.key.namespace} {first.key.name}, a user's metric."
    # Series of one name may carry different dimensions; Prometheus wants one set of labels.
    labels = sorted({dimension for r in readings for dimension in r.key.dimension_map})
    values = [[r.key.dimension_map.get(label, "") for label in labels] for r in readings]
    names = [re.sub(r"\W", "_", label) for label in labels]
    if first.kind is Kind.COUNTER:
        counter = CounterMetricFamily(name, text, labels=names)
        for reading, of in zip(readings, values, strict=True):
            counter.add_metric(of, reading.sum)
        return counter
    if first.kind is Kind.GAUGE:
        gauge = GaugeMetricFamily(name, text, labels=names)
        for reading, of in zip(readings, values, strict=True):
            gauge.add_metric(of, reading.last)
        return gauge
    summary = SummaryMetricFamily(name, text, labels=names)
    for reading, of in zip(readings, values, strict=True):
        summary.add_metric(of, count_value=int(reading.count), sum_value=reading.sum)
        for quantile in _QUANTILES:
            value = statistic(reading.total, f"p{float(quantile) * 100:g}")
            if value is not None:
                marked = dict(zip(names, of, strict=True)) | {"quantile": quantile}
                summary.add_sample(name, marked, value)
    return summary
