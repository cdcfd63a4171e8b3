"""Which events were seen before: in this object exactly, beyond it by asking `SeenKeys`."""

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.seen import SeenKeys


class FirstSeen:
    """The first bearer of each key, over all the blocks of one raw object.

    Within a block Arrow's hash finds them. A second block needs memory of the
    first, so only then are keys kept one by one: about 150 bytes each.
    """

    def __init__(self, table: str, owner: str, seen: SeenKeys | None) -> None:
        self._table, self._owner, self._seen = table, owner, seen
        self._earlier: pa.Array | None = None
        self._known: set[object] | None = None

    def of(self, keys: pa.Array, times: pa.Array) -> pa.Array | None:
        """True for each first; None where all are. A null key is nobody's duplicate."""
        first = _and(_within(keys), self._beyond(keys))
        if self._seen is not None:
            asked = _range(len(keys)) if first is None else pc.indices_nonzero(first)
            asked = pc.filter(asked, pc.is_valid(pc.take(keys, asked)))
            claimed = self._seen.claim(
                self._table, pc.take(keys, asked), pc.take(times, asked), self._owner
            )
            refused = pc.filter(asked, pc.invert(claimed))
            if len(refused):
                fresh = pc.invert(pc.is_in(_range(len(keys)), pc.cast(refused, pa.int64())))
                first = _and(first, fresh)
        return first

    def _beyond(self, keys: pa.Array) -> pa.Array | None:
        """Against the blocks before this one."""
        if self._earlier is None and self._known is None:
            self._earlier = keys
            return None
        if self._known is None:
            self._known = set(self._earlier.to_pylist()) if self._earlier is not None else set()
            self._earlier = None
        values = keys.to_pylist()
        known = self._known
        repeated = None
        if not known.isdisjoint(values):
            repeated = pa.array([value is None or value not in known for value in values])
        known.update(values)
        return repeated


def _range(count: int) -> pa.Array:
    return pc.subtract(pc.cumulative_sum(pa.repeat(1, count)), 1)


def _within(keys: pa.Array) -> pa.Array | None:
    if pc.count_distinct(keys, mode="only_valid").as_py() == len(keys) - keys.null_count:
        return None
    firsts = pc.equal(pc.index_in(keys, keys), pc.cast(_range(len(keys)), pa.int32()))
    return pc.or_(firsts, pc.is_null(keys))


def _and(left: pa.Array | None, right: pa.Array | None) -> pa.Array | None:
    if left is None or right is None:
        return left if right is None else right
    return pc.and_(left, right)
