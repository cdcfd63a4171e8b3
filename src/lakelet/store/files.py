"""The log's file system, on a local disk."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lakelet.model.ports import Buffer, FileInfo

# POSIX promises 16; Linux, macOS and the BSDs all take 1,024.
_BUFFERS_PER_CALL_MAX = 1024


class LocalFileSystem:
    """`FileSystem` under one folder of this machine.

    It assumes what ext4, xfs, btrfs and APFS hold to: data is on disk once
    fdatasync returns, a name once its folder is synced, and a rename is atomic.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def append(self, path: str) -> "LocalAppendFile":
        return LocalAppendFile(self.root / path)

    def read(self, path: str, offset_bytes: int = 0, size_bytes: int | None = None) -> bytes:
        with (self.root / path).open("rb", buffering=0) as file:
            if size_bytes is None:
                size_bytes = max(0, os.fstat(file.fileno()).st_size - offset_bytes)
            return os.pread(file.fileno(), size_bytes, offset_bytes)

    def truncate(self, path: str, size_bytes: int) -> None:
        os.truncate(self.root / path, size_bytes)

    def rename(self, source: str, target: str) -> None:
        (self.root / source).replace(self.root / target)

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def list(self, folder: str) -> list[FileInfo]:
        try:
            with os.scandir(self.root / folder) as entries:
                found = [FileInfo(e.name, e.stat().st_size) for e in entries if e.is_file()]
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda file: file.name)

    def make_folder(self, folder: str) -> None:
        path = self.root / folder
        missing = [path, *path.parents]
        missing = missing[: next(i for i, parent in enumerate(missing) if parent.is_dir())]
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            _sync_folder(new.parent)

    def sync_folder(self, folder: str) -> None:
        _sync_folder(self.root / folder)


class LocalAppendFile:
    """An open descriptor in append mode."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, buffers: Sequence[Buffer]) -> None:
        pending = [memoryview(buffer) for buffer in buffers if buffer]
        while pending:
            batch = pending[:_BUFFERS_PER_CALL_MAX]
            written = os.writev(self._descriptor, batch)
            # A short write is rare (a signal, a nearly full disk): go on after it.
            done = 0
            while done < len(batch) and written >= batch[done].nbytes:
                written -= batch[done].nbytes
                done += 1
            pending = pending[done:]
            if written:
                pending[0] = pending[0].cast("B")[written:]

    def sync(self) -> None:
        _sync_data(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def _sync_data(descriptor: int) -> None:
    if sys.platform == "darwin":  # its fsync leaves data in the drive's cache
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
