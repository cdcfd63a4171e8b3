"""What CloudWatch's metric and alarm operations have in common: series, periods, queries."""

from collections.abc import Mapping
from typing import Any

from lakelet.model.errors import LakeletError
from lakelet.watch.queries import MetricQuery
from lakelet.watch.registry import SeriesKey
from lakelet.watch.statistics import check_statistic

SIMPLE_STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")


class ParameterInvalid(LakeletError):
    code = "cloudwatch.parameter"
    aws_code = "InvalidParameterValue"
    http_status = 400


def read_key(request: Mapping[str, Any]) -> SeriesKey:
    dimensions = sorted((d["Name"], d["Value"]) for d in request.get("Dimensions", []))
    return SeriesKey(request["Namespace"], request["MetricName"], tuple(dimensions))


def read_period(period: int) -> int:
    """Sub-minute periods are answered by the minute: finer is not kept."""
    if period < 60:
        return 60
    if period % 60:
        raise ParameterInvalid(
            f"The value {period} for parameter Period must be a multiple of 60.", hint="As in 300."
        )
    return period


def read_query(request: Mapping[str, Any]) -> MetricQuery:
    stat = request.get("MetricStat")
    if (stat is None) == ("Expression" not in request):
        raise ParameterInvalid(
            f"The query {request['Id']} needs either MetricStat or Expression.", hint="Give one."
        )
    common = {
        "id": request["Id"],
        "label": request.get("Label", ""),
        "return_data": request.get("ReturnData", True),
    }
    if stat is None:
        period = read_period(request.get("Period", 60))
        return MetricQuery(**common, expression=request["Expression"], period_seconds=period)
    check_statistic(stat["Stat"])
    return MetricQuery(
        **common,
        key=read_key(stat["Metric"]),
        statistic=stat["Stat"],
        period_seconds=read_period(stat["Period"]),
    )


def write_metric(key: SeriesKey) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in key.dimensions]
    return {"Namespace": key.namespace, "MetricName": key.name, "Dimensions": dimensions}
