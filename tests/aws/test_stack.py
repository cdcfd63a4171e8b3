"""CloudFormation's answers in words, and what a deployment does with them; no AWS in sight."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lakelet.aws.deploy import Deployment, NotDeployed
from lakelet.aws.looks import Account
from lakelet.aws.preflight import PreflightFailed, check_all, refuse, who_am_i
from lakelet.aws.quotas import check_quotas
from lakelet.aws.settings import AwsSettings, FunctionSettings
from lakelet.aws.stack import (
    Effect,
    StackFailed,
    changes_of_new,
    changes_of_set,
    failure,
    faults_of,
    faults_of_validation,
    is_busy,
    remedy_of,
)
from tests.aws.declared import default_site

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def modified(logical_id: str, kind: str, replacement: str, *details: Any) -> dict[str, Any]:
    return {
        "ResourceChange": {
            "Action": "Modify",
            "LogicalResourceId": logical_id,
            "ResourceType": kind,
            "Replacement": replacement,
            "Details": [
                {
                    "Target": {"Attribute": "Properties", "Name": name},
                    "Evaluation": "Dynamic" if cause else "Static",
                    **({"CausingEntity": cause} if cause else {}),
                }
                for name, cause in details
            ],
        }
    }


def test_what_only_refers_to_something_changed_is_left_out() -> None:
    """As an emulator answered a change of the function's memory, 2026-11-23."""
    changes = changes_of_set(
        [
            modified("RawBucket", "AWS::S3::Bucket", "Conditional",
                     ("NotificationConfiguration", "TransformFunction.Arn")),
            modified("DeliveryStream", "AWS::KinesisFirehose::DeliveryStream", "Conditional",
                     ("ExtendedS3DestinationConfiguration", "RawBucket.Arn")),
            modified("TransformFunction", "AWS::Lambda::Function", "False", ("MemorySize", "")),
        ]
    )  # fmt: skip
    assert [change.sentence() for change in changes] == [
        "changed Lambda Function TransformFunction (MemorySize)"
    ]


def test_what_refers_to_something_replaced_is_told_with_it() -> None:
    changes = changes_of_set(
        [
            modified("TransformRole", "AWS::IAM::Role", "False", ("Policies", "RawBucket.Arn")),
            modified("RawBucket", "AWS::S3::Bucket", "True", ("BucketName", "")),
            modified("DeliveryStream", "AWS::KinesisFirehose::DeliveryStream", "Conditional",
                     ("ExtendedS3DestinationConfiguration", "RawBucket.Arn")),
        ]
    )  # fmt: skip
    assert [(change.effect, change.logical_id, change.loses_data) for change in changes] == [
        (Effect.REPLACED, "DeliveryStream", True),
        (Effect.REPLACED, "RawBucket", True),
        (Effect.CHANGED, "TransformRole", False),
    ]
    assert changes[1].sentence() == "REPLACED S3 Bucket RawBucket (BucketName)"


def test_what_loses_data_comes_first() -> None:
    changes = changes_of_set(
        {"ResourceChange": {"Action": action, "LogicalResourceId": name, "ResourceType": kind}}
        for action, name, kind in (
            ("Add", "New", "AWS::SQS::Queue"),
            ("Remove", "Gone", "AWS::S3::Bucket"),
            ("Import", "Kept", "AWS::S3::Bucket"),
        )
    )
    assert [change.sentence() for change in changes] == [
        "deleted S3 Bucket Gone",
        "created SQS Queue New",
        "kept S3 Bucket Kept",
    ]


@pytest.mark.parametrize(
    ("reason", "word", "passing"),
    [
        ("Firehose is unable to assume role arn:aws:iam::1:role/x", "next attempt", True),
        ("The role defined for the function cannot be assumed by Lambda.", "next attempt", True),
        ("clickstream already exists in stack", "stage", False),
        (
            "Resource of type 'AWS::S3::Bucket' with identifier 'x' already exists.",
            "aws s3 sync",
            False,
        ),
        ("decreases account's UnreservedConcurrentExecution below", "reserved_concurrency", False),
        ("User: x is not authorized to perform: glue:CreateCrawler", "--deployer-policy", False),
        ("Layer version arn:aws:lambda:::layer:AWSSDKPandas:9 does not exist", "layer_arn", False),
        ("Limit exceeded for delivery streams", "Service Quotas", False),
        ("Rate exceeded", "deploy again", True),
        ("something nobody has seen", "goes on where it stands", False),
    ],
)
def test_a_reason_has_a_next_step(reason: str, word: str, passing: bool) -> None:
    remedy, found = remedy_of(reason)
    assert word in remedy
    assert found is passing


def failed(logical_id: str, reason: str, second: int = 0) -> dict[str, Any]:
    return {
        "EventId": f"{logical_id}{second}",
        "Timestamp": NOW + timedelta(seconds=second),
        "LogicalResourceId": logical_id,
        "ResourceType": "AWS::KinesisFirehose::DeliveryStream",
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": reason,
    }


def test_the_first_fault_is_told_not_what_was_cancelled_for_it() -> None:
    events = [
        failed("lakelet-x", "The following resource(s) failed", 5),
        failed("Crawler", "Resource creation cancelled", 3),
        failed("DeliveryStream", "Firehose is unable to assume role r", 1),
    ]
    faults = faults_of(events, "lakelet-x")
    assert [fault.logical_id for fault in faults] == ["DeliveryStream"]
    error = failure("lakelet-x", "UPDATE_ROLLBACK_COMPLETE", "", faults)
    assert "DeliveryStream failed: Firehose is unable to assume role r" in error.message
    assert "next attempt" in error.hint


def test_a_refusal_before_the_start_has_its_reason_too() -> None:
    event = {
        "EventType": "VALIDATION_ERROR",
        "LogicalResourceId": "RawBucket",
        "ResourceType": "AWS::S3::Bucket",
        "ValidationStatusReason": "identifier 'x' already exists.",
    }
    (fault,) = faults_of_validation([event, {"EventType": "PROVISIONING_ERROR"}])
    assert (fault.logical_id, fault.passing) == ("RawBucket", False)


def test_only_a_working_stack_is_busy() -> None:
    assert is_busy("UPDATE_IN_PROGRESS")
    assert not is_busy("REVIEW_IN_PROGRESS")
    assert not is_busy("UPDATE_ROLLBACK_COMPLETE")


def test_what_an_earlier_deployment_left_is_kept_not_created() -> None:
    bucket, queue = {"Type": "AWS::S3::Bucket"}, {"Type": "AWS::SQS::Queue"}
    template = {"Resources": {"RawBucket": bucket, "DeadLetters": queue}}
    assert [one.sentence() for one in changes_of_new(template, {"RawBucket"})] == [
        "kept S3 Bucket RawBucket",
        "created SQS Queue DeadLetters",
    ]


# --- a deployment against a CloudFormation of our own ------------------------------------


class FakeCloudFormation:
    """Just enough: `script` says how each executed change set ends."""

    def __init__(self, script: list[tuple[str, list[dict[str, Any]]]]) -> None:
        self.script, self.status = script, "UPDATE_COMPLETE"
        self.events: list[dict[str, Any]] = []
        self.executed: list[str] = []
        self.templates: list[dict[str, Any]] = []

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        if not self.status:
            raise ClientError({"Error": {"Code": "V", "Message": "x does not exist"}}, "D")
        outputs = [{"OutputKey": "DeliveryStreamName", "OutputValue": "clickstream"}]
        return {"Stacks": [{"StackStatus": self.status, "Outputs": outputs}]}

    def get_paginator(self, name: str) -> "FakeCloudFormation":
        self.asked = name
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        if self.asked == "list_stack_resources":
            one = {"LogicalResourceId": "ScriptsBucket", "PhysicalResourceId": "b"}
            return [{"StackResourceSummaries": [one]}]
        return [{"StackEvents": self.events[::-1]}]

    def create_change_set(self, **request: Any) -> dict[str, str]:
        self.templates.append(request)
        return {"Id": f"change-{len(self.templates)}"}

    def describe_change_set(self, **_: Any) -> dict[str, Any]:
        return {"Status": "CREATE_COMPLETE", "Changes": []}

    def delete_change_set(self, **_: Any) -> None: ...

    def execute_change_set(self, *, ChangeSetName: str, **_: Any) -> None:  # noqa: N803
        self.executed.append(ChangeSetName)
        self.status, events = self.script.pop(0)
        self.events += events

    def describe_events(self, **_: Any) -> dict[str, Any]:
        return {}


class FakeS3:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def head_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.objects[Key] = Body


class FakeSession:
    region_name = "eu-central-1"

    def __init__(self, **clients: Any) -> None:
        self.clients = clients

    def client(self, name: str) -> Any:
        return self.clients[name]


PASSING = failed("DeliveryStream", "Firehose is unable to assume role r")
LASTING = failed("Job", "User x is not authorized to perform: glue:CreateJob")
ACCOUNT = Account("123456789012", "eu-central-1", "arn:aws:iam::123456789012:user/me")


def deployment(
    script: list[tuple[str, list[dict[str, Any]]]], told: list[str], paused: list[float]
) -> tuple[Deployment, FakeCloudFormation]:
    cloudformation = FakeCloudFormation(script)
    session = FakeSession(cloudformation=cloudformation, s3=FakeS3())
    made = Deployment(
        session,
        default_site(),
        tell=lambda progress: told.append(progress.text),
        pause=paused.append,
    )
    return made, cloudformation


def plan_of(made: Deployment) -> Any:
    from lakelet.aws.deploy import Plan

    return Plan(ACCOUNT, (), (), first=False)


def test_a_role_not_yet_known_is_waited_for() -> None:
    told: list[str] = []
    paused: list[float] = []
    script = [("UPDATE_ROLLBACK_COMPLETE", [PASSING]), ("UPDATE_COMPLETE", [])]
    made, cloudformation = deployment(script, told, paused)
    assert made.apply(plan_of(made)) == {"DeliveryStreamName": "clickstream"}
    assert len(cloudformation.executed) == 2
    assert paused == [15.0]
    assert any("trying again" in text for text in told)


def test_what_does_not_pass_is_told_at_once() -> None:
    script = [("UPDATE_ROLLBACK_COMPLETE", [LASTING])]
    made, cloudformation = deployment(script, [], [])
    with pytest.raises(StackFailed, match=r"Job failed: .*glue:CreateJob") as caught:
        made.apply(plan_of(made))
    assert "--deployer-policy" in caught.value.hint
    assert len(cloudformation.executed) == 1


def test_it_does_not_try_forever() -> None:
    script = [
        ("UPDATE_ROLLBACK_COMPLETE", [failed("DeliveryStream", "unable to assume role", second)])
        for second in range(5)
    ]
    made, cloudformation = deployment(script, [], [])
    with pytest.raises(StackFailed):
        made.apply(plan_of(made))
    assert len(cloudformation.executed) == 3


def test_code_is_uploaded_once_and_the_template_from_s3() -> None:
    made, cloudformation = deployment([("UPDATE_COMPLETE", []), ("UPDATE_COMPLETE", [])], [], [])
    made.apply(plan_of(made))
    made.apply(plan_of(made))
    first, second = cloudformation.templates
    assert first["TemplateURL"] == second["TemplateURL"]
    assert first["TemplateURL"].startswith(
        "https://s3.eu-central-1.amazonaws.com/clickstream-scripts-123456789012-eu-central-1/"
    )
    assert first["Parameters"] == second["Parameters"]
    assert first["ImportExistingResources"]


def test_no_stack_no_outputs() -> None:
    made, cloudformation = deployment([], [], [])
    cloudformation.status = ""
    with pytest.raises(NotDeployed, match="lakelet-clickstream"):
        made.outputs()


# --- preflight -----------------------------------------------------------------------------


def test_no_region_no_deployment() -> None:
    session = FakeSession()
    session.region_name = ""
    with pytest.raises(PreflightFailed, match="No region"):
        who_am_i(session)


class FakeService:
    """Answers each operation with a value, or raises the error code given for it."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, operation: str) -> Any:
        def call(**_: Any) -> Any:
            answer = self.answers.get(operation, "ResourceNotFoundException")
            if isinstance(answer, str):
                raise ClientError({"Error": {"Code": answer}}, operation)
            return answer

        return call

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **_: [getattr(self, operation)()])


def there(count: int) -> dict[str, Any]:
    """So many streams of others."""
    names = [f"stream-{number}" for number in range(count)]
    return {"DeliveryStreamNames": names, "HasMoreDeliveryStreams": False}


def buckets(*names: str) -> dict[str, Any]:
    return {"Buckets": [{"Name": name} for name in names]}


def quotas(**values: float) -> dict[str, Any]:
    """A page of Service Quotas; underscores stand for blanks."""
    return {
        "Quotas": [
            {"QuotaName": name.replace("_", " "), "Value": value} for name, value in values.items()
        ]
    }


OURS = tuple(
    f"clickstream-{zone}-123456789012-eu-central-1"
    for zone in ("raw", "transformed", "results", "scripts")
)


def looks(settings: AwsSettings | None = None, **answers: Any) -> list[Any]:
    limits = {
        "AccountLimit": {"UnreservedConcurrentExecutions": 1000, "ConcurrentExecutions": 1000}
    }
    known = {
        "get_layer_version_by_arn": {},
        "get_account_settings": limits,
        "head_bucket": "404",
        "list_delivery_streams": there(3),
        "list_buckets": buckets("another"),
        "list_service_quotas": quotas(Delivery_streams=50.0, General_purpose_buckets=100.0),
    }
    service = FakeService(**{**known, **answers})
    names = ("s3", "firehose", "lambda", "glue", "athena", "service-quotas")
    session = FakeSession(**dict.fromkeys(names, service))
    return list(check_all(session, default_site(settings), ACCOUNT, {}))


def test_a_free_account_is_fine() -> None:
    assert {check.ok for check in looks()} == {True}


@pytest.mark.parametrize(
    ("answers", "settings", "named"),
    [
        ({"head_bucket": "403"}, None, "bucket clickstream-raw"),
        ({"describe_delivery_stream": {}}, None, "delivery stream clickstream"),
        ({"get_database": {}}, None, "database clickstream"),
        ({"get_layer_version_by_arn": "ResourceNotFoundException"}, None, "layer"),
        ({}, AwsSettings(function=FunctionSettings(reserved_concurrency=950)), "concurrency"),
        ({"list_delivery_streams": there(50)}, None, "delivery streams: 50 of 50, 1 to add"),
        (
            {"list_buckets": buckets(*map(str, range(97)))},
            None,
            "buckets: 97 of 100, 4 to add",
        ),
    ],
)
def test_what_stands_in_the_way_is_named(
    answers: dict[str, Any], settings: AwsSettings | None, named: str
) -> None:
    checks = looks(settings, **answers)
    with pytest.raises(PreflightFailed, match=named) as caught:
        refuse(checks)
    assert caught.value.hint


def test_what_may_not_be_looked_at_does_not_stop_us() -> None:
    checks = looks(get_database="AccessDeniedException")
    assert None in {check.ok for check in checks}
    refuse(checks)


def test_what_is_ours_already_needs_no_room() -> None:
    full = {
        "DeliveryStreamNames": ["clickstream", *there(49)["DeliveryStreamNames"]],
        "HasMoreDeliveryStreams": False,
    }
    taken = buckets(*OURS, *map(str, range(96)))
    found = {check.name: check for check in looks(list_delivery_streams=full, list_buckets=taken)}
    assert (found["delivery streams"].ok, found["buckets"].ok) == (True, True)
    assert found["delivery streams"].found == "50, none to add"
    # Kept by an earlier `destroy`, one of them gone since: only that one is to add.
    three = buckets(*OURS[1:], *map(str, range(96)))
    (check,) = [one for one in looks(list_buckets=three) if one.name == "buckets"]
    assert (check.ok, check.found) == (True, "99 of 100, 1 to add")


@pytest.mark.parametrize(
    "unknown",
    ["AccessDeniedException", quotas(Dynamic_partitions=500.0, Directory_buckets=1.0)],
)
def test_an_unknown_quota_is_told_by_its_default_and_stops_nobody(unknown: Any) -> None:
    checks = looks(list_service_quotas=unknown, list_delivery_streams=there(2_000))
    found = {check.name: check for check in checks}
    assert found["delivery streams"].ok is None
    assert "2,000, 1 to add; AWS's default is 2,000" in found["delivery streams"].found
    assert found["buckets"].ok
    assert "10,000" in found["buckets"].found
    refuse(checks)


def test_streams_are_counted_on_every_page() -> None:
    class Pages:
        def list_delivery_streams(self, **asked: Any) -> dict[str, Any]:
            first = "ExclusiveStartDeliveryStreamName" not in asked
            names = ["a", "b"] if first else ["c"]
            assert first or asked["ExclusiveStartDeliveryStreamName"] == "b"
            return {"DeliveryStreamNames": names, "HasMoreDeliveryStreams": first}

    service = FakeService(
        list_buckets="AccessDenied", list_service_quotas=quotas(Firehose_streams=3.0)
    )
    session = FakeSession(firehose=Pages(), s3=service, **{"service-quotas": service})
    streams, others = check_quotas(session, default_site(), ACCOUNT, {})
    assert (streams.ok, streams.found) == (False, "3 of 3, 1 to add")
    assert "Service Quotas" in streams.remedy
    assert (others.ok, others.found) == (None, "could not be counted: AccessDenied")
