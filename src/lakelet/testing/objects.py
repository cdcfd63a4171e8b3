"""An object store in memory: what tests of the core rooms put their objects into."""

import hashlib
import io
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import BinaryIO

from lakelet.model.errors import BucketNotFound, ObjectNotFound, PreconditionFailed
from lakelet.model.ports import Buffer, Clock, ObjectInfo
from lakelet.testing.clock import ManualClock


class MemoryObjectStore:
    """`FolderStore` without a disk; `modified_at` comes from the clock."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or ManualClock()
        self._buckets: dict[str, dict[str, tuple[ObjectInfo, bytes]]] = {}
        self._lock = threading.RLock()

    def create_bucket(self, bucket: str) -> None:
        self._buckets.setdefault(bucket, {})

    def list_buckets(self) -> list[str]:
        return sorted(self._buckets)

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
        data = bytes(body)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        info = ObjectInfo(
            *(bucket, key, len(data), etag, self.clock.now()),
            *(content_type, content_encoding, dict(metadata or {})),
        )
        with self._lock:
            objects = self._objects(bucket)
            if only_if_absent and key in objects:
                raise PreconditionFailed(f"{key!r} is in {bucket!r} already.")
            objects[key] = (info, data)
        return info

    def writer(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str = "binary/octet-stream",
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> "MemoryWriter":
        self._objects(bucket)
        return MemoryWriter(self, bucket, key, content_type, content_encoding, metadata)

    def get(
        self, bucket: str, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> bytes:
        end = None if size_bytes is None else offset_bytes + size_bytes
        return self._find(bucket, key)[1][offset_bytes:end]

    def open(self, bucket: str, key: str) -> BinaryIO:
        return io.BytesIO(self._find(bucket, key)[1])

    def head(self, bucket: str, key: str) -> ObjectInfo:
        return self._find(bucket, key)[0]

    def delete(self, bucket: str, key: str) -> None:
        self._objects(bucket).pop(key, None)

    def list_folder(self, bucket: str, prefix: str = "") -> tuple[list[str], list[ObjectInfo]]:
        folders: dict[str, None] = {}
        objects = []
        for info in self.list(bucket, prefix):
            below, slash, _ = info.key[len(prefix) :].partition("/")
            if slash:
                folders[f"{prefix}{below}/"] = None
            else:
                objects.append(info)
        return list(folders), objects

    def folder_changed_at_ns(self, bucket: str, prefix: str) -> int | None:  # noqa: ARG002
        return None  # it keeps no folders: look inside

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        with self._lock:
            objects = self._objects(bucket)
            keys = sorted(k for k in objects if k.startswith(prefix) and k > start_after)
            found = [objects[key][0] for key in keys]
        return iter(found)

    def _objects(self, bucket: str) -> dict[str, tuple[ObjectInfo, bytes]]:
        try:
            return self._buckets[bucket]
        except KeyError:
            raise BucketNotFound(f"No bucket {bucket!r}.", hint="Create it first.") from None

    def _find(self, bucket: str, key: str) -> tuple[ObjectInfo, bytes]:
        try:
            return self._objects(bucket)[key]
        except KeyError:
            raise ObjectNotFound(f"No {key!r} in {bucket!r}.") from None


class MemoryWriter:
    """Collects, then puts."""

    def __init__(
        self,
        store: MemoryObjectStore,
        bucket: str,
        key: str,
        content_type: str,
        content_encoding: str | None,
        metadata: Mapping[str, str] | None,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._content_type = content_type
        self._content_encoding = content_encoding
        self._metadata = metadata
        self._body = bytearray()

    def write(self, data: Buffer) -> int:
        size_bytes = memoryview(data).nbytes
        self._body += data
        return size_bytes

    def commit(self) -> ObjectInfo:
        return self._store.put(
            self._bucket,
            self._key,
            self._body,
            content_type=self._content_type,
            content_encoding=self._content_encoding,
            metadata=self._metadata,
        )

    def abort(self) -> None:
        self._body.clear()

    def __enter__(self) -> "MemoryWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()
