"""What we ask of the world. Real adapters live in `store/`, test ones in `testing/`.

Rooms at the core take these as arguments: so a test can move the clock, or make
the next fsync fail.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Protocol, runtime_checkable

Buffer = bytes | bytearray | memoryview


@runtime_checkable
class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> datetime:
        """The wall clock: an aware UTC instant, microseconds. It may jump either way."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, from an arbitrary start: for intervals."""
        ...


# --- files: what the log needs of a file system -----------------------------------


@dataclass(frozen=True, slots=True)
class FileInfo:
    name: str
    size_bytes: int


class AppendFile(Protocol):
    """A file that only grows."""

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Append every buffer, in order. OSError leaves an undefined torn tail."""
        ...

    def sync(self) -> None:
        """Return once everything written is on disk (fdatasync)."""
        ...

    def close(self) -> None: ...


class FileSystem(Protocol):
    """Folders of append-only files; paths are `/`-joined and relative to a root.

    A new or renamed file outlives a crash only after `sync_folder` of its folder.
    """

    def append(self, path: str) -> AppendFile:
        """Open for appending; created if absent, its folder must exist."""
        ...

    def read(self, path: str, offset_bytes: int = 0, size_bytes: int | None = None) -> bytes: ...

    def truncate(self, path: str, size_bytes: int) -> None: ...

    def rename(self, source: str, target: str) -> None:
        """Atomic; replaces the target."""
        ...

    def remove(self, path: str) -> None: ...

    def list(self, folder: str) -> list[FileInfo]:
        """Files in a folder, by name; [] where the folder is absent."""
        ...

    def make_folder(self, folder: str) -> None:
        """With its parents; durable on return."""
        ...

    def sync_folder(self, folder: str) -> None: ...


# --- objects: buckets and keys ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    bucket: str
    key: str
    size_bytes: int
    etag: str  # without quotes; MD5 hex for a plain put, `<hex>-<parts>` for multipart
    modified_at: datetime
    content_type: str = "binary/octet-stream"
    content_encoding: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class ObjectWriter(Protocol):
    """A whole object in the making: visible under its key on `commit`, never before."""

    def write(self, data: Buffer) -> int: ...

    def commit(self) -> ObjectInfo: ...

    def abort(self) -> None: ...

    def __enter__(self) -> "ObjectWriter": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Abort unless committed."""
        ...


class ObjectStore(Protocol):
    """S3 as our code needs it. Objects appear whole, or not at all."""

    def create_bucket(self, bucket: str) -> None:
        """Nothing happens where it exists."""
        ...

    def list_buckets(self) -> list[str]: ...

    def put(
        self,
        bucket: str,
        key: str,
        body: Buffer,
        *,
        content_type: str = "binary/octet-stream",
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
    ) -> ObjectInfo:
        """Durable on return.

        Raises:
            BucketNotFound; StorageFull; PreconditionFailed (only_if_absent, and it is there).
        """
        ...

    def writer(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str = "binary/octet-stream",
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectWriter:
        """For objects too large to hold in memory."""
        ...

    def get(
        self, bucket: str, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> bytes:
        """Raises ObjectNotFound, BucketNotFound."""
        ...

    def open(self, bucket: str, key: str) -> BinaryIO:
        """The object as a stream, from its beginning."""
        ...

    def head(self, bucket: str, key: str) -> ObjectInfo:
        """Raises ObjectNotFound, BucketNotFound."""
        ...

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """In key order (UTF-8 bytes). `content_*` and `metadata` may be left at defaults."""
        ...

    def delete(self, bucket: str, key: str) -> None:
        """Nothing happens where it is absent, as in S3."""
        ...


class FolderStore(ObjectStore, Protocol):
    """An object store that can be looked at one folder at a time, as a crawler does."""

    def list_folder(self, bucket: str, prefix: str = "") -> tuple[list[str], list[ObjectInfo]]:
        """One level below `prefix`, with `/` as S3's delimiter.

        Returns:
            The common prefixes (whole, ending in `/`) and the objects, each in key order.
            A prefix may end inside a name: `year=20` answers `year=2025/`, `year=2026/`.
        """
        ...

    def folder_changed_at_ns(self, bucket: str, prefix: str) -> int | None:
        """When a name last appeared in, or vanished from, the folder `prefix` itself.

        Changes further down don't show here. None where the store cannot tell, or the
        folder is absent: then look inside.
        """
        ...
