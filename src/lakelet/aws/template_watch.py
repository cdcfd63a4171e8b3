"""What watches the pipeline: alarms, events, notifications, the budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakelet.aws.cfn import Resource, arn, get_att, ref, resource, sub, tag_list
from lakelet.aws.site import Site
from lakelet.aws.template_stream import log_group
from lakelet.model.errors import DeclarationError

LAKELET = "Lakelet"  # the namespace of our own metrics (EMF, by the function)
DIMENSION = "Pipeline"
LEDGER_IMBALANCE = "LedgerImbalance"
QUARANTINE_RATE = "QuarantineRate"

FRESHNESS_SLACK_SECONDS = 900  # beyond the buffer's own interval: Firehose is retrying
EVENT_AGE_MAX_MS = 3_600_000  # of the six hours after which Lambda gives up
QUARANTINE_PERCENT_MAX = 5
SCANNED_BYTES_AN_HOUR_MAX = 1_000_000_000_000  # 1 TB: a guess at what nobody meant to spend


@dataclass(frozen=True, slots=True)
class Alarm:
    """`statistic` of a metric over `period_seconds` above `above`: somebody should look."""

    logical_id: str
    name: str
    meaning: str
    namespace: str
    metric: str
    dimensions: Mapping[str, Any]
    statistic: str = "Sum"
    above: float = 0
    period_seconds: int = 300
    periods: int = 1


def alarms(site: Site) -> list[Alarm]:
    stream = {"DeliveryStreamName": ref("DeliveryStream")}
    function = {"FunctionName": ref("TransformFunction")}
    ours = {DIMENSION: site.names.base}
    athena = {"WorkGroup": ref("Workgroup"), "QueryState": "SUCCEEDED", "QueryType": "DML"}
    freshness = site.pipeline.stream.buffer_interval_seconds + FRESHNESS_SLACK_SECONDS
    found = [
        Alarm(
            "AlarmFreshness",
            "delivery-freshness",
            "Events wait undelivered. Firehose retries for 24 hours, then they are lost.",
            "AWS/Firehose",
            "DeliveryToS3.DataFreshness",
            stream,
            "Maximum",
            freshness,
        ),
        Alarm(
            "AlarmThrottledRecords",
            "throttled-records",
            "Producers are being refused: ask for a higher Firehose quota.",
            "AWS/Firehose",
            "ThrottledRecords",
            stream,
        ),
        Alarm(
            "AlarmFunctionErrors",
            "transform-errors",
            "The transform fails; Lambda tries twice more before it hands the object on.",
            "AWS/Lambda",
            "Errors",
            function,
        ),
        Alarm(
            "AlarmFunctionThrottles",
            "transform-throttles",
            "The account's or the function's concurrency is used up.",
            "AWS/Lambda",
            "Throttles",
            function,
        ),
        Alarm(
            "AlarmFunctionAge",
            "transform-age",
            "Raw objects wait for over an hour; after six, Lambda drops them to the queues.",
            "AWS/Lambda",
            "AsyncEventAge",
            function,
            "Maximum",
            EVENT_AGE_MAX_MS,
        ),
        Alarm(
            "AlarmHandOver",
            "failures-not-kept",
            "A failed object could not even be put into the dead-letter queue: look now.",
            "AWS/Lambda",
            "DeadLetterErrors",
            function,
        ),
        *(
            Alarm(
                f"Alarm{queue}",
                name,
                "Raw objects were given up. Look: lakelet status --on aws; "
                "send again: lakelet replay --on aws --dead-letters",
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": get_att(queue, "QueueName")},
                "Maximum",
            )
            for queue, name in (("DeadLetters", "dead-letters"), ("Failures", "failures"))
        ),
        Alarm(
            "AlarmLedger",
            "ledger-imbalance",
            "An event is neither row, duplicate, quarantined nor dropped: lakelet audit --on aws",
            LAKELET,
            LEDGER_IMBALANCE,
            ours,
            "Maximum",
        ),
        Alarm(
            "AlarmQuarantine",
            "quarantine-rate",
            "Many events cannot be read. Look: lakelet quarantine --on aws",
            LAKELET,
            QUARANTINE_RATE,
            ours,
            "Average",
            QUARANTINE_PERCENT_MAX,
        ),
        Alarm(
            "AlarmScannedBytes",
            "scanned-bytes",
            "Queries read more in an hour than anybody meant to pay for.",
            "AWS/Athena",
            "ProcessedBytes",
            athena,
            above=SCANNED_BYTES_AN_HOUR_MAX,
            period_seconds=3600,
        ),
        _rule_alarm("Job"),
    ]
    if site.settings.partitions == "crawler":
        found.append(_rule_alarm("Crawler"))
    return found


def _rule_alarm(kind: str) -> Alarm:
    return Alarm(
        f"Alarm{kind}Failed",
        f"{kind.lower()}-failed",
        f"A run of the {kind.lower()} failed; its log says why.",
        "AWS/Events",
        "MatchedEvents",
        {"RuleName": ref(f"{kind}FailedRule")},
    )


def watch(site: Site) -> dict[str, Resource]:
    made = {alarm.logical_id: _alarm(site, alarm) for alarm in alarms(site)}
    made |= _failures(site)
    if site.settings.notify_email:
        made |= _notifications(site)
    if site.settings.monthly_budget_usd:
        made["Budget"] = _budget(site)
    return made


def _alarm(site: Site, alarm: Alarm) -> Resource:
    topic = [ref("Notifications")] if site.settings.notify_email else None
    return resource(
        "AWS::CloudWatch::Alarm",
        {
            "AlarmName": f"{site.names.base}-{alarm.name}",
            "AlarmDescription": alarm.meaning,
            "Namespace": alarm.namespace,
            "MetricName": alarm.metric,
            "Dimensions": [
                {"Name": name, "Value": value} for name, value in alarm.dimensions.items()
            ],
            "Statistic": alarm.statistic,
            "Period": alarm.period_seconds,
            "EvaluationPeriods": alarm.periods,
            "Threshold": alarm.above,
            "ComparisonOperator": "GreaterThanThreshold",
            # A pipeline at rest measures nothing: that is no alarm.
            "TreatMissingData": "notBreaching",
            "AlarmActions": topic,
            "OKActions": topic,
            "Tags": tag_list(site.tags),
        },
    )


def _failures(site: Site) -> dict[str, Resource]:
    """Crawler and job have no failure metric, but tell of it: a rule counts what it matches,
    and its log keeps the reason."""
    made: dict[str, Resource] = {
        "EventsLogGroup": log_group(site, f"/aws/events/{site.names.base}"),
        "EventsLogPolicy": resource(
            "AWS::Logs::ResourcePolicy",
            {
                "PolicyName": f"{site.names.base}-events",
                "PolicyDocument": sub(_EVENTS_POLICY.replace("GROUP", site.names.base)),
            },
        ),
        "JobFailedRule": _rule(
            site,
            "job-failed",
            "Glue Job State Change",
            {"jobName": [ref("Job")], "state": ["FAILED", "TIMEOUT", "ERROR"]},
        ),
    }
    if site.settings.partitions == "crawler":
        made["CrawlerFailedRule"] = _rule(
            site,
            "crawler-failed",
            "Glue Crawler State Change",
            {"crawlerName": [ref("Crawler")], "state": ["Failed"]},
        )
    return made


# A policy of CloudWatch Logs is text: CloudFormation takes no object here. Without a
# condition, as EventBridge's documentation has it ("CloudWatch Logs permissions", read
# 2026-11-23); one log group is all that it opens.
_EVENTS_POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"KeepFailures","Effect":"Allow",'
    '"Principal":{"Service":["events.amazonaws.com","delivery.logs.amazonaws.com"]},'
    '"Action":["logs:CreateLogStream","logs:PutLogEvents"],'
    '"Resource":"arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}'
    ':log-group:/aws/events/GROUP:*"}]}'
)


def _rule(site: Site, name: str, detail_type: str, detail: Mapping[str, Any]) -> Resource:
    return resource(
        "AWS::Events::Rule",
        {
            "Name": f"{site.names.base}-{name}",
            "Description": f"{detail_type}: kept in the log, counted for the alarm.",
            "State": "ENABLED",
            "EventPattern": {
                "source": ["aws.glue"],
                "detail-type": [detail_type],
                "detail": dict(detail),
            },
            "Targets": [
                {"Id": "log", "Arn": arn("logs", f"log-group:/aws/events/{site.names.base}")}
            ],
        },
        depends_on=("EventsLogGroup", "EventsLogPolicy"),
    )


def _notifications(site: Site) -> dict[str, Resource]:
    statement = {
        "Sid": "LetTheWatchersSpeak",
        "Effect": "Allow",
        "Principal": {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]},
        "Action": "sns:Publish",
        "Resource": ref("Notifications"),
        "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}},
    }
    return {
        "Notifications": resource(
            "AWS::SNS::Topic",
            {
                "TopicName": f"{site.names.base}-notifications",
                "KmsMasterKeyId": site.settings.kms_key_arn or None,
                "Subscription": [{"Protocol": "email", "Endpoint": site.settings.notify_email}],
                "Tags": tag_list(site.tags),
            },
        ),
        "NotificationsPolicy": resource(
            "AWS::SNS::TopicPolicy",
            {
                "Topics": [ref("Notifications")],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            },
        ),
    }


def _budget(site: Site) -> Resource:
    if not site.settings.notify_email:
        raise DeclarationError(
            "aws.monthly_budget_usd is set, but nobody would be told.",
            hint="Set aws.notify_email too.",
        )

    def told(kind: str, percent: int) -> dict[str, Any]:
        return {
            "Notification": {
                "NotificationType": kind,
                "ComparisonOperator": "GREATER_THAN",
                "Threshold": percent,
                "ThresholdType": "PERCENTAGE",
            },
            "Subscribers": [{"SubscriptionType": "SNS", "Address": ref("Notifications")}],
        }

    return resource(
        "AWS::Budgets::Budget",
        {
            "Budget": {
                "BudgetName": site.names.base,
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
                "BudgetLimit": {"Amount": site.settings.monthly_budget_usd, "Unit": "USD"},
                # Counts once the tag is activated for cost allocation (billing console).
                "CostFilters": {"TagKeyValue": [f"user:lakelet:pipeline${site.pipeline.name}"]},
            },
            "NotificationsWithSubscribers": [told("ACTUAL", 80), told("FORECASTED", 100)],
        },
        depends_on=("NotificationsPolicy",),
    )
