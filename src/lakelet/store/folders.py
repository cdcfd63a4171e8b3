"""Files of somebody else's as a raw zone, another folder as where results go.

For transforming files without a lake: nothing is ever written beside the sources,
no index is kept, and a file's ETag is made from its size and time.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from lakelet.model.errors import BucketNotFound, ObjectNotFound, PreconditionFailed, StorageFull
from lakelet.model.ports import Buffer, ObjectInfo


class FoldersObjectStore:
    """An `ObjectStore` of two buckets.

    Args:
        source_bucket: reads from `source`, but what is written to it (quarantine)
            lies in `target`, where it is read back from.
        target_bucket: lies in `target`.
    """

    def __init__(self, source_bucket: str, source: Path, target_bucket: str, target: Path) -> None:
        self._source_bucket, self._source = source_bucket, source
        self._target_bucket, self._target = target_bucket, target

    def create_bucket(self, bucket: str) -> None:
        self._write_root(bucket).mkdir(parents=True, exist_ok=True)

    def list_buckets(self) -> list[str]:
        return [self._source_bucket, self._target_bucket]

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
        if only_if_absent and self._find(bucket, key):
            raise PreconditionFailed(f"{key} is there already.")
        with self.writer(
            bucket,
            key,
            content_type=content_type,
            content_encoding=content_encoding,
            metadata=metadata,
        ) as writer:
            writer.write(body)
            return writer.commit()

    def writer(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str = "binary/octet-stream",  # noqa: ARG002 - plain files keep none of these
        content_encoding: str | None = None,  # noqa: ARG002
        metadata: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> "_Writer":
        return _Writer(self, bucket, key, self._write_root(bucket) / key)

    def get(
        self, bucket: str, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> bytes:
        with self.open(bucket, key) as file:
            file.seek(offset_bytes)
            return file.read() if size_bytes is None else file.read(size_bytes)

    def open(self, bucket: str, key: str) -> BinaryIO:
        path = self._find(bucket, key)
        if path is None:
            raise ObjectNotFound(f"there is no {key} in {bucket}.")
        return path.open("rb")

    def head(self, bucket: str, key: str) -> ObjectInfo:
        path = self._find(bucket, key)
        if path is None:
            raise ObjectNotFound(f"there is no {key} in {bucket}.")
        return _info(bucket, key, path)

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        root = self._source if bucket == self._source_bucket else self._write_root(bucket)
        keys = {
            path.relative_to(root).as_posix(): path
            for path in (root.rglob("*") if root.is_dir() else ())
            if path.is_file()
        }
        for key in sorted(keys, key=str.encode):
            if key.startswith(prefix) and key.encode() > start_after.encode():
                yield _info(bucket, key, keys[key])

    def delete(self, bucket: str, key: str) -> None:
        (self._write_root(bucket) / key).unlink(missing_ok=True)

    def _write_root(self, bucket: str) -> Path:
        if bucket not in (self._source_bucket, self._target_bucket):
            raise BucketNotFound(f"there is no bucket {bucket}.")
        return self._target

    def _find(self, bucket: str, key: str) -> Path | None:
        roots = [self._write_root(bucket)]
        if bucket == self._source_bucket:
            roots.insert(0, self._source)
        return next((root / key for root in roots if (root / key).is_file()), None)


class _Writer:
    """A draft beside the target, renamed when it is whole."""

    def __init__(self, store: FoldersObjectStore, bucket: str, key: str, path: Path) -> None:
        self._store, self._bucket, self._key, self._path = store, bucket, key, path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=".draft-", dir=path.parent)
        except OSError as error:
            raise _full(path, error) from error
        self._draft: Path | None = Path(name)
        self._file = os.fdopen(descriptor, "wb")

    def write(self, data: Buffer) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            raise _full(self._path, error) from error

    def commit(self) -> ObjectInfo:
        try:
            self._file.close()
            if self._draft:
                self._draft.chmod(0o644)
                self._draft.replace(self._path)
        except OSError as error:
            raise _full(self._path, error) from error
        self._draft = None
        return _info(self._bucket, self._key, self._path)

    def abort(self) -> None:
        self._file.close()
        if self._draft:
            self._draft.unlink(missing_ok=True)
            self._draft = None

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()


def _info(bucket: str, key: str, path: Path) -> ObjectInfo:
    stat = path.stat()
    etag = hashlib.sha256(f"{stat.st_size}:{stat.st_mtime_ns}".encode()).hexdigest()[:32]
    modified_at = datetime.fromtimestamp(stat.st_mtime_ns / 1e9, UTC)
    return ObjectInfo(bucket, key, stat.st_size, etag, modified_at)


def _full(path: Path, error: OSError) -> StorageFull:
    return StorageFull(
        f"{path} cannot be written: {error.strerror}", hint="Make room or choose another folder."
    )
