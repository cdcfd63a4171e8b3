"""Whatever comes, something is answered, and it is never our fault."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.store.disk import DiskObjectStore
from lakelet.testing.clock import ManualClock
from lakelet.wire.app import WireApp, build_app
from lakelet.wire.credentials import new_credentials
from lakelet.wire.s3 import s3_service
from lakelet.wire.service import RequestContext, Service


async def anything(request: dict[str, Any], context: RequestContext) -> dict[str, Any]:
    return {}


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[WireApp]]:
    clock = ManualClock()
    store = DiskObjectStore(tmp_path_factory.mktemp("lake"), clock)
    store.create_bucket("bucket")
    services = {
        "s3": s3_service(store),
        "glue": Service("glue", {"GetTable": anything, "CreateTable": anything}),
        "cloudwatch": Service("cloudwatch", {"PutMetricData": anything}),
        "sts": Service("sts", {"GetCallerIdentity": anything}),
    }
    yield [
        build_app(services, credentials=credentials, clock=clock)
        for credentials in (None, new_credentials())
    ]
    store.close()


words = st.text(max_size=12) | st.sampled_from(
    ["bucket", "key", "..", "", "1", "-1", "a/b", "*", '"x"', "bytes=0-1", "true", "ENABLED",
     "2026-03-09T00:00:00Z", "Mon, 09 Mar 2026 00:00:00 GMT", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
     "/bucket/key", "%zz", "%ff", "text/xml", "gzip", "aws-chunked"]
)  # fmt: skip
header_names = st.sampled_from(
    ["x-amz-target", "authorization", "x-amz-date", "content-type", "host", "range", "if-match",
     "if-modified-since", "x-amz-copy-source", "x-amz-content-sha256", "content-md5",
     "content-encoding", "x-amz-checksum-crc32", "x-amz-trailer", "smithy-protocol", "amz-sdk-x",
     "content-length", "x-amz-tagging", "x-amz-metadata-directive", "x-amz-decoded-content-length",
     "expect"]
)  # fmt: skip
header_values = words | st.sampled_from(
    ["AWSGlue.GetTable", "AWSGlue.CreateTable", "AWSGlue.x", "rpc-v2-cbor",
     "application/x-www-form-urlencoded",
     ("AWS4-HMAC-SHA256 Credential=AKIA/20260309/us-east-1/s3/aws4_request,SignedHeaders=host,"
     "Signature=00"),
     ("AWS4-HMAC-SHA256 Credential=AKIA/20260309/us-east-1/sts/aws4_request,SignedHeaders=host,"
     "Signature=00")]
)  # fmt: skip
query_names = words | st.sampled_from(
    ["uploads", "uploadId", "partNumber", "list-type", "delete", "tagging", "lifecycle", "policy",
     "max-keys", "prefix", "delimiter", "continuation-token", "marker", "location", "versioning",
     "Action", "X-Amz-Signature", "AWSAccessKeyId", "Signature", "Expires", "encryption", "acl"]
)  # fmt: skip
bodies = st.binary(max_size=60) | st.sampled_from(
    [b"{}", b'{"DatabaseName": "d", "Name": "n"}', b"[1", b"<a/>", b"<Delete></Delete>",
     b"<Delete><Object/></Delete>", b"<!DOCTYPE a><a/>", b"Action=GetCallerIdentity", b"\xa0",
     b"\xbf\xff", b"5\r\nhello\r\n0\r\n\r\n", b"<Tagging><TagSet><Tag/></TagSet></Tagging>"]
)  # fmt: skip
paths = st.lists(words, max_size=4).map(lambda parts: "/" + "/".join(parts)) | st.sampled_from(
    [
        "/",
        "/bucket",
        "/bucket/key",
        "/service/GraniteServiceVersion20100801/operation/PutMetricData",
    ]
)
FROM_AN_SDK = {"amz-sdk-invocation-id": "1"}  # unsigned, but AWS's all the same


async def answer(app: WireApp, scope: dict[str, Any], body: bytes) -> int:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert [message["type"] for message in sent][:2] == [
        "http.response.start",
        "http.response.body",
    ]
    status: int = sent[0]["status"]
    return status


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"]),
    path=paths,
    query=st.lists(st.tuples(query_names, words), max_size=3),
    headers=st.dictionaries(header_names, header_values, max_size=6),
    body=bodies,
)
def test_any_request_has_an_answer(
    apps: list[WireApp],
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
) -> None:
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": "&".join(f"{n}={v}" if v else n for n, v in query).encode(),
        "headers": [
            (name.encode(), value.encode("utf-8", "replace"))
            for name, value in {**FROM_AN_SDK, **headers}.items()
        ],
    }
    for app in apps:
        status = asyncio.run(answer(app, scope, body))
        assert status < 500 or status == 501, status  # 501: what Lakelet does not offer
