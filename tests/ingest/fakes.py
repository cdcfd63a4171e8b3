"""A bucket that remembers every put, and can be told to refuse the next ones."""

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lakelet.model.errors import BucketNotFound
from lakelet.model.ports import ObjectInfo


@dataclass
class FakeStore:
    """The part of ObjectStore that delivery uses."""

    bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)
    infos: dict[tuple[str, str], ObjectInfo] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)  # keys, each time one is written
    missing_buckets: set[str] = field(default_factory=set)
    fail_after: int | None = None  # puts that still succeed

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        content_type: str = "binary/octet-stream",
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
        only_if_absent: bool = False,
    ) -> ObjectInfo:
        if bucket in self.missing_buckets:
            raise BucketNotFound(f"no bucket {bucket}")
        if self.fail_after is not None:
            if self.fail_after == 0:
                raise OSError(28, "No space left on device")
            self.fail_after -= 1
        self.puts.append(key)
        info = ObjectInfo(
            bucket,
            key,
            len(body),
            hashlib.md5(body).hexdigest(),
            datetime.now(UTC),
            content_type,
            content_encoding,
            dict(metadata or {}),
        )
        self.bodies[bucket, key], self.infos[bucket, key] = bytes(body), info
        return info

    def delete(self, bucket: str, key: str) -> None:
        self.bodies.pop((bucket, key), None)
        self.infos.pop((bucket, key), None)

    def names(self) -> list[str]:
        return sorted(key for _, key in self.bodies)


def wait_until(condition: Callable[[], object]) -> None:
    """Look again each time the other threads had a turn; no fixed wait."""
    gate = threading.Event()
    for _ in range(20_000):
        if condition():
            return
        gate.wait(0.001)
    raise AssertionError("it never happened")
