"""Alarms: when a series is worth waking somebody. Pure; `alarm_book` remembers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lakelet.watch.names import Athena, Firehose, Glue, Lakelet, Measure, Sqs
from lakelet.watch.queries import MetricQuery
from lakelet.watch.registry import SeriesKey

# Datapoints CloudWatch looks at beyond the evaluation periods (assumed: the service
# does not say how many; its documentation's tables show two for three).
EXTRA_PERIODS = 2


class AlarmState(StrEnum):
    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """TreatMissingData."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
_WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """What PutMetricAlarm declares. Several queries where metric math is watched:
    then the one with `return_data` is compared."""

    name: str
    queries: tuple[MetricQuery, ...]
    threshold: float
    comparison: str = "GreaterThanThreshold"
    evaluation_periods: int = 1
    datapoints_to_alarm: int = 0  # 0: all of the evaluation periods
    treat_missing: Missing = Missing.MISSING
    description: str = ""
    unit: str | None = None
    actions_enabled: bool = True
    ok_actions: tuple[str, ...] = ()
    alarm_actions: tuple[str, ...] = ()
    insufficient_data_actions: tuple[str, ...] = ()
    shipped: bool = field(default=False, compare=False)  # ours, not a user's

    @property
    def watched(self) -> MetricQuery:
        return next(query for query in self.queries if query.return_data)

    @property
    def period_seconds(self) -> int:
        return min(query.period_seconds for query in self.queries)

    @property
    def needed(self) -> int:
        return self.datapoints_to_alarm or self.evaluation_periods

    @property
    def range_periods(self) -> int:
        """How many datapoints an evaluation looks at."""
        return self.evaluation_periods + EXTRA_PERIODS


@dataclass(frozen=True, slots=True)
class Verdict:
    state: AlarmState
    reason: str


def evaluate(alarm: Alarm, datapoints: Sequence[float | None], current: AlarmState) -> Verdict:
    """The state an alarm should have.

    Args:
        datapoints: one a period, oldest first, None where missing; `alarm.range_periods`
            of them. Fewer do no harm.
    Returns:
        The state by CloudWatch's rules: the newest N real datapoints if there are N, else
        what is missing counts as the alarm says.
    """
    compare = COMPARISONS[alarm.comparison]
    real = [value for value in datapoints if value is not None][-alarm.evaluation_periods :]
    breaching = sum(compare(value, alarm.threshold) for value in real)
    missing = alarm.evaluation_periods - len(real)
    if breaching >= alarm.needed:
        return Verdict(AlarmState.ALARM, _reason(alarm, real, breaching, missing))
    if missing == 0:
        return Verdict(AlarmState.OK, _reason(alarm, real, breaching, missing))
    state = _with_missing(alarm, datapoints, real, breaching, missing)
    return Verdict(state or current, _reason(alarm, real, breaching, missing))


def _with_missing(
    alarm: Alarm,
    datapoints: Sequence[float | None],
    real: list[float],
    breaching: int,
    missing: int,
) -> AlarmState | None:
    """None: keep what holds."""
    if alarm.treat_missing is Missing.NOT_BREACHING:
        return AlarmState.OK
    if alarm.treat_missing is Missing.BREACHING:
        reached = breaching + missing >= alarm.needed
        return AlarmState.ALARM if reached else AlarmState.OK
    if breaching < len(real):
        return AlarmState.OK  # a real datapoint says that it is well, none says enough against
    if alarm.treat_missing is Missing.IGNORE:
        return None
    if real and _oldest_age(datapoints) >= alarm.needed:
        return AlarmState.ALARM  # CloudWatch's "premature" rule: it broke, then fell silent
    return AlarmState.INSUFFICIENT_DATA


def _oldest_age(datapoints: Sequence[float | None]) -> int:
    """Periods since the oldest real datapoint, itself included."""
    first = next(i for i, value in enumerate(datapoints) if value is not None)
    return len(datapoints) - first


def _reason(alarm: Alarm, real: list[float], breaching: int, missing: int) -> str:
    """As CloudWatch phrases it: tools that parse alarms look for these words."""
    if not real:
        return f"Insufficient Data: {missing} datapoints were unknown."
    shown = ", ".join(_short(value) for value in reversed(real))
    how = _WORDS[alarm.comparison]
    noun = "datapoint" if len(real) == 1 else "datapoints"
    was = "was" if breaching == 1 else "were"
    return (
        f"Threshold Crossed: {breaching} out of the last {len(real)} {noun} [{shown}] {was} "
        f"{how} the threshold ({_short(alarm.threshold)}) "
        f"(minimum {alarm.needed} {'datapoint' if alarm.needed == 1 else 'datapoints'})."
    )


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) and abs(value) < 1e6 else f"{value:.6g}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the shipped alarms hold the pipeline to."""

    freshness_seconds: float = 300.0
    quarantine_percent: float = 5.0
    disk_percent: float = 90.0
    failed_queries: float = 5.0  # in five minutes: one mistyped query is no alarm


def dead_letter_queue(pipeline: str) -> str:
    return f"{pipeline}-dead-letters"


def shipped_alarms(pipeline: str, limits: Limits | None = None) -> tuple[Alarm, ...]:
    """The alarms a node has from its first second, on by default."""
    held = limits or Limits()
    return (
        _shipped(
            *("freshness", Firehose.S3_FRESHNESS, pipeline, "Maximum", held.freshness_seconds),
            periods=3,
            text="Accepted records wait too long for delivery. Look: lakelet status",
        ),
        _shipped(
            *("ledger-imbalance", Lakelet.IMBALANCE, pipeline, "Maximum", 0.0),
            text="The ledger does not add up: a record is unaccounted for. Look: lakelet audit",
        ),
        _shipped(
            *("dead-letters", Sqs.WAITING, dead_letter_queue(pipeline), "Maximum", 0.0),
            text="Raw objects were given up after their retries. When mended: lakelet redrive",
        ),
        _shipped(
            *("quarantine-rate", Lakelet.QUARANTINE_RATE, pipeline, "Average"),
            held.quarantine_percent,
            period_seconds=300,
            text="Too many events do not fit the contract. Look: lakelet quarantine",
        ),
        _shipped(
            *("crawl-failures", Glue.CRAWL_FAILURES, pipeline, "Sum", 0.0),
            text="A crawl failed; new partitions may not be seen. Look: lakelet status",
        ),
        _shipped(
            *("disk", Lakelet.DISK_USED, pipeline, "Maximum", held.disk_percent),
            text="The data folder's disk fills up. Look: lakelet doctor",
        ),
        _shipped(
            *("query-failures", Athena.QUERY_FAILURES, pipeline, "Sum", held.failed_queries),
            period_seconds=300,
            text="Queries fail. Look at their reasons: the console's Query page",
        ),
    )


def _shipped(
    suffix: str,
    measure: Measure,
    dimension: str,
    statistic: str,
    threshold: float,
    *,
    text: str,
    period_seconds: int = 60,
    periods: int = 1,
) -> Alarm:
    key = SeriesKey(measure.namespace, measure.name, ((measure.dimension_names[0], dimension),))
    query = MetricQuery("m1", key, statistic, period_seconds)
    name = f"lakelet-{suffix}"
    return Alarm(
        name,
        (query,),
        threshold,
        evaluation_periods=periods,
        treat_missing=Missing.NOT_BREACHING,
        description=text,
        shipped=True,
    )
