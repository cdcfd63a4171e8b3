"""Changing many objects at once, as a reader sees it (see model/swap.py for the idea).

rebuild = Staging(store, bucket, swap_id)    a store that writes aside
… write and delete through it …
rebuild.commit(now)                          one put: from here on readers see the change
settle(store, bucket, now, grace)            later: everything moves to its plain place
"""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import BinaryIO

from lakelet.model.errors import LakeletError, ObjectNotFound, Outcome
from lakelet.model.ports import Buffer, ObjectInfo, ObjectStore, ObjectWriter
from lakelet.model.swap import (
    ASIDE_PREFIX,
    Address,
    Aside,
    Swap,
    View,
    aside_key,
    read_swaps,
)

# A query that listed before the commit may still open what it listed. A guess: Athena's own
# time-out for a query is 30 minutes, ours end sooner.
GRACE = timedelta(minutes=10)
# What lies aside this long and belongs to no open swap is nobody's any more.
LEFT_AFTER = timedelta(days=1)


class SwapRunning(LakeletError):
    """Another change of many objects is not settled yet."""

    code = "lake.swap_running"
    outcome = Outcome.RETRY


class Staging:
    """An ObjectStore whose writes and deletes stay aside until `commit`.

    Reads see them already. Every bucket is staged in itself, so that nothing of the raw
    bucket ever lies elsewhere.
    """

    def __init__(self, store: ObjectStore, bucket: str, swap_id: str) -> None:
        """`bucket` is the transformed one: it holds the swap's entry.

        Raises SwapRunning: a second swap could not know what the first will have moved.
        """
        if running := read_swaps(store, bucket):
            raise SwapRunning(
                f"the change {running[0].id} of {running[0].committed_at:%Y-%m-%d %H:%M} is not "
                "settled yet",
                hint="It settles by itself some minutes after it was made; try again then.",
            )
        self._store, self._bucket, self._id = store, bucket, swap_id
        self._shown: dict[Address, Aside] = {}
        self._hidden: set[Address] = set()

    # --- the change ----------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return not self._shown and not self._hidden

    def commit(self, now: datetime) -> Swap:
        """Readers see all of it from here on. Durable on return."""
        swap = Swap(self._id, now, dict(self._shown), frozenset(self._hidden))
        self._store.put(self._bucket, swap.key, swap.encode(), content_type="application/json")
        return swap

    def abandon(self) -> None:
        """Nothing happened; what was written aside is removed."""
        for (bucket, _), aside in self._shown.items():
            self._store.delete(bucket, aside.key)
        self._shown.clear()
        self._hidden.clear()

    # --- the store, seen through it ---------------------------------------------------

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
        if only_if_absent:
            raise NotImplementedError("a swap replaces; it has no use for this")
        info = self._store.put(
            bucket,
            aside_key(self._id, key),
            body,
            content_type=content_type,
            content_encoding=content_encoding,
            metadata=metadata,
        )
        return self._staged(key, info)

    def writer(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str = "binary/octet-stream",
        content_encoding: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectWriter:
        inner = self._store.writer(
            bucket,
            aside_key(self._id, key),
            content_type=content_type,
            content_encoding=content_encoding,
            metadata=metadata,
        )
        return _StagedWriter(self, key, inner)

    def get(
        self, bucket: str, key: str, *, offset_bytes: int = 0, size_bytes: int | None = None
    ) -> bytes:
        address = self._resolve(bucket, key)
        return self._store.get(*address, offset_bytes=offset_bytes, size_bytes=size_bytes)

    def open(self, bucket: str, key: str) -> BinaryIO:
        return self._store.open(*self._resolve(bucket, key))

    def head(self, bucket: str, key: str) -> ObjectInfo:
        return self._renamed(self._store.head(*self._resolve(bucket, key)), key)

    def list(self, bucket: str, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectInfo]:
        view = View(self._shown, frozenset(self._hidden))
        listed = self._store.list(bucket, prefix, start_after=start_after)
        for info in view.visible(bucket, listed, prefix):
            if info.key > start_after:
                yield info

    def delete(self, bucket: str, key: str) -> None:
        aside = self._shown.pop((bucket, key), None)
        if aside:
            self._store.delete(bucket, aside.key)
        with contextlib.suppress(ObjectNotFound):
            self._store.head(bucket, key)
            self._hidden.add((bucket, key))

    def _staged(self, key: str, info: ObjectInfo) -> ObjectInfo:
        self._shown[info.bucket, key] = Aside(info.key, info.size_bytes, info.etag)
        self._hidden.discard((info.bucket, key))
        return self._renamed(info, key)

    def _resolve(self, bucket: str, key: str) -> Address:
        if (bucket, key) in self._hidden:
            raise ObjectNotFound(f"{bucket}/{key} is deleted by the change {self._id}")
        aside = self._shown.get((bucket, key))
        return bucket, aside.key if aside else key

    @staticmethod
    def _renamed(info: ObjectInfo, key: str) -> ObjectInfo:
        return ObjectInfo(
            info.bucket, key, info.size_bytes, info.etag, info.modified_at,
            info.content_type, info.content_encoding, info.metadata,
        )  # fmt: skip


class _StagedWriter:
    def __init__(self, staging: Staging, key: str, inner: ObjectWriter) -> None:
        self._staging, self._key, self._inner = staging, key, inner

    def write(self, data: Buffer) -> int:
        return self._inner.write(data)

    def commit(self) -> ObjectInfo:
        return self._staging._staged(self._key, self._inner.commit())

    def abort(self) -> None:
        self._inner.abort()

    def __enter__(self) -> "_StagedWriter":
        self._inner.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inner.__exit__(kind, error, trace)


def settle(
    store: ObjectStore, bucket: str, now: datetime, *, grace: timedelta = GRACE
) -> list[str]:
    """Move the objects of swaps older than `grace` to their plain places.

    Readers see no difference: until the entry is gone they read from aside. Cut short at any
    point, it is done again from its beginning. What lay aside stays for `sweep`: a reader
    may have looked just before the entry went. Returns the ids of the swaps that ended.
    """
    settled = []
    for swap in read_swaps(store, bucket):
        if now - swap.committed_at < grace:
            continue
        for (home, key), aside in swap.shown.items():
            if not _is_newer(store, home, key, swap):
                _copy(store, home, aside.key, key)
        for home, key in swap.hidden:
            store.delete(home, key)
        store.delete(bucket, swap.key)
        settled.append(swap.id)
    return settled


def _is_newer(store: ObjectStore, bucket: str, key: str, swap: Swap) -> bool:
    """Whether somebody wrote to the plain place since: then what the swap has is history."""
    with contextlib.suppress(ObjectNotFound):
        return store.head(bucket, key).modified_at > swap.committed_at
    return False


def sweep(store: ObjectStore, buckets: tuple[str, ...], entries: str, now: datetime) -> int:
    """Remove what lies aside for swaps that ended, or never were. Returns how many objects.

    Args:
        buckets: where to look.
        entries: the transformed bucket, which holds the swaps' entries.
    """
    open_ids = {swap.id for swap in read_swaps(store, entries)}
    count = 0
    for bucket in buckets:
        for info in store.list(bucket, ASIDE_PREFIX):
            swap_id = info.key.removeprefix(ASIDE_PREFIX).split("/", 1)[0]
            if swap_id not in open_ids and now - info.modified_at > LEFT_AFTER:
                store.delete(bucket, info.key)
                count += 1
    return count


_COPY_SIZE_BYTES = 1 << 20


def _copy(store: ObjectStore, bucket: str, source: str, target: str) -> None:
    info = store.head(bucket, source)
    writer = store.writer(
        bucket,
        target,
        content_type=info.content_type,
        content_encoding=info.content_encoding,
        metadata=info.metadata,
    )
    with store.open(bucket, source) as stream, writer:
        while data := stream.read(_COPY_SIZE_BYTES):
            writer.write(data)
        writer.commit()
