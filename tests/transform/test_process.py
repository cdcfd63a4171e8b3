"""One raw object, whole: idempotent, accounted for, nothing half seen."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakelet.contract import load_declaration
from lakelet.model.contract import Contract
from lakelet.model.layout import manifest_key
from lakelet.model.manifest import Manifest
from lakelet.testing.clock import ManualClock
from lakelet.testing.objects import MemoryObjectStore
from lakelet.transform import KeyMissing, Stopped, TableSink, process, raw_object
from tests.transform import reference
from tests.transform.contracts import DEFAULT, KEYRING, WHOLE
from tests.transform.events import ARRIVED, KEY, line, raw_objects

PIPELINE = load_declaration(None).pipeline
RAW, DONE = PIPELINE.raw_bucket, PIPELINE.transformed_bucket


def new_store() -> MemoryObjectStore:
    store = MemoryObjectStore(ManualClock())
    for bucket in PIPELINE.buckets:
        store.create_bucket(bucket)
    return store


def run(
    store: MemoryObjectStore, stored: bytes | None, contract: Contract = DEFAULT, **options: Any
) -> Manifest:
    if stored is not None:
        store.put(RAW, KEY, stored)
    raw = raw_object(store, RAW, KEY)
    manifest = process(store, PIPELINE, contract, raw, keyring=KEYRING, **options)
    assert manifest.imbalance() == 0
    return manifest


def contents(store: MemoryObjectStore) -> dict[tuple[str, str], bytes]:
    return {
        (bucket, info.key): store.get(bucket, info.key)
        for bucket in (RAW, DONE)
        for info in store.list(bucket)
    }


def read(store: MemoryObjectStore, bucket: str, key: str) -> list[dict[str, Any]]:
    with store.open(bucket, key) as file:
        return pq.ParquetFile(file).read().to_pylist()  # type: ignore[no-any-return]


@settings(max_examples=60, deadline=None)
@given(raw=raw_objects(), packed=st.booleans(), block_size=st.sampled_from([400, 1 << 20]))
def test_what_lies_in_the_lake_is_what_the_reference_says(
    raw: bytes, packed: bool, block_size: int
) -> None:
    store = new_store()
    stored = gzip.compress(raw, mtime=0) if packed or raw[:2] == b"\x1f\x8b" else raw
    manifest = run(store, stored, WHOLE, block_size_bytes=1 << 20)
    truth = reference.transform(raw, WHOLE, received_at=ARRIVED, keyring=KEYRING)
    assert manifest.events == truth.events
    assert manifest.duplicates == truth.duplicates
    assert manifest.dropped == dict(truth.dropped)
    found = {(o.table, o.day): read(store, o.bucket, o.key) for o in manifest.outputs if o.table}
    assert found == {(t, d.isoformat()): rows for (t, d), rows in truth.rows.items()}
    kept = sorted(
        (r["offset_bytes"], r["reason"], r["raw"])
        for o in manifest.outputs
        if o.reason
        for r in read(store, o.bucket, o.key)
    )
    assert kept == sorted((offset, reason, raw) for reason, _, offset, raw in truth.rejects)
    assert Manifest.decode(store.get(DONE, manifest_key(KEY))) == manifest
    before = contents(store)
    assert run(store, None, WHOLE, block_size_bytes=1 << 20) == manifest
    assert contents(store) == before
    again = run(store, None, WHOLE, block_size_bytes=block_size)
    assert again.events >= manifest.rows  # other blocks may part broken bytes elsewhere


def test_outputs_that_are_no_more_are_gone() -> None:
    store = new_store()
    other_day = line(2, timestamp="2026-03-07T00:00:00Z")
    first = run(store, line(1) + other_day + b"garbage")
    assert len(first.outputs) == 3
    second = run(store, line(1))
    assert len(second.outputs) == 1
    lying = {key for _, key in contents(store)}
    assert lying == {KEY, manifest_key(KEY), second.outputs[0].key}


def test_received_at_is_the_names_instant_else_the_objects() -> None:
    store = new_store()
    store.put(RAW, KEY, line(1))
    store.put(RAW, "by-hand.json", line(1))
    assert raw_object(store, RAW, KEY).received_at == ARRIVED
    assert raw_object(store, RAW, "by-hand.json").received_at == ManualClock().now()


def test_several_gzip_members_are_one_stream() -> None:
    members = b"".join(gzip.compress(line(n) + b"\n") for n in range(3))
    assert run(new_store(), members).rows == 3


@pytest.mark.parametrize("kept", [1, 2, 9, 10, 40, 200, -1, -4, -8])
def test_a_torn_gzip_gives_what_it_still_holds(kept: int) -> None:
    lines = b"\n".join(line(n, x=str(n) * 50) for n in range(200))
    stored = gzip.compress(lines, mtime=0)[:kept]
    manifest = run(new_store(), stored)
    if kept > 2:
        assert manifest.quarantined["gzip"] == 1
    if kept == -8:  # all but the checksum
        assert manifest.rows == 200


def test_what_follows_the_gzip_stream_is_kept() -> None:
    store = new_store()
    manifest = run(store, gzip.compress(line(1)) + b"tail")
    assert (manifest.rows, dict(manifest.quarantined)) == (1, {"gzip": 1})
    (output,) = (o for o in manifest.outputs if o.reason)
    assert read(store, RAW, output.key)[0]["raw"] == b"tail"


def test_damage_inside_gzip_is_a_reject() -> None:
    stored = bytearray(gzip.compress(b"\n".join(line(n, x=str(n) * 90) for n in range(500))))
    stored[len(stored) // 2] ^= 0xFF
    assert run(new_store(), bytes(stored)).quarantined["gzip"] == 1


def test_a_bomb_stops_at_the_bound() -> None:
    bomb = gzip.compress(line(1) + b"\n" + b" " * (50 << 20))
    manifest = run(new_store(), bomb, inflated_size_bytes_max=1 << 20)
    assert manifest.rows == 1
    assert dict(manifest.quarantined) == {"inflated_size": 1}
    assert manifest.inflated_bytes == 1 << 20


def test_empty_objects_are_in_the_ledger_too() -> None:
    for stored in (b"", gzip.compress(b""), b"\n\n", b"[]"):
        manifest = run(new_store(), stored)
        assert (manifest.events, manifest.outputs) == (0, ())


def test_stop_leaves_nothing_half_seen() -> None:
    store = new_store()
    lines = b"\n".join(line(n) for n in range(200))
    with pytest.raises(Stopped):
        run(store, lines, stop=lambda: True, block_size_bytes=2_000)
    assert {key for _, key in contents(store)} == {KEY}
    assert run(store, None).rows == 200


def test_a_failing_writer_leaves_no_manifest() -> None:
    class Broken:
        def write(self, table: pa.Table) -> None:
            raise OSError("disk on fire")

        def close(self) -> int:
            raise AssertionError

        def abort(self) -> None: ...

    def writer(*_: Any) -> TableSink:
        return Broken()

    store = new_store()
    with pytest.raises(OSError, match="on fire"):
        run(store, line(1), write_table=writer)
    assert {key for _, key in contents(store)} == {KEY}


def test_a_contract_that_hashes_needs_a_key() -> None:
    store = new_store()
    store.put(RAW, KEY, line(1))
    with pytest.raises(KeyMissing, match="no key"):
        process(store, PIPELINE, WHOLE, raw_object(store, RAW, KEY))


def test_hashes_are_keyed_and_say_by_which_key() -> None:
    store = new_store()
    manifest = run(store, line(1, user_id="jane"), WHOLE)
    (row,) = read(store, DONE, manifest.outputs[0].key)
    assert row["user_id"].startswith("k2:")
    assert row["user_id"] == reference.personal("hash", "jane", KEYRING)


class Claims:
    """SeenKeys, remembered for good."""

    def __init__(self) -> None:
        self.owners: dict[tuple[str, str], str] = {}

    def claim(self, table: str, keys: pa.Array, times: pa.Array, owner: str) -> pa.Array:
        assert len(keys) == len(times) == len(set(keys.to_pylist()))
        assert not keys.null_count
        return pa.array(
            [self.owners.setdefault((table, key), owner) == owner for key in keys.to_pylist()],
            pa.bool_(),
        )


@pytest.mark.parametrize("block_size", [500, 1 << 20])
def test_duplicates_are_found_within_and_beyond_an_object(block_size: int) -> None:
    store, seen = new_store(), Claims()
    other = KEY.replace("0001.gz", "0002.gz")
    options: dict[str, Any] = {"seen": seen, "block_size_bytes": block_size}
    first = run(store, b"\n".join(line(n % 20) for n in range(30)), **options)
    assert (first.rows, first.duplicates) == (20, 10)
    store.put(RAW, other, b"\n".join(line(n) for n in range(10, 30)))
    second = process(store, PIPELINE, DEFAULT, raw_object(store, RAW, other), **options)
    assert (second.rows, second.duplicates) == (10, 10)
    assert run(store, None, **options) == first
    assert process(store, PIPELINE, DEFAULT, raw_object(store, RAW, other), **options) == second


def test_many_days_in_one_object() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    lines = b"\n".join(line(n, timestamp=int(start + n * 86_400)) for n in range(1_000))
    manifest = run(new_store(), lines, block_size_bytes=20_000)
    assert len(manifest.outputs) == manifest.rows == 1_000


def test_manifests_hold_no_values_of_events() -> None:
    store = new_store()
    run(store, line(1, quantity="secret-value") + b"secret-garbage")
    assert b"secret" not in store.get(DONE, manifest_key(KEY))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored=st.binary(max_size=400) | st.binary(max_size=200).map(lambda b: b"\x1f\x8b\x08" + b))
def test_no_bytes_raise(stored: bytes) -> None:
    run(new_store(), stored)


def _hostile() -> Iterator[tuple[str, bytes, int]]:
    """Name, bytes, how many rows must come of it."""
    many = {f"field_{n}": n for n in range(10_000)}
    yield "10,000 unknown fields", line(1, **many), 1
    yield (
        "10,000 distinct names over lines",
        b"\n".join(line(n, **{f"f{n}": n}) for n in range(2_000)),
        2_000,
    )
    yield "depth bomb", b'{"a":' * 100_000, 0
    yield "closed depth bomb", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 0
    yield "array bomb", b"[" * 1_000_000, 0
    yield (
        "array bomb in a field",
        line(1)[:-1] + b',"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        0,
    )
    yield "braces", b"{" * 300_000, 0
    yield "closers", b"}" * 300_000, 0
    yield "quotes", b'"' * 300_000, 0
    yield "backslashes", b'{"' + b"\\" * 300_000, 0
    yield "unclosed, joined", b'{"a":"x' * 40_000, 0
    yield "unclosed, by line", b'{"a":\n' * 40_000, 0
    yield "unclosed, joined, then sound ones", b'{"a":"x' * 40_000 + b"\n" + line(1), 1
    yield "unclosed arrays, by line", b'{"a":[\n' * 20_000 + b"}" * 20_000, 0
    yield "bare null after a brace", line(1) + b"null\n" + line(2), 2
    yield "one long string", line(1, x="a" * 3_000_000), 1
    yield "one long string without an end", line(1)[:-1] + b',"x":"' + b"a" * 3_000_000, 0
    yield "almost an email", line(1, page_url="a" * 300_000 + " @ " + "a." * 100_000), 1
    yield "huge integer", line(1)[:-1] + b',"x":' + b"9" * 100_000 + b"}", 1
    yield "huge integer for an int", line(1)[:-1] + b',"quantity":' + b"9" * 100_000 + b"}", 0
    yield "exponent", line(1)[:-1] + b',"quantity":1e999999999}', 0
    yield "tiny", line(1)[:-1] + b',"product_price":1e-999999999}', 1
    yield "NUL", line(1) + b"\x00" + line(2), 2
    yield "invalid UTF-8", b"\n".join([line(1), b'{"event_id":"\xc3\x28"}', line(2)]), 2
    yield "UTF-16", json.dumps({"event_id": "x"}).encode("utf-16"), 0


HOSTILE = {name: (data, rows) for name, data, rows in _hostile()}


@pytest.mark.parametrize(("data", "rows"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_objects_are_accounted_for(data: bytes, rows: int) -> None:
    manifest = run(new_store(), gzip.compress(data, 1))
    assert manifest.rows == rows
