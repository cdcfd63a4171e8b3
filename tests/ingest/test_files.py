"""Every file system the log may stand on behaves alike; the faulty one fails when told."""

import errno
import os

import pytest

from lakelet.store import files as store_files
from lakelet.store.files import LocalFileSystem
from lakelet.testing.files import FaultyFileSystem


@pytest.fixture(params=["local", "faulty"])
def files(request, tmp_path):
    return LocalFileSystem(tmp_path) if request.param == "local" else FaultyFileSystem()


def test_what_is_appended_is_read(files) -> None:
    files.make_folder("a/b")
    file = files.append("a/b/f")
    file.write([b"one", memoryview(b"two"), b"", bytearray(b"three")])
    file.sync()
    file.close()
    again = files.append("a/b/f")
    again.write([b"!"])
    again.close()
    assert files.read("a/b/f") == b"onetwothree!"
    assert files.read("a/b/f", 3, 3) == b"two"
    assert files.read("a/b/f", 6) == b"three!"
    assert files.read("a/b/f", 11, 100) == b"!"
    assert files.read("a/b/f", 100) == b""


def test_folders_list_their_files_by_name(files) -> None:
    assert files.list("nowhere") == []
    files.make_folder("f/inner")
    for name in ("b", "a", "c"):
        file = files.append(f"f/{name}")
        file.write([name.encode() * 3])
        file.close()
    assert [(each.name, each.size_bytes) for each in files.list("f")] == [
        ("a", 3),
        ("b", 3),
        ("c", 3),
    ]
    files.make_folder("f/inner")


def test_truncate_rename_and_remove(files) -> None:
    files.make_folder("f")
    for name, content in (("a", b"12345"), ("b", b"old")):
        file = files.append(f"f/{name}")
        file.write([content])
        file.close()
    files.truncate("f/a", 2)
    files.rename("f/a", "f/b")
    files.sync_folder("f")
    assert [(each.name, each.size_bytes) for each in files.list("f")] == [("b", 2)]
    files.remove("f/b")
    assert files.list("f") == []


def test_what_is_absent_is_an_os_error(files) -> None:
    files.make_folder("f")
    for call in (files.read, files.remove, lambda path: files.truncate(path, 0)):
        with pytest.raises(FileNotFoundError):
            call("f/none")
    with pytest.raises(FileNotFoundError):
        files.append("no-folder/f")


def test_many_buffers_and_short_writes(tmp_path, monkeypatch) -> None:
    """A kernel may take a part of what it is given; nothing may be lost or doubled."""
    real = os.writev
    monkeypatch.setattr(
        store_files.os, "writev", lambda fd, buffers: real(fd, [bytes(buffers[0])[:7]])
    )
    files = LocalFileSystem(tmp_path)
    buffers = [bytes([65 + i % 26]) * (i % 20) for i in range(200)]
    file = files.append("f")
    file.write(buffers)
    file.close()
    assert files.read("f") == b"".join(buffers)
    monkeypatch.undo()
    file = files.append("g")
    file.write([b"x"] * 5000)
    file.close()
    assert files.read("g") == b"x" * 5000


# --- the faulty one -------------------------------------------------------------------


def written(content: bytes, *, sync: bool) -> FaultyFileSystem:
    files = FaultyFileSystem()
    files.make_folder("f")
    file = files.append("f/a")
    files.sync_folder("f")
    file.write([content])
    if sync:
        file.sync()
    return files


def test_a_crash_takes_what_was_not_synced() -> None:
    files = written(b"12345", sync=False)
    files.crash(keep_unsynced_bytes=2)
    assert files.read("f/a") == b"12"
    files = written(b"12345", sync=False)
    files.crash(keep_unsynced_bytes=2, scribble=True)
    assert files.read("f/a") == b"12\0\0\0"
    files = written(b"12345", sync=True)
    files.crash()
    assert files.read("f/a") == b"12345"


def test_a_name_that_was_not_synced_is_gone_with_its_file() -> None:
    files = FaultyFileSystem()
    files.make_folder("f")
    file = files.append("f/a")
    file.write([b"x"])
    file.sync()
    files.crash()
    assert files.paths() == []


def test_a_rename_and_a_removal_that_did_not_last() -> None:
    files = written(b"x", sync=True)
    files.rename("f/a", "f/b")
    files.crash()
    assert files.paths() == ["f/a"]
    files.remove("f/a")
    files.crash()
    assert files.paths() == ["f/a"]
    files.remove("f/a")
    files.sync_folder("f")
    files.crash()
    assert files.paths() == []


def test_after_a_failed_sync_the_next_one_lies() -> None:
    files = FaultyFileSystem()
    files.make_folder("f")
    file = files.append("f/a")
    files.sync_folder("f")
    file.write([b"12"])
    file.sync()
    file.write([b"34"])
    files.fail("sync")
    with pytest.raises(OSError, match="Input/output"):
        file.sync()
    file.write([b"56"])
    file.sync()
    assert files.read("f/a") == b"123456"
    files.crash()
    assert files.read("f/a") == b"12\0\x0056"


def test_calls_fail_when_told_and_only_then() -> None:
    files = FaultyFileSystem()
    files.make_folder("f")
    files.fail("append", errno.EMFILE, skip=1, times=2)
    files.append("f/a")
    for _ in range(2):
        with pytest.raises(OSError, match="Too many open files"):
            files.append("f/a")
    file = files.append("f/a")
    files.fail("write", keep_bytes=3)
    with pytest.raises(OSError, match="Input/output"):
        file.write([b"12345"])
    assert files.read("f/a") == b"123"


def test_a_full_disk_takes_what_fits() -> None:
    files = FaultyFileSystem(capacity_bytes=4)
    files.make_folder("f")
    file = files.append("f/a")
    with pytest.raises(OSError, match="No space"):
        file.write([b"123456"])
    assert files.read("f/a") == b"1234"
    files.heal()
    file.write([b"56"])
    assert files.read("f/a") == b"123456"
