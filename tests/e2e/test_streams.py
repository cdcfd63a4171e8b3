"""Streams made through the API beside the declared one: they work, and the ledger knows
which of them are its business."""

import base64
import gzip
import json
from pathlib import Path

import pytest

from lakelet.testing.node import RunningNode, running_node

pytestmark = pytest.mark.e2e

FUNCTION = {"ParameterName": "LambdaArn", "ParameterValue": (
    "arn:aws:lambda:us-east-1:000000000000:function:judge"
)}  # fmt: skip
BY_LAMBDA = {"Type": "Lambda", "Parameters": [FUNCTION]}
SPLIT = {
    "Type": "RecordDeAggregation",
    "Parameters": [{"ParameterName": "SubRecordType", "ParameterValue": "JSON"}],
}
EVENT = {"event_type": "login", "timestamp": "2026-03-09T01:02:03Z"}


def make_stream(node: RunningNode, name: str, bucket: str, *processors: dict) -> None:
    node.client("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::000000000000:role/any",
            "BucketARN": f"arn:aws:s3:::{bucket}",
            "Prefix": f"{name}/",
            "CompressionFormat": "GZIP",
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    *(processors or [{"Type": "AppendDelimiterToRecord", "Parameters": []}])
                ],
            },
        },
    )


def put(node: RunningNode, stream: str, *names: str) -> None:
    answer = node.client("firehose").put_record_batch(
        DeliveryStreamName=stream,
        Records=[{"Data": json.dumps({**EVENT, "event_id": name}).encode()} for name in names],
    )
    assert answer["FailedPutCount"] == 0


def test_a_stream_into_another_bucket_is_no_part_of_the_ledger(lakelet_node: RunningNode):
    s3 = lakelet_node.client("s3")
    s3.create_bucket(Bucket="orders-archive")
    make_stream(lakelet_node, "orders", "orders-archive")
    put(lakelet_node, "orders", "o1", "o2")
    put(lakelet_node, "clickstream", "c1")
    lakelet_node.lake.flush()
    (found,) = s3.list_objects_v2(Bucket="orders-archive")["Contents"]
    body = s3.get_object(Bucket="orders-archive", Key=found["Key"])["Body"].read()
    assert len(gzip.decompress(body).splitlines()) == 2
    report = lakelet_node.lake.audit(deep=True)
    assert report["balanced"], report
    assert (report["accepted"], report["rows"]) == (1, 1)


def test_a_second_stream_into_the_raw_zone_counts(lakelet_node: RunningNode):
    make_stream(lakelet_node, "mobile", "clickstream-raw")
    put(lakelet_node, "mobile", "m1", "m2")
    put(lakelet_node, "clickstream", "c1")
    lakelet_node.lake.flush()
    report = lakelet_node.lake.audit(deep=True)
    assert report["balanced"], report
    assert (report["accepted"], report["rows"]) == (3, 3)


def test_a_stream_deleted_and_made_anew_has_two_lives(lakelet_node: RunningNode):
    firehose = lakelet_node.client("firehose")
    for names in (("a", "b"), ("c",)):
        make_stream(lakelet_node, "again", "clickstream-raw")
        put(lakelet_node, "again", *names)
        lakelet_node.lake.flush()
        firehose.delete_delivery_stream(DeliveryStreamName="again")
        while "again" in firehose.list_delivery_streams()["DeliveryStreamNames"]:
            pass
    report = lakelet_node.lake.audit(deep=True)
    assert report["balanced"], report
    assert (report["accepted"], report["rows"]) == (3, 3)


def judge(event, _context):
    """Drops the events that are named so; others go on, a line each."""
    answers = []
    for record in event["records"]:
        data = base64.b64decode(record["data"])
        result = "Dropped" if b"drop" in data else "Ok"
        line = base64.b64encode(data + b"\n").decode()
        answers.append({"recordId": record["recordId"], "result": result, "data": line})
    return {"records": answers}


def declare(folder: Path) -> Path:
    target = folder / "lakelet.toml"
    target.write_text(f'[functions]\njudge = "{__name__}:judge"\n')
    return target


def process_with(node: RunningNode, *processors: dict) -> None:
    firehose = node.client("firehose")
    described = firehose.describe_delivery_stream(DeliveryStreamName="clickstream")
    firehose.update_destination(
        DeliveryStreamName="clickstream",
        CurrentDeliveryStreamVersionId=described["DeliveryStreamDescription"]["VersionId"],
        DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={
            "ProcessingConfiguration": {"Enabled": bool(processors), "Processors": [*processors]}
        },
    )


def balanced(node: RunningNode) -> dict:
    report = node.lake.audit(deep=True)
    assert report["balanced"], report
    return report


def test_what_a_function_dropped_stays_in_the_account_when_it_is_gone(tmp_path):
    """The declaration knows no function: a start takes it away again."""
    config = declare(tmp_path)
    with running_node(tmp_path / "lake", config=config) as node:
        process_with(node, BY_LAMBDA)
        put(node, "clickstream", "a", "drop", "b")
        node.lake.flush()
        put(node, "clickstream", "drop it all")
        node.lake.flush()
        before = balanced(node)
        assert (before["accepted"], before["rows"]) == (4, 2)
        assert before["dropped"]["by the stream's processors"] == 2
    with running_node(tmp_path / "lake") as node:
        put(node, "clickstream", "c")
        node.lake.flush()
        after = balanced(node)
        assert (after["accepted"], after["rows"]) == (5, 3)
        assert after["dropped"] == before["dropped"]


def test_and_when_the_stream_is_deleted(tmp_path):
    with running_node(tmp_path / "lake", config=declare(tmp_path)) as node:
        make_stream(node, "mobile", "clickstream-raw", BY_LAMBDA)
        put(node, "mobile", "a", "drop", "b")
        node.lake.flush()
        before = balanced(node)
        firehose = node.client("firehose")
        firehose.delete_delivery_stream(DeliveryStreamName="mobile")
        while "mobile" in firehose.list_delivery_streams()["DeliveryStreamNames"]:
            pass
        assert balanced(node) == before


def test_records_that_were_parted_once_are_so_still(lakelet_node: RunningNode):
    process_with(lakelet_node, SPLIT, {"Type": "AppendDelimiterToRecord"})
    both = [json.dumps({**EVENT, "event_id": name}) for name in ("a", "b")]
    lakelet_node.client("firehose").put_record(
        DeliveryStreamName="clickstream", Record={"Data": "".join(both).encode()}
    )
    lakelet_node.lake.flush()
    before = balanced(lakelet_node)
    assert (before["accepted"], before["rows"]) == (1, 2)
    assert not any("taken as they lie" in note for note in before["notes"])
    process_with(lakelet_node)
    assert balanced(lakelet_node) == before


def test_a_detour_into_another_bucket_is_told(lakelet_node: RunningNode):
    lakelet_node.client("s3").create_bucket(Bucket="elsewhere")
    firehose = lakelet_node.client("firehose")
    for bucket in ("elsewhere", "clickstream-raw"):
        described = firehose.describe_delivery_stream(DeliveryStreamName="clickstream")
        firehose.update_destination(
            DeliveryStreamName="clickstream",
            CurrentDeliveryStreamVersionId=described["DeliveryStreamDescription"]["VersionId"],
            DestinationId="destinationId-000000000001",
            ExtendedS3DestinationUpdate={"BucketARN": f"arn:aws:s3:::{bucket}"},
        )
        put(lakelet_node, "clickstream", bucket)
        lakelet_node.lake.flush()
        report = balanced(lakelet_node)
        assert (report["accepted"], report["outside"]) == (report["rows"] + 1, 1)
    assert report["rows"] == 1
