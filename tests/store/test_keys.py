"""Any key to a path and back, never out of the bucket's folder."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.store.errors import BucketNameRefused, KeyRefused, KeyTooLong
from lakelet.store.keys import (
    aside_path,
    check_bucket_name,
    decode_file,
    decode_name,
    encode_folder,
    encode_key,
)

segments = st.one_of(
    st.sampled_from(["", ".", "..", ".lakelet", ".lakelet%", ".lakelet=a", "a", "%", "%2E", "\0"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), max_size=20),
)
keys = st.lists(segments, min_size=1, max_size=6).map("/".join).filter(bool)


def decode(path: str) -> str:
    *folders, name = path.split("/")
    return "/".join([*(str(decode_name(folder)) for folder in folders), str(decode_file(name))])


@given(keys)
def test_a_key_comes_back_from_its_path(key: str) -> None:
    path = encode_key(key)
    assert decode(path) == key
    assert decode(aside_path(path)) == key


@given(keys)
def test_a_path_stays_below_its_root(key: str) -> None:
    path = encode_key(key)
    assert os.path.normpath(f"/store/bucket/{path}") == f"/store/bucket/{path}"
    assert "\0" not in path


@given(keys, keys)
def test_no_two_keys_share_a_file(one: str, other: str) -> None:
    assert (encode_key(one) == encode_key(other)) == (one == other)
    assert aside_path(encode_key(one)) != encode_key(other)


@pytest.mark.parametrize(
    "key", ["a", "events/year=2026/month=03/day=09/x.snappy.parquet", "a b", "ü/漢.gz", ".hidden"]
)
def test_plain_keys_are_their_own_paths(key: str) -> None:
    assert encode_key(key) == key


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a/", "a/.lakelet%"),
        ("a//b", "a/.lakelet%/b"),
        ("../etc/passwd", ".lakelet%%2E%2E/etc/passwd"),
        ("./a", ".lakelet%%2E/a"),
        ("a\0b", ".lakelet%a%00b"),
    ],
)
def test_odd_keys_are_escaped(key: str, path: str) -> None:
    assert encode_key(key) == path


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("", KeyRefused),
        ("\ud800", KeyRefused),
        ("x" * 247, KeyTooLong),
        ("ü" * 124, KeyTooLong),
        ("/".join(["x" * 200] * 6), KeyTooLong),
    ],
)
def test_what_no_file_name_can_hold_is_refused(key: str, error: type[KeyRefused]) -> None:
    with pytest.raises(error) as caught:
        encode_key(key)
    assert caught.value.hint
    assert caught.value.http_status == 400


@pytest.mark.parametrize("name", [".lakelet", ".lakelet%a", ".lakelet%%2e", ".lakelet=", "\udcff"])
def test_foreign_names_are_no_keys(name: str) -> None:
    assert decode_name(name) is None


@pytest.mark.parametrize(
    ("prefix", "folder"),
    [("", ""), ("a/", "a"), ("a/b/", "a/b"), ("/", ".lakelet%"), ("a//", "a/.lakelet%")],
)
def test_the_folder_of_a_prefix(prefix: str, folder: str) -> None:
    assert encode_folder(prefix) == folder


def test_a_prefix_that_no_key_has() -> None:
    assert encode_folder("x" * 300 + "/") is None


@pytest.mark.parametrize("name", ["abc", "clickstream-raw", "a.b-c", "1" * 63])
def test_bucket_names(name: str) -> None:
    check_bucket_name(name)


@pytest.mark.parametrize("name", ["", "ab", "Abc", "a_b", "a..b", "-abc", "abc.", "a/b", "x" * 64])
def test_bad_bucket_names(name: str) -> None:
    with pytest.raises(BucketNameRefused):
        check_bucket_name(name)
