"""Which events were seen before: in this object exactly, beyond it by asking `SeenKeys`."""

import binascii
import struct
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.seen import SeenKeys


class FirstSeen:
    """The first bearer of each key, over all the blocks of one raw object.

    Within the first block Arrow's hash finds them. A second block needs memory
    of the first, so only then are keys kept one by one: 80 bytes for a UUID,
    some 60 more than its length for anything else.
    """

    def __init__(self, table: str, owner: str, seen: SeenKeys | None) -> None:
        self._table, self._owner, self._seen = table, owner, seen
        self._earlier: pa.Array | None = None
        self._known: _Known | None = None

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
            self._known = _Known()
            self._known.add(set(_compact(pc.drop_null(self._earlier))))
        known, values = self._known, _compact(keys)
        fresh = set(values)
        fresh.discard(None)
        if len(fresh) == len(values) - keys.null_count and not known.common(fresh):
            known.add(fresh)
            return None
        before = known.common(fresh)
        known.add(fresh - before)
        first = []
        for value in values:
            first.append(value is None or value not in before)
            if value is not None:
                before.add(value)
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


class _Known:
    """One set in parts: a set that grows is there twice for a while, so none grows far."""

    def __init__(self) -> None:
        self._parts: list[set[_Key]] = [set()]

    def common(self, keys: "set[_Key]") -> "set[_Key]":
        """Those of the keys that are known."""
        found = set[_Key]()
        for part in self._parts:
            if not part.isdisjoint(keys):
                found |= part & keys
        return found

    def add(self, keys: "set[_Key]") -> None:
        if len(self._parts[-1]) + len(keys) > _PART_COUNT_MAX:
            self._parts.append(set())
        self._parts[-1] |= keys


_Key = str | int | None
# Just under three fifths of 2^21, where CPython doubles a set's table of 32 MB.
_PART_COUNT_MAX = 1_250_000
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z"
_UUID_LENGTH, _DASHES = 36, (8, 13, 18, 23)


def _compact(keys: pa.Array) -> Sequence[_Key]:
    """Keys as values to remember: a UUID in its usual spelling as a number, half the size."""
    if not keys.null_count and (packed := _packed(keys)) is not None:
        return packed
    uuids = pc.match_substring_regex(keys, _UUID)
    some = iter(_packed(pc.filter(keys, uuids)) or ())
    return [
        next(some) if is_uuid else key
        for key, is_uuid in zip(keys.to_pylist(), uuids.to_pylist(), strict=True)
    ]


def _packed(keys: pa.Array) -> list[_Key] | None:
    """All at once, which takes a quarter of the time; None unless all are such UUIDs."""
    count = len(keys)
    lengths = pc.min_max(pc.binary_length(keys)).as_py()
    if lengths != {"min": _UUID_LENGTH, "max": _UUID_LENGTH}:
        return None
    every = pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), keys)
    text = pc.binary_join(every, "")[0].as_buffer().to_pybytes()
    digits = text.translate(None, b"-")
    dashes = b"-" * count
    if len(digits) != 32 * count or any(text[at::_UUID_LENGTH] != dashes for at in _DASHES):
        return None
    try:
        whole = binascii.unhexlify(digits)
    except binascii.Error:
        return None
    if binascii.hexlify(whole) != digits:  # capitals: another key
        return None
    return list(map(int.from_bytes, struct.unpack("16s" * count, whole)))


def _within(keys: pa.Array) -> pa.Array | None:
    if len(keys.unique()) == len(keys) - keys.null_count + bool(keys.null_count):
        return None
    every = pc.subtract(pc.cumulative_sum(pa.repeat(1, len(keys))), 1)
    firsts = pc.equal(pc.index_in(keys, keys), pc.cast(every, pa.int32()))
    return pc.or_(firsts, pc.is_null(keys))
