"""Changing many objects at once, as a reader sees it (see model/swap.py for the idea).

rebuild = Staging(store, bucket, swap_id)    a store that writes aside
… write and delete through it …
rebuild.commit(now)                          one put: from here on readers see the change
settle(store, bucket, now, grace)            later: everything moves to its plain place
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType

from lakelet.lake.viewed import ViewedStore
from lakelet.model.errors import ObjectNotFound
from lakelet.model.layout import ASIDE_PREFIX, aside_key
from lakelet.model.ports import Buffer, ObjectInfo, ObjectStore, ObjectWriter
from lakelet.model.swap import (
    Address,
    Aside,
    Swap,
    View,
    read_swaps,
    read_view,
)

# A query that listed before the commit may still open what it listed. A guess: Athena's own
# time-out for a query is 30 minutes, ours end sooner.
GRACE = timedelta(minutes=10)
# What lies aside this long and belongs to no open swap is nobody's any more.
LEFT_AFTER = timedelta(days=1)


class Staging(ViewedStore):
    """An ObjectStore whose writes and deletes stay aside until `commit`.

    Reads see them already, and below them the lake as readers see it: changes that are not
    settled yet among it. Every bucket is staged in itself, so that nothing of the raw bucket
    ever lies elsewhere. One at a time: what two stagings do side by side, the later commit
    undoes of the earlier.
    """

    def __init__(self, store: ObjectStore, bucket: str, swap_id: str) -> None:
        """`bucket` is the transformed one: it holds the swap's entry."""
        self._bucket, self._id = bucket, swap_id
        self._beneath = read_view(store, bucket)
        self._shown = dict(self._beneath.shown)
        self._hidden = set(self._beneath.hidden)
        self._own_shown: dict[Address, Aside] = {}
        self._own_hidden: set[Address] = set()
        super().__init__(store, self._beneath)

    # --- the change ----------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        return not self._own_shown and not self._own_hidden

    def commit(self, now: datetime) -> Swap:
        """Readers see all of it from here on. Durable on return."""
        shown = {
            address: replace(aside, over=self._changed(address))
            for address, aside in self._own_shown.items()
        }
        hidden = {address: self._changed(address) for address in self._own_hidden}
        swap = Swap(self._id, now, shown, hidden)
        self._store.put(self._bucket, swap.key, swap.encode(), content_type="application/json")
        return swap

    def abandon(self) -> None:
        """Nothing happened; what was written aside is removed."""
        for (bucket, _), aside in self._own_shown.items():
            self._store.delete(bucket, aside.key)
        self._own_shown.clear()
        self._own_hidden.clear()

    def _changed(self, address: Address) -> tuple[str, ...]:
        """What may lie there when this is settled: what lies there now, or what an open
        change will have put there by then."""
        earlier = self._beneath.shown.get(address)
        hidden = address in self._beneath.hidden
        return tuple(
            {
                _etag(self._store, *address): None,
                **({earlier.etag: None} if earlier else {}),
                **({"": None} if hidden else {}),
            }
        )

    # --- the store, seen through it ---------------------------------------------------

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

    def delete(self, bucket: str, key: str) -> None:
        address = (bucket, key)
        with contextlib.suppress(ObjectNotFound):
            self.head(bucket, key)
            aside = self._own_shown.pop(address, None)
            if aside:
                self._store.delete(bucket, aside.key)
            self._shown.pop(address, None)
            self._hidden.add(address)
            if _etag(self._store, bucket, key) or address in self._beneath.shown:
                self._own_hidden.add(address)
            self._look_again()

    def _staged(self, key: str, info: ObjectInfo) -> ObjectInfo:
        address = (info.bucket, key)
        self._shown[address] = self._own_shown[address] = Aside(
            info.key, info.size_bytes, info.etag
        )
        self._hidden.discard(address)
        self._own_hidden.discard(address)
        self._look_again()
        return replace(info, key=key)

    def _look_again(self) -> None:
        self._view = View(self._shown, self._hidden)  # both live on: they are looked up only


def _etag(store: ObjectStore, bucket: str, key: str) -> str:
    """`""` where there is no object."""
    try:
        return store.head(bucket, key).etag
    except ObjectNotFound:
        return ""


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
    """Move the objects of swaps older than `grace` to their plain places, oldest first.

    Readers see no difference: until the entry is gone they read from aside. Cut short at any
    point, it is done again from its beginning. What lay aside stays for `sweep`: a reader
    may have looked just before the entry went. Returns the ids of the swaps that ended.
    """
    settled = []
    for swap in read_swaps(store, bucket):
        if now - swap.committed_at < grace:
            continue
        for (home, key), aside in swap.shown.items():
            if _etag(store, home, key) in aside.over:
                _copy(store, home, aside.key, key)
        for (home, key), over in swap.hidden.items():
            if _etag(store, home, key) in over:
                store.delete(home, key)
        store.delete(bucket, swap.key)
        settled.append(swap.id)
    return settled


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
