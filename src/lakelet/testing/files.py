"""A file system in memory that fails as disks do: for the log's tests, and for yours."""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lakelet.model.ports import Buffer, FileInfo


@dataclass
class _Inode:
    """One file: what readers see now, and what the platter holds."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    # Ranges whose write-back failed. Linux then calls the pages clean: readers
    # still see the bytes, a later sync succeeds, the disk never had them.
    doomed: list[tuple[int, int]] = field(default_factory=list)

    def written_back(self) -> bytes:
        """What the disk holds if every page it was told of were written now."""
        image = bytearray(self.data)
        for start, end in self.doomed:
            image[start:end] = bytes(len(image[start:end]))
        return bytes(image)

    def sync(self) -> None:
        self.durable = self.written_back()

    def doom_unsynced(self) -> None:
        self.doomed.append((min(len(self.durable), len(self.data)), len(self.data)))


@dataclass
class _Fault:
    operation: str
    error: int
    skip: int
    times: int
    keep_bytes: int


class FaultyFileSystem:
    """`FileSystem` in memory, with a crash, and any call made to fail on demand.

    Without faults asked for it is simply a file system in memory. A crash keeps
    what was synced, plus as much of the rest as the caller says.
    """

    def __init__(self, capacity_bytes: int | None = None) -> None:
        self.capacity_bytes = capacity_bytes
        self.calls: list[tuple[str, str]] = []  # (operation, path), every one so far
        self._entries: dict[str, _Inode] = {}
        self._durable_entries: dict[str, _Inode] = {}
        self._folders: set[str] = {""}
        self._faults: list[_Fault] = []

    # --- what a test does to it ---------------------------------------------------

    def fail(
        self,
        operation: str,
        error: int = errno.EIO,
        *,
        skip: int = 0,
        times: int = 1,
        keep_bytes: int = 0,
    ) -> None:
        """Let `times` calls fail, after `skip` good ones.

        Args:
            operation: `append`, `write`, `sync`, `read`, `truncate`, `rename`,
                `remove`, `list`, `make_folder`, `sync_folder`, or `*` for any.
            keep_bytes: how much of a failing write reaches the file: a torn write.
        """
        self._faults.append(_Fault(operation, error, skip, times, keep_bytes))

    def heal(self) -> None:
        """Forget the faults still asked for; the capacity too."""
        self._faults.clear()
        self.capacity_bytes = None

    def crash(
        self,
        *,
        keep_unsynced_bytes: int = 0,
        keep_entry: Callable[[str], bool] = lambda _path: False,
        scribble: bool = False,
    ) -> None:
        """Power off and on again.

        Args:
            keep_unsynced_bytes: of each file's unsynced tail, how much had been
                written back anyway.
            keep_entry: whether a name whose folder was not synced is as the last
                call left it; otherwise it is as the last sync left it.
            scribble: the rest of the tail is there in size but reads as zeros.
        """
        names = self._entries.keys() | self._durable_entries.keys()
        survivors: dict[str, _Inode] = {}
        for name in names:
            side = self._entries if keep_entry(name) else self._durable_entries
            if inode := side.get(name):
                survivors[name] = inode
        for inode in {id(inode): inode for inode in survivors.values()}.values():
            _settle(inode, keep_unsynced_bytes, scribble)
        self._entries = dict(survivors)
        self._durable_entries = dict(survivors)
        self._faults.clear()

    def flip(self, path: str, byte_index: int, bit_index: int = 0) -> None:
        """One bit rots, on the platter and so for readers."""
        inode = self._entries[path]
        inode.data[byte_index] ^= 1 << bit_index
        inode.durable = bytes(inode.data)

    def paths(self) -> list[str]:
        return sorted(self._entries)

    def size_bytes(self, path: str) -> int:
        return len(self._entries[path].data)

    # --- FileSystem ---------------------------------------------------------------

    def append(self, path: str) -> "FaultyAppendFile":
        self._check("append", path)
        if _folder(path) not in self._folders:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return FaultyAppendFile(self, path, self._entries.setdefault(path, _Inode()))

    def read(self, path: str, offset_bytes: int = 0, size_bytes: int | None = None) -> bytes:
        self._check("read", path)
        end = None if size_bytes is None else offset_bytes + size_bytes
        return bytes(self._inode(path).data[offset_bytes:end])

    def truncate(self, path: str, size_bytes: int) -> None:
        self._check("truncate", path)
        del self._inode(path).data[size_bytes:]

    def rename(self, source: str, target: str) -> None:
        self._check("rename", source)
        self._entries[target] = self._inode(source)
        del self._entries[source]

    def remove(self, path: str) -> None:
        self._check("remove", path)
        self._inode(path)
        del self._entries[path]

    def list(self, folder: str) -> list[FileInfo]:
        self._check("list", folder)
        return [
            FileInfo(path.rsplit("/", 1)[-1], len(inode.data))
            for path, inode in sorted(self._entries.items())
            if _folder(path) == folder
        ]

    def make_folder(self, folder: str) -> None:
        self._check("make_folder", folder)
        parts = folder.split("/")
        self._folders.update("/".join(parts[: i + 1]) for i in range(len(parts)))

    def sync_folder(self, folder: str) -> None:
        self._check("sync_folder", folder)
        for entries in (self._durable_entries, self._entries):
            for path in [path for path in entries if _folder(path) == folder]:
                if path in self._entries:
                    self._durable_entries[path] = self._entries[path]
                else:
                    del self._durable_entries[path]

    # --- inside -------------------------------------------------------------------

    def _inode(self, path: str) -> _Inode:
        try:
            return self._entries[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    def _check(self, operation: str, path: str) -> None:
        self.calls.append((operation, path))
        if fault := self._fault(operation):
            raise OSError(fault.error, os.strerror(fault.error), path)

    def _fault(self, operation: str) -> _Fault | None:
        for fault in self._faults:
            if fault.operation not in (operation, "*"):
                continue
            if fault.skip:
                fault.skip -= 1
            elif fault.times:
                fault.times -= 1
                return fault
        return None

    def _room_bytes(self) -> int:
        if self.capacity_bytes is None:
            return 1 << 62
        used = sum(len(inode.data) for inode in self._entries.values())
        return max(0, self.capacity_bytes - used)


class FaultyAppendFile:
    def __init__(self, files: FaultyFileSystem, path: str, inode: _Inode) -> None:
        self._files, self._path, self._inode = files, path, inode

    def write(self, buffers: Sequence[Buffer]) -> None:
        self._files.calls.append(("write", self._path))
        data = b"".join(bytes(buffer) for buffer in buffers)
        if fault := self._files._fault("write"):
            self._inode.data += data[: fault.keep_bytes]
            raise OSError(fault.error, os.strerror(fault.error), self._path)
        room = self._files._room_bytes()
        self._inode.data += data[:room]
        if len(data) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)

    def sync(self) -> None:
        self._files.calls.append(("sync", self._path))
        if fault := self._files._fault("sync"):
            self._inode.doom_unsynced()
            raise OSError(fault.error, os.strerror(fault.error), self._path)
        self._inode.sync()

    def close(self) -> None:
        self._files.calls.append(("close", self._path))


def _settle(inode: _Inode, keep_unsynced_bytes: int, scribble: bool) -> None:
    """What a file is after the power came back."""
    after, image = inode.durable, inode.written_back()
    if image.startswith(after):  # else it was cut, and the cut was never synced
        size_bytes = len(image)
        after = image[: len(after) + keep_unsynced_bytes]
        if scribble:
            after += bytes(size_bytes - len(after))
    inode.data, inode.durable, inode.doomed = bytearray(after), after, []


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
