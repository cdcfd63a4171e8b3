"""S3 by clients that are not boto3: AWS's C++ SDK (in pyarrow), awswrangler, our own adapter."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import awswrangler as wr
import boto3
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyarrow import fs

from lakelet.store.s3 import S3ObjectStore
from lakelet.testing.object_store_suite import ObjectStoreSuite
from lakelet.wire.credentials import Credentials
from lakelet.wire.server import ServerThread


@pytest.fixture(scope="module")
def cpp_sdk(s3_server: ServerThread, credentials: Credentials) -> fs.S3FileSystem:
    return fs.S3FileSystem(
        access_key=credentials.access_key_id,
        secret_key=credentials.secret,
        endpoint_override=f"127.0.0.1:{s3_server.port}",
        scheme="http",
        region="us-east-1",
    )


def test_the_cpp_sdk_reads_and_writes(cpp_sdk: fs.S3FileSystem, bucket: str) -> None:
    body = os.urandom(11 << 20)  # more than one part
    with cpp_sdk.open_output_stream(f"{bucket}/a/big") as stream:
        stream.write(body)
    with cpp_sdk.open_input_file(f"{bucket}/a/big") as file:
        assert file.read_at(100, 6 << 20) == body[6 << 20 : (6 << 20) + 100]
        assert file.read() == body
    cpp_sdk.copy_file(f"{bucket}/a/big", f"{bucket}/copy")
    found = cpp_sdk.get_file_info(fs.FileSelector(bucket, recursive=True))
    assert {info.path: info.size for info in found if info.is_file} == {
        f"{bucket}/a/big": len(body),
        f"{bucket}/copy": len(body),
    }
    cpp_sdk.delete_file(f"{bucket}/copy")
    assert cpp_sdk.get_file_info(f"{bucket}/copy").type == fs.FileType.NotFound


def test_a_partitioned_dataset(cpp_sdk: fs.S3FileSystem, bucket: str) -> None:
    table = pa.table({"year": ["2025", "2026", "2026"], "x": [1, 2, 3]})
    options = {"filesystem": cpp_sdk, "format": "parquet", "partitioning": ["year"]}
    ds.write_dataset(table, f"{bucket}/t", partitioning_flavor="hive", **options)
    read = ds.dataset(f"{bucket}/t", filesystem=cpp_sdk, partitioning="hive")
    assert read.to_table(filter=ds.field("year") == 2026).num_rows == 2
    cpp_sdk.delete_dir(f"{bucket}/t")


@pytest.mark.filterwarnings("ignore:The .* keyword in DataFrame")
def test_awswrangler(s3_server: ServerThread, credentials: Credentials, bucket: str) -> None:
    session = boto3.Session(credentials.access_key_id, credentials.secret, None, "us-east-1")
    wr.config.s3_endpoint_url = s3_server.url
    try:
        path, options = f"s3://{bucket}/t/", {"dataset": True, "boto3_session": session}
        frame = pd.DataFrame({"x": [1, 2, 3], "year": ["2025", "2026", "2026"]})
        wr.s3.to_parquet(frame, path=path, partition_cols=["year"], **options)
        read = wr.s3.read_parquet(path, **options)
        assert sorted(read["x"]) == [1, 2, 3]
        wr.s3.delete_objects(path, boto3_session=session)
        assert wr.s3.list_objects(path, boto3_session=session) == []
    finally:
        wr.config.reset("s3_endpoint_url")


class TestOurAdapterOverOurWire(ObjectStoreSuite):
    """The port's suite, through S3ObjectStore, HTTP and the disk."""

    @pytest.fixture
    def store(self, make_s3: Callable[..., Any], s3: Any) -> Iterator[S3ObjectStore]:
        yield Scratch(make_s3())
        for name in ("lake-raw", "lake-a", "lake-b"):
            empty(s3, name)


class Scratch(S3ObjectStore):
    """Sees only the suite's buckets: the server is shared with the other tests."""

    def list_buckets(self) -> list[str]:
        return [name for name in super().list_buckets() if name in ("lake-a", "lake-b")]


def empty(s3: Any, bucket: str) -> None:
    try:
        objects = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    except s3.exceptions.NoSuchBucket:
        return
    for item in objects:
        s3.delete_object(Bucket=bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=bucket)
