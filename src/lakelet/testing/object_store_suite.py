# ruff: noqa: S101 - a suite of tests, though it ships
"""What every ObjectStore must do: inherit it, give the fixture `store`, and run it.

class TestMine(ObjectStoreSuite):
    @pytest.fixture
    def store(self): return MyStore()
"""

import hashlib

import pytest

from lakelet.model.errors import BucketNotFound, ObjectNotFound, PreconditionFailed
from lakelet.model.ports import FolderStore

BUCKET = "lake-raw"
KEYS = [
    "a", "a-b", "a.b", "a/b", "a/b/c", "a0", "b c+d&e=f%20.gz", "events/year=2026/month=03/x",
    "events/year=2026/month=04/x", "z/ü/漢字/🦆", "zz",
]  # fmt: skip


class ObjectStoreSuite:
    """The port's contract, as tests."""

    @pytest.fixture
    def store(self) -> FolderStore:
        raise NotImplementedError("give the adapter under test")

    @pytest.fixture
    def full(self, store: FolderStore) -> FolderStore:
        store.create_bucket(BUCKET)
        for key in reversed(KEYS):
            store.put(BUCKET, key, key.encode())
        return store

    def test_what_is_put_is_got(self, store: FolderStore) -> None:
        store.create_bucket(BUCKET)
        body = bytes(range(256)) * 5
        made = store.put(
            BUCKET, "k", body, content_type="text/x", content_encoding="gzip", metadata={"a": "b"}
        )
        assert store.get(BUCKET, "k") == body
        head = store.head(BUCKET, "k")
        assert (head.bucket, head.key, head.size_bytes) == (BUCKET, "k", len(body))
        assert head.etag == made.etag == hashlib.md5(body, usedforsecurity=False).hexdigest()
        assert (head.content_type, head.content_encoding) == ("text/x", "gzip")
        assert dict(head.metadata) == {"a": "b"}
        assert head.modified_at.utcoffset() is not None
        assert abs((head.modified_at - made.modified_at).total_seconds()) <= 2

    @pytest.mark.parametrize("body", [b"", bytearray(b"xy"), memoryview(b"abc")])
    def test_any_buffer_is_a_body(self, store: FolderStore, body: bytes) -> None:
        store.create_bucket(BUCKET)
        assert store.put(BUCKET, "k", body).size_bytes == len(body)
        assert store.get(BUCKET, "k") == bytes(body)

    def test_a_second_put_replaces(self, store: FolderStore) -> None:
        store.create_bucket(BUCKET)
        store.put(BUCKET, "k", b"one", metadata={"a": "b"})
        store.put(BUCKET, "k", b"two!")
        assert store.get(BUCKET, "k") == b"two!"
        assert dict(store.head(BUCKET, "k").metadata) == {}
        assert [info.key for info in store.list(BUCKET)] == ["k"]

    def test_only_if_absent(self, store: FolderStore) -> None:
        store.create_bucket(BUCKET)
        store.put(BUCKET, "k", b"one", only_if_absent=True)
        with pytest.raises(PreconditionFailed):
            store.put(BUCKET, "k", b"two", only_if_absent=True)
        assert store.get(BUCKET, "k") == b"one"

    @pytest.mark.parametrize(
        ("offset", "size", "expected"),
        [(0, 3, b"012"), (7, None, b"789"), (7, 100, b"789"), (10, 5, b""), (99, None, b""),
         (0, 0, b"")],
    )  # fmt: skip
    def test_a_part_of_an_object(
        self, store: FolderStore, offset: int, size: int | None, expected: bytes
    ) -> None:
        store.create_bucket(BUCKET)
        store.put(BUCKET, "k", b"0123456789")
        assert store.get(BUCKET, "k", offset_bytes=offset, size_bytes=size) == expected

    def test_an_open_stream_reads_the_whole(self, store: FolderStore) -> None:
        store.create_bucket(BUCKET)
        store.put(BUCKET, "k", b"0123456789" * 1000)
        with store.open(BUCKET, "k") as stream:
            assert stream.read(5) + stream.read() == b"0123456789" * 1000

    def test_a_written_object_appears_on_commit(self, store: FolderStore) -> None:
        store.create_bucket(BUCKET)
        with store.writer(BUCKET, "big", content_type="text/x", metadata={"a": "b"}) as writer:
            for _ in range(5):
                assert writer.write(b"0123456789") == 10
            assert list(store.list(BUCKET)) == []
            made = writer.commit()
        assert made.size_bytes == 50
        assert store.get(BUCKET, "big") == b"0123456789" * 5
        assert store.head(BUCKET, "big").etag == made.etag
        assert dict(store.head(BUCKET, "big").metadata) == {"a": "b"}

    def test_an_aborted_object_never_was(self, store: FolderStore) -> None:
        store.create_bucket(BUCKET)
        with store.writer(BUCKET, "k") as writer:
            writer.write(b"half")
        with pytest.raises(ZeroDivisionError), store.writer(BUCKET, "k") as writer:
            writer.write(b"half")
            _ = 1 / 0
        assert list(store.list(BUCKET)) == []

    def test_list_is_in_key_order(self, full: FolderStore) -> None:
        assert [info.key for info in full.list(BUCKET)] == KEYS
        assert {info.size_bytes for info in full.list(BUCKET)} == {len(k.encode()) for k in KEYS}

    @pytest.mark.parametrize("prefix", ["a", "a/", "a/b", "events/year=2026/month=0", "z", "no"])
    def test_list_below_a_prefix(self, full: FolderStore, prefix: str) -> None:
        expected = [key for key in KEYS if key.startswith(prefix)]
        assert [info.key for info in full.list(BUCKET, prefix)] == expected

    @pytest.mark.parametrize("after", ["a", "a/", "a/b", "a/zzz", "events/year=2026/n", "zz"])
    def test_list_goes_on_after_a_key(self, full: FolderStore, after: str) -> None:
        expected = [key for key in KEYS if key > after]
        assert [info.key for info in full.list(BUCKET, start_after=after)] == expected

    @pytest.mark.parametrize("prefix", ["", "a", "a/", "events/", "events/year=2026/mon", "no/"])
    def test_one_folder(self, full: FolderStore, prefix: str) -> None:
        below = [key[len(prefix) :] for key in KEYS if key.startswith(prefix)]
        folders, objects = full.list_folder(BUCKET, prefix)
        assert folders == sorted({f"{prefix}{b.split('/')[0]}/" for b in below if "/" in b})
        assert [info.key for info in objects] == [f"{prefix}{b}" for b in below if "/" not in b]

    def test_deleting_twice_is_deleting_once(self, full: FolderStore) -> None:
        full.delete(BUCKET, "a/b")
        full.delete(BUCKET, "a/b")
        assert [info.key for info in full.list(BUCKET)] == [key for key in KEYS if key != "a/b"]

    def test_missing_objects(self, store: FolderStore) -> None:
        store.create_bucket(BUCKET)
        for call in (store.get, store.head, store.open):
            with pytest.raises(ObjectNotFound):
                call(BUCKET, "no/such")

    def test_missing_buckets(self, store: FolderStore) -> None:
        with pytest.raises(BucketNotFound):
            store.put("no-such-bucket", "k", b"")
        with pytest.raises(BucketNotFound):
            store.writer("no-such-bucket", "k")
        for call in (store.get, store.head, store.open):
            with pytest.raises(BucketNotFound):
                call("no-such-bucket", "k")
        with pytest.raises(BucketNotFound):
            list(store.list("no-such-bucket"))
        with pytest.raises(BucketNotFound):
            store.list_folder("no-such-bucket")

    def test_buckets(self, store: FolderStore) -> None:
        for bucket in ("lake-b", "lake-a", "lake-a"):
            store.create_bucket(bucket)
        assert store.list_buckets() == ["lake-a", "lake-b"]
