"""What the disk store adds to the port: plain files, durability, odd keys, foreign hands."""

import errno
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lakelet.model.errors import ObjectNotFound, PreconditionFailed, StorageFull
from lakelet.store import disk
from lakelet.store.disk import DiskObjectStore
from lakelet.store.errors import BucketNameRefused, BucketNotEmpty, KeyRefused
from lakelet.store.headers import Condition
from lakelet.testing.clock import ManualClock

BUCKET = "lake"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "buckets"


@pytest.fixture
def store(root: Path, clock: ManualClock) -> Iterator[DiskObjectStore]:
    store = DiskObjectStore(root, clock)
    store.create_bucket(BUCKET)
    yield store
    store.close()


def keys(store: DiskObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(BUCKET, prefix)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- plain files ------------------------------------------------------------------


def test_an_object_is_a_plain_file(store: DiskObjectStore, root: Path) -> None:
    store.put(BUCKET, "year=2026/month=03/a.parquet", b"x")
    path = root / BUCKET / "year=2026" / "month=03" / "a.parquet"
    assert path.read_bytes() == b"x"
    assert store.path(BUCKET, "year=2026/month=03/a.parquet") == path


def test_modification_is_by_the_clock(store: DiskObjectStore, clock: ManualClock) -> None:
    assert store.put(BUCKET, "a", b"").modified_at == clock.now()
    clock.advance(3600.000001)
    store.put(BUCKET, "b", b"")
    assert store.head(BUCKET, "b").modified_at == clock.now()
    assert store.head(BUCKET, "a").modified_at == clock.now() - timedelta(seconds=3600.000001)


def test_a_file_copied_in_by_hand_is_an_object(store: DiskObjectStore, root: Path) -> None:
    (root / BUCKET / "d").mkdir()
    (root / BUCKET / "d" / "x").write_bytes(b"by hand")
    assert keys(store) == ["d/x"]
    etag = hashlib.md5(b"by hand", usedforsecurity=False).hexdigest()
    assert store.head(BUCKET, "d/x").etag == etag
    assert next(store.list(BUCKET)).etag == etag
    assert store.get(BUCKET, "d/x") == b"by hand"


def test_a_file_replaced_by_hand_loses_its_old_etag(store: DiskObjectStore, root: Path) -> None:
    store.put(BUCKET, "x", b"one", content_type="text/x", metadata={"a": "b"})
    (root / BUCKET / "x").write_bytes(b"two")
    head = store.head(BUCKET, "x")
    assert head.etag == hashlib.md5(b"two", usedforsecurity=False).hexdigest()
    assert (head.content_type, dict(head.metadata)) == ("binary/octet-stream", {})


def test_a_file_removed_by_hand_is_gone(store: DiskObjectStore, root: Path) -> None:
    store.put(BUCKET, "x", b"one")
    store.put(BUCKET, "y", b"two")
    (root / BUCKET / "x").unlink()
    assert keys(store) == ["y"]
    with pytest.raises(ObjectNotFound):
        store.head(BUCKET, "x")


def test_the_index_is_kept_and_may_be_lost(store: DiskObjectStore, root: Path) -> None:
    made = store.put(BUCKET, "x", b"one", content_type="text/x")
    store.close()
    again = DiskObjectStore(root)
    assert again.head(BUCKET, "x") == made
    again.close()
    for path in (root / ".lakelet").glob("objects.sqlite*"):
        path.unlink()
    fresh = DiskObjectStore(root)
    assert fresh.head(BUCKET, "x").etag == made.etag
    fresh.close()


def test_a_torn_index_is_made_anew(store: DiskObjectStore, root: Path) -> None:
    store.put(BUCKET, "x", b"one")
    store.close()
    (root / ".lakelet" / "objects.sqlite").write_bytes(b"no database" * 1000)
    fresh = DiskObjectStore(root)
    assert fresh.get(BUCKET, "x") == b"one"
    assert fresh.head(BUCKET, "x").size_bytes == 3
    fresh.close()


# --- odd keys ---------------------------------------------------------------------

ODD_KEYS = sorted(
    ["a", "a/", "a//", "a//b", "a/b", "a/b/", "a/b/c", "a-b", "/", "/x", "..", "../../etc/passwd",
     "./x", "x/.", ".lakelet", ".lakelet=a", ".lakelet%", "ü/é", "a\0b", "a b", "a%2Fb", "🦆",
     "a\\b", "~", "*?[x]"]
)  # fmt: skip


@pytest.mark.parametrize("order", [1, -1])
def test_odd_keys_live_together(store: DiskObjectStore, root: Path, order: int) -> None:
    for key in ODD_KEYS[::order]:
        store.put(BUCKET, key, key.encode(), metadata={"key": "odd"})
    assert keys(store) == ODD_KEYS
    for key in ODD_KEYS:
        assert store.get(BUCKET, key) == key.encode(), key
        assert dict(store.head(BUCKET, key).metadata) == {"key": "odd"}, key
    for start in range(len(ODD_KEYS)):
        after = [info.key for info in store.list(BUCKET, start_after=ODD_KEYS[start])]
        assert after == ODD_KEYS[start + 1 :]
    for prefix in ("a", "a/", "a//", "a/b", "/", ".", "..", "../"):
        assert keys(store, prefix) == [key for key in ODD_KEYS if key.startswith(prefix)], prefix
    assert names(root.parent) == ["buckets"]
    assert names(root) == [".lakelet", BUCKET]


@pytest.mark.parametrize("order", [1, -1])
def test_odd_keys_can_be_deleted(store: DiskObjectStore, root: Path, order: int) -> None:
    for key in ODD_KEYS:
        store.put(BUCKET, key, b"")
    left = list(ODD_KEYS)
    for key in ODD_KEYS[::order]:
        store.delete(BUCKET, key)
        left.remove(key)
        assert keys(store) == left
    assert names(root / BUCKET) == []


def test_an_object_gives_way_to_a_folder_unseen(store: DiskObjectStore) -> None:
    made = store.put(BUCKET, "a", b"one", metadata={"x": "y"})
    store.put(BUCKET, "a/b/c", b"two")
    assert store.head(BUCKET, "a") == made
    store.put(BUCKET, "a", b"three")
    assert store.get(BUCKET, "a") == b"three"
    store.delete(BUCKET, "a/b/c")
    assert store.get(BUCKET, "a") == b"three"
    store.put(BUCKET, "a", b"four")
    assert (keys(store), store.get(BUCKET, "a")) == (["a"], b"four")
    with pytest.raises(PreconditionFailed):
        store.put(BUCKET, "a", b"five", only_if_absent=True)


def test_keys_that_no_file_can_have_are_refused(store: DiskObjectStore) -> None:
    for key in ("", "x" * 256, "\udc80"):
        with pytest.raises(KeyRefused):
            store.put(BUCKET, key, b"")
    with pytest.raises(ObjectNotFound):
        store.get(BUCKET, "x" * 256)
    store.delete(BUCKET, "x" * 256)
    assert keys(store, "x" * 300 + "/") == []


def test_a_folder_of_many_tells_of_each_what_head_does(
    store: DiskObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(250):
        store.put(BUCKET, f"day/{n:03d}", b"%d" % n, content_type=f"text/x-{n}")
        store.put(BUCKET, f"day/{n:03d}-day/below", b"")
    (root / BUCKET / "day" / "by-hand").write_bytes(b"hand")
    keys = [*(f"day/{n:03d}" for n in range(250)), "day/by-hand"]
    heads = [store.head(BUCKET, key) for key in keys]
    monkeypatch.setattr(disk, "_md5_of", lambda path: pytest.fail(f"{path} was read again"))
    folders, objects = store.list_folder(BUCKET, "day/")
    assert folders == [f"day/{n:03d}-day/" for n in range(250)]
    assert objects == heads


# --- links and other files --------------------------------------------------------


def test_links_are_not_followed(store: DiskObjectStore, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"s")
    (root / BUCKET / "file").symlink_to(outside / "secret")
    (root / BUCKET / "folder").symlink_to(outside)
    (root / "linked").symlink_to(outside)
    assert keys(store) == []
    assert store.list_folder(BUCKET) == ([], [])
    assert store.list_buckets() == [BUCKET]
    for key in ("file", "folder/secret"):
        with pytest.raises(ObjectNotFound):
            store.get(BUCKET, key)
    with pytest.raises(KeyRefused):
        store.put(BUCKET, "folder/new", b"")
    store.put(BUCKET, "file", b"mine")
    assert (outside / "secret").read_bytes() == b"s"
    assert names(outside) == ["secret"]
    assert store.get(BUCKET, "file") == b"mine"


def test_other_kinds_of_file_are_no_objects(store: DiskObjectStore, root: Path) -> None:
    os.mkfifo(root / BUCKET / "pipe")
    (root / BUCKET / os.fsdecode(b"not-utf8-\xff")).write_bytes(b"")
    (root / BUCKET / ".lakelet-foreign").write_bytes(b"")
    (root / BUCKET / "empty" / "er").mkdir(parents=True)
    assert keys(store) == []
    assert store.list_folder(BUCKET) == ([], [])
    with pytest.raises(ObjectNotFound):
        store.get(BUCKET, "pipe")
    with pytest.raises(ObjectNotFound):
        store.get(BUCKET, "empty")


# --- conditions, hooks, buckets ---------------------------------------------------


def test_if_match(store: DiskObjectStore) -> None:
    one = store.put(BUCKET, "x", b"one")
    two = store.put(BUCKET, "x", b"two", if_match=one.etag)
    with pytest.raises(PreconditionFailed):
        store.put(BUCKET, "x", b"three", if_match=one.etag)
    with pytest.raises(ObjectNotFound):
        store.put(BUCKET, "y", b"three", if_match=one.etag)
    assert store.head(BUCKET, "x") == two


def test_of_many_only_if_absent_one_wins(store: DiskObjectStore) -> None:
    won: list[int] = []

    def put(number: int) -> None:
        try:
            store.put(BUCKET, "x", str(number).encode(), only_if_absent=True)
        except PreconditionFailed:
            return
        won.append(number)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get(BUCKET, "x") == str(won[0]).encode()


def test_only_if_absent_where_a_file_system_has_no_links(
    store: DiskObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store.put(BUCKET, "x", b"one", only_if_absent=True)
    with pytest.raises(PreconditionFailed):
        store.put(BUCKET, "x", b"two", only_if_absent=True)
    assert store.get(BUCKET, "x") == b"one"
    assert drafts_left(root) == []


def test_a_reader_keeps_its_version(store: DiskObjectStore) -> None:
    store.put(BUCKET, "x", b"one")
    stream, info = store.open_with_info(BUCKET, "x")
    store.put(BUCKET, "x", b"three")
    with stream:
        assert (stream.read(), info.size_bytes) == (b"one", 3)


def test_hooks(store: DiskObjectStore) -> None:
    told: list[object] = []
    store.on_put(told.append)
    store.on_delete(lambda bucket, key: told.append((bucket, key)))
    one = store.put(BUCKET, "x", b"one")
    with store.writer(BUCKET, "y") as writer:
        two = writer.commit()
    with store.writer(BUCKET, "z"):
        pass
    store.delete_many(BUCKET, ["x", "no", "y"])
    assert told == [one, two, (BUCKET, "x"), (BUCKET, "y")]


def test_a_bucket_is_deleted_once_empty(store: DiskObjectStore, root: Path) -> None:
    store.put(BUCKET, "a/b", b"")
    with pytest.raises(BucketNotEmpty):
        store.delete_bucket(BUCKET)
    store.delete(BUCKET, "a/b")
    (root / BUCKET / "left" / "over").mkdir(parents=True)
    store.delete_bucket(BUCKET)
    assert store.list_buckets() == []
    with pytest.raises(BucketNameRefused):
        store.create_bucket("No_Good")


def test_tags(store: DiskObjectStore, root: Path) -> None:
    store.put(BUCKET, "x", b"one", metadata={"a": "b"}, tags={"t": "1"})
    assert store.tags(BUCKET, "x") == {"t": "1"}
    store.set_tags(BUCKET, "x", {"u": "2"})
    assert (store.tags(BUCKET, "x"), dict(store.head(BUCKET, "x").metadata)) == (
        {"u": "2"},
        {"a": "b"},
    )
    (root / BUCKET / "hand").write_bytes(b"")
    store.set_tags(BUCKET, "hand", {"u": "2"})
    assert store.tags(BUCKET, "hand") == {"u": "2"}
    store.put(BUCKET, "x", b"two")
    assert store.tags(BUCKET, "x") == {}


def test_folders_tell_when_they_changed(store: DiskObjectStore, root: Path) -> None:
    store.put(BUCKET, "a/b/x", b"")
    assert store.folder_changed_at_ns(BUCKET, "no/") is None
    for folder in (root / BUCKET / "a", root / BUCKET / "a" / "b"):
        os.utime(folder, ns=(1, 1))
    store.put(BUCKET, "a/b/y", b"")
    assert store.folder_changed_at_ns(BUCKET, "a/") == 1
    assert (store.folder_changed_at_ns(BUCKET, "a/b/") or 0) > 1


# --- a disk that fails ------------------------------------------------------------


def drafts_left(root: Path) -> list[str]:
    return names(root / ".lakelet" / "drafts")


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_changes_nothing(
    store: DiskObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store.put(BUCKET, "x", b"one")

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StorageFull) as caught:
            store.put(BUCKET, "x", b"two")
    assert caught.value.hint
    assert store.get(BUCKET, "x") == b"one"
    assert drafts_left(root) == []
    store.put(BUCKET, "x", b"three")


def test_everything_is_synced_before_a_put_returns(
    store: DiskObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data before its name, each new folder's name, the name itself."""
    log: list[str] = []
    fsync, rename, mkdir = os.fsync, os.rename, os.mkdir

    def shown(path: object) -> str:
        return os.path.relpath(str(path), root)

    def fsync_logged(descriptor: int) -> None:
        path = shown(Path(f"/proc/self/fd/{descriptor}").readlink())
        log.append("sync draft" if path.startswith(".lakelet/drafts/") else f"sync {path}")
        fsync(descriptor)

    def rename_logged(source: str, target: str) -> None:
        log.append(f"rename to {shown(target)}")
        rename(source, target)

    def mkdir_logged(path: str) -> None:
        log.append(f"mkdir {shown(path)}")
        mkdir(path)

    monkeypatch.setattr(os, "fsync", fsync_logged)
    monkeypatch.setattr(os, "rename", rename_logged)
    monkeypatch.setattr(os, "mkdir", mkdir_logged)
    store.put(BUCKET, "a/b/x", b"one")
    assert log == [
        "sync draft",
        "rename to lake/a/b/x",  # the folder is missing
        "mkdir lake/a",
        "sync lake",
        "mkdir lake/a/b",
        "sync lake/a",
        "rename to lake/a/b/x",
        "sync lake/a/b",
    ]
    log.clear()
    store.put(BUCKET, "a/b/y", b"one")
    assert log == ["sync draft", "rename to lake/a/b/y", "sync lake/a/b"]


def test_abandoned_drafts_are_cleared_at_the_next_start(store: DiskObjectStore, root: Path) -> None:
    old, young = (root / ".lakelet" / "drafts" / name for name in ("old", "young"))
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (1, 1))
    DiskObjectStore(root).close()
    assert drafts_left(root) == ["young"]


def test_puts_and_prunes_of_one_folder_do_not_meet(store: DiskObjectStore) -> None:
    """A delete removes the folder it empties while a put is about to use it."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            store.put(BUCKET, "a/b/other", b"")
            store.delete(BUCKET, "a/b/other")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for number in range(50):
            store.put(BUCKET, f"a/b/{number}", b"x")
            assert store.get(BUCKET, f"a/b/{number}") == b"x"
            store.delete(BUCKET, f"a/b/{number}")
    finally:
        stop.set()
        thread.join()
    assert keys(store) == []


def test_two_processes_share_a_root(store: DiskObjectStore, root: Path) -> None:
    other = DiskObjectStore(root)
    made = store.put(BUCKET, "x", b"one", content_encoding="gzip")
    assert other.head(BUCKET, "x") == made
    other.put(BUCKET, "x", b"two", content_type="text/x")
    assert store.head(BUCKET, "x").content_type == "text/x"
    other.close()


def test_conditions_hold_for_writers_too(store: DiskObjectStore) -> None:
    store.put(BUCKET, "x", b"one")
    with store.writer(BUCKET, "x") as writer, pytest.raises(PreconditionFailed):
        writer.commit(Condition(only_if_absent=True))
    assert store.get(BUCKET, "x") == b"one"


def test_a_reader_does_not_overwrite_what_a_writer_says(
    store: DiskObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a rename and its row, somebody lists: the file looks as if copied in by hand."""
    reader, noted, hashed = DiskObjectStore(root), threading.Event(), threading.Event()
    seen: list[object] = []
    put, md5_of = store._index.put, disk._md5_of

    def put_while_the_reader_hashes(*arguments: Any) -> None:
        thread.start()
        assert hashed.wait(10)
        put(*arguments)
        noted.set()

    def md5_until_the_writer_has_noted(path: str) -> str:
        hashed.set()
        assert noted.wait(10)
        return md5_of(path)

    monkeypatch.setattr(disk, "_md5_of", md5_until_the_writer_has_noted)
    monkeypatch.setattr(store._index, "put", put_while_the_reader_hashes)
    thread = threading.Thread(target=lambda: seen.append(reader.head(BUCKET, "x")))
    made = store.put(BUCKET, "x", b"one", content_type="text/x", metadata={"a": "b"})
    thread.join()
    assert seen == [made]
    assert store.head(BUCKET, "x") == made
    reader.close()


def test_a_full_disk_under_the_index(
    store: DiskObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (page_count,) = store._index._open().execute("PRAGMA page_count").fetchone()
    store._index._open().execute(f"PRAGMA max_page_count = {page_count}")
    with pytest.raises(StorageFull):
        for number in range(1000):
            store.put(BUCKET, str(number), b"", metadata={"long": "x" * 1000})


def test_an_index_of_another_version_is_made_anew(store: DiskObjectStore, root: Path) -> None:
    made = store.put(BUCKET, "x", b"one")
    store._index._open().execute("ALTER TABLE objects DROP COLUMN further")
    store._index._open().execute("PRAGMA user_version = 1")
    store.close()
    fresh = DiskObjectStore(root)
    assert fresh.head(BUCKET, "x") == made
    fresh.close()


def test_an_index_that_cannot_be_opened_is_left_alone(root: Path) -> None:
    path = root / ".lakelet" / "objects.sqlite"
    path.mkdir(parents=True)
    with pytest.raises(sqlite3.OperationalError):
        DiskObjectStore(root)
    assert path.is_dir()
