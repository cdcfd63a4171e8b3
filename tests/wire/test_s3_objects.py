"""Objects over HTTP, with boto3 on the other side."""

import base64
import hashlib
import io
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from lakelet.lake.lifecycle import Rule
from lakelet.model.ports import ObjectInfo
from lakelet.store.clock import SystemClock
from lakelet.store.disk import DiskObjectStore
from lakelet.wire.app import build_app
from lakelet.wire.credentials import Credentials
from lakelet.wire.s3 import s3_service
from lakelet.wire.s3.expiration import expiration_by
from lakelet.wire.server import ServerThread


def code_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("key", ["a", "a/b c", "ü/漢/🦆", "a//b/", "../x", "a+b=c&d?e#f%20"])
def test_put_and_get(s3: Any, bucket: str, key: str) -> None:
    made = s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=b"hello",
        ContentType="text/x",
        ContentEncoding="gzip",
        Metadata={"a": "b", "c": "d e"},
    )
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == b"hello"
    assert made["ETag"] == got["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert (got["ContentType"], got["ContentEncoding"]) == ("text/x", "gzip")
    assert got["Metadata"] == {"a": "b", "c": "d e"}
    assert abs(got["LastModified"] - datetime.now(UTC)) < timedelta(minutes=1)
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["ContentLength"], head["ETag"]) == (5, made["ETag"])
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_an_upload_is_a_plain_file(s3: Any, bucket: str, folder: Path) -> None:
    s3.put_object(Bucket=bucket, Key="year=2026/x.gz", Body=b"x")
    assert (folder / "year=2026" / "x.gz").read_bytes() == b"x"


def test_an_upload_calls_the_hook(s3: Any, bucket: str, disk: DiskObjectStore) -> None:
    told: list[Any] = []
    disk.on_put(told.append)
    s3.put_object(Bucket=bucket, Key="raw/x.gz", Body=b"abc")
    assert [(info.bucket, info.key, info.size_bytes) for info in told] == [(bucket, "raw/x.gz", 3)]


def test_a_body_larger_than_any_buffer(s3: Any, bucket: str, tmp_path: Path) -> None:
    body = bytes(range(256)) * (5 << 12)  # 5 MiB, in one request
    one_request = TransferConfig(multipart_threshold=1 << 30)
    s3.upload_fileobj(io.BytesIO(body), bucket, "big", Config=one_request)
    assert s3.head_object(Bucket=bucket, Key="big")["ContentLength"] == len(body)
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == body
    ranged = s3.get_object(Bucket=bucket, Key="big", Range=f"bytes=1000-{3 << 20}")
    assert ranged["Body"].read() == body[1000 : (3 << 20) + 1]


@pytest.mark.parametrize(
    ("header", "expected", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
    ],
)
def test_ranges(s3: Any, bucket: str, header: str, expected: bytes, content_range: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=header)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (got["Body"].read(), got["ContentRange"]) == (expected, content_range)


@pytest.mark.parametrize("header", ["bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=-"])
def test_ranges_that_are_none_answer_the_whole(s3: Any, bucket: str, header: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=header)
    assert (got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"]) == (b"0123456789", 200)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_ranges_past_the_end(s3: Any, bucket: str, header: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    assert code_of(s3.get_object, Bucket=bucket, Key="k", Range=header) == ("InvalidRange", 416)


def test_conditions_of_reads(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    at = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    hour = timedelta(hours=1)
    for fitting in (
        {"IfMatch": etag},
        {"IfMatch": '"other", ' + etag},
        {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": at - hour},
        {"IfUnmodifiedSince": at},
        {"IfMatch": etag, "IfUnmodifiedSince": at - hour},
        {"IfNoneMatch": '"other"', "IfModifiedSince": at},
    ):
        assert s3.get_object(Bucket=bucket, Key="k", **fitting)["Body"].read() == b"x", fitting
    for failing, status in (
        ({"IfMatch": '"other"'}, 412),
        ({"IfUnmodifiedSince": at - hour}, 412),
        ({"IfNoneMatch": etag}, 304),
        ({"IfModifiedSince": at}, 304),
    ):
        assert code_of(s3.get_object, Bucket=bucket, Key="k", **failing)[1] == status, failing
        assert code_of(s3.head_object, Bucket=bucket, Key="k", **failing)[1] == status, failing


def test_conditions_of_writes(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"one", IfNoneMatch="*")["ETag"]
    again = {"Bucket": bucket, "Key": "k", "Body": b"two"}
    failed = ("PreconditionFailed", 412)
    assert code_of(s3.put_object, **again, IfNoneMatch="*") == failed
    assert code_of(s3.put_object, **again, IfMatch='"other"') == failed
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"one"
    s3.put_object(**again, IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"two"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_checked(s3: Any, bucket: str, algorithm: str) -> None:
    made = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumAlgorithm=algorithm)
    computed = {
        "CRC32": zlib.crc32(b"x").to_bytes(4, "big"),
        "SHA1": hashlib.sha1(b"x").digest(),
        "SHA256": hashlib.sha256(b"x").digest(),
    }[algorithm]
    assert base64.b64decode(made[f"Checksum{algorithm}"]) == computed
    wrong = {f"Checksum{algorithm}": base64.b64encode(bytes(len(computed))).decode()}
    bad = code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"two", **wrong)
    assert bad == ("BadDigest", 400)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_content_md5_is_checked(s3: Any, bucket: str) -> None:
    md5 = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentMD5=md5)
    for wrong, code in ((md5, "BadDigest"), ("no base64!", "InvalidDigest")):
        answer = code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"two", ContentMD5=wrong)
        assert answer == (code, 400)


@pytest.mark.parametrize("addressing", ["path", "virtual"])
@pytest.mark.parametrize("sign_payload", [True, False])
def test_addressing_and_payload_signing(
    s3_server: ServerThread,
    credentials: Credentials,
    bucket: str,
    addressing: str,
    sign_payload: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if addressing == "virtual":  # <bucket>.localhost, which resolves to this machine everywhere
        resolve_to_loopback(monkeypatch)
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.url.replace("127.0.0.1", "localhost"),
        region_name="eu-central-1",
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret,
        aws_session_token="tolerated",
        config=Config(s3={"addressing_style": addressing, "payload_signing_enabled": sign_payload}),
    )
    client.put_object(Bucket=bucket, Key="a/b c", Body=b"x")
    assert client.get_object(Bucket=bucket, Key="a/b c")["Body"].read() == b"x"
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def resolve_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 6761 asks every resolver to do so; not all do."""
    import socket

    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        local = isinstance(host, str) and host.endswith("localhost")
        return real("127.0.0.1" if local else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_presigned_addresses(s3: Any, make_s3: Callable[..., Any], bucket: str) -> None:
    for client, mark in ((s3, "AWSAccessKeyId"), (make_s3(signature_version="s3v4"), "X-Amz-")):
        put = client.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a b/ü"})
        assert mark in put
        assert httpx.put(put, content=b"hello").status_code == 200
        get = client.generate_presigned_url(
            "get_object", {"Bucket": bucket, "Key": "a b/ü", "ResponseContentType": "text/x"}
        )
        answer = httpx.get(get)
        assert (answer.content, answer.headers["content-type"]) == (b"hello", "text/x")
        assert httpx.delete(get).status_code == 403
        assert httpx.get(get.replace("text%2Fx", "text%2Fy")).status_code == 403
        metadata = {"Bucket": bucket, "Key": "m", "Metadata": {"a": "b"}, "ContentType": "x/y"}
        put = client.generate_presigned_url("put_object", metadata)
        sent = {"x-amz-meta-a": "b", "content-type": "x/y"}
        assert httpx.put(put, content=b"", headers=sent).status_code == 200
        assert s3.head_object(Bucket=bucket, Key="m")["Metadata"] == {"a": "b"}
        assert httpx.put(put, headers={**sent, "x-amz-meta-a": "c"}).status_code == 403
        target = {"Bucket": bucket, "Key": "m"}
        gone = client.generate_presigned_url("get_object", target, ExpiresIn=-1)
        assert httpx.get(gone).status_code in (400, 403)


def test_anonymous_requests_are_refused(s3_server: ServerThread, bucket: str) -> None:
    client = boto3.client(
        "s3", endpoint_url=s3_server.url, region_name="us-east-1",
        config=Config(signature_version=UNSIGNED),
    )  # fmt: skip
    assert code_of(client.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)


def test_wrong_keys_are_refused(s3_server: ServerThread, credentials: Credentials) -> None:
    def client(key_id: str, secret: str) -> Any:
        return boto3.client(
            "s3", endpoint_url=s3_server.url, region_name="us-east-1",
            aws_access_key_id=key_id, aws_secret_access_key=secret,
        )  # fmt: skip

    wrong_secret = client(credentials.access_key_id, "x" * 40)
    assert code_of(wrong_secret.list_buckets) == ("SignatureDoesNotMatch", 403)
    unknown = client("AKIAUNKNOWN", credentials.secret)
    assert code_of(unknown.list_buckets) == ("InvalidAccessKeyId", 403)


def test_copy(s3: Any, bucket: str) -> None:
    s3.put_object(
        Bucket=bucket, Key="a b", Body=b"x", ContentType="text/x", Metadata={"a": "b"},
        Tagging="t=1",
    )  # fmt: skip
    source = {"Bucket": bucket, "Key": "a b"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    copy = s3.get_object(Bucket=bucket, Key="copy")
    assert (copy["Body"].read(), copy["ContentType"], copy["Metadata"], copy["TagCount"]) == (
        b"x",
        "text/x",
        {"a": "b"},
        1,
    )
    s3.copy_object(
        Bucket=bucket, Key="copy", CopySource=source, MetadataDirective="REPLACE",
        Metadata={"c": "d"}, TaggingDirective="REPLACE",
    )  # fmt: skip
    copy = s3.head_object(Bucket=bucket, Key="copy")
    assert (copy["Metadata"], copy.get("TagCount")) == ({"c": "d"}, None)
    to_itself = {"Bucket": bucket, "Key": "a b", "CopySource": source}
    assert code_of(s3.copy_object, **to_itself) == ("InvalidRequest", 400)
    unfit = {**to_itself, "Key": "z", "CopySourceIfMatch": '"other"'}
    assert code_of(s3.copy_object, **unfit) == ("PreconditionFailed", 412)
    missing = {**to_itself, "Key": "z", "CopySource": f"{bucket}/no"}
    assert code_of(s3.copy_object, **missing) == ("NoSuchKey", 404)


def test_further_headers_are_kept(s3: Any, bucket: str) -> None:
    headers = {
        "CacheControl": "max-age=5",
        "ContentDisposition": 'attachment; filename="x"',
        "ContentLanguage": "de",
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"", **headers)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    for key in ("k", "copy"):
        head = s3.head_object(Bucket=bucket, Key=key)
        assert {name: head[name] for name in headers} == headers
    assert "CacheControl" not in s3.put_object(Bucket=bucket, Key="k", Body=b"")
    other = s3.get_object(Bucket=bucket, Key="copy", ResponseCacheControl="no-store")
    assert other["CacheControl"] == "no-store"


def test_deleting(s3: Any, bucket: str) -> None:
    keys = ["a", "a/b", "x<&>y", " space "]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    answer = s3.delete_object(Bucket=bucket, Key="a/b")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    s3.delete_object(Bucket=bucket, Key="never there")
    listed = [{"Key": key} for key in [*keys, "never there"]]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": listed})
    assert deleted["Deleted"] == listed
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_tags(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="a=1&b=x%20y")
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "x y"}]
    tags = [{"Key": "c", "Value": "ü"}]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    many = [{"Key": str(n), "Value": ""} for n in range(11)]
    too_many = {"Bucket": bucket, "Key": "k", "Tagging": {"TagSet": many}}
    assert code_of(s3.put_object_tagging, **too_many) == ("BadRequest", 400)


def test_errors(s3: Any, bucket: str) -> None:
    assert code_of(s3.get_object, Bucket=bucket, Key="no") == ("NoSuchKey", 404)
    assert code_of(s3.head_object, Bucket=bucket, Key="no") == ("404", 404)
    assert code_of(s3.get_object, Bucket="no-such", Key="k") == ("NoSuchBucket", 404)
    assert code_of(s3.put_object, Bucket="no-such", Key="k") == ("NoSuchBucket", 404)
    long = {"Bucket": bucket, "Key": "x" * 300}
    assert code_of(s3.put_object, **long) == ("KeyTooLongError", 400)
    assert code_of(s3.get_object_acl, Bucket=bucket, Key="k") == ("NotImplemented", 501)


def test_the_longest_name_is_stored_and_a_longer_one_refused(s3: Any, bucket: str) -> None:
    for name in ("x" * 246, "folder/" + "x" * 246, "x" * 246 + "/below"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"v")
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"v"
    for size in (247, 250, 255, 256, 1_000):
        arguments = {"Bucket": bucket, "Key": "x" * size}
        assert code_of(s3.put_object, **arguments, Body=b"v") == ("KeyTooLongError", 400)


def test_a_refusal_before_the_body_does_not_spoil_the_next_request(s3: Any, bucket: str) -> None:
    """boto3 waits for `100 Continue`, and withholds the body of a put that is refused."""
    for _ in range(2):
        assert code_of(s3.put_object, Bucket="no-such", Key="k", Body=b"body")[0] == "NoSuchBucket"
        s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_the_earliest_rule_counts() -> None:
    expiration = expiration_by(
        [Rule("all", "b", 30), Rule("soon", "b", 7, "soon/"), Rule("other", "c", 1)]
    )
    made_at = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)

    def told(bucket: str, key: str) -> Any:
        return expiration(ObjectInfo(bucket, key, 0, "e", made_at))

    assert told("b", "x") == (datetime(2026, 4, 9, tzinfo=UTC), "all")
    assert told("b", "soon/x") == (datetime(2026, 3, 17, tzinfo=UTC), "soon")
    assert told("d", "x") is None


def test_expiration_is_told(disk: DiskObjectStore, credentials: Credentials) -> None:
    def expiration(info: Any) -> Any:
        return (datetime(2026, 4, 8, tzinfo=UTC), "raw") if info.key.startswith("r/") else None

    service = s3_service(disk, expiration=expiration)
    app = build_app({"s3": service}, credentials=credentials, clock=SystemClock())
    with ServerThread(app) as server:
        client = boto3.client(
            "s3", endpoint_url=server.url, region_name="us-east-1",
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret,
        )  # fmt: skip
        client.create_bucket(Bucket="expiring")
        said = 'expiry-date="Wed, 08 Apr 2026 00:00:00 GMT", rule-id="raw"'
        assert client.put_object(Bucket="expiring", Key="r/x", Body=b"")["Expiration"] == said
        assert client.head_object(Bucket="expiring", Key="r/x")["Expiration"] == said
        assert "Expiration" not in client.put_object(Bucket="expiring", Key="x", Body=b"")
