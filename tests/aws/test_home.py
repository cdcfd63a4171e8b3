"""The AWS home by itself, without an account."""

import pytest

from lakelet.aws.home import AwsHome
from tests.aws.declared import default_site

APPENDING = {"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord"}]}


class FakeFirehose:
    """A session and its one client."""

    def __init__(self, processing):
        self.processing, self.arrived = processing, []

    def client(self, _service):
        return self

    def describe_delivery_stream(self, **_):
        destination = {
            "ExtendedS3DestinationDescription": {"ProcessingConfiguration": self.processing}
        }
        return {"DeliveryStreamDescription": {"Destinations": [destination]}}

    def put_record_batch(self, *, DeliveryStreamName, Records):  # noqa: N803
        self.arrived += [record["Data"] for record in Records]
        return {"RequestResponses": [{"RecordId": "id"} for _ in Records]}


@pytest.mark.parametrize(("processing", "end"), [(APPENDING, b""), ({"Enabled": False}, b"\n")])
def test_each_record_becomes_one_line_whoever_ends_it(processing, end):
    fake = FakeFirehose(processing)
    outputs = {"RawBucketName": "clickstream-raw-x", "DeliveryStreamName": "clicks"}
    assert AwsHome(fake, default_site(), outputs).put([b'{"n":1}', b'{"n":2}']) == 2
    assert fake.arrived == [b'{"n":1}' + end, b'{"n":2}' + end]
