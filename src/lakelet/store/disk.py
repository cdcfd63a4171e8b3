"""Buckets on a local disk: plain files at `<root>/<bucket>/<key>`.

DuckDB, pandas and `ls` read them without us, and what people copy in by hand is found.
What this adds to files is what S3 promises: an object appears whole, is on disk once `put`
returns, and carries an ETag and metadata (`index.py`).

    draft in <root>/.lakelet/drafts ─ write ─ fsync ─▶ rename to its place ─ fsync folder
"""

import contextlib
import hashlib
import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from lakelet.model.errors import PreconditionFailed
from lakelet.model.ports import Buffer, Clock, ObjectInfo
from lakelet.store.clock import SystemClock
from lakelet.store.drafts import Draft, Drafts
from lakelet.store.errors import BucketNameRefused, BucketNotEmpty, storage_full
from lakelet.store.headers import ANYWAY, DEFAULT_CONTENT_TYPE, Condition, Headers
from lakelet.store.index import ObjectIndex, Row
from lakelet.store.keys import check_bucket_name, encode_key
from lakelet.store.places import Places, sync_folder
from lakelet.store.walk import Child, Found, children, holds_objects, stat_child, walk

PRIVATE_FOLDER = ".lakelet"  # no bucket can be called so

_ROWS_AT_ONCE = 100  # of the index: a third of the time that one by one takes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

OnPut = Callable[[ObjectInfo], None]
OnDelete = Callable[[str, str], None]


class DiskObjectStore:
    """`FolderStore` over a folder of this machine. Any thread, and several processes at once.

    Args:
        root: holds one folder a bucket; one file system.
        index_path: by default inside `root`; every process must use the same one.
    """

    def __init__(
        self, root: Path, clock: Clock | None = None, index_path: Path | None = None
    ) -> None:
        self._places = Places(root)
        self.private_folder = Path(self._places.root) / PRIVATE_FOLDER
        self.clock = clock or SystemClock()
        self._drafts = Drafts(self.private_folder / "drafts")
        self._index = ObjectIndex(index_path or self.private_folder / "objects.sqlite")
        self._lock = threading.Lock()  # keeps a file and its row together
        self._on_put: list[OnPut] = []
        self._on_delete: list[OnDelete] = []

    def close(self) -> None:
        self._index.close()

    def on_put(self, callback: OnPut) -> None:
        """Called after each object that this store made durable, on the writer's thread."""
        self._on_put.append(callback)

    def on_delete(self, callback: OnDelete) -> None:
        """Called with bucket and key after each deletion of an object that was there."""
        self._on_delete.append(callback)

    # --- buckets ------------------------------------------------------------------

    def create_bucket(self, bucket: str) -> None:
        check_bucket_name(bucket)
        path = Path(self._places.root) / bucket
        if not path.is_dir():
            path.mkdir(exist_ok=True)
            sync_folder(self._places.root)

    def list_buckets(self) -> list[str]:
        return [child.key[:-1] for child in children(self._places.root, "") if _is_bucket(child)]

    def bucket_created_at(self, bucket: str) -> datetime:
        """When its folder's entries last changed, at the latest: file systems keep no more."""
        return _instant(os.stat(self._places.bucket(bucket)).st_ctime_ns)  # noqa: PTH116

    def delete_bucket(self, bucket: str) -> None:
        """Raises BucketNotFound, BucketNotEmpty."""
        path = self._places.bucket(bucket)
        with self._lock:
            if next(walk(path, "", "", ""), None) is not None:
                raise BucketNotEmpty(
                    f"The bucket you tried to delete is not empty: {bucket!r}.",
                    hint=f"Empty it first: aws s3 rm --recursive s3://{bucket}/",
                )
            shutil.rmtree(path)
            self._index.delete_bucket(bucket)
        sync_folder(self._places.root)

    # --- writing ------------------------------------------------------------------

    def put(
        self,
        bucket: str,
        key: str,
        body: Buffer,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
        if_match: str | None = None,
    ) -> ObjectInfo:
        """Durable on return.

        Raises:
            BucketNotFound; KeyRefused; StorageFull; PreconditionFailed (an object is there and
            must not be, or is not the one that `if_match` names).
        """
        headers = Headers(content_type, content_encoding, metadata or {}, tags or {})
        with DiskWriter(self, bucket, key, headers) as writer:
            writer.write(body)
            return writer.commit(Condition(only_if_absent, if_match))

    def writer(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> "DiskWriter":
        headers = Headers(content_type, content_encoding, metadata or {}, tags or {})
        return DiskWriter(self, bucket, key, headers)

    def writer_of(self, bucket: str, key: str, headers: Headers) -> "DiskWriter":
        """`writer`, for those who have the headers together."""
        return DiskWriter(self, bucket, key, headers)

    def draft(self, bucket: str, key: str) -> Draft:
        """An unpublished file for this key. Raises BucketNotFound, KeyRefused."""
        self.check_target(bucket, key)
        return self._drafts.open()

    def check_target(self, bucket: str, key: str) -> None:
        """Could an object lie there? Raises BucketNotFound, KeyRefused."""
        self._places.bucket(bucket)
        encode_key(key)

    def publish(
        self,
        draft: Draft,
        bucket: str,
        key: str,
        headers: Headers,
        *,
        etag: str | None = None,
        condition: Condition = ANYWAY,
    ) -> ObjectInfo:
        """Seal a draft and make it the object.

        Args:
            etag: by default the MD5 of what was written.
        """
        info = draft.seal(modified_at=self.clock.now())
        row = Row(
            *(info.st_size, info.st_mtime_ns, etag or draft.md5_hex),
            *(headers.content_type, headers.content_encoding),
            *(dict(headers.metadata), dict(headers.tags), dict(headers.further)),
        )
        with self._lock:
            path = self._place(draft, bucket, key, condition)
            self._index.put(bucket, key, row)
        sync_folder(path.rpartition("/")[0])
        made = _object_info(bucket, key, row)
        for callback in self._on_put:
            callback(made)
        return made

    def _place(self, draft: Draft, bucket: str, key: str, condition: Condition) -> str:
        if condition.if_match is not None and self.head(bucket, key).etag != condition.if_match:
            raise PreconditionFailed(
                f"{key!r} in {bucket!r} is not the version {condition.if_match!r} any more.",
                hint="Read it again, then decide.",
            )
        try:
            return self._places.publish(draft.path, bucket, key, exclusive=condition.only_if_absent)
        except FileExistsError as error:
            raise PreconditionFailed(
                f"{key!r} is in {bucket!r} already, and was to be written only if absent.",
                hint="Choose another key, or write without the condition.",
            ) from error
        except OSError as error:
            raise storage_full(error, "add a name to a folder") or error from error

    def delete(self, bucket: str, key: str) -> None:
        self.delete_many(bucket, [key])

    def delete_many(self, bucket: str, keys: Iterable[str]) -> None:
        """As many single deletions, but each folder is synced once, at the end."""
        self._places.bucket(bucket)
        changed: set[str] = set()
        gone: list[str] = []
        for key in keys:
            with self._lock:
                found = self._places.find(bucket, key)
                if found is None:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    changed.add(self._places.remove(found[0], bucket))
                    gone.append(key)
                self._index.delete(bucket, key)
        for folder in changed:
            sync_folder(folder)
        for key in gone:
            for callback in self._on_delete:
                callback(bucket, key)

    # --- reading ------------------------------------------------------------------

    def get(
        self, bucket: str, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> bytes:
        """What lies past the end is left out."""
        with self.open(bucket, key) as file:
            file.seek(offset_bytes)
            return file.read() if size_bytes is None else file.read(size_bytes)

    def open(self, bucket: str, key: str) -> BinaryIO:
        """The version that is there now, even if it is replaced while being read."""
        return os.fdopen(self._places.open(bucket, key)[0], "rb")

    def open_with_info(self, bucket: str, key: str) -> tuple[BinaryIO, ObjectInfo]:
        """A stream and what it will read: both of one version, whoever writes meanwhile."""
        descriptor, info, path = self._places.open(bucket, key)
        found = Found(key, path, info.st_size, info.st_mtime_ns)
        return os.fdopen(descriptor, "rb"), self._info(bucket, found, self._index.get(bucket, key))

    def head(self, bucket: str, key: str) -> ObjectInfo:
        found = self._places.find(bucket, key)
        if found is None:
            raise self._places.not_found(bucket, key)
        path, info = found
        at_path = Found(key, path, info.st_size, info.st_mtime_ns)
        return self._info(bucket, at_path, self._index.get(bucket, key))

    def path(self, bucket: str, key: str) -> Path:
        """The file of an object, for readers of plain files; where it would lie, if absent."""
        found = self._places.find(bucket, key)
        return Path(found[0] if found else self._places.own_path(bucket, key))

    def headers(self, bucket: str, key: str) -> Headers:
        """All that was said of an object when it was put. Raises ObjectNotFound."""
        self.head(bucket, key)  # a file that was copied in gets its row here
        row = self._index.get(bucket, key)
        if row is None:
            return Headers()
        parts = (row.content_type, row.content_encoding, row.metadata, row.tags, row.further)
        return Headers(*parts)

    def tags(self, bucket: str, key: str) -> dict[str, str]:
        """Raises ObjectNotFound."""
        return dict(self.headers(bucket, key).tags)

    def set_tags(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """Replaces all of them. Raises ObjectNotFound."""
        self.headers(bucket, key)
        with self._lock:
            if row := self._index.get(bucket, key):
                self._index.put(bucket, key, replace(row, tags=dict(tags)))

    # --- listing ------------------------------------------------------------------

    def list_folder(self, bucket: str, prefix: str = "") -> tuple[list[str], list[ObjectInfo]]:
        entries = [*self.folder_entries(bucket, prefix)]
        folders = [entry for entry in entries if isinstance(entry, str)]
        return folders, [entry for entry in entries if not isinstance(entry, str)]

    def folder_entries(
        self, bucket: str, prefix: str = "", *, start_after: str = ""
    ) -> Iterator[str | ObjectInfo]:
        """One level, folders and objects together in key order, a few looked at only when asked.

        A folder comes up if any key in it lies after `start_after`.
        """
        folder_key = prefix[: prefix.rfind("/") + 1]
        folder = self._places.folder(bucket, folder_key)
        found = children(folder, folder_key) if folder else []
        wanted = (child for child in found if child.key.startswith(prefix))
        while page := [*itertools.islice(wanted, _ROWS_AT_ONCE)]:
            files = [each.key for each in page if not each.is_folder and each.key > start_after]
            rows = self._index.get_each(bucket, files)
            for child in page:
                if child.is_folder:
                    if holds_objects(child, start_after):
                        yield child.key
                elif child.key > start_after and (file := stat_child(child)):
                    yield self._info(bucket, file, rows.get(child.key))

    def folder_changed_at_ns(self, bucket: str, prefix: str) -> int | None:
        """The folder's modification time: each put below it, too, renames into a folder."""
        folder = self._places.folder(bucket, prefix)
        try:
            return os.stat(folder).st_mtime_ns if folder else None  # noqa: PTH116
        except FileNotFoundError:
            return None

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        """In key order, read folder by folder as the caller goes on."""
        folder_key = prefix[: prefix.rfind("/") + 1]
        folder = self._places.folder(bucket, folder_key)
        if folder is None:
            return iter(())
        found = walk(folder, folder_key, prefix, start_after)
        return self._with_rows(bucket, prefix, start_after, found)

    def _with_rows(
        self, bucket: str, prefix: str, start_after: str, found: Iterator[Found]
    ) -> Iterator[ObjectInfo]:
        """Files and index rows, both in key order, joined in one pass."""
        rows = self._index.rows(bucket, prefix, start_after)
        key, row = next(rows, (None, None))
        for file in found:
            while key is not None and key < file.key:
                key, row = next(rows, (None, None))
            yield self._info(bucket, file, row if key == file.key else None)

    # --- files and their rows -----------------------------------------------------

    def _info(self, bucket: str, file: Found, row: Row | None) -> ObjectInfo:
        if row is None or not row.is_of(file.size_bytes, file.modified_at_ns):
            row = self._row_of_foreign(bucket, file)
        return _object_info(bucket, file.key, row)

    def _row_of_foreign(self, bucket: str, file: Found) -> Row:
        """Of a file that was not put by us: its MD5, computed once and kept."""
        row = Row(file.size_bytes, file.modified_at_ns, _md5_of(file.path))
        with self._lock:
            now = self._places.find(bucket, file.key)
            if now and row.is_of(now[1].st_size, now[1].st_mtime_ns):
                self._index.put_if_stale(bucket, file.key, row)
        kept = self._index.get(bucket, file.key)  # its writer may just have told us more
        return kept if kept and kept.is_of(file.size_bytes, file.modified_at_ns) else row


class DiskWriter:
    """One object in the making. Leaving the `with` block uncommitted discards it."""

    def __init__(self, store: DiskObjectStore, bucket: str, key: str, headers: Headers) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._headers = headers
        self._draft = store.draft(bucket, key)

    @property
    def size_bytes(self) -> int:
        return self._draft.size_bytes

    def write(self, data: Buffer) -> int:
        return self._draft.write(data)

    def commit(self, condition: Condition = ANYWAY) -> ObjectInfo:
        return self._store.publish(
            self._draft, self._bucket, self._key, self._headers, condition=condition
        )

    def abort(self) -> None:
        self._draft.discard()

    def __enter__(self) -> "DiskWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()


def _object_info(bucket: str, key: str, row: Row) -> ObjectInfo:
    return ObjectInfo(
        bucket,
        key,
        row.size_bytes,
        row.etag,
        _instant(row.modified_at_ns),
        row.content_type,
        row.content_encoding,
        row.metadata,
    )


def _instant(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


def _md5_of(path: str) -> str:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _is_bucket(child: Child) -> bool:
    with contextlib.suppress(BucketNameRefused):
        check_bucket_name(child.key[:-1])
        return child.is_folder
    return False
