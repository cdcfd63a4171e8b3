"""One page that shows an event's road, left to right, stage by stage."""

import json
from typing import Any

from lakelet.aws.cfn import Resource, resource, sub
from lakelet.aws.site import Site
from lakelet.aws.template_watch import DIMENSION, LAKELET, alarms

WIDTH = 8  # of 24 columns
HEIGHT = 6

Metric = tuple[str, str, str, str, str]  # namespace, name, dimension, its value, statistic


def dashboard(site: Site) -> dict[str, Resource]:
    body = json.dumps({"start": "-PT24H", "widgets": _widgets(site)})
    return {
        "Dashboard": resource(
            "AWS::CloudWatch::Dashboard",
            {"DashboardName": site.names.base, "DashboardBody": sub(body)},
        )
    }


def _widgets(site: Site) -> list[dict[str, Any]]:
    stream, function = (
        ("DeliveryStreamName", site.names.base),
        ("FunctionName", site.names.function),
    )
    ours, workgroup = (DIMENSION, site.names.base), ("WorkGroup", site.names.base)

    def firehose(name: str, statistic: str = "Sum") -> Metric:
        return ("AWS/Firehose", name, *stream, statistic)

    def lambda_(name: str, statistic: str = "Sum") -> Metric:
        return ("AWS/Lambda", name, *function, statistic)

    def lakelet(name: str, statistic: str = "Sum") -> Metric:
        return (LAKELET, name, *ours, statistic)

    def queue(name: str) -> Metric:
        metric = "ApproximateNumberOfMessagesVisible"
        return ("AWS/SQS", metric, "QueueName", f"{site.names.base}-{name}", "Maximum")

    charts: list[tuple[str, list[Metric]]] = [
        ("Accepted", [firehose("IncomingRecords"), firehose("ThrottledRecords")]),
        ("Delivered to raw", [firehose("DeliveryToS3.Records"), firehose("DeliveryToS3.Success")]),
        ("Age of the oldest undelivered", [firehose("DeliveryToS3.DataFreshness", "Maximum")]),
        ("Transform", [lambda_("Invocations"), lambda_("Errors"), lambda_("Throttles")]),
        ("Transform: time", [lambda_("Duration", "p99"), lambda_("AsyncEventAge", "Maximum")]),
        ("Given up", [queue("dead-letters"), queue("failures")]),
        ("Rows", [lakelet("Rows"), lakelet("Duplicates"), lakelet("Dropped")]),
        ("Quarantined", [lakelet("Quarantined"), lakelet("QuarantineRate", "Average")]),
        ("Ledger imbalance", [lakelet("LedgerImbalance", "Maximum")]),
    ]
    widgets = [_chart(title, [_metric(m) for m in metrics]) for title, metrics in charts]
    widgets += [
        _chart(
            "Athena: bytes scanned", [_search("AWS/Athena", workgroup, "ProcessedBytes", "Sum")]
        ),
        _chart(
            "Athena: seconds", [_search("AWS/Athena", workgroup, "TotalExecutionTime", "Average")]
        ),
        _chart(
            "Glue job",
            [
                _search("Glue", ("JobName", site.names.job), metric, "Sum")
                for metric in (
                    "glue.driver.aggregate.numCompletedTasks",
                    "glue.driver.aggregate.numFailedTasks",
                )
            ],
        ),
        _alarm_panel(site),
    ]
    for index, widget in enumerate(widgets):
        widget |= {"x": index % 3 * WIDTH, "y": index // 3 * HEIGHT}
        widget |= {"width": WIDTH, "height": HEIGHT}
    return widgets


def _metric(metric: Metric) -> list[Any]:
    namespace, name, dimension, value, statistic = metric
    return [namespace, name, dimension, value, {"stat": statistic}]


def _search(namespace: str, dimension: tuple[str, str], name: str, statistic: str) -> list[Any]:
    """Metrics split by more dimensions than we care to name, summed up."""
    found = f'Namespace="{namespace}" {dimension[0]}="{dimension[1]}" MetricName="{name}"'
    return [{"expression": f"SUM(SEARCH('{found}', '{statistic}'))", "label": name}]


def _chart(title: str, metrics: list[list[Any]]) -> dict[str, Any]:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "region": "${AWS::Region}",
            "view": "timeSeries",
            "period": 300,
            "metrics": metrics,
        },
    }


def _alarm_panel(site: Site) -> dict[str, Any]:
    arns = [
        "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:"
        f"{site.names.base}-{alarm.name}"
        for alarm in alarms(site)
    ]
    return {"type": "alarm", "properties": {"title": "Alarms", "alarms": arns}}
