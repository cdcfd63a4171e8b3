"""Files in the making, out of sight, on the file system where they will be published."""

import contextlib
import errno
import hashlib
import itertools
import os
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lakelet.model.ports import Buffer
from lakelet.store.errors import storage_full

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# A draft this old belongs to a writer that died: no upload stays open for a day.
_ABANDONED_SECONDS = 24 * 3600


class Drafts:
    """The hidden folder of drafts."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._prefix = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._numbers = itertools.count()
        folder.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()

    def open(self) -> "Draft":
        return Draft(f"{self._folder}/{self._prefix}-{next(self._numbers)}")

    def _remove_abandoned(self) -> None:
        oldest_at = time.time() - _ABANDONED_SECONDS
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < oldest_at:
                        os.unlink(entry.path)  # noqa: PTH108 - a str, as everywhere here


class Draft:
    """One file in the making: written, sealed (on disk), then renamed by its store."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.size_bytes = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            raise storage_full(error, "begin an object") or error from error

    @property
    def md5_hex(self) -> str:
        return self._md5.hexdigest()

    def write(self, data: Buffer) -> int:
        """Append all of it. Raises StorageFull."""
        view = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
        try:
            written = os.write(self._descriptor, view)
            while written < len(view):  # more than 2 GiB, or a signal
                written += os.write(self._descriptor, view[written:])
        except OSError as error:
            full = storage_full(error, f"write {len(view)} bytes")
            raise full or error from error
        self._md5.update(view)
        self.size_bytes += len(view)
        return len(view)

    def append_file(self, path: str) -> None:
        """Another file's bytes, copied inside the kernel; they don't count into the MD5."""
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            remaining = os.fstat(source).st_size
            self.size_bytes += remaining
            while remaining:
                remaining -= self._copy_some(source, remaining)
        except OSError as error:
            raise storage_full(error, "join an upload's parts") or error from error
        finally:
            os.close(source)

    def _copy_some(self, source: int, size_bytes: int) -> int:
        if hasattr(os, "copy_file_range"):
            try:
                copied = os.copy_file_range(source, self._descriptor, size_bytes)
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL):
                    raise
            else:
                if copied:
                    return copied
        block = os.read(source, min(size_bytes, 1 << 20))
        if not block:
            raise OSError(errno.EIO, "a part became shorter while it was read")
        view = memoryview(block)
        while view:
            view = view[os.write(self._descriptor, view) :]
        return len(block)

    def seal(self, modified_at: datetime) -> os.stat_result:
        """Everything is on disk on return; closed. Raises StorageFull."""
        modified_at_ns = (modified_at - _EPOCH) // _MICROSECOND * 1000
        try:
            os.utime(self._descriptor, ns=(modified_at_ns, modified_at_ns))
            os.fsync(self._descriptor)
            info = os.fstat(self._descriptor)
        except OSError as error:
            raise storage_full(error, f"keep {self.size_bytes} bytes") or error from error
        finally:
            self._close()
        return info

    def discard(self) -> None:
        """Nothing stays of it; nothing happens to one that was published."""
        self._close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)  # noqa: PTH108

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
