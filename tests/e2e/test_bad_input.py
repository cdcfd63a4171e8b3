"""What producers and analysts get wrong is answered in the service's own words, and
nothing else is disturbed."""

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from lakelet.testing.node import RunningNode, running_node

pytestmark = pytest.mark.e2e

EVENT = {"event_id": "e", "event_type": "login", "timestamp": "2026-03-09T01:02:03Z"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("bad") / "lake") as running:
        yield running


def post(node: RunningNode, target: str, body: bytes) -> tuple[int, dict[str, str]]:
    """A signed request with any body at all: what no SDK would send."""
    keys = node.environment
    request = AWSRequest(
        "POST",
        node.endpoint + "/",
        {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"},
        body,
    )
    credentials = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(credentials, "firehose", "us-east-1").add_auth(request)
    address = urlsplit(node.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.request("POST", "/", body, dict(request.headers))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.response["Error"]["Code"]


def put(node: RunningNode, records: list[bytes], stream: str = "clickstream") -> dict[str, object]:
    return node.client("firehose").put_record_batch(
        DeliveryStreamName=stream, Records=[{"Data": record} for record in records]
    )


def test_an_unknown_stream(node):
    with pytest.raises(ClientError) as caught:
        put(node, [b"{}"], "clikstream")
    assert code_of(caught) == "ResourceNotFoundException"
    assert "clikstream" in str(caught.value)


@pytest.mark.parametrize(
    ("records", "code"),
    [
        # The first bound stands in the service's model, the second in its documentation.
        ([b"x" * 1_024_001], "ValidationException"),
        ([b"x" * 1_000_000] * 5, "InvalidArgumentException"),
    ],
    ids=["a record over 1,000 KiB", "a batch over 4 MiB"],
)
def test_too_large(node, records, code: str):
    before = node.lake.status()["stream"]["accepted_records"]
    with pytest.raises(ClientError) as caught:
        put(node, records)
    assert code_of(caught) == code
    assert node.lake.status()["stream"]["accepted_records"] == before


def test_too_many_records(node):
    body = {"DeliveryStreamName": "clickstream", "Records": [{"Data": "e30="}] * 501}
    status, answer = post(node, "Firehose_20150804.PutRecordBatch", json.dumps(body).encode())
    assert status == 400
    assert answer["__type"].endswith(("InvalidArgumentException", "ValidationException"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"DeliveryStreamName": "clickstream", "Rec', "SerializationException"),
        (b"[]", "SerializationException"),
        (b'{"DeliveryStreamName": 7, "Record": {"Data": "e30="}}', "SerializationException"),
        (b'{"DeliveryStreamName": "s", "Record": {"Data": "?"}}', "SerializationException"),
        (b'{"DeliveryStreamName": "clickstream"}', "ValidationException"),
        (b'{"DeliveryStreamName": "no spaces", "Record": {"Data": "e30="}}', "ValidationException"),
    ],
)  # fmt: skip
def test_bodies_no_sdk_would_send(node, body: bytes, says: str):
    status, answer = post(node, "Firehose_20150804.PutRecord", body)
    assert status == 400
    assert answer["__type"].endswith(says), answer


def test_an_operation_that_is_none(node):
    status, answer = post(node, "Firehose_20150804.PutRecrod", b"{}")
    assert status == 400
    assert answer["__type"].endswith("UnknownOperationException")


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT * FROM evnts", "TABLE_NOT_FOUND"),
        ("SELECT evnt_id FROM events", "COLUMN_NOT_FOUND"),
        ("SELEC 1", "SYNTAX_ERROR|mismatched input"),
        ("SELECT * FROM read_csv('/etc/passwd')", "FUNCTION_NOT_FOUND|SYNTAX_ERROR"),
    ],
)  # fmt: skip
def test_queries_that_cannot_be_meant(node, sql: str, says: str):
    athena = node.client("athena")
    query_id = athena.start_query_execution(QueryString=sql, WorkGroup="clickstream")[
        "QueryExecutionId"
    ]
    state = "QUEUED"
    while state in ("QUEUED", "RUNNING"):
        execution = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        state = execution["Status"]["State"]
    assert state == "FAILED"
    reason = execution["Status"]["StateChangeReason"]
    assert any(code in reason for code in says.split("|")), reason
    assert execution["Status"]["AthenaError"]["ErrorCategory"] == 2


def test_after_all_that_the_road_is_open(node):
    assert put(node, [json.dumps(EVENT).encode()])["FailedPutCount"] == 0
    node.lake.flush()
    assert node.lake.query("SELECT count(*) AS n FROM events")["n"].to_pylist() == [1]
    assert node.lake.audit(deep=True)["balanced"]
