"""Which events were seen before: in this object exactly, beyond it by asking `SeenKeys`."""

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.seen import SeenKeys


class FirstSeen:
    """The first bearer of each key, over all the blocks of one raw object.

    Within the first block Arrow's hash finds them. A second block needs memory
    of the first, so only then are keys kept one by one: 80 bytes for a UUID,
    some 40 more than its length for anything else.
    """

    def __init__(self, table: str, owner: str, seen: SeenKeys | None) -> None:
        self._table, self._owner, self._seen = table, owner, seen
        self._earlier: pa.Array | None = None
        self._known: set[str | int | None] | None = None

    def of(self, keys: pa.Array, times: pa.Array) -> pa.Array | None:
        """True for each first; None where all are. A null key is nobody's duplicate."""
        if self._earlier is None:
            self._earlier = keys
            first = _within(keys)
        else:
            first = self._beyond(keys)
        return first if self._seen is None else self._claimed(first, keys, times, self._seen)

    def _beyond(self, keys: pa.Array) -> pa.Array | None:
        """Within this block and against all before it."""
        if self._known is None:
            self._known = set(_compact(pc.drop_null(self._earlier)))
        known, values = self._known, _compact(keys)
        fresh = {value for value in values if value is not None}
        if len(fresh) == len(values) - keys.null_count and known.isdisjoint(fresh):
            known |= fresh
            return None
        first = []
        for value in values:
            first.append(value is None or value not in known)
            if value is not None:
                known.add(value)
        return pa.array(first)

    def _claimed(
        self, first: pa.Array | None, keys: pa.Array, times: pa.Array, seen: SeenKeys
    ) -> pa.Array | None:
        """Less what another object had within the window."""
        asked = pc.is_valid(keys) if first is None else pc.and_(first, pc.is_valid(keys))
        claimed = seen.claim(
            self._table, pc.filter(keys, asked), pc.filter(times, asked), self._owner
        )
        if pc.all(claimed).as_py() in (True, None):
            return first
        every = first if first is not None else pa.repeat(True, len(keys))
        return pc.replace_with_mask(every, asked, claimed)


_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z"


def _compact(keys: pa.Array) -> list[str | int | None]:
    """Keys as values to remember: a UUID in its usual spelling as a number, half the size."""
    uuids = pc.match_substring_regex(keys, _UUID).to_pylist()
    return [
        int(key.replace("-", ""), 16) if is_uuid else key
        for key, is_uuid in zip(keys.to_pylist(), uuids, strict=True)
    ]


def _within(keys: pa.Array) -> pa.Array | None:
    if len(keys.unique()) == len(keys) - keys.null_count + bool(keys.null_count):
        return None
    every = pc.subtract(pc.cumulative_sum(pa.repeat(1, len(keys))), 1)
    firsts = pc.equal(pc.index_in(keys, keys), pc.cast(every, pa.int32()))
    return pc.or_(firsts, pc.is_null(keys))
