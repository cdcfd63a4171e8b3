"""Multipart uploads."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from lakelet.store.disk import DiskObjectStore
from tests.wire.test_s3_objects import code_of

MIB = 1 << 20
LARGE, SMALL = bytes(range(256)) * (5 * MIB // 256), b"the end"


@pytest.fixture
def upload(s3: Any, bucket: str) -> dict[str, str]:
    begun = s3.create_multipart_upload(
        Bucket=bucket, Key="a/big", ContentType="text/x", Metadata={"a": "b"}, Tagging="t=1"
    )
    return {name: begun[name] for name in ("Bucket", "Key", "UploadId")}


def send(s3: Any, upload: dict[str, str], number: int, body: bytes) -> dict[str, Any]:
    part = s3.upload_part(**upload, PartNumber=number, Body=body)
    return {"PartNumber": number, "ETag": part["ETag"]}


def test_an_upload_in_parts(s3: Any, upload: dict[str, str]) -> None:
    bucket, key = upload["Bucket"], upload["Key"]
    parts = [send(s3, upload, 3, LARGE), send(s3, upload, 7, b"twice"), send(s3, upload, 7, SMALL)]
    wanted = [parts[0], parts[2]]
    assert code_of(s3.head_object, Bucket=bucket, Key=key) == ("404", 404)
    made = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": wanted})
    digests = hashlib.md5(LARGE).digest() + hashlib.md5(SMALL).digest()
    assert made["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == LARGE + SMALL
    assert (got["ETag"], got["ContentType"], got["Metadata"], got["TagCount"]) == (
        made["ETag"],
        "text/x",
        {"a": "b"},
        1,
    )
    assert code_of(s3.list_parts, **upload) == ("NoSuchUpload", 404)


def test_parts_and_uploads_are_listed(s3: Any, upload: dict[str, str]) -> None:
    for number in (2, 1, 9):
        send(s3, upload, number, b"x" * number)
    first = s3.list_parts(**upload, MaxParts=2)
    assert [(part["PartNumber"], part["Size"]) for part in first["Parts"]] == [(1, 1), (2, 2)]
    assert first["IsTruncated"]
    rest = s3.list_parts(**upload, PartNumberMarker=first["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in rest["Parts"]] == [9]
    other = s3.create_multipart_upload(Bucket=upload["Bucket"], Key="b")
    listed = s3.list_multipart_uploads(Bucket=upload["Bucket"])["Uploads"]
    assert [item["UploadId"] for item in listed] == [upload["UploadId"], other["UploadId"]]
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=upload["Bucket"], PaginationConfig={"PageSize": 1}
    )
    assert [item["Key"] for page in pages for item in page["Uploads"]] == ["a/big", "b"]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=upload["Bucket"], Prefix="c")


def test_an_aborted_upload_leaves_nothing(
    s3: Any, upload: dict[str, str], disk: DiskObjectStore
) -> None:
    part = send(s3, upload, 1, SMALL)
    s3.abort_multipart_upload(**upload)
    done = {**upload, "MultipartUpload": {"Parts": [part]}}
    assert code_of(s3.complete_multipart_upload, **done) == ("NoSuchUpload", 404)
    assert not (disk.private_folder / "uploads" / upload["UploadId"]).exists()
    assert list((disk.private_folder / "drafts").iterdir()) == []


def test_parts_that_do_not_fit(s3: Any, upload: dict[str, str]) -> None:
    one, two = send(s3, upload, 1, b"small"), send(s3, upload, 2, SMALL)

    def complete(*parts: dict[str, Any]) -> tuple[str, int]:
        listed = {"Parts": list(parts)}
        return code_of(s3.complete_multipart_upload, **upload, MultipartUpload=listed)

    assert complete(one, two) == ("EntityTooSmall", 400)
    assert complete(two, one) == ("InvalidPartOrder", 400)
    assert complete(one, one) == ("InvalidPartOrder", 400)
    assert complete({**one, "ETag": two["ETag"]}) == ("InvalidPart", 400)
    assert complete({**one, "PartNumber": 5}) == ("InvalidPart", 400)
    assert complete() == ("MalformedXML", 400)
    wrong_number = {**upload, "PartNumber": 10_001, "Body": b""}
    assert code_of(s3.upload_part, **wrong_number) == ("InvalidArgument", 400)
    elsewhere = {**upload, "Key": "other", "PartNumber": 1, "Body": b""}
    assert code_of(s3.upload_part, **elsewhere) == ("NoSuchUpload", 404)
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [two]})


def test_an_upload_id_is_no_path(s3: Any, upload: dict[str, str]) -> None:
    outside = {**upload, "UploadId": "../uploads/" + upload["UploadId"]}
    assert code_of(s3.list_parts, **outside) == ("NoSuchUpload", 404)


def test_parts_by_copy(s3: Any, upload: dict[str, str]) -> None:
    bucket = upload["Bucket"]
    s3.put_object(Bucket=bucket, Key="source", Body=LARGE + SMALL)
    source = {"Bucket": bucket, "Key": "source"}
    parts = []
    for number, part_range in ((1, f"bytes=0-{len(LARGE) - 1}"), (2, f"bytes={len(LARGE)}-")):
        copied = s3.upload_part_copy(
            **upload, PartNumber=number, CopySource=source, CopySourceRange=part_range
        )
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="a/big")["Body"].read() == LARGE + SMALL


def test_conditions(s3: Any, upload: dict[str, str]) -> None:
    s3.put_object(Bucket=upload["Bucket"], Key=upload["Key"], Body=b"first")
    part = send(s3, upload, 1, SMALL)
    wanted = {**upload, "MultipartUpload": {"Parts": [part]}, "IfNoneMatch": "*"}
    assert code_of(s3.complete_multipart_upload, **wanted) == ("PreconditionFailed", 412)
    assert len(s3.list_parts(**upload)["Parts"]) == 1


def test_transfers_choose_parts_by_themselves(s3: Any, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(LARGE * 3)
    s3.upload_file(str(tmp_path / "up"), bucket, "big")
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-2"')
    s3.download_file(bucket, "big", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == LARGE * 3
    s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "copy")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == LARGE * 3
