"""A store as a reader sees it while changes of many objects are open (model/swap.py)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

from lakelet.model.errors import ObjectNotFound
from lakelet.model.ports import Buffer, FolderStore, ObjectInfo, ObjectStore, ObjectWriter
from lakelet.model.swap import Address, View, read_view


def viewed(store: FolderStore, bucket: str) -> FolderStore:
    """The store itself while no change is open, as it nearly always is.

    `bucket` is the transformed one, which holds the changes' entries.
    """
    view = read_view(store, bucket)
    return ViewedStore(store, view) if view.shown or view.hidden else store


class ViewedStore:
    """Reads through a View; writes go to the store as they are."""

    def __init__(self, store: ObjectStore, view: View) -> None:
        self._store, self._view = store, view

    def create_bucket(self, bucket: str) -> None:
        self._store.create_bucket(bucket)

    def list_buckets(self) -> list[str]:
        return self._store.list_buckets()

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
        return self._store.put(
            bucket,
            key,
            body,
            content_type=content_type,
            content_encoding=content_encoding,
            metadata=metadata,
            only_if_absent=only_if_absent,
        )

    def writer(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str = "binary/octet-stream",
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectWriter:
        return self._store.writer(
            bucket,
            key,
            content_type=content_type,
            content_encoding=content_encoding,
            metadata=metadata,
        )

    def delete(self, bucket: str, key: str) -> None:
        self._store.delete(bucket, key)

    def get(
        self, bucket: str, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> bytes:
        address = self._resolve(bucket, key)
        return self._store.get(*address, offset_bytes=offset_bytes, size_bytes=size_bytes)

    def open(self, bucket: str, key: str) -> BinaryIO:
        return self._store.open(*self._resolve(bucket, key))

    def head(self, bucket: str, key: str) -> ObjectInfo:
        return replace(self._store.head(*self._resolve(bucket, key)), key=key)

    def list_folder(self, bucket: str, prefix: str = "") -> tuple[list[str], list[ObjectInfo]]:
        folders: dict[str, None] = {}
        infos = []
        for info in self.list(bucket, prefix):
            head, slash, _ = info.key[len(prefix) :].partition("/")
            if slash:
                folders[f"{prefix}{head}/"] = None
            else:
                infos.append(info)
        return list(folders), infos

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        listed = self._store.list(bucket, prefix, start_after=start_after)
        for info in self._view.visible(bucket, listed, prefix):
            if info.key > start_after:
                yield info

    def folder_changed_at_ns(self, bucket: str, prefix: str) -> int | None:  # noqa: ARG002
        """Not known: look inside."""
        return None

    def _resolve(self, bucket: str, key: str) -> Address:
        if (bucket, key) in self._view.hidden:
            raise ObjectNotFound(f"{bucket}/{key} is hidden by a change of many objects")
        return self._view.resolve(bucket, key)
