"""Listings page by page: each key, or what stands for it, once and in order."""

from typing import Any

import pytest

from lakelet.wire.s3.listing import _LAST

KEYS = sorted(
    ["a", "a/", "a/1", "a/2", "a/b/1", "b-1", "b/1", "c", "d/e/f/g", "z+z", "ü&ü", "\x01ctl"]
)


@pytest.fixture(scope="module")
def lake(s3: Any) -> str:
    s3.create_bucket(Bucket="listings")
    for key in KEYS:
        s3.put_object(Bucket="listings", Key=key, Body=key.encode())
    return "listings"


def expected(prefix: str, delimiter: str, after: str = "") -> list[str]:
    """What S3's reference says, in the plainest words."""
    found: list[str] = []
    for key in KEYS:
        if not key.startswith(prefix) or key <= after:
            continue
        head, delimited, _ = key[len(prefix) :].partition(delimiter or "\0")
        shown = f"{prefix}{head}{delimited}"
        if shown not in found:
            found.append(shown)
    return found


def shown(page: dict[str, Any]) -> list[str]:
    objects = [item["Key"] for item in page.get("Contents", [])]
    prefixes = [item["Prefix"] for item in page.get("CommonPrefixes", [])]
    return sorted(objects + prefixes)


CASES = [
    (prefix, delimiter)
    for prefix in ("", "a", "a/", "a/b", "b", "no", "d/e/")
    for delimiter in ("", "/", "-", "/b")
]


@pytest.mark.parametrize(("prefix", "delimiter"), CASES)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_version_2(s3: Any, lake: str, prefix: str, delimiter: str, size: int) -> None:
    options = {"Bucket": lake, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": size}
    found: list[str] = []
    page = s3.list_objects_v2(**options)
    while True:
        assert page["KeyCount"] == len(shown(page)) <= size
        found += shown(page)
        if not page["IsTruncated"]:
            break
        page = s3.list_objects_v2(**options, ContinuationToken=page["NextContinuationToken"])
    assert found == expected(prefix, delimiter)


@pytest.mark.parametrize(("prefix", "delimiter"), CASES)
def test_version_1(s3: Any, lake: str, prefix: str, delimiter: str) -> None:
    pages = s3.get_paginator("list_objects").paginate(
        Bucket=lake, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": 2}
    )
    assert [name for page in pages for name in shown(page)] == expected(prefix, delimiter)


@pytest.mark.parametrize("after", ["", "a", "a/", "a/1", "a/b/0", "b", "zz"])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_start_after(s3: Any, lake: str, after: str, delimiter: str) -> None:
    page = s3.list_objects_v2(Bucket=lake, StartAfter=after, Delimiter=delimiter)
    assert shown(page) == expected("", delimiter, after)


def test_an_item(s3: Any, lake: str) -> None:
    page = s3.list_objects_v2(Bucket=lake, Prefix="a/1", FetchOwner=True)
    item = page["Contents"][0]
    assert (item["Key"], item["Size"], item["StorageClass"]) == ("a/1", 3, "STANDARD")
    assert item["ETag"] == s3.head_object(Bucket=lake, Key="a/1")["ETag"]
    assert item["Owner"]["ID"]
    assert "Owner" not in s3.list_objects_v2(Bucket=lake)["Contents"][0]


def test_no_keys_wanted(s3: Any, lake: str) -> None:
    page = s3.list_objects_v2(Bucket=lake, MaxKeys=0)
    assert (page["KeyCount"], page["IsTruncated"]) == (0, False)


def test_a_token_of_somebody_else(s3: Any, lake: str) -> None:
    with pytest.raises(s3.exceptions.ClientError, match="InvalidArgument"):
        s3.list_objects_v2(Bucket=lake, ContinuationToken="!")


def test_the_last_character_is_the_last() -> None:
    assert all(chr(code) < _LAST for code in (0x7F, 0xFFFF, 0x10FFFE))
