"""An object store over a plain folder: as little as the catalog and queries need."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from lakelet.model.errors import ObjectNotFound
from lakelet.model.ports import Buffer, ObjectInfo


class PlainFolderStore:
    """`FolderStore`, and `path` as the local store offers it. Counts what is asked of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.listed: list[str] = []
        self.opened: list[str] = []

    def path(self, bucket: str, key: str) -> Path:
        self.opened.append(key)
        return self.root / "buckets" / bucket / key

    def create_bucket(self, bucket: str) -> None:
        self.path(bucket, "").mkdir(parents=True, exist_ok=True)

    def put(self, bucket: str, key: str, body: Buffer, **_: Any) -> ObjectInfo:
        path = self.path(bucket, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(body)
        part.replace(path)
        return self.head(bucket, key)

    def get(
        self, bucket: str, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> bytes:
        try:
            data = self.path(bucket, key).read_bytes()
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{bucket}/{key} is not there.") from error
        return data[offset_bytes:][:size_bytes]

    def open(self, bucket: str, key: str) -> BinaryIO:
        return self.path(bucket, key).open("rb")

    def head(self, bucket: str, key: str) -> ObjectInfo:
        try:
            return self._info(bucket, key)
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{bucket}/{key} is not there.") from error

    def _info(self, bucket: str, key: str) -> ObjectInfo:
        stat = (self.root / "buckets" / bucket / key).stat()
        at = datetime.fromtimestamp(stat.st_mtime_ns // 1_000 / 1_000_000, UTC)
        etag = hashlib.md5(f"{stat.st_size}{stat.st_mtime_ns}".encode()).hexdigest()
        return ObjectInfo(bucket, key, stat.st_size, etag, at)

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        root = self.root / "buckets" / bucket
        keys = sorted(
            Path(folder, name).relative_to(root).as_posix()
            for folder, _, names in os.walk(root)
            for name in names
        )
        for key in keys:
            if key.startswith(prefix) and key > start_after:
                yield self._info(bucket, key)

    def list_folder(self, bucket: str, prefix: str = "") -> tuple[list[str], list[ObjectInfo]]:
        self.listed.append(prefix)
        folder = self.root / "buckets" / bucket / prefix
        if not folder.is_dir():
            return [], []
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        folders = [f"{prefix}{entry.name}/" for entry in entries if entry.is_dir()]
        files = [self._info(bucket, prefix + entry.name) for entry in entries if entry.is_file()]
        return folders, files

    def folder_changed_at_ns(self, bucket: str, prefix: str) -> int | None:
        try:
            return (self.root / "buckets" / bucket / prefix).stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def delete(self, bucket: str, key: str) -> None:
        self.path(bucket, key).unlink(missing_ok=True)
