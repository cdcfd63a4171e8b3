"""Buckets and what they are told."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.wire.test_s3_objects import code_of


def test_life_of_a_bucket(s3: Any) -> None:
    s3.create_bucket(Bucket="mayfly")
    s3.create_bucket(Bucket="mayfly")
    assert "mayfly" in [item["Name"] for item in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket="mayfly")["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket="mayfly")["LocationConstraint"] is None
    s3.put_object(Bucket="mayfly", Key="k", Body=b"")
    assert code_of(s3.delete_bucket, Bucket="mayfly") == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket="mayfly", Key="k")
    s3.delete_bucket(Bucket="mayfly")
    assert code_of(s3.head_bucket, Bucket="mayfly") == ("404", 404)
    assert code_of(s3.delete_bucket, Bucket="mayfly") == ("NoSuchBucket", 404)


def test_buckets_by_page(s3: Any) -> None:
    for name in ("page-a", "page-b", "page-c"):
        s3.create_bucket(Bucket=name)
    first = s3.list_buckets(Prefix="page-", MaxBuckets=2)
    assert [item["Name"] for item in first["Buckets"]] == ["page-a", "page-b"]
    second = s3.list_buckets(Prefix="page-", ContinuationToken=first["ContinuationToken"])
    assert [item["Name"] for item in second["Buckets"]] == ["page-c"]
    assert "ContinuationToken" not in second


def test_bad_names(s3: Any) -> None:
    assert code_of(s3.create_bucket, Bucket="No_Good") == ("InvalidBucketName", 400)


LIFECYCLE = {
    "Rules": [
        {
            "ID": "raw",
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "raw/", "Tags": [{"Key": "a", "Value": "b"}]}},
            "Expiration": {"Days": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
    ]
}
ENCRYPTION = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        }
    ]
}
ACCESS = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
SETTINGS: list[tuple[str, dict[str, Any], str, Any, str]] = [
    (
        "bucket_lifecycle_configuration",
        {"LifecycleConfiguration": LIFECYCLE},
        "Rules",
        LIFECYCLE["Rules"],
        "NoSuchLifecycleConfiguration",
    ),
    (
        "bucket_encryption",
        {"ServerSideEncryptionConfiguration": ENCRYPTION},
        "ServerSideEncryptionConfiguration",
        ENCRYPTION,
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    ("bucket_policy", {"Policy": '{"a": "ü"}'}, "Policy", '{"a": "ü"}', "NoSuchBucketPolicy"),
    (
        "bucket_tagging",
        {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}},
        "TagSet",
        [{"Key": "a", "Value": "b"}],
        "NoSuchTagSet",
    ),
    (
        "public_access_block",
        {"PublicAccessBlockConfiguration": ACCESS},
        "PublicAccessBlockConfiguration",
        ACCESS,
        "NoSuchPublicAccessBlockConfiguration",
    ),
]


@pytest.mark.parametrize(("name", "given", "member", "kept", "absent"), SETTINGS)
def test_settings(
    s3: Any, bucket: str, name: str, given: dict[str, Any], member: str, kept: Any, absent: str
) -> None:
    get, put = getattr(s3, f"get_{name}"), getattr(s3, f"put_{name}")
    delete = getattr(s3, f"delete_{name.removesuffix('_configuration')}")
    assert code_of(get, Bucket=bucket) == (absent, 404)
    put(Bucket=bucket, **given)
    assert get(Bucket=bucket)[member] == kept
    delete(Bucket=bucket)
    delete(Bucket=bucket)
    assert code_of(get, Bucket=bucket) == (absent, 404)
    assert code_of(put, Bucket="no-such-bucket", **given) == ("NoSuchBucket", 404)


def test_settings_go_with_their_bucket(s3: Any) -> None:
    s3.create_bucket(Bucket="reborn")
    s3.put_bucket_policy(Bucket="reborn", Policy="{}")
    s3.delete_bucket(Bucket="reborn")
    s3.create_bucket(Bucket="reborn")
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket="reborn")


def test_versioning_is_not_pretended(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    enabled = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}}
    assert code_of(s3.put_bucket_versioning, **enabled) == ("NotImplemented", 501)
