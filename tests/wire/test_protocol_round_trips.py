"""botocore is the other side: what it writes we read back, what we write it reads back."""

import datetime as dt
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from lakelet.wire.http import HttpRequest
from lakelet.wire.models import service_model
from lakelet.wire.protocol.base import WireProtocol
from lakelet.wire.protocol.cbor import CborProtocol
from lakelet.wire.protocol.json import JsonProtocol, parse_slowly
from lakelet.wire.protocol.query import QueryProtocol
from lakelet.wire.protocol.rest_xml import RestXmlProtocol
from lakelet.wire.s3.routing import find_route

AT = dt.datetime(2026, 3, 9, 14, 30, 12, tzinfo=dt.UTC)

JSON, CBOR, QUERY, REST = "json", "smithy-rpc-v2-cbor", "query", "rest-xml"
PROTOCOLS: dict[str, WireProtocol] = {
    JSON: JsonProtocol(),
    CBOR: CborProtocol(),
    QUERY: QueryProtocol(),
    REST: RestXmlProtocol(),
}

METRIC = {
    "Namespace": "Shop",
    "MetricData": [
        {
            "MetricName": "Clicks",
            "Dimensions": [{"Name": "page", "Value": "a&b=c d"}, {"Name": "x", "Value": "ü"}],
            "Timestamp": AT,
            "Values": [1.0, 2.5],
            "Unit": "Count",
        },
        {"MetricName": "Errors", "Value": 0.0},
    ],
}
STORAGE = {
    "Columns": [{"Name": "event_id", "Type": "string"}, {"Name": "p", "Type": "array<int>"}],
    "Location": "s3://lake/events/",
    "Compressed": False,
    "NumberOfBuckets": -1,
    "SerdeInfo": {"Parameters": {"serialization.format": "1"}},
}

REQUESTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("firehose", "PutRecord", JSON, {"DeliveryStreamName": "a", "Record": {"Data": b"\x00\xff"}}),
    ("firehose", "PutRecordBatch", JSON,
     {"DeliveryStreamName": "a", "Records": [{"Data": bytes([i])} for i in range(256)]}),
    ("firehose", "DescribeDeliveryStream", JSON, {"DeliveryStreamName": "a", "Limit": 1}),
    ("firehose", "CreateDeliveryStream", JSON, {
        "DeliveryStreamName": "clicks",
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": "arn:aws:iam::000000000000:role/r",
            "BucketARN": "arn:aws:s3:::lake",
            "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60},
            "CompressionFormat": "GZIP",
            "ProcessingConfiguration": {"Enabled": True, "Processors": [
                {"Type": "AppendDelimiterToRecord",
                 "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]}]},
        },
        "Tags": [{"Key": "team", "Value": "web"}]}),
    ("glue", "GetTable", JSON, {"DatabaseName": "d", "Name": "événements"}),
    ("glue", "CreateTable", JSON, {"DatabaseName": "d", "TableInput": {
        "Name": "events", "StorageDescriptor": STORAGE, "LastAccessTime": AT,
        "PartitionKeys": [{"Name": "year", "Type": "string"}],
        "Parameters": {"classification": "parquet", "x": ""}}}),
    ("glue", "BatchCreatePartition", JSON, {
        "DatabaseName": "d", "TableName": "t",
        "PartitionInputList": [{"Values": ["2026", "03"], "StorageDescriptor": STORAGE}]}),
    ("glue", "GetPartitions", JSON, {
        "DatabaseName": "d", "TableName": "t", "Expression": "year = '2026' AND month > '01'",
        "Segment": {"SegmentNumber": 0, "TotalSegments": 4}, "MaxResults": 100}),
    ("glue", "CreateCrawler", JSON, {
        "Name": "c", "Role": "r", "Targets": {"S3Targets": [{"Path": "s3://b/", "SampleSize": 2}]},
        "SchemaChangePolicy": {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"},
        "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}}),
    ("athena", "StartQueryExecution", JSON, {
        "QueryString": "SELECT '🦆' -- \"x\"\n", "ClientRequestToken": "t" * 32,
        "QueryExecutionContext": {"Database": "d"},
        "ResultConfiguration": {"OutputLocation": "s3://r/"},
        "ResultReuseConfiguration": {
            "ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 60}}}),
    ("athena", "GetQueryResults", JSON, {"QueryExecutionId": "x", "MaxResults": 1000}),
    ("athena", "CreateWorkGroup", JSON, {
        "Name": "w", "Configuration": {"BytesScannedCutoffPerQuery": 10_000_000}}),
    ("logs", "PutLogEvents", JSON, {
        "logGroupName": "g", "logStreamName": "s",
        "logEvents": [{"timestamp": 1_770_000_000_000, "message": "m\tü"}]}),
    ("logs", "FilterLogEvents", JSON, {"logGroupName": "g", "startTime": 5, "filterPattern": "x"}),
    ("cloudwatch", "PutMetricData", CBOR, METRIC),
    ("cloudwatch", "PutMetricData", QUERY, METRIC),
    ("cloudwatch", "GetMetricStatistics", CBOR, {
        "Namespace": "AWS/Firehose", "MetricName": "IncomingRecords", "StartTime": AT,
        "EndTime": AT, "Period": 60, "Statistics": ["Sum", "Maximum"]}),
    ("cloudwatch", "GetMetricStatistics", QUERY, {
        "Namespace": "AWS/Firehose", "MetricName": "IncomingRecords", "StartTime": AT,
        "EndTime": AT, "Period": 60, "Statistics": ["Sum", "Maximum"]}),
    ("cloudwatch", "PutMetricAlarm", CBOR, {
        "AlarmName": "late", "EvaluationPeriods": 1, "Threshold": 2.5,
        "ComparisonOperator": "GreaterThanThreshold", "ActionsEnabled": False}),
    ("cloudwatch", "DeleteAlarms", QUERY, {"AlarmNames": ["a", "b"]}),
    ("sts", "GetCallerIdentity", QUERY, {}),
    ("sts", "AssumeRole", QUERY, {
        "RoleArn": "arn:aws:iam::000000000000:role/r", "RoleSessionName": "session",
        "DurationSeconds": 900, "Tags": [{"Key": "a", "Value": "b"}]}),
    ("s3", "ListObjectsV2", REST, {
        "Bucket": "b", "Prefix": "a b/ü&", "Delimiter": "/", "MaxKeys": 5, "EncodingType": "url",
        "FetchOwner": True}),
    ("s3", "ListObjects", REST, {"Bucket": "b", "Marker": "x+y"}),
    ("s3", "GetObject", REST, {
        "Bucket": "b", "Key": "a//b c/ü", "Range": "bytes=0-1", "IfModifiedSince": AT,
        "ResponseContentType": "text/x"}),
    ("s3", "HeadObject", REST, {"Bucket": "b", "Key": "../x", "IfMatch": '"e"'}),
    ("s3", "DeleteObject", REST, {"Bucket": "b", "Key": "k/"}),
    ("s3", "CopyObject", REST, {
        "Bucket": "b", "Key": "k", "CopySource": "b2/k2", "MetadataDirective": "REPLACE",
        "Metadata": {"a": "b", "c-d": "e f"}}),
    ("s3", "DeleteObjects", REST, {
        "Bucket": "b", "Delete": {"Objects": [{"Key": "a&<b>"}, {"Key": " x "}], "Quiet": True}}),
    ("s3", "CreateMultipartUpload", REST, {"Bucket": "b", "Key": "k", "ContentEncoding": "gzip"}),
    ("s3", "CompleteMultipartUpload", REST, {
        "Bucket": "b", "Key": "k", "UploadId": "u+/=",
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": '"x"'}]}}),
    ("s3", "UploadPartCopy", REST, {
        "Bucket": "b", "Key": "k", "UploadId": "u", "PartNumber": 2, "CopySource": "b/k",
        "CopySourceRange": "bytes=0-5"}),
    ("s3", "ListParts", REST, {"Bucket": "b", "Key": "k", "UploadId": "u"}),
    ("s3", "AbortMultipartUpload", REST, {"Bucket": "b", "Key": "k", "UploadId": "u"}),
    ("s3", "CreateBucket", REST, {
        "Bucket": "b", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}),
    ("s3", "PutBucketLifecycleConfiguration", REST, {
        "Bucket": "b", "LifecycleConfiguration": {"Rules": [
            {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "a/"},
             "Expiration": {"Days": 30}}]}}),
    ("s3", "PutObjectTagging", REST, {
        "Bucket": "b", "Key": "k", "Tagging": {"TagSet": [{"Key": "a", "Value": "ü"}]}}),
    ("s3", "PutBucketPolicy", REST, {"Bucket": "b", "Policy": '{"Version": "2012-10-17"}'}),
    ("s3", "GetBucketLocation", REST, {"Bucket": "b"}),
]  # fmt: skip


def case_name(case: tuple[str, str, str, Any]) -> str:
    return f"{case[0]}.{case[1]}-{case[2]}"


async def nothing() -> dict[str, Any]:
    return {"type": "http.request"}


def written_by_botocore(
    service: str, operation: str, protocol: str, parameters: dict[str, Any]
) -> HttpRequest:
    model = service_model(service).operation_model(operation)
    serialized = create_serializer(protocol).serialize_to_request(parameters, model)
    prepare_request_dict(serialized, "http://127.0.0.1:1/")
    url = serialized["url"].removeprefix("http://127.0.0.1:1")
    path, _, query = url.partition("?")
    body = serialized["body"]
    if isinstance(body, dict):  # the query protocol's form is encoded by botocore's HTTP layer
        from botocore.compat import urlencode

        body = urlencode(body)
    return HttpRequest(
        serialized["method"],
        path or "/",
        query,
        {name.lower(): str(value) for name, value in serialized["headers"].items()},
        nothing,
        body=body.encode() if isinstance(body, str) else bytes(body),
    )


@pytest.mark.parametrize("case", REQUESTS, ids=case_name)
def test_what_botocore_writes_we_read(case: tuple[str, str, str, dict[str, Any]]) -> None:
    service, operation, protocol, parameters = case
    request = written_by_botocore(service, operation, protocol, parameters)
    if protocol == REST:
        assert find_route(request) == operation
    model = service_model(service).operation_model(operation)
    read = PROTOCOLS[protocol].parse(model, request)
    for name in ("Key", "Bucket"):
        if protocol == REST and name in read and not read[name]:
            del read[name]
    if "Policy" in read:  # the model calls it a string, the wire a body
        read["Policy"] = str(read["Policy"])
    assert read == parameters


@pytest.mark.parametrize("case", [c for c in REQUESTS if c[2] == JSON], ids=case_name)
def test_the_fast_and_the_slow_way_agree(case: tuple[str, str, str, dict[str, Any]]) -> None:
    service, operation, _, parameters = case
    request = written_by_botocore(*case)
    model = service_model(service).operation_model(operation)
    assert parse_slowly(model.input_shape, request.body) == parameters


ANSWERS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("firehose", "PutRecordBatch", JSON, {
        "FailedPutCount": 1, "Encrypted": False,
        "RequestResponses": [{"RecordId": "r"}, {"ErrorCode": "InternalFailure"}]}),
    ("firehose", "DescribeDeliveryStream", JSON, {"DeliveryStreamDescription": {
        "DeliveryStreamName": "a", "DeliveryStreamARN": "arn", "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamType": "DirectPut", "VersionId": "1", "CreateTimestamp": AT,
        "Destinations": [], "HasMoreDestinations": False}}),
    ("glue", "GetTable", JSON, {"Table": {
        "Name": "t", "CreateTime": AT, "StorageDescriptor": STORAGE, "Retention": 0}}),
    ("glue", "GetCrawler", JSON, {"Crawler": {
        "Name": "c", "State": "READY", "LastCrawl": {"Status": "SUCCEEDED", "StartTime": AT}}}),
    ("athena", "GetQueryExecution", JSON, {"QueryExecution": {
        "QueryExecutionId": "x", "Status": {"State": "SUCCEEDED", "SubmissionDateTime": AT},
        "Statistics": {"DataScannedInBytes": 2**40}}}),
    ("athena", "GetQueryResults", JSON, {"ResultSet": {
        "Rows": [{"Data": [{"VarCharValue": "ü"}, {}]}]}}),
    ("logs", "GetLogEvents", JSON, {"events": [{"timestamp": 1, "message": "m"}]}),
    ("cloudwatch", "GetMetricStatistics", CBOR, {
        "Label": "l", "Datapoints": [{"Timestamp": AT, "Sum": 5.0, "Unit": "Count"}]}),
    ("cloudwatch", "GetMetricStatistics", QUERY, {
        "Label": "l", "Datapoints": [{"Timestamp": AT, "Sum": 5.0, "Unit": "Count"}]}),
    ("cloudwatch", "ListMetrics", QUERY, {"Metrics": [
        {"Namespace": "n", "MetricName": "m", "Dimensions": [{"Name": "a", "Value": "<b>"}]}]}),
    ("sts", "GetCallerIdentity", QUERY, {"UserId": "u", "Account": "0" * 12, "Arn": "arn"}),
    ("s3", "ListBuckets", REST, {
        "Buckets": [{"Name": "b", "CreationDate": AT}], "Owner": {"ID": "i"}}),
    ("s3", "ListObjectsV2", REST, {
        "IsTruncated": True, "KeyCount": 2, "MaxKeys": 2, "Name": "b", "Prefix": "p",
        "Contents": [{"Key": "a&<b> ü", "Size": 5, "ETag": '"e"', "LastModified": AT}],
        "CommonPrefixes": [{"Prefix": "c/"}], "NextContinuationToken": "t"}),
    ("s3", "HeadObject", REST, {
        "ETag": '"e"', "LastModified": AT, "ContentType": "text/x", "ContentLength": 9,
        "Metadata": {"a": "b"}, "Expiration": 'expiry-date="x", rule-id="r"'}),
    ("s3", "CopyObject", REST, {"CopyObjectResult": {"ETag": '"e"', "LastModified": AT}}),
    ("s3", "DeleteObjects", REST, {
        "Deleted": [{"Key": "a"}, {"Key": "b"}],
        "Errors": [{"Key": "c", "Code": "x", "Message": "m"}]}),
    ("s3", "ListParts", REST, {
        "Bucket": "b", "Key": "k", "UploadId": "u", "IsTruncated": False,
        "Parts": [{"PartNumber": 1, "Size": 5, "ETag": '"e"', "LastModified": AT}]}),
    ("s3", "GetBucketLifecycleConfiguration", REST, {"Rules": [
        {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}]}),
    ("s3", "GetObjectTagging", REST, {"TagSet": [{"Key": "a", "Value": "b"}]}),
    ("s3", "GetBucketEncryption", REST, {"ServerSideEncryptionConfiguration": {"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}}),
    ("s3", "GetBucketPolicy", REST, {"Policy": '{"a": 1}'}),
]  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS, ids=case_name)
def test_what_we_write_botocore_reads(case: tuple[str, str, str, dict[str, Any]]) -> None:
    service, operation, protocol, answer = case
    model = service_model(service).operation_model(operation)
    response = PROTOCOLS[protocol].serialise(model, answer, "request-1")
    headers = HeadersDict(response.headers)
    if response.content_length is not None:
        headers["content-length"] = str(response.content_length)
    read = create_parser(protocol).parse(
        {"status_code": response.status, "headers": headers, "body": response.body},
        model.output_shape,
    )
    assert read.pop("ResponseMetadata")["RequestId"] == "request-1"
    assert read == answer
