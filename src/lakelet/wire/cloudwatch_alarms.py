"""CloudWatch's alarm operations over the watch room's book of alarms."""

from collections.abc import Callable, Mapping
from typing import Any

from lakelet.model.errors import LakeletError
from lakelet.watch.alarm_book import AlarmStatus, HistoryItem
from lakelet.watch.alarms import COMPARISONS, Alarm, AlarmState, Missing
from lakelet.watch.queries import MetricQuery
from lakelet.watch.room import Watch
from lakelet.watch.statistics import check_statistic
from lakelet.wire.cloudwatch_values import (
    SIMPLE_STATISTICS,
    ParameterInvalid,
    read_key,
    read_period,
    read_query,
    write_metric,
)
from lakelet.wire.paging import page_of
from lakelet.wire.service import RequestContext

Request = dict[str, Any]


class AlarmNotFound(LakeletError):
    code = "cloudwatch.no_such_alarm"
    aws_code = "ResourceNotFound"
    http_status = 404


class AlarmOperations:
    """One method an operation."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def operations(self) -> dict[str, Callable[[Request, RequestContext], Request | None]]:
        return {
            "PutMetricAlarm": self.put_metric_alarm,
            "DescribeAlarms": self.describe_alarms,
            "DescribeAlarmsForMetric": self.describe_alarms_for_metric,
            "DescribeAlarmHistory": self.describe_alarm_history,
            "SetAlarmState": self.set_alarm_state,
            "EnableAlarmActions": self.enable_alarm_actions,
            "DisableAlarmActions": self.disable_alarm_actions,
            "DeleteAlarms": self.delete_alarms,
        }

    def put_metric_alarm(self, request: Request, context: RequestContext) -> None:
        alarm = _alarm(request)
        for query in alarm.queries:
            if query.key is not None:
                check_statistic(query.statistic)
        self._watch.alarms.put(alarm, context.clock.now())

    def describe_alarms(self, request: Request, context: RequestContext) -> Request:
        kinds = request.get("AlarmTypes", ["MetricAlarm"])
        names, prefix = request.get("AlarmNames"), request.get("AlarmNamePrefix", "")
        chosen = [
            status
            for status in self._watch.alarms.statuses()
            if "MetricAlarm" in kinds
            and (names is None or status.alarm.name in names)
            and status.alarm.name.startswith(prefix)
            and request.get("StateValue") in (None, status.state)
            and _has_action(status.alarm, request.get("ActionPrefix"))
        ]
        page, token = page_of(chosen, request.get("NextToken"), request.get("MaxRecords", 50))
        return {
            "MetricAlarms": [_described(status, context) for status in page],
            "CompositeAlarms": [],
            "NextToken": token,
        }

    def describe_alarms_for_metric(self, request: Request, context: RequestContext) -> Request:
        key = read_key(request)
        found = [
            _described(status, context)
            for status in self._watch.alarms.statuses()
            if any(query.key == key for query in status.alarm.queries)
        ]
        return {"MetricAlarms": found}

    def describe_alarm_history(self, request: Request, context: RequestContext) -> Request:
        items = self._watch.alarms.history(
            request.get("AlarmName"),
            kind=request.get("HistoryItemType"),
            start=request.get("StartDate"),
            end=request.get("EndDate"),
            limit=10_000,
        )
        if request.get("ScanBy") == "TimestampAscending":
            items.reverse()
        page, token = page_of(items, request.get("NextToken"), request.get("MaxRecords", 100))
        return {"AlarmHistoryItems": [_history_item(item) for item in page], "NextToken": token}

    def set_alarm_state(self, request: Request, context: RequestContext) -> None:
        name = request["AlarmName"]
        if self._watch.alarms.get(name) is None:
            raise AlarmNotFound(
                f"Alarm {name} does not exist.", hint="aws cloudwatch describe-alarms lists them."
            )
        state = AlarmState(request["StateValue"])
        self._watch.alarms.set_state(name, state, request["StateReason"], context.clock.now())

    def enable_alarm_actions(self, request: Request, context: RequestContext) -> None:
        self._watch.alarms.enable_actions(request["AlarmNames"], context.clock.now(), enabled=True)

    def disable_alarm_actions(self, request: Request, context: RequestContext) -> None:
        names = request["AlarmNames"]
        self._watch.alarms.enable_actions(names, context.clock.now(), enabled=False)

    def delete_alarms(self, request: Request, context: RequestContext) -> None:
        names = request["AlarmNames"]
        missing = [name for name in names if self._watch.alarms.get(name) is None]
        if missing:
            raise AlarmNotFound(
                f"Alarms {', '.join(missing)} do not exist; none was deleted.",
                hint="aws cloudwatch describe-alarms lists them.",
            )
        self._watch.alarms.delete(names, context.clock.now())


def _alarm(request: Mapping[str, Any]) -> Alarm:
    if "ThresholdMetricId" in request or "EvaluationCriteria" in request:
        raise ParameterInvalid(
            "Anomaly detection and PromQL alarms are not offered.", hint="Give a Threshold."
        )
    queries = _alarm_queries(request)
    periods = request.get("EvaluationPeriods", 1)
    needed = request.get("DatapointsToAlarm", periods)
    if needed > periods:
        raise ParameterInvalid(
            f"DatapointsToAlarm ({needed}) is more than EvaluationPeriods ({periods}).",
            hint="M of N: M is at most N.",
        )
    treat = request.get("TreatMissingData", "missing")
    if treat not in list(Missing) or "Threshold" not in request:
        raise ParameterInvalid(
            f"TreatMissingData {treat!r} or the missing Threshold is not valid.",
            hint="One of missing, ignore, breaching, notBreaching; Threshold is a number.",
        )
    return Alarm(
        name=request["AlarmName"],
        queries=queries,
        threshold=request["Threshold"],
        comparison=_comparison(request),
        evaluation_periods=periods,
        datapoints_to_alarm=needed,
        treat_missing=Missing(treat),
        description=request.get("AlarmDescription", ""),
        unit=request.get("Unit"),
        actions_enabled=request.get("ActionsEnabled", True),
        ok_actions=tuple(request.get("OKActions", ())),
        alarm_actions=tuple(request.get("AlarmActions", ())),
        insufficient_data_actions=tuple(request.get("InsufficientDataActions", ())),
    )


def _alarm_queries(request: Mapping[str, Any]) -> tuple[MetricQuery, ...]:
    if "Metrics" in request:
        queries = tuple(read_query(query) for query in request["Metrics"])
        if sum(query.return_data for query in queries) != 1:
            raise ParameterInvalid(
                "Exactly one of Metrics must return data.", hint="Set ReturnData=false elsewhere."
            )
        return queries
    for name in ("MetricName", "Namespace", "Period"):
        if name not in request:
            raise ParameterInvalid(f"The parameter {name} must be specified.", hint="Add it.")
    statistic = request.get("Statistic") or request.get("ExtendedStatistic")
    if not statistic:
        raise ParameterInvalid("The parameter Statistic must be specified.", hint="As in Sum.")
    return (MetricQuery("m1", read_key(request), statistic, read_period(request["Period"])),)


def _comparison(request: Mapping[str, Any]) -> str:
    comparison = str(request.get("ComparisonOperator", ""))
    if comparison not in COMPARISONS:
        raise ParameterInvalid(
            f"ComparisonOperator {comparison!r} is not offered.", hint=", ".join(COMPARISONS)
        )
    return comparison


def _described(status: AlarmStatus, context: RequestContext) -> Request:
    alarm = status.alarm
    return {
        "AlarmName": alarm.name,
        "AlarmArn": context.arn(f"alarm:{alarm.name}"),
        "AlarmDescription": alarm.description or None,
        "AlarmConfigurationUpdatedTimestamp": status.updated_at,
        "ActionsEnabled": alarm.actions_enabled,
        "OKActions": list(alarm.ok_actions),
        "AlarmActions": list(alarm.alarm_actions),
        "InsufficientDataActions": list(alarm.insufficient_data_actions),
        "StateValue": str(status.state),
        "StateReason": status.reason,
        "StateUpdatedTimestamp": status.state_at,
        "StateTransitionedTimestamp": status.state_at,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.needed,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison,
        "TreatMissingData": str(alarm.treat_missing),
        "Unit": alarm.unit,
        **_watched(alarm),
    }


def _watched(alarm: Alarm) -> Request:
    only = alarm.queries[0]
    if len(alarm.queries) > 1 or only.key is None:
        return {"Metrics": [_described_query(query) for query in alarm.queries]}
    simple = only.statistic in SIMPLE_STATISTICS
    return {
        **write_metric(only.key),
        "Period": only.period_seconds,
        "Statistic" if simple else "ExtendedStatistic": only.statistic,
    }


def _described_query(query: MetricQuery) -> Request:
    described: Request = {"Id": query.id, "ReturnData": query.return_data}
    if query.label:
        described["Label"] = query.label
    if query.key is None:
        return {**described, "Expression": query.expression}
    return {
        **described,
        "MetricStat": {
            "Metric": write_metric(query.key),
            "Period": query.period_seconds,
            "Stat": query.statistic,
        },
    }


def _history_item(item: HistoryItem) -> Request:
    return {
        "AlarmName": item.alarm,
        "AlarmType": "MetricAlarm",
        "Timestamp": item.at,
        "HistoryItemType": item.kind,
        "HistorySummary": item.summary,
        "HistoryData": item.data,
    }


def _has_action(alarm: Alarm, prefix: str | None) -> bool:
    actions = alarm.ok_actions + alarm.alarm_actions + alarm.insufficient_data_actions
    return prefix is None or any(action.startswith(prefix) for action in actions)
