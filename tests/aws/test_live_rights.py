"""Every right is needed, and no actor has another's: in an AWS that enforces IAM.

What this AWS cannot show stands in docs/aws.md, "What is proved, and what is not".
"""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.live import Live, event, ndjson, raw_key

pytestmark = pytest.mark.e2e

DENIED = {"AccessDenied", "AccessDeniedException", "403", "Forbidden", "AuthorizationError"}

# --- each statement is needed ---------------------------------------------------------

# What the function is asked, and what it says without the statement: exactly that step fails.
NEEDED = [
    ("ReadRawEvents", "HeadObject of 'year="),
    ("WriteRows", "AccessDenied"),  # by awswrangler, whose words may quote data: code only
    ("WeighRows", "HeadObject of 'events/"),
    ("KeepTheLedger", "_manifests/"),
    ("SetAside", "AccessDenied"),
]


@pytest.mark.parametrize(("sid", "step"), NEEDED)
def test_without_a_statement_its_step_fails(live: Live, sid: str, step: str) -> None:
    key = raw_key()
    # Where no notification listens: only the call below asks the function.
    body = ndjson([event(1)]) + (b"{broken\n" if sid == "SetAside" else b"")
    with live.unheard():
        live.put_raw(body, key=key)
    with live.function_without(sid):
        answer = live.invoke(live.s3_event(key))
    assert answer.get("FunctionError"), f"{sid} is not needed"
    assert step in answer["Payload"]["errorMessage"]
    restored = live.invoke(live.s3_event(key))
    assert restored["Payload"] == {"done": 1, "done_before": 0}


def test_without_the_right_to_forget_former_rows_stay(live: Live) -> None:
    key = live.put_raw(ndjson([event(1)]))
    live.manifest(key)
    with live.unheard():
        live.put_raw(ndjson([event(2, timestamp="2026-11-19T10:00:00Z")]), key=key)
    with live.function_without("ForgetFormerRows"):
        answer = live.invoke(live.s3_event(key))
    assert "DeleteObject" in answer["Payload"]["errorMessage"]
    assert live.invoke(live.s3_event(key))["Payload"] == {"done": 1, "done_before": 0}
    (output,) = live.manifest(key).outputs
    assert output.day == "2026-11-19"


def test_the_stream_cannot_deliver_without_its_statement(live: Live) -> None:
    s3 = live.as_actor("stream", without="DeliverEvents").client("s3")
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=live.raw, Key=raw_key(), Body=b"")
    assert refused.value.response["Error"]["Code"] in DENIED
    live.as_actor("stream").client("s3").put_object(Bucket=live.raw, Key="year=x/y", Body=b"")


ACTS: dict[str, Any] = {
    "read raw events": lambda s, o: s.client("s3").get_object(
        Bucket=o["RawBucketName"], Key="year=x/y"
    ),
    "write raw events": lambda s, o: s.client("s3").put_object(
        Bucket=o["RawBucketName"], Key="year=x/z", Body=b""
    ),
    "delete raw events": lambda s, o: s.client("s3").delete_object(
        Bucket=o["RawBucketName"], Key="year=x/y"
    ),
    "read rows": lambda s, o: s.client("s3").get_object(
        Bucket=o["TransformedBucketName"], Key="events/x"
    ),
    "write rows": lambda s, o: s.client("s3").put_object(
        Bucket=o["TransformedBucketName"], Key="events/x", Body=b""
    ),
    "read the ledger": lambda s, o: s.client("s3").get_object(
        Bucket=o["TransformedBucketName"], Key="_manifests/x"
    ),
    "write results": lambda s, o: s.client("s3").put_object(
        Bucket=o["ResultsBucketName"], Key="clickstream/x", Body=b""
    ),
    "read code": lambda s, o: s.client("s3").get_object(
        Bucket=o["ScriptsBucketName"], Key="code/x"
    ),
    "put events": lambda s, o: s.client("firehose").put_record(
        DeliveryStreamName=o["DeliveryStreamName"], Record={"Data": b"{}"}
    ),
    "ask questions": lambda s, o: s.client("athena").list_query_executions(
        WorkGroup=o["WorkgroupName"]
    ),
    "ask elsewhere": lambda s, o: s.client("athena").list_query_executions(WorkGroup="primary"),
    "add partitions": lambda s, o: s.client("glue").batch_create_partition(
        DatabaseName=o["DatabaseName"], TableName="events", PartitionInputList=[]
    ),
    "read the table": lambda s, o: s.client("glue").get_table(
        DatabaseName=o["DatabaseName"], Name="events"
    ),
    "change roles": lambda s, o: s.client("iam").create_user(UserName="intruder"),
}

MAY: dict[str, set[str]] = {
    "stream": {"write raw events"},
    "transform": {"read raw events", "read rows", "write rows", "read the ledger"},
    "crawler": {"read rows", "add partitions", "read the table"},
    "job": {"read raw events", "read rows", "write rows", "read the ledger", "read code"},
    "producer": {"put events"},
    "analyst": {"read rows", "write results", "ask questions", "read the table"},
}


@pytest.mark.parametrize("actor", MAY)
def test_each_actor_may_do_its_own_and_nothing_else(live: Live, actor: str) -> None:
    session = live.as_actor(actor)
    allowed = {name for name, act in ACTS.items() if not _denied(act, session, live.outputs)}
    live.s3.delete_object(Bucket=live.transformed, Key="events/x")
    assert allowed == MAY[actor]


def _denied(act: Any, session: Any, outputs: dict[str, str]) -> bool:
    """Another error than a denial (there is no such key) means that it was let in."""
    try:
        act(session, outputs)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return code in DENIED or "not authorized" in str(error)
    return False


def _list(bucket: str) -> Any:
    return lambda s, o: s.client("s3").list_objects_v2(Bucket=o[bucket], MaxKeys=1)


def _get(bucket: str, key: str) -> Any:
    return lambda s, o: s.client("s3").get_object(Bucket=o[bucket], Key=key)


def _put(bucket: str, key: str) -> Any:
    return lambda s, o: s.client("s3").put_object(Bucket=o[bucket], Key=key, Body=b"")


def _log_group(name: str) -> Any:
    return lambda s, o: s.client("logs").create_log_stream(logGroupName=name, logStreamName="x")


# What each statement is for, as one call that only it allows. (The stream's right to write
# its log names a log stream, which this AWS does not tell from its group.)
PURPOSES: dict[tuple[str, str], Any] = {
    ("stream", "DeliverEvents"): _put("RawBucketName", "year=x/y"),
    ("stream", "FindTheBucket"): _list("RawBucketName"),
    ("transform", "SeeWhatIsMissing"): _list("TransformedBucketName"),
    ("transform", "HandFailuresOn"): lambda s, o: s.client("sqs").send_message(
        QueueUrl=o["FailuresUrl"], MessageBody='{"Event": "s3:TestEvent"}'
    ),
    ("transform", "WriteItsLog"): _log_group("/aws/lambda/clickstream-transform"),
    ("crawler", "ReadRows"): _get("TransformedBucketName", "events/none"),
    ("crawler", "FindFolders"): _list("TransformedBucketName"),
    ("crawler", "AddPartitions"): ACTS["add partitions"],
    ("crawler", "LogCrawlers"): _log_group("/aws-glue/crawlers"),
    ("job", "ReadItsCode"): _get("ScriptsBucketName", "code/none"),
    ("job", "ListRawEvents"): _list("RawBucketName"),
    ("job", "ReadRawEvents"): _get("RawBucketName", "year=none"),
    ("job", "WriteRows"): _put("TransformedBucketName", "events/_"),
    ("job", "WeighRows"): _get("TransformedBucketName", "events/none"),
    ("job", "ForgetFormerRows"): lambda s, o: s.client("s3").delete_object(
        Bucket=o["TransformedBucketName"], Key="events/_"
    ),
    ("job", "KeepTheLedger"): _get("TransformedBucketName", "_manifests/none"),
    ("job", "SeeWhatIsMissing"): _list("TransformedBucketName"),
    ("job", "SetAside"): _put("RawBucketName", "quarantine/_"),
    ("job", "LogJobs"): _log_group("/aws-glue/jobs/clickstream-backfill"),
    ("producer", "PutEvents"): ACTS["put events"],
    ("analyst", "AskQuestions"): ACTS["ask questions"],
    ("analyst", "ReadDefinitions"): ACTS["read the table"],
    ("analyst", "ReadRows"): _get("TransformedBucketName", "events/none"),
    ("analyst", "KeepResults"): _put("ResultsBucketName", "clickstream/_"),
    ("analyst", "FindTheBuckets"): _list("ResultsBucketName"),
}


@pytest.mark.parametrize(("actor", "sid"), PURPOSES)
def test_each_statement_allows_what_no_other_does(live: Live, actor: str, sid: str) -> None:
    act = PURPOSES[actor, sid]
    assert not _denied(act, live.as_actor(actor), live.outputs), "denied with it"
    assert _denied(act, live.as_actor(actor, without=sid), live.outputs), "allowed without it"
    live.s3.delete_object(Bucket=live.raw, Key="quarantine/_")
    live.s3.delete_object(Bucket=live.transformed, Key="events/_")
    if sid == "HandFailuresOn":  # the letter it sent is nobody's
        live.session.client("sqs").purge_queue(QueueUrl=live.outputs["FailuresUrl"])


@pytest.mark.parametrize("actor", MAY)
def test_people_may_wear_their_roles_and_no_others(live: Live, actor: str) -> None:
    """Whoever this account's IAM lets; a service's role only the service."""
    everything = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    person = live.session_with({"Version": "2012-10-17", "Statement": [everything]})
    role = f"arn:aws:iam::123456789012:role/{live.role_name(actor)}"

    def wear() -> dict[str, str]:
        answer = person.client("sts").assume_role(RoleArn=role, RoleSessionName="somebody")
        return dict(answer["Credentials"])

    if actor not in ("producer", "analyst"):
        with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
            wear()
        return
    key = wear()
    session = live.emulator.session(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
    assert _denied(ACTS["read raw events"], session, live.outputs)
    assert not _denied(
        ACTS["put events" if actor == "producer" else "ask questions"], session, live.outputs
    )
