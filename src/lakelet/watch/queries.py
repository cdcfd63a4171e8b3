"""What is asked of the history: a statistic of a series, or an expression over several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lakelet.watch.expression import ExpressionError, Points, Scope, compute, names_in
from lakelet.watch.registry import SeriesKey
from lakelet.watch.statistics import StatisticSet, check_statistic, statistic

ReadSeries = Callable[[SeriesKey, int, int, int], Mapping[int, StatisticSet]]


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One line of GetMetricData: either `key` or `expression` is set."""

    id: str
    key: SeriesKey | None = None
    statistic: str = "Average"
    period_seconds: int = 60
    expression: str = ""
    label: str = ""
    return_data: bool = True


def run(
    queries: Sequence[MetricQuery], start_at: int, end_at: int, read: ReadSeries
) -> dict[str, Points]:
    """Every query's points, by id. Expressions may refer to one another, not in a circle.

    `start_at` begins a period; `align` finds it.
    """
    metrics = {query.id: query for query in queries if query.key is not None}
    period = min((query.period_seconds for query in metrics.values()), default=60)
    series = {
        query.id: points_of(read, query.key, start_at, end_at, query.period_seconds, statistic=s)
        for query in metrics.values()
        if query.key is not None and (s := query.statistic)
    }
    times = tuple(range(start_at, end_at, period))
    waiting = {query.id: query for query in queries if query.key is None}
    while waiting:
        ready = [q for q in waiting.values() if not names_in(q.expression) & waiting.keys()]
        if not ready:
            raise ExpressionError(
                f"The expressions {', '.join(sorted(waiting))} refer to one another in a circle.",
                hint="Let each refer to metrics or to expressions before it.",
            )
        for query in ready:
            scope = Scope(series, tuple(metrics), period, times)
            series[query.id] = compute(query.expression, scope)
            del waiting[query.id]
    return series


def align(at: int, period_seconds: int) -> int:
    """The start of the period that holds an instant, as CloudWatch aligns them."""
    return at // period_seconds * period_seconds


def points_of(
    read: ReadSeries,
    key: SeriesKey,
    start_at: int,
    end_at: int,
    period_seconds: int,
    *,
    statistic: str,
) -> Points:
    """One statistic, by the start of its period; periods without it are left out."""
    check_statistic(statistic)
    found = {
        at: _statistic(values, statistic)
        for at, values in read(key, start_at, end_at, period_seconds).items()
    }
    return {at: value for at, value in found.items() if value is not None}


_statistic = statistic
