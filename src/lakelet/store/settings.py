"""What a bucket is told besides its objects: lifecycle rules, policy, tags, encryption.

One JSON file a bucket. Unlike the index this cannot be computed again, so every change is
on disk before it is answered.
"""

import json
import os
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from lakelet.store.disk import DiskObjectStore
from lakelet.store.keys import check_bucket_name
from lakelet.store.places import sync_folder

_INSTANT = "$instant"  # JSON has no timestamps


class BucketSettings:
    """By bucket and name of the setting; values are of JSON's types, and aware instants."""

    def __init__(self, store: DiskObjectStore) -> None:
        self._folder = store.private_folder / "buckets"
        self._lock = threading.Lock()

    def get(self, bucket: str, name: str) -> Any:
        """None where it was never set."""
        return self._load(bucket).get(name)

    def put(self, bucket: str, name: str, value: Any) -> None:
        with self._lock:
            self._save(bucket, {**self._load(bucket), name: value})

    def delete(self, bucket: str, name: str) -> None:
        """Nothing happens where it was never set."""
        with self._lock:
            values = self._load(bucket)
            if values.pop(name, None) is not None:
                self._save(bucket, values)

    def forget(self, bucket: str) -> None:
        """For a bucket that has gone."""
        self._path(bucket).unlink(missing_ok=True)

    def _path(self, bucket: str) -> Path:
        check_bucket_name(bucket)
        return self._folder / f"{bucket}.json"

    def _load(self, bucket: str) -> dict[str, Any]:
        try:
            text = self._path(bucket).read_text("utf-8")
        except FileNotFoundError:
            return {}
        values: dict[str, Any] = json.loads(text, object_hook=_with_instants)
        return values

    def _save(self, bucket: str, values: dict[str, Any]) -> None:
        path = self._path(bucket)
        path.parent.mkdir(exist_ok=True)
        draft = path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(values, file, indent=1, default=_without_instants)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(str(path.parent))


def _without_instants(value: Any) -> Any:
    if isinstance(value, datetime):
        return {_INSTANT: value.isoformat()}
    raise TypeError(f"a setting cannot hold {type(value).__name__}")


def _with_instants(values: dict[str, Any]) -> Any:
    return datetime.fromisoformat(values[_INSTANT]) if values.keys() == {_INSTANT} else values
