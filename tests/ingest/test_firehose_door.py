"""Firehose over HTTP, with boto3 on the other side."""

import contextlib
import gzip

import boto3
import botocore.config
import botocore.exceptions
import pytest

from lakelet.model.pipeline import Pipeline
from lakelet.node.ingestion import Ingestion
from lakelet.store.clock import SystemClock
from lakelet.testing.files import FaultyFileSystem
from lakelet.wire.app import build_app
from lakelet.wire.credentials import new_credentials
from lakelet.wire.firehose import firehose_service
from lakelet.wire.server import ServerThread
from tests.ingest.fakes import FakeStore

BUCKET = {
    "RoleARN": "arn:aws:iam::000000000000:role/x",
    "BucketARN": "arn:aws:s3:::lake",
}


class Door:
    def __init__(self) -> None:
        self.disk, self.store = FaultyFileSystem(), FakeStore()
        self.ingestion = Ingestion(
            Pipeline(), files=self.disk, store=self.store, clock=SystemClock(), folder=None
        )
        self.ingestion.start()
        keys = new_credentials()
        app = build_app(
            {"firehose": firehose_service(self.ingestion)}, credentials=keys, clock=SystemClock()
        )
        self.server = ServerThread(app)
        self.server.start()
        self.client = boto3.client(
            "firehose",
            endpoint_url=self.server.url,
            region_name="us-east-1",
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret,
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )

    def close(self) -> None:
        self.client.close()
        self.server.stop()
        self.ingestion.close(drain=False)


@pytest.fixture
def door():
    with contextlib.closing(Door()) as opened:
        yield opened


@contextlib.contextmanager
def refused(code: str, says: str = ""):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert says in error["Message"]


def test_put_record(door) -> None:
    answer = door.client.put_record(DeliveryStreamName="clickstream", Record={"Data": b"one"})
    assert len(answer["RecordId"]) == 48
    assert answer["Encrypted"] is False


def test_put_record_batch_answers_in_order(door) -> None:
    records = [{"Data": b"%d" % i} for i in range(500)]
    answer = door.client.put_record_batch(DeliveryStreamName="clickstream", Records=records)
    assert answer["FailedPutCount"] == 0
    places = [int(each["RecordId"][32:], 16) for each in answer["RequestResponses"]]
    assert places == list(range(places[0], places[0] + 500))
    door.ingestion.flush()
    bodies = b"".join(gzip.decompress(body) for body in door.store.bodies.values())
    assert b"".join(b"%d\n" % i for i in range(500)) in bodies


def test_no_record_id_without_the_disk(door) -> None:
    door.disk.capacity_bytes = 0
    with refused("ServiceUnavailableException"):
        door.client.put_record(DeliveryStreamName="clickstream", Record={"Data": b"lost"})
    door.disk.heal()
    door.client.put_record(DeliveryStreamName="clickstream", Record={"Data": b"kept"})


def test_a_stream_through_its_life(door) -> None:
    client = door.client
    made = client.create_delivery_stream(
        DeliveryStreamName="life",
        DeliveryStreamType="DirectPut",
        ExtendedS3DestinationConfiguration={
            **BUCKET,
            "Prefix": "a/",
            "BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 900},
            "CompressionFormat": "GZIP",
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {
                        "Type": "AppendDelimiterToRecord",
                        "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                    }
                ],
            },
        },
        Tags=[{"Key": "team", "Value": "web"}],
    )
    assert made["DeliveryStreamARN"].endswith(":deliverystream/life")
    described = client.describe_delivery_stream(DeliveryStreamName="life")[
        "DeliveryStreamDescription"
    ]
    assert described["DeliveryStreamStatus"] == "ACTIVE"
    assert described["VersionId"] == "1"
    (destination,) = described["Destinations"]
    assert destination["ExtendedS3DestinationDescription"]["CompressionFormat"] == "GZIP"
    assert destination["S3DestinationDescription"]["BucketARN"] == BUCKET["BucketARN"]

    client.update_destination(
        DeliveryStreamName="life",
        CurrentDeliveryStreamVersionId="1",
        DestinationId=destination["DestinationId"],
        ExtendedS3DestinationUpdate={"BufferingHints": {"SizeInMBs": 3}, "Prefix": "b/"},
    )
    described = client.describe_delivery_stream(DeliveryStreamName="life")[
        "DeliveryStreamDescription"
    ]
    changed = described["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert (described["VersionId"], changed["Prefix"]) == ("2", "b/")
    assert changed["BufferingHints"] == {"SizeInMBs": 3, "IntervalInSeconds": 900}
    with refused("ConcurrentModificationException", "version 1"):
        client.update_destination(
            DeliveryStreamName="life",
            CurrentDeliveryStreamVersionId="1",
            DestinationId=destination["DestinationId"],
            ExtendedS3DestinationUpdate={"Prefix": "c/"},
        )

    client.tag_delivery_stream(DeliveryStreamName="life", Tags=[{"Key": "env", "Value": "test"}])
    client.untag_delivery_stream(DeliveryStreamName="life", TagKeys=["team"])
    tags = client.list_tags_for_delivery_stream(DeliveryStreamName="life")
    assert tags["Tags"] == [{"Key": "env", "Value": "test"}]

    client.start_delivery_stream_encryption(DeliveryStreamName="life")
    assert client.put_record(DeliveryStreamName="life", Record={"Data": b"x"})["Encrypted"]
    client.stop_delivery_stream_encryption(DeliveryStreamName="life")
    assert not client.put_record(DeliveryStreamName="life", Record={"Data": b"y"})["Encrypted"]

    client.delete_delivery_stream(DeliveryStreamName="life")
    with refused("ResourceNotFoundException"):
        client.put_record(DeliveryStreamName="life", Record={"Data": b"x"})


def test_streams_are_listed_in_pages(door) -> None:
    for name in ("a1", "a2", "a3"):
        door.client.create_delivery_stream(
            DeliveryStreamName=name, S3DestinationConfiguration=BUCKET
        )
    page = door.client.list_delivery_streams(Limit=2)
    assert page["DeliveryStreamNames"] == ["a1", "a2"]
    assert page["HasMoreDeliveryStreams"] is True
    page = door.client.list_delivery_streams(ExclusiveStartDeliveryStreamName="a2")
    assert page["DeliveryStreamNames"] == ["a3", "clickstream"]
    assert page["HasMoreDeliveryStreams"] is False


def test_a_taken_name(door) -> None:
    with refused("ResourceInUseException"):
        door.client.create_delivery_stream(
            DeliveryStreamName="clickstream", ExtendedS3DestinationConfiguration=BUCKET
        )


def test_what_is_not_offered_is_named(door) -> None:
    with refused("InvalidArgumentException", "HttpEndpointDestinationConfiguration"):
        door.client.create_delivery_stream(
            DeliveryStreamName="http",
            HttpEndpointDestinationConfiguration={
                "EndpointConfiguration": {"Url": "https://example.org"},
                "S3Configuration": BUCKET,
            },
        )
    with refused("InvalidArgumentException", "KinesisStreamAsSource"):
        door.client.create_delivery_stream(
            DeliveryStreamName="kinesis",
            DeliveryStreamType="KinesisStreamAsSource",
            ExtendedS3DestinationConfiguration=BUCKET,
        )


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"Prefix": "!{timestamp:yyyy}/"}, "ErrorOutputPrefix is required"),
        ({"Prefix": "!{nope:x}/", "ErrorOutputPrefix": "e/"}, "!{nope:x}"),
        ({"Prefix": "!{timestamp:bb}/", "ErrorOutputPrefix": "e/"}, "'b' is not a letter"),
        (
            {"Prefix": "p/!{timestamp:DDDD}/", "ErrorOutputPrefix": "e/"},
            "!{timestamp:DDDD}: 'D' stands 4 times in a row; allowed: 1 to 3.",
        ),
        (
            {"ErrorOutputPrefix": "e/!{firehose:error-output-type}/!{timestamp:www}/"},
            "!{timestamp:www}: 'w' stands 3 times in a row",
        ),
        (
            {
                "Prefix": "!{timestamp:zzzz}/",
                "ErrorOutputPrefix": "e/",
                "CustomTimeZone": "Europe/Vienna",
            },
            "'zzzz' is Java's own name for Europe/Vienna's time",
        ),
        (
            {
                "S3BackupMode": "Enabled",
                "S3BackupConfiguration": {
                    **BUCKET,
                    "Prefix": "!{timestamp:HHH}/",
                    "ErrorOutputPrefix": "e/",
                },
            },
            "'H' stands 3 times in a row",
        ),
        (
            {"Prefix": "p/", "ErrorOutputPrefix": "e/!{timestamp:yyyy}/"},
            "lacks the expression",
        ),
        ({"CustomTimeZone": "Mars/Olympus"}, "CustomTimeZone 'Mars/Olympus' is not"),
        ({"CustomTimeZone": "America"}, "CustomTimeZone 'America' is not"),  # a folder of zones
        (
            {"Prefix": "!{partitionKeyFromQuery:x}/", "ErrorOutputPrefix": "e/"},
            "dynamic partitioning is off",
        ),
    ],
)
def test_configurations_that_cannot_be(door, config, says) -> None:
    with refused("InvalidArgumentException", says):
        door.client.create_delivery_stream(
            DeliveryStreamName="bad", ExtendedS3DestinationConfiguration={**BUCKET, **config}
        )


def test_unknown_stream(door) -> None:
    for call in (door.client.describe_delivery_stream, door.client.delete_delivery_stream):
        with refused("ResourceNotFoundException", "nope"):
            call(DeliveryStreamName="nope")
    with refused("ResourceNotFoundException", "nope"):
        door.client.put_record_batch(DeliveryStreamName="nope", Records=[{"Data": b""}])


def test_a_batch_over_four_mebibytes_is_refused_whole(door) -> None:
    before = door.ingestion.position_next("clickstream")
    with refused("InvalidArgumentException", "4500000 bytes"):
        door.client.put_record_batch(
            DeliveryStreamName="clickstream", Records=[{"Data": b"x" * 900_000}] * 5
        )
    assert door.ingestion.position_next("clickstream") == before
