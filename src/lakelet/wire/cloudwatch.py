"""CloudWatch: the metrics and alarms of `watch/` under their own operations.

Not offered, and refused as unknown operations: dashboards, composite alarms, anomaly
detectors, metric streams, SEARCH().
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lakelet.watch.expression import Points
from lakelet.watch.queries import MetricQuery, align, run
from lakelet.watch.registry import SeriesKey
from lakelet.watch.room import Watch
from lakelet.watch.statistics import StatisticSet, statistic
from lakelet.wire.cloudwatch_alarms import AlarmOperations
from lakelet.wire.cloudwatch_values import (
    SIMPLE_STATISTICS,
    ParameterInvalid,
    read_key,
    read_period,
    read_query,
    write_metric,
)
from lakelet.wire.paging import page_of, threaded
from lakelet.wire.service import RequestContext, Service

Request = dict[str, Any]

# Quotas of the service: PutMetricData takes data from two weeks ago to two hours ahead.
PAST_MAX = timedelta(days=14)
FUTURE_MAX = timedelta(hours=2)
DATAPOINTS_MAX = 100_800  # of one GetMetricData answer
STATISTICS_DATAPOINTS_MAX = 1_440  # of one GetMetricStatistics answer
LIST_PAGE_SIZE = 500


def cloudwatch_service(watch: Watch) -> Service:
    """The service over one node's watch room."""
    operations = MetricOperations(watch).operations() | AlarmOperations(watch).operations()
    return Service("cloudwatch", {name: threaded(call) for name, call in operations.items()})


class MetricOperations:
    """One method an operation."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def operations(self) -> dict[str, Callable[[Request, RequestContext], Request | None]]:
        return {
            "PutMetricData": self.put_metric_data,
            "GetMetricData": self.get_metric_data,
            "GetMetricStatistics": self.get_metric_statistics,
            "ListMetrics": self.list_metrics,
        }

    def put_metric_data(self, request: Request, context: RequestContext) -> None:
        namespace = request["Namespace"]
        if namespace.startswith("AWS/"):
            raise ParameterInvalid(
                f"The value {namespace} for parameter Namespace is invalid.",
                hint="Names that begin with AWS/ are the services' own.",
            )
        now = context.clock.now()
        data = [_datum(namespace, datum, now) for datum in request.get("MetricData", [])]
        for key, unit, at, values in data:  # all are sound: none was put if one was not
            self._watch.metrics.put(key, unit, at, values)

    def list_metrics(self, request: Request, context: RequestContext) -> Request:
        self._watch.flush()
        recent = context.clock.now() - timedelta(hours=3)
        found = self._watch.history.list_series(
            namespace=request.get("Namespace"),
            name=request.get("MetricName"),
            dimensions={d["Name"]: d.get("Value") for d in request.get("Dimensions", [])},
            since_at=int(recent.timestamp()) if "RecentlyActive" in request else 0,
        )
        page, token = page_of(found, request.get("NextToken"), LIST_PAGE_SIZE)
        return {"Metrics": [write_metric(key) for key in page], "NextToken": token}

    def get_metric_statistics(self, request: Request, context: RequestContext) -> Request:
        key, period = read_key(request), read_period(request["Period"])
        start_at, end_at = _span(request, period)
        names = [*request.get("Statistics", []), *request.get("ExtendedStatistics", [])]
        if not names:
            raise ParameterInvalid(
                "The parameter Statistics must be specified.", hint="As in Statistics=Sum."
            )
        if (end_at - start_at) // period > STATISTICS_DATAPOINTS_MAX:
            raise ParameterInvalid(
                f"You have requested up to {(end_at - start_at) // period} datapoints, which "
                f"exceeds the limit of {STATISTICS_DATAPOINTS_MAX}.",
                hint="Shorten the span or lengthen Period.",
            )
        self._watch.flush()
        stored = self._watch.history.read(key, start_at, end_at, period, unit=request.get("Unit"))
        unit = self._watch.history.unit_of(key) or "None"
        datapoints = [_datapoint(at, values, names, unit) for at, values in stored.items()]
        return {"Label": request["MetricName"], "Datapoints": datapoints}

    def get_metric_data(self, request: Request, context: RequestContext) -> Request:
        queries = [read_query(query) for query in request["MetricDataQueries"]]
        if len({query.id for query in queries}) != len(queries):
            raise ParameterInvalid("Ids of MetricDataQueries repeat.", hint="Give each its own.")
        longest = max((query.period_seconds for query in queries), default=60)
        start_at, end_at = _span(request, longest)
        self._watch.flush()
        points = run(queries, start_at, end_at, self._watch.history.read)
        newest_first = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        rows = [
            (query, at, points[query.id][at])
            for query in queries
            if query.return_data
            for at in sorted(points[query.id], reverse=newest_first)
        ]
        budget = request.get("MaxDatapoints", DATAPOINTS_MAX)
        page, token = page_of(rows, request.get("NextToken"), budget)
        results = [_result(query, page) for query in queries if query.return_data]
        return {"MetricDataResults": results, "Messages": [], "NextToken": token}


# --- requests read ---


def _datum(
    namespace: str, datum: Mapping[str, Any], now: datetime
) -> tuple[SeriesKey, str, int, StatisticSet]:
    at = datum.get("Timestamp", now)
    if not now - PAST_MAX <= at <= now + FUTURE_MAX:
        raise ParameterInvalid(
            f"The timestamp {at.isoformat()} of {datum['MetricName']} is not within two weeks "
            "before and two hours after now.",
            hint="Send data as it is measured.",
        )
    key = read_key({"Namespace": namespace, **datum})
    return key, datum.get("Unit", "None"), int(at.timestamp()), _values(datum)


def _values(datum: Mapping[str, Any]) -> StatisticSet:
    if "StatisticValues" in datum:
        given = datum["StatisticValues"]
        values = StatisticSet.summary(
            given["SampleCount"], given["Sum"], given["Minimum"], given["Maximum"]
        )
    elif "Values" in datum:
        counts = datum.get("Counts") or [1.0] * len(datum["Values"])
        if len(counts) != len(datum["Values"]):
            raise ParameterInvalid(
                f"{datum['MetricName']} has {len(datum['Values'])} Values and {len(counts)} "
                "Counts.",
                hint="Give each value its count.",
            )
        values = StatisticSet()
        for value, times in zip(datum["Values"], counts, strict=True):
            values.add(_finite(datum, value), times)
    elif "Value" in datum:
        values = StatisticSet.of([_finite(datum, datum["Value"])])
    else:
        raise ParameterInvalid(
            f"{datum['MetricName']} has no Value, Values or StatisticValues.", hint="Give one."
        )
    for number in (values.count, values.sum, values.min, values.max):
        _finite(datum, number)
    return values


def _finite(datum: Mapping[str, Any], number: float) -> float:
    if not math.isfinite(number):
        raise ParameterInvalid(
            f"The value {number} of {datum['MetricName']} is not a finite number.",
            hint="Leave the datum out.",
        )
    return number


def _span(request: Mapping[str, Any], period: int) -> tuple[int, int]:
    start, end = int(request["StartTime"].timestamp()), int(request["EndTime"].timestamp())
    if start >= end:
        raise ParameterInvalid(
            "The parameter StartTime must be less than the parameter EndTime.",
            hint="Swap them.",
        )
    return align(start, period), end


# --- answers written ---


def _datapoint(at: int, values: StatisticSet, names: list[str], unit: str) -> Request:
    computed = {name: statistic(values, name) for name in names}
    extended = {
        name: value
        for name, value in computed.items()
        if name not in SIMPLE_STATISTICS and value is not None
    }
    return {
        "Timestamp": datetime.fromtimestamp(at, UTC),
        "Unit": unit,
        **{name: computed[name] for name in SIMPLE_STATISTICS if name in computed},
        **({"ExtendedStatistics": extended} if extended else {}),
    }


def _result(query: MetricQuery, rows: Sequence[tuple[MetricQuery, int, float]]) -> Request:
    points: Points = {at: value for owner, at, value in rows if owner is query}
    label = query.label or (query.key.name if query.key else query.id)
    return {
        "Id": query.id,
        "Label": label,
        "Timestamps": [datetime.fromtimestamp(at, UTC) for at in points],
        "Values": list(points.values()),
        "StatusCode": "Complete",
    }
