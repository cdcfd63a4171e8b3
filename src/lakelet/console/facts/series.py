"""Metrics as the pages want them: sums by the minute over all of a measure's series."""

from collections.abc import Sequence
from datetime import datetime

from lakelet.watch.history import MetricHistory
from lakelet.watch.names import Measure
from lakelet.watch.registry import MINUTE_SECONDS
from lakelet.watch.statistics import StatisticSet, statistic


class Minutes:
    """The last `count` minutes of a node's metrics, the running one included."""

    def __init__(self, history: MetricHistory, now: datetime, count: int = 60) -> None:
        self._history = history
        self._now = now.timestamp()
        self._last_at = int(self._now) // MINUTE_SECONDS * MINUTE_SECONDS
        self._first_at = self._last_at - (count - 1) * MINUTE_SECONDS
        self._cache: dict[Measure, dict[int, StatisticSet]] = {}

    def points(self, measure: Measure) -> dict[int, StatisticSet]:
        """By the minute's start; streams, workgroups and so on together."""
        if measure not in self._cache:
            found: dict[int, StatisticSet] = {}
            end_at = self._last_at + MINUTE_SECONDS
            for key in self._history.list_series(namespace=measure.namespace, name=measure.name):
                read = self._history.read(key, self._first_at, end_at, MINUTE_SECONDS)
                for at, values in read.items():
                    found.setdefault(at, StatisticSet()).merge(values)
            self._cache[measure] = found
        return self._cache[measure]

    def sums(self, measure: Measure) -> list[float]:
        """One a minute, oldest first, 0 where nothing was measured."""
        points = self.points(measure)
        times = range(self._first_at, self._last_at + 1, MINUTE_SECONDS)
        return [points[at].sum if at in points else 0.0 for at in times]

    def total(self, measure: Measure) -> StatisticSet:
        whole = StatisticSet()
        for values in self.points(measure).values():
            whole.merge(values)
        return whole

    def rate(self, measure: Measure) -> float:
        """A second, over the last sixty: the running minute and the rest of the one before."""
        *_, before, running = [0.0, *self.sums(measure)]
        elapsed = (self._now - self._last_at) / MINUTE_SECONDS
        return (running + before * (1 - elapsed)) / MINUTE_SECONDS

    def percentile(self, measure: Measure, name: str) -> float | None:
        return statistic(self.total(measure), name)


def is_flowing(sums: Sequence[float]) -> bool:
    """Whether something passed in the running minute or the one before."""
    return any(sums[-2:])
