"""The CloudWatch API, with boto3 as the other side."""

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from lakelet.testing.clock import ManualClock
from lakelet.watch.names import Firehose
from tests.watch.doors import client, served


@pytest.fixture(scope="module")
def door():
    clock = ManualClock()
    with served(clock) as (watch, endpoint):
        yield clock, watch, client("cloudwatch", endpoint)


def span(clock, minutes=60):
    return {
        "StartTime": clock.now() - timedelta(minutes=minutes),
        "EndTime": clock.now() + timedelta(minutes=1),
    }


def error_code(call, **arguments) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_a_users_metric_is_put_and_read_back(door):
    clock, _watch, cloudwatch = door
    dimensions = [{"Name": "Country", "Value": "DE"}]
    cloudwatch.put_metric_data(
        Namespace="Shop",
        MetricData=[
            {"MetricName": "Carts", "Value": 3, "Unit": "Count", "Dimensions": dimensions},
            {
                "MetricName": "Carts",
                "Values": [1, 10],
                "Counts": [2, 1],
                "Unit": "Count",
                "Dimensions": dimensions,
            },
        ],
    )
    answer = cloudwatch.get_metric_statistics(
        Namespace="Shop",
        MetricName="Carts",
        Dimensions=dimensions,
        Period=60,
        Statistics=["SampleCount", "Sum", "Minimum", "Maximum", "Average"],
        ExtendedStatistics=["p50"],
        **span(clock),
    )
    (datapoint,) = answer["Datapoints"]
    assert datapoint.pop("Timestamp") == clock.now().replace(second=0)
    assert datapoint.pop("ExtendedStatistics")["p50"] == pytest.approx(1, rel=0.02)
    assert datapoint == {
        "SampleCount": 4,
        "Sum": 15,
        "Minimum": 1,
        "Maximum": 10,
        "Average": 3.75,
        "Unit": "Count",
    }
    (metric,) = cloudwatch.list_metrics(Namespace="Shop", Dimensions=[{"Name": "Country"}])[
        "Metrics"
    ]
    assert metric == {"Namespace": "Shop", "MetricName": "Carts", "Dimensions": dimensions}


@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_every_protocol_that_clients_choose_is_understood(door, protocol):
    """botocore of today speaks JSON here, that of before Query, other SDKs CBOR."""
    clock, _watch, cloudwatch = door
    speaking = client("cloudwatch", cloudwatch.meta.endpoint_url, protocol=protocol)
    name = f"By {protocol}"
    speaking.put_metric_data(Namespace="Spoken", MetricData=[{"MetricName": name, "Value": 2.5}])
    answer = speaking.get_metric_statistics(
        Namespace="Spoken", MetricName=name, Period=60, Statistics=["Sum"], **span(clock)
    )
    assert [datapoint["Sum"] for datapoint in answer["Datapoints"]] == [2.5]
    assert error_code(speaking.delete_alarms, AlarmNames=["none"]) == "ResourceNotFound"


def test_a_long_request_comes_compressed(door):
    _clock, _watch, cloudwatch = door
    data = [{"MetricName": f"metric-with-a-long-name-{n}", "Value": n} for n in range(700)]
    cloudwatch.put_metric_data(Namespace="Long", MetricData=data)
    pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace="Long")
    assert sum(len(page["Metrics"]) for page in pages) == 700


def test_statistic_values_and_old_timestamps(door):
    clock, _watch, cloudwatch = door
    at = clock.now() - timedelta(minutes=30)
    cloudwatch.put_metric_data(
        Namespace="Shop",
        MetricData=[
            {
                "MetricName": "Latency",
                "Timestamp": at,
                "StatisticValues": {"SampleCount": 4, "Sum": 40, "Minimum": 5, "Maximum": 20},
            }
        ],
    )
    answer = cloudwatch.get_metric_statistics(
        Namespace="Shop", MetricName="Latency", Period=300, Statistics=["Average"], **span(clock)
    )
    assert [(d["Timestamp"], d["Average"]) for d in answer["Datapoints"]] == [(at, 10)]


def test_metric_math_over_the_pipelines_own_metrics(door):
    clock, watch, cloudwatch = door
    watch.metrics.record(Firehose.INCOMING_BYTES, 5000, "clicks")
    watch.metrics.record(Firehose.INCOMING_RECORDS, 10, "clicks")

    def stat(name):
        metric = {
            "Namespace": "AWS/Firehose",
            "MetricName": name,
            "Dimensions": [{"Name": "DeliveryStreamName", "Value": "clicks"}],
        }
        return {"Metric": metric, "Period": 60, "Stat": "Sum"}

    answer = cloudwatch.get_metric_data(
        MetricDataQueries=[
            {"Id": "bytes", "MetricStat": stat("IncomingBytes"), "ReturnData": False},
            {"Id": "records", "MetricStat": stat("IncomingRecords"), "ReturnData": False},
            {"Id": "size", "Expression": "bytes / records", "Label": "Bytes a record"},
        ],
        **span(clock),
    )
    (result,) = answer["MetricDataResults"]
    assert (result["Label"], result["Values"]) == ("Bytes a record", [500])


def test_get_metric_data_pages_on(door):
    clock, _watch, cloudwatch = door
    cloudwatch.put_metric_data(
        Namespace="Paged",
        MetricData=[
            {"MetricName": "N", "Value": n, "Timestamp": clock.now() - timedelta(minutes=n)}
            for n in range(5)
        ],
    )
    stat = {"Metric": {"Namespace": "Paged", "MetricName": "N"}, "Period": 60, "Stat": "Sum"}
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[{"Id": "n", "MetricStat": stat}], MaxDatapoints=2, **span(clock)
    )
    values = [page["MetricDataResults"][0]["Values"] for page in pages]
    assert values == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(
    "datum",
    [
        {"MetricName": "X"},
        {"MetricName": "X", "Values": [1, 2], "Counts": [1]},
        {"MetricName": "X", "Value": float("inf")},
        {"MetricName": "X", "Value": 1, "Timestamp": "2020-01-01T00:00:00Z"},
    ],
)
def test_unsound_data_are_refused_whole(door, datum):
    _clock, _watch, cloudwatch = door
    data = [{"MetricName": "Sound", "Value": 1}, datum]
    code = error_code(cloudwatch.put_metric_data, Namespace="Bad", MetricData=data)
    assert code.startswith("InvalidParameter")
    assert cloudwatch.list_metrics(Namespace="Bad")["Metrics"] == []


def test_the_services_namespaces_are_theirs(door):
    _clock, _watch, cloudwatch = door
    data = [{"MetricName": "X", "Value": 1}]
    code = error_code(cloudwatch.put_metric_data, Namespace="AWS/Firehose", MetricData=data)
    assert code == "InvalidParameterValue"


def test_shipped_alarms_are_described(door):
    _clock, _watch, cloudwatch = door
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix="lakelet-")["MetricAlarms"]
    by_name = {alarm["AlarmName"]: alarm for alarm in alarms}
    assert len(by_name) == 7
    freshness = by_name["lakelet-freshness"]
    assert freshness["MetricName"] == "DeliveryToS3.DataFreshness"
    assert freshness["EvaluationPeriods"] == 3
    assert freshness["AlarmArn"].endswith(":alarm:lakelet-freshness")


def test_an_alarm_lives_its_whole_life(door):
    clock, watch, cloudwatch = door
    declared = {
        "AlarmName": "carts",
        "AlarmDescription": "too many",
        "MetricName": "Abandoned",
        "Namespace": "Shop",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": ["https://hooks.test/carts"],
    }
    cloudwatch.put_metric_alarm(**declared)
    (described,) = cloudwatch.describe_alarms(AlarmNames=["carts"])["MetricAlarms"]
    assert {name: described[name] for name in declared} == declared
    assert described["StateValue"] == "INSUFFICIENT_DATA"

    cloudwatch.put_metric_data(
        Namespace="Shop", MetricData=[{"MetricName": "Abandoned", "Value": 9}]
    )
    clock.advance(60)
    notices = watch.tick()
    posted = []
    watch.tell(notices, lambda url, body: posted.append((url, body)), _Silent())
    assert [(url, body["NewStateValue"]) for url, body in posted] == [
        ("https://hooks.test/carts", "ALARM")
    ]
    found = cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]
    assert [alarm["AlarmName"] for alarm in found] == ["carts"]

    cloudwatch.set_alarm_state(AlarmName="carts", StateValue="OK", StateReason="seen to")
    cloudwatch.disable_alarm_actions(AlarmNames=["carts"])
    (described,) = cloudwatch.describe_alarms(AlarmNames=["carts"])["MetricAlarms"]
    assert (described["StateValue"], described["ActionsEnabled"]) == ("OK", False)
    history = cloudwatch.describe_alarm_history(AlarmName="carts")["AlarmHistoryItems"]
    kinds = [item["HistoryItemType"] for item in reversed(history)]
    assert kinds == [
        "ConfigurationUpdate",
        "StateUpdate",
        "Action",
        "StateUpdate",
        "ConfigurationUpdate",
    ]
    cloudwatch.delete_alarms(AlarmNames=["carts"])
    assert cloudwatch.describe_alarms(AlarmNames=["carts"])["MetricAlarms"] == []
    assert error_code(cloudwatch.delete_alarms, AlarmNames=["carts"]) == "ResourceNotFound"


def test_an_alarm_over_metric_math_is_described_as_declared(door):
    _clock, _watch, cloudwatch = door
    stat = {"Metric": {"Namespace": "Shop", "MetricName": "Carts"}, "Period": 300, "Stat": "p99"}
    metrics = [
        {"Id": "m1", "MetricStat": stat, "ReturnData": False},
        {"Id": "e1", "Expression": "m1 * 2", "Label": "double", "ReturnData": True},
    ]
    cloudwatch.put_metric_alarm(
        AlarmName="math",
        Metrics=metrics,
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        Threshold=1.5,
        ComparisonOperator="LessThanThreshold",
    )
    (described,) = cloudwatch.describe_alarms(AlarmNames=["math"])["MetricAlarms"]
    for query in described["Metrics"]:
        if "MetricStat" in query:
            assert query["MetricStat"]["Metric"].pop("Dimensions") == []
    assert described["Metrics"] == metrics
    assert described["DatapointsToAlarm"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"DatapointsToAlarm": 2},
        {"TreatMissingData": "sometimes"},
        {"Statistic": None, "ExtendedStatistic": "p101"},
        {"ComparisonOperator": "GreaterThanUpperThreshold"},
        {"Period": 90},
    ],
)
def test_alarms_that_make_no_sense_are_refused(door, change):
    _clock, _watch, cloudwatch = door
    declared = {
        "AlarmName": "odd",
        "MetricName": "X",
        "Namespace": "Shop",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
    } | change
    declared = {name: value for name, value in declared.items() if value is not None}
    assert error_code(cloudwatch.put_metric_alarm, **declared) != "InternalFailure"
    assert cloudwatch.describe_alarms(AlarmNames=["odd"])["MetricAlarms"] == []


def test_setting_the_state_of_an_alarm_that_is_not_there(door):
    _clock, _watch, cloudwatch = door
    code = error_code(
        cloudwatch.set_alarm_state, AlarmName="none", StateValue="OK", StateReason="x"
    )
    assert code == "ResourceNotFound"


class _Silent:
    def debug(self, *_: object, **__: object) -> None: ...
    def info(self, *_, **__): ...

    def error(self, *_, **__): ...

    def warning(self, *_, **__): ...
