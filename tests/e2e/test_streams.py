"""Streams made through the API beside the declared one: they work, and the ledger knows
which of them are its business."""

import gzip
import json

import pytest

from lakelet.testing.node import RunningNode

pytestmark = pytest.mark.e2e

EVENT = {"event_type": "login", "timestamp": "2026-03-09T01:02:03Z"}


def make_stream(node: RunningNode, name: str, bucket: str) -> None:
    node.client("firehose").create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::000000000000:role/any",
            "BucketARN": f"arn:aws:s3:::{bucket}",
            "Prefix": f"{name}/",
            "CompressionFormat": "GZIP",
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [{"Type": "AppendDelimiterToRecord", "Parameters": []}],
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
