"""Every adapter keeps the port's contract: one suite, run by all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lakelet.model.ports import FolderStore
from lakelet.store.disk import DiskObjectStore
from lakelet.store.s3 import S3ObjectStore
from lakelet.testing.object_store_suite import BUCKET, ObjectStoreSuite
from lakelet.testing.objects import MemoryObjectStore


class TestMemory(ObjectStoreSuite):
    @pytest.fixture
    def store(self) -> FolderStore:
        return MemoryObjectStore()


class TestDisk(ObjectStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[FolderStore]:
        store = DiskObjectStore(tmp_path / "buckets")
        yield store
        store.close()


@pytest.fixture
def moto() -> Iterator[Any]:
    """An S3 that we did not write."""
    with mock_aws():
        yield boto3.client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )


class TestS3(ObjectStoreSuite):
    @pytest.fixture
    def store(self, moto: Any) -> FolderStore:
        return S3ObjectStore(moto)

    def test_a_large_object_goes_in_parts(
        self, store: S3ObjectStore, moto: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        part_size_bytes = 5 << 20  # S3's least
        monkeypatch.setattr("lakelet.store.s3.PART_SIZE_BYTES", part_size_bytes)
        body = bytes(range(256)) * (3 * part_size_bytes // 256 + 1)
        store.create_bucket(BUCKET)
        with store.writer(BUCKET, "big", metadata={"a": "b"}) as writer:
            for start in range(0, len(body), 1 << 20):
                writer.write(body[start : start + (1 << 20)])
            made = writer.commit()
        assert made.etag.endswith("-3")
        assert dict(made.metadata) == {"a": "b"}
        assert store.get(BUCKET, "big") == body

    def test_an_aborted_upload_leaves_no_parts_behind(
        self, store: S3ObjectStore, moto: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lakelet.store.s3.PART_SIZE_BYTES", 5 << 20)
        store.create_bucket(BUCKET)
        with store.writer(BUCKET, "big") as writer:
            writer.write(bytes(11 << 20))
            assert len(moto.list_multipart_uploads(Bucket=BUCKET)["Uploads"]) == 1
        assert "Uploads" not in moto.list_multipart_uploads(Bucket=BUCKET)
