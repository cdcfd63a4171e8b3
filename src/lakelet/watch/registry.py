"""Where values are counted as they happen: cheap, thread-safe, by minute."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from lakelet.model.ports import Clock
from lakelet.watch.names import KNOWN, Dimensions, Kind, Measure, dimensions_of
from lakelet.watch.statistics import StatisticSet

MINUTE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class SeriesKey:
    namespace: str
    name: str
    dimensions: Dimensions = ()

    @property
    def dimension_map(self) -> dict[str, str]:
        return dict(self.dimensions)


@dataclass(frozen=True, slots=True)
class Datum:
    """What one series saw in one minute, or in a part of it."""

    key: SeriesKey
    unit: str
    minute_at: int  # the minute's first second, Unix time
    values: StatisticSet


@dataclass(slots=True)
class Series:
    """One series since the node started, and what was not drained yet."""

    key: SeriesKey
    unit: str
    kind: Kind
    total: StatisticSet = field(default_factory=StatisticSet)
    last: float = 0.0
    minutes: dict[int, StatisticSet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """A series' state for a scrape: totals since the node started."""

    key: SeriesKey
    unit: str
    kind: Kind
    count: float
    sum: float
    last: float
    total: StatisticSet


class Metrics:
    """One registry a node.

    A call costs a lock, a dict look-up and a few additions: made for the ingest loop
    to call once a batch, not once a record.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str, Dimensions], Series] = {}

    def count(
        self,
        namespace: str,
        name: str,
        value: float = 1.0,
        unit: str = "Count",
        dimensions: Mapping[str, str] | None = None,
    ) -> None:
        """`value` more have happened."""
        self._add(namespace, name, value, unit, Kind.COUNTER, dimensions_of(dimensions))

    def gauge(
        self,
        namespace: str,
        name: str,
        value: float,
        unit: str = "None",
        dimensions: Mapping[str, str] | None = None,
    ) -> None:
        """It stands at `value` now."""
        self._add(namespace, name, value, unit, Kind.GAUGE, dimensions_of(dimensions))

    def observe(
        self,
        namespace: str,
        name: str,
        value: float,
        unit: str = "None",
        dimensions: Mapping[str, str] | None = None,
    ) -> None:
        """One of many values whose spread matters, such as a duration."""
        self._add(namespace, name, value, unit, Kind.HISTOGRAM, dimensions_of(dimensions))

    def record(self, measure: Measure, value: float, *dimension_values: str) -> None:
        """A known measure; its dimensions' values stand in the order of their names."""
        dimensions = tuple(sorted(zip(measure.dimension_names, dimension_values, strict=False)))
        self._add(measure.namespace, measure.name, value, measure.unit, measure.kind, dimensions)

    def _add(
        self,
        namespace: str,
        name: str,
        value: float,
        unit: str,
        kind: Kind,
        dimensions: Dimensions,
    ) -> None:
        minute_at = int(self._clock.now().timestamp()) // MINUTE_SECONDS * MINUTE_SECONDS
        with self._lock:
            series = self._series.get((namespace, name, dimensions))
            if series is None:
                series = self._open_series(SeriesKey(namespace, name, dimensions), unit, kind)
            series.total.add(value)
            series.last = value
            minute = series.minutes.get(minute_at)
            if minute is None:
                minute = series.minutes[minute_at] = StatisticSet()
            minute.add(value)

    def put(self, key: SeriesKey, unit: str, at: int, values: StatisticSet) -> None:
        """A user's own datum (PutMetricData), for any minute."""
        with self._lock:
            series = self._series.get((key.namespace, key.name, key.dimensions))
            if series is None:
                series = self._open_series(key, unit, Kind.HISTOGRAM)
            series.total.merge(values)
            series.last = values.sum / values.count if values.count else series.last
            minute_at = at // MINUTE_SECONDS * MINUTE_SECONDS
            series.minutes.setdefault(minute_at, StatisticSet()).merge(values)

    def _open_series(self, key: SeriesKey, unit: str, kind: Kind) -> Series:
        known = KNOWN.get((key.namespace, key.name))
        series = Series(key, unit, known.kind if known else kind)
        self._series[key.namespace, key.name, key.dimensions] = series
        return series

    def drain(self) -> list[Datum]:
        """Everything since the last drain; the open minute's rest comes with the next."""
        with self._lock:
            return [
                Datum(series.key, series.unit, minute_at, values)
                for series in self._series.values()
                for minute_at, values in _taken(series).items()
            ]

    def give_back(self, data: list[Datum]) -> None:
        """Undo a drain whose write failed: nothing measured is lost to a full disk."""
        with self._lock:
            for datum in data:
                key = datum.key
                series = self._series[key.namespace, key.name, key.dimensions]
                series.minutes.setdefault(datum.minute_at, StatisticSet()).merge(datum.values)

    def readings(self) -> list[Reading]:
        """Every series as it stands."""
        with self._lock:
            return [
                Reading(s.key, s.unit, s.kind, s.total.count, s.total.sum, s.last, _copy(s.total))
                for s in self._series.values()
            ]


def _taken(series: Series) -> dict[int, StatisticSet]:
    minutes, series.minutes = series.minutes, {}
    return minutes


def _copy(values: StatisticSet) -> StatisticSet:
    buckets = None if values.buckets is None else dict(values.buckets)
    return StatisticSet(values.count, values.sum, values.min, values.max, buckets)
