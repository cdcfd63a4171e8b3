"""Whoever sends lines asks the stream whether it ends them itself."""

import botocore.session
import pytest
from botocore.stub import Stubber

from lakelet.producer.firehose import appends_newline, line_delimiter

APPEND = "AppendDelimiterToRecord"


@pytest.fixture
def client():
    return botocore.session.get_session().create_client(
        "firehose",
        region_name="eu-central-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def description(*processors, enabled=True):
    destination = {"ProcessingConfiguration": {"Enabled": enabled, "Processors": [*processors]}}
    return {
        "DeliveryStreamDescription": {
            "DeliveryStreamName": "clicks",
            "DeliveryStreamARN": "arn:aws:firehose:eu-central-1:000000000000:deliverystream/clicks",
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamType": "DirectPut",
            "VersionId": "1",
            "HasMoreDestinations": False,
            "Destinations": [
                {
                    "DestinationId": "destinationId-000000000001",
                    "ExtendedS3DestinationDescription": {
                        "RoleARN": "arn:aws:iam::000000000000:role/any",
                        "BucketARN": "arn:aws:s3:::raw",
                        "BufferingHints": {},
                        "CompressionFormat": "GZIP",
                        "EncryptionConfiguration": {},
                        **destination,
                    },
                }
            ],
        }
    }


def with_delimiter(text):
    return {
        "Type": APPEND,
        "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": text}],
    }


@pytest.mark.parametrize(
    ("answer", "appends"),
    [
        (description({"Type": APPEND}), True),
        (description({"Type": "Lambda"}, {"Type": APPEND, "Parameters": []}), True),
        (description(with_delimiter("\\n")), True),
        (description(with_delimiter("\n")), True),
        (description(with_delimiter("|")), False),
        (description({"Type": APPEND}, enabled=False), False),
        (description({"Type": "Lambda"}), False),
        (description(), False),
        ({"DeliveryStreamDescription": {"Destinations": [{}]}}, False),
        ({"DeliveryStreamDescription": {"Destinations": []}}, False),
        ({}, False),
    ],
)
def test_a_stream_that_ends_lines_is_known_by_its_processor(answer, appends):
    assert appends_newline(answer) is appends


def test_a_record_ends_in_what_its_stream_does_not_append(client):
    with Stubber(client) as stubbed:
        asked = {"DeliveryStreamName": "clicks"}
        stubbed.add_response("describe_delivery_stream", description({"Type": APPEND}), asked)
        stubbed.add_response("describe_delivery_stream", description(), asked)
        assert [line_delimiter(client, "clicks") for _ in range(2)] == [b"", b"\n"]


def test_where_nobody_may_ask_records_end_their_lines(client):
    with Stubber(client) as stubbed:
        for code in ("AccessDeniedException", "ResourceNotFoundException"):
            stubbed.add_client_error("describe_delivery_stream", code)
            assert line_delimiter(client, "clicks") == b"\n"
    assert line_delimiter(client, "no such name") == b"\n"
