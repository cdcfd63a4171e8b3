"""The traps of the naive version of this very pipeline, d to l as far as they are ours.

(a to c sit in the Lambda's event loop too: the runners' tests have those.)
"""

import gzip
import json
from datetime import date

import pyarrow.parquet as pq
import pytest

from lakelet.contract import load_declaration
from lakelet.model.layout import manifest_key
from lakelet.model.manifest import Manifest
from lakelet.testing.objects import MemoryObjectStore
from lakelet.transform import process, raw_object
from tests.transform.events import KEY, event, line

DECLARATION = load_declaration(None)
PIPELINE, CONTRACT = DECLARATION.pipeline, DECLARATION.contract


@pytest.fixture
def store() -> MemoryObjectStore:
    store = MemoryObjectStore()
    for bucket in PIPELINE.buckets:
        store.create_bucket(bucket)
    return store


def run(store: MemoryObjectStore, data: bytes, key: str = KEY) -> Manifest:
    store.put(PIPELINE.raw_bucket, key, gzip.compress(data, mtime=0))
    return process(store, PIPELINE, CONTRACT, raw_object(store, PIPELINE.raw_bucket, key))


def keys(store: MemoryObjectStore, prefix: str = "events/") -> list[str]:
    return [info.key for info in store.list(PIPELINE.transformed_bucket, prefix)]


def rows(store: MemoryObjectStore, bucket: str, prefix: str) -> list[dict[str, object]]:
    found = []
    for info in store.list(bucket, prefix):
        with store.open(bucket, info.key) as file:
            found += pq.ParquetFile(file).read().to_pylist()
    return found


def test_a_an_object_without_a_valid_row_is_an_object_like_any_other(
    store: MemoryObjectStore,
) -> None:
    manifest = run(store, b"nothing of use")
    assert (manifest.rows, manifest.quarantined_count, manifest.imbalance()) == (0, 1, 0)
    assert run(store, line(1), KEY.replace("0001.gz", "0002.gz")).rows == 1


def test_b_records_without_a_newline_between_them_are_all_there(store: MemoryObjectStore) -> None:
    assert run(store, b"".join(line(n) for n in range(50))).rows == 50


def test_c_one_bad_value_costs_one_event(store: MemoryObjectStore) -> None:
    bad = line(2, product_price="a lot")
    manifest = run(store, b"\n".join([line(1), bad, line(3)]))
    assert (manifest.rows, dict(manifest.quarantined)) == (2, {"type": 1})
    (kept,) = rows(store, PIPELINE.raw_bucket, "quarantine/reason=type/")
    assert kept["raw"] == bad
    assert kept["offset_bytes"] == len(line(1)) + 1
    assert kept["source_key"] == KEY
    assert kept["field"] == "product_price"
    assert "'a lot' is not a valid double" in str(kept["message"])


def test_d_partition_folders_stand_once_in_a_key(store: MemoryObjectStore) -> None:
    run(store, line(1))
    (key,) = keys(store)
    for name in ("year=", "month=", "day="):
        assert key.count(name) == 1


def test_e_a_retry_writes_the_same_names_and_bytes(store: MemoryObjectStore) -> None:
    first = run(store, line(1) + line(2))
    before = {k: store.get(PIPELINE.transformed_bucket, k) for k in keys(store, "")}
    assert run(store, line(1) + line(2)) == first
    assert {k: store.get(PIPELINE.transformed_bucket, k) for k in keys(store, "")} == before


def test_f_months_are_zero_padded(store: MemoryObjectStore) -> None:
    run(store, line(1))
    assert keys(store)[0].startswith("events/year=2026/month=03/day=09/")


def test_g_an_object_is_transformed_alone_and_the_ledger_says_so(store: MemoryObjectStore) -> None:
    run(store, line(1))
    other = KEY.replace("0001.gz", "0002.gz")
    run(store, line(2), other)
    assert keys(store, "_manifests/") == [manifest_key(KEY), manifest_key(other)]
    assert len(keys(store)) == 2


def test_h_an_event_without_its_time_has_no_partition_but_a_place(
    store: MemoryObjectStore,
) -> None:
    without = event(1)
    del without["timestamp"]
    manifest = run(store, json.dumps(without).encode())
    assert dict(manifest.quarantined) == {"missing": 1}


def test_i_undeclared_fields_are_kept(store: MemoryObjectStore) -> None:
    run(store, line(1, campaign={"id": 7, "names": ["a"]}, score=1.10))
    (row,) = rows(store, PIPELINE.transformed_bucket, "events/")
    assert row["properties"] == '{"campaign":{"id":7,"names":["a"]},"score":1.1}'


def test_j_personal_data_stays_in_the_raw_bucket(store: MemoryObjectStore) -> None:
    secrets = ["203.0.113.7", "jane", "doe.example"]
    personal = event(
        1,
        ip_address=secrets[0],
        email="jane@doe.example",
        page_url="https://x.example/?m=jane%40doe.example&n=jane%2540doe.example",
        search_query="write to jane@doe.example",
        contact={"Work_Email": "jane@doe.example", "note": "jane@doe.example!"},
        payload='{"to":"jane@doe.example"}',
    )
    broken = {**personal, "quantity": "jane@doe.example", "event_id": "e2"}
    run(store, json.dumps(personal).encode() + json.dumps(broken).encode())
    for info in store.list(PIPELINE.transformed_bucket):
        data = store.get(PIPELINE.transformed_bucket, info.key)
        text = data.decode("latin-1")
        if info.key.startswith("events/"):
            with store.open(PIPELINE.transformed_bucket, info.key) as file:
                text += str(pq.ParquetFile(file).read().to_pylist())
        assert not [secret for secret in secrets if secret in text], info.key


def test_k_files_hold_no_partition_columns_and_the_tables_types(store: MemoryObjectStore) -> None:
    run(store, line(1))
    with store.open(PIPELINE.transformed_bucket, keys(store)[0]) as file:
        schema = pq.ParquetFile(file).schema_arrow
    table = CONTRACT.default_table
    assert schema.equals(table.schema)
    assert not set(table.partition_keys) & set(schema.names)


def test_l_each_event_goes_to_the_day_it_happened(store: MemoryObjectStore) -> None:
    times = {
        "2026-03-08T23:59:59.999999Z": date(2026, 3, 8),
        "2026-03-09T00:00:00Z": date(2026, 3, 9),
        "2026-03-09T00:30:00+01:00": date(2026, 3, 8),
        "2026-03-08T23:30:00-01:00": date(2026, 3, 9),
        "2024-02-29T12:00:00Z": date(2024, 2, 29),
    }
    manifest = run(store, b"\n".join(line(n, timestamp=t) for n, t in enumerate(times)))
    by_day = {output.day: output.rows for output in manifest.outputs}
    assert by_day == {"2024-02-29": 1, "2026-03-08": 2, "2026-03-09": 2}
    for row in rows(store, PIPELINE.transformed_bucket, "events/"):
        assert row["event_date"] in times.values()
