"""A request's life: who answers, and what becomes of everything that can go wrong."""

import gzip
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx
import msgspec
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lakelet.model.errors import LakeletError, StorageFull
from lakelet.store.clock import SystemClock
from lakelet.wire.app import BODY_SIZE_BYTES_MAX, Served, WireApp, build_app
from lakelet.wire.credentials import Credentials
from lakelet.wire.http import HttpResponse
from lakelet.wire.server import ServerThread
from lakelet.wire.service import RequestContext, Service
from lakelet.wire.sts import sts_service

AT = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)


class TableNotFound(LakeletError):
    code = "test.no_table"
    aws_code = "EntityNotFoundException"
    http_status = 400
    aws_members: dict[str, Any] = {"FromFederationSource": False, "NoSuchMember": 1}  # noqa: RUF012


class PutRecordOutput(msgspec.Struct):
    RecordId: str


async def get_table(request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    if request["Name"] == "missing":
        raise TableNotFound("No table.", hint="Look: get-tables")
    if request["Name"] == "bug":
        raise RuntimeError("secret payload")
    if request["Name"] == "misspelt":
        return {"Tabel": {}}
    return {"Table": {"Name": request["Name"], "CreateTime": AT, "Description": None}}


async def put_record(request: dict[str, Any], context: RequestContext) -> PutRecordOutput:
    if request["Record"]["Data"] == b"full":
        raise StorageFull("No room.", hint="Free some.")
    return PutRecordOutput(request["Record"]["Data"].hex())


SEEN: list[dict[str, Any]] = []


class ParameterInvalid(LakeletError):
    code = "test.parameter"
    aws_code = "InvalidParameterValue"
    http_status = 400


async def put_metric_data(request: dict[str, Any], context: RequestContext) -> None:
    if request["Namespace"] == "bad":
        raise ParameterInvalid("The namespace is bad.", hint="Choose another.")
    SEEN.append(request)


async def fallback(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await HttpResponse(200, {"content-type": "text/plain"}, b"not AWS").send(send)


SERVICES = {
    "glue": Service("glue", {"GetTable": get_table}),
    "firehose": Service("firehose", {"PutRecord": put_record}),
    "sts": sts_service(),
    "cloudwatch": Service("cloudwatch", {"PutMetricData": put_metric_data}),
}
SERVED: list[Served] = []


def app_with(credentials: Credentials | None) -> WireApp:
    return build_app(
        SERVICES,
        credentials=credentials,
        clock=SystemClock(),
        fallback=fallback,
        observer=SERVED.append,
    )


@pytest.fixture(scope="module")
def server(credentials: Credentials) -> Iterator[ServerThread]:
    with ServerThread(app_with(credentials)) as server:
        yield server


@pytest.fixture(scope="module")
def insecure_server() -> Iterator[ServerThread]:
    with ServerThread(app_with(None)) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: ServerThread, credentials: Credentials) -> Callable[..., Any]:
    def make(service: str, **settings: Any) -> Any:
        given = {
            "endpoint_url": server.url,
            "region_name": "eu-west-1",
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret,
            "config": Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        }
        return boto3.client(service, **{**given, **settings})

    return make


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    error, status = response["Error"], response["ResponseMetadata"]["HTTPStatusCode"]
    return error["Code"], error["Message"], status


def test_a_json_request(client: Callable[..., Any]) -> None:
    answer = client("glue").get_table(DatabaseName="d", Name="ü")
    assert answer["Table"] == {"Name": "ü", "CreateTime": AT}
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


def test_a_struct_is_answered_as_it_stands(client: Callable[..., Any]) -> None:
    answer = client("firehose").put_record(DeliveryStreamName="a", Record={"Data": b"\x00\xff"})
    assert answer["RecordId"] == "00ff"


def test_a_query_request_knows_its_caller(
    client: Callable[..., Any], credentials: Credentials
) -> None:
    answer = client("sts").get_caller_identity()
    assert answer["UserId"] == credentials.access_key_id
    assert answer["Account"] == "000000000000"
    assert answer["Arn"] == "arn:aws:iam::000000000000:user/lakelet"


def test_a_compressed_cbor_request(client: Callable[..., Any]) -> None:
    data = [{"MetricName": f"m{n}", "Value": float(n)} for n in range(1000)]
    client("cloudwatch").put_metric_data(Namespace="n", MetricData=data)  # 10 KB: compressed
    assert SEEN[-1]["MetricData"] == data


def test_errors_of_handlers(client: Callable[..., Any]) -> None:
    glue, firehose = client("glue"), client("firehose")
    code, message, status = error_of(glue.get_table, DatabaseName="d", Name="missing")
    assert (code, status) == ("EntityNotFoundException", 400)
    assert message == "No table. Look: get-tables"
    with pytest.raises(glue.exceptions.EntityNotFoundException) as caught:
        glue.get_table(DatabaseName="d", Name="missing")
    assert caught.value.response["FromFederationSource"] is False
    full = error_of(firehose.put_record, DeliveryStreamName="a", Record={"Data": b"full"})
    assert (full[0], full[2]) == ("ServiceUnavailableException", 503)


def test_errors_of_cbor_keep_the_codes_that_clients_knew(
    client: Callable[..., Any], insecure_server: ServerThread
) -> None:
    cloudwatch = client("cloudwatch")
    bad = error_of(cloudwatch.put_metric_data, Namespace="bad", MetricData=[])
    assert bad == ("InvalidParameterValue", "The namespace is bad. Choose another.", 400)
    with pytest.raises(cloudwatch.exceptions.InvalidParameterValueException):
        cloudwatch.put_metric_data(Namespace="bad", MetricData=[])
    refused = error_of(cloudwatch.put_metric_data, Namespace="", MetricData=[])
    assert refused[0] == "ValidationException"
    assert error_of(cloudwatch.list_metrics)[0] == "UnknownOperationException"


def test_errors_of_the_query_protocol(insecure_server: ServerThread) -> None:
    form = {"Action": "PutMetricData", "Namespace": "bad", "MetricData": ""}
    headers = {"amz-sdk-invocation-id": "1"}
    answer = httpx.post(insecure_server.url, data=form, headers=headers)
    assert answer.status_code == 400
    assert "<Code>InvalidParameterValue</Code>" in answer.text
    assert "<Type>Sender</Type>" in answer.text
    answer = httpx.post(insecure_server.url, data={"Action": "No"}, headers=headers)
    assert "<Code>InvalidAction</Code>" in answer.text


@pytest.mark.parametrize("name", ["bug", "misspelt"])
def test_our_bugs_are_logged_once_and_told_as_nothing(
    client: Callable[..., Any], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.ERROR, "lakelet.wire"):
        code, message, status = error_of(client("glue").get_table, DatabaseName="d", Name=name)
    assert (code, status) == ("InternalFailure", 500)
    assert "secret" not in message
    [record] = caplog.records
    assert "glue GetTable" in record.getMessage()
    assert "secret" not in record.getMessage()  # the traceback below it names no request member


def test_refusals_of_json(
    client: Callable[..., Any], server: ServerThread, credentials: Credentials
) -> None:
    glue = client("glue")
    assert error_of(glue.get_tables, DatabaseName="d")[0] == "UnknownOperationException"
    code, message, status = error_of(glue.get_table, DatabaseName="", Name="x" * 300)
    assert (code, status) == ("ValidationException", 400)
    assert message.startswith("2 validation errors detected: Value '' at 'databaseName' failed")
    code, message, _ = error_of(glue.get_table, Name="x")
    assert code == "ValidationException"
    assert "Value null at 'databaseName'" in message
    code, message, _ = error_of(glue.get_table, DatabaseName=5, Name="x")
    assert (code, message) == (
        "SerializationException",
        "The value at DatabaseName is a JSON number, string was expected.",
    )
    wrong = client("glue", aws_secret_access_key="x" * 40)
    code = error_of(wrong.get_table, DatabaseName="d", Name="x")[0]
    assert code == "InvalidSignatureException"
    unknown = client("glue", aws_access_key_id="AKIAUNKNOWN")
    code = error_of(unknown.get_table, DatabaseName="d", Name="x")[0]
    assert code == "UnrecognizedClientException"


TARGET = {"x-amz-target": "AWSGlue.GetTable", "content-type": "application/x-amz-json-1.1"}


def test_an_unsigned_request_is_refused(server: ServerThread) -> None:
    answer = httpx.post(server.url, headers=TARGET, content=b"{}")
    assert answer.status_code == 400
    assert answer.json()["__type"] == "MissingAuthenticationTokenException"
    assert answer.headers["x-amzn-requestid"]
    cbor = {"smithy-protocol": "rpc-v2-cbor"}
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    assert httpx.post(server.url + path, headers=cbor).status_code == 400


def test_a_signature_for_another_service_is_refused(client: Callable[..., Any]) -> None:
    glue = client("glue")
    glue.meta.service_model.metadata["signingName"] = "athena"
    try:
        glue = client("glue")
        glue.meta.events.register(
            "before-sign.glue.*", lambda request, **_: request.context.update(
                signing={**request.context.get("signing", {}), "signing_name": "athena"}
            ),
        )  # fmt: skip
        code, message, _ = error_of(glue.get_table, DatabaseName="d", Name="x")
    finally:
        glue.meta.service_model.metadata.pop("signingName", None)
    assert code == "InvalidSignatureException"
    assert "correct service: 'glue'" in message


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"{", "SerializationException", "no JSON"),
        (b"[]", "SerializationException", "array"),
        (b'{"DatabaseName": "\\ud800", "Name": "x"}', "SerializationException", "surrogate"),
        (b"\xff", "SerializationException", "no JSON"),
        (b"", "ValidationException", "Member must not be null"),
        (b'{"DatabaseName": null, "Name": "x"}', "ValidationException", "must not be null"),
        (b"[" * 100_000, "SerializationException", "no JSON"),
    ],
)
def test_bodies_that_are_no_requests(
    insecure_server: ServerThread, body: bytes, code: str, words: str
) -> None:
    answer = httpx.post(insecure_server.url, headers=TARGET, content=body)
    assert (answer.status_code, answer.json()["__type"]) == (400, code)
    told = {name.lower(): text for name, text in answer.json().items()}
    assert words in told["message"]


def test_bodies_that_are_too_large(insecure_server: ServerThread) -> None:
    too_large = b" " * (BODY_SIZE_BYTES_MAX + 1)
    for content in (too_large, iter([too_large])):  # declared, and only found out
        answer = httpx.post(insecure_server.url, headers=TARGET, content=content)
        assert answer.status_code == 413
        assert answer.json()["__type"] == "RequestEntityTooLargeException"
    bomb = {**TARGET, "content-encoding": "gzip"}
    answer = httpx.post(insecure_server.url, headers=bomb, content=gzip.compress(too_large))
    assert answer.status_code == 413


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_bodies_in_another_encoding(insecure_server: ServerThread, encoding: str) -> None:
    headers = {**TARGET, "content-encoding": encoding}
    answer = httpx.post(insecure_server.url, headers=headers, content=b"{}")
    assert answer.json()["__type"] == "SerializationException"


def test_members_we_do_not_know_are_ignored_as_aws_does(insecure_server: ServerThread) -> None:
    body = {"DatabaseName": "d", "Name": "n", "CatalogId": None, "Unheard": {"of": 1}}
    answer = httpx.post(insecure_server.url, headers=TARGET, content=json.dumps(body))
    assert answer.json()["Table"]["Name"] == "n"


def test_insecure_takes_any_signature_or_none(
    insecure_server: ServerThread, client: Callable[..., Any]
) -> None:
    glue = client("glue", endpoint_url=insecure_server.url, aws_access_key_id="anybody")
    assert glue.get_table(DatabaseName="d", Name="n")["Table"]["Name"] == "n"
    sts = client("sts", endpoint_url=insecure_server.url, aws_access_key_id="anybody")
    assert sts.get_caller_identity()["UserId"] == "anonymous"


def test_what_is_not_aws_goes_elsewhere(server: ServerThread) -> None:
    for method, path in (("GET", "/"), ("GET", "/healthz"), ("POST", "/collect?x=1")):
        answer = httpx.request(method, server.url + path)
        assert (answer.status_code, answer.text) == (200, "not AWS")


def test_targets_that_nobody_has(insecure_server: ServerThread) -> None:
    for target in ("AWSGlue.NoSuch", "AWSGlue.DeleteTable", "Nobody.GetTable", "x", "."):
        headers = {**TARGET, "x-amz-target": target}
        answer = httpx.post(insecure_server.url, headers=headers, content=b"{}")
        assert (answer.status_code, answer.json()["__type"]) == (400, "UnknownOperationException")


def test_the_observer_hears_of_every_request(client: Callable[..., Any]) -> None:
    glue = client("glue")
    SERVED.clear()
    answer = glue.get_table(DatabaseName="d", Name="n")
    error_of(glue.get_table, DatabaseName="d", Name="missing")
    good, bad = SERVED
    assert (good.service, good.operation, good.http_status) == ("glue", "GetTable", 200)
    assert good.request_id == answer["ResponseMetadata"]["RequestId"]
    assert (bad.http_status, bad.error_code) == (400, "EntityNotFoundException")
    assert good.duration_seconds >= 0
