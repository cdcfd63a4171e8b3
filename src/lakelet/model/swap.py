"""Many objects changed at once, as a reader sees it: a small journal beside the data.

Neither a bucket nor a folder of files can replace many objects in one step. So what
rewrites days (compaction, reprocessing) first writes the new objects aside, under
`_aside/<id>/`, where no reader looks, and then puts one object, `_swaps/<id>.json`: which
keys are no longer to be seen, and which are to be read from aside instead. That put is
the instant of change. Later, when nobody can still be reading the old ones, `settle`
(lake/swap.py) moves everything to its plain place and removes the entry; so at rest a lake
is plain files under plain keys, and `aws s3 sync` or Athena need to know nothing of this.

A reader that asks `read_view` once, before it lists, sees all of a change or nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from lakelet.model.layout import SWAP_PREFIX, swap_key
from lakelet.model.ports import ObjectInfo, ObjectStore

Address = tuple[str, str]  # bucket, key

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Aside:
    """An object of a swap, written aside in the bucket it belongs to."""

    key: str  # where it lies
    size_bytes: int
    etag: str
    over: tuple[str, ...] = ()  # what it replaces: see Swap


@dataclass(frozen=True, slots=True)
class Swap:
    """One change: `shown` objects are read from aside, `hidden` ones not at all.

    Each address remembers the ETags that it is a change of (`""` for no object): settled is
    only what still has one of them, so that whatever was written since is kept.
    """

    id: str
    committed_at: datetime
    shown: Mapping[Address, Aside]
    hidden: Mapping[Address, tuple[str, ...]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return swap_key(self.id)

    def encode(self) -> bytes:
        values = {
            "id": self.id,
            "committed_at": self.committed_at.isoformat(),
            "shown": [
                [*address, aside.key, aside.size_bytes, aside.etag, aside.over]
                for address, aside in sorted(self.shown.items())
            ],
            "hidden": [[*address, over] for address, over in sorted(self.hidden.items())],
        }
        return json.dumps(values, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Swap":
        values = json.loads(data)
        return cls(
            values["id"],
            datetime.fromisoformat(values["committed_at"]),
            {
                (bucket, key): Aside(place, size_bytes, etag, tuple(over))
                for bucket, key, place, size_bytes, etag, over in values["shown"]
            },
            {(bucket, key): tuple(over) for bucket, key, over in values["hidden"]},
        )


@dataclass(frozen=True, slots=True)
class View:
    """What open swaps make of a listing. The common case is that there is none."""

    shown: Mapping[Address, Aside] = field(default_factory=dict)
    hidden: Set[Address] = frozenset()
    committed_at: datetime = _NEVER  # of the latest swap

    def resolve(self, bucket: str, key: str) -> Address:
        """Where to read `key`'s content now."""
        aside = self.shown.get((bucket, key))
        return (bucket, aside.key if aside else key)

    def visible(
        self, bucket: str, listed: Iterable[ObjectInfo], prefix: str = ""
    ) -> Iterator[ObjectInfo]:
        """A listing of `prefix` under its plain keys, in key order: read with `resolve`."""
        if not self.shown and not self.hidden:
            yield from listed
            return
        infos = {info.key: info for info in listed if (bucket, info.key) not in self.hidden}
        for (shown_bucket, key), aside in self.shown.items():
            if shown_bucket == bucket and key.startswith(prefix):
                infos[key] = self._info(bucket, key, aside, infos.get(key))
        yield from (infos[key] for key in sorted(infos, key=str.encode))

    def _info(self, bucket: str, key: str, aside: Aside, beneath: ObjectInfo | None) -> ObjectInfo:
        if beneath is not None:
            return replace(beneath, size_bytes=aside.size_bytes, etag=aside.etag)
        return ObjectInfo(bucket, key, aside.size_bytes, aside.etag, self.committed_at)


def read_swaps(store: ObjectStore, bucket: str) -> list[Swap]:
    """Open swaps, in the order they were committed. One listing; it is empty at rest."""
    swaps = [Swap.decode(store.get(bucket, info.key)) for info in store.list(bucket, SWAP_PREFIX)]
    return sorted(swaps, key=lambda swap: (swap.committed_at, swap.id))


def read_view(store: ObjectStore, bucket: str) -> View:
    """How to see the lake whose transformed bucket is `bucket`; ask before listing."""
    shown: dict[Address, Aside] = {}
    hidden: set[Address] = set()
    swaps = read_swaps(store, bucket)
    for swap in swaps:  # a later swap speaks over an earlier one
        hidden = (hidden - set(swap.shown)) | set(swap.hidden)
        shown = {a: aside for a, aside in shown.items() if a not in swap.hidden}
        shown.update(swap.shown)
    committed_at = swaps[-1].committed_at if swaps else _NEVER
    return View(shown, frozenset(hidden), committed_at)
