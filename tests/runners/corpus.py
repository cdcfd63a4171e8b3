"""The same raw objects for every runner: generated ones, and each hostile one by itself."""

import gzip
import json
from datetime import date
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, Phase, given, settings

from lakelet.model.contract import Keyring
from lakelet.model.layout import MANIFEST_PREFIX, parse_delivered_name
from lakelet.model.manifest import Manifest
from tests.transform import reference
from tests.transform.events import ARRIVED, HOSTILE, KEY, line, raw_objects

GENERATED_COUNT = 60


def corpus() -> dict[str, bytes]:
    """Raw key → inflated bytes; the same every time."""
    bodies = [line(1) + line(2), b"", *HOSTILE]

    @settings(
        max_examples=GENERATED_COUNT,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(raw_objects())
    def collect(raw: bytes) -> None:
        bodies.append(raw)

    collect()
    return {KEY.replace("000000000001.gz", f"{n:012x}.gz"): raw for n, raw in enumerate(bodies)}


def fill(store, pipeline, raws):
    for bucket in pipeline.buckets:
        store.create_bucket(bucket)
    for number, (key, raw) in enumerate(raws.items()):
        # Every seventh arrives torn, every ninth as plain text.
        body = raw if number % 9 == 8 else gzip.compress(raw, mtime=0)
        store.put(pipeline.raw_bucket, key, body[:-6] if number % 7 == 6 else body)


def lake(store, pipeline):
    """Everything a run left: manifests without file sizes, and each file's table."""
    manifests, tables = {}, {}
    for info in store.list(pipeline.transformed_bucket, MANIFEST_PREFIX):
        manifest = Manifest.decode(store.get(pipeline.transformed_bucket, info.key))
        manifests[manifest.raw.key] = manifest
    for bucket, prefix in ((pipeline.transformed_bucket, ""), (pipeline.raw_bucket, "quarantine/")):
        for info in store.list(bucket, prefix):
            if not info.key.startswith("_"):
                tables[bucket, info.key] = read_parquet(store.get(bucket, info.key))
    return manifests, tables


def read_parquet(data: bytes) -> pa.Table:
    return pq.ParquetFile(BytesIO(data)).read().replace_schema_metadata(None)


def comparable(manifest: Manifest) -> dict:
    """All but the size of files: awswrangler's have some bytes of pandas metadata more."""
    values = json.loads(manifest.encode())
    for output in values["outputs"]:
        del output["size_bytes"]
    return values


def assert_same_lake(ours, theirs):
    assert ours[0].keys() == theirs[0].keys()
    for key, manifest in ours[0].items():
        assert comparable(manifest) == comparable(theirs[0][key])
    assert ours[1].keys() == theirs[1].keys()
    for address, table in ours[1].items():
        assert table.equals(theirs[1][address]), address


def assert_as_the_reference_says(found, raws, contract, keyring: Keyring):
    """Whole objects only: what a torn one still held is the inflater's business."""
    manifests, tables = found
    for number, (key, raw) in enumerate(raws.items()):
        if number % 7 == 6:
            assert manifests[key].imbalance() == 0
            continue
        name = parse_delivered_name(key)
        assert name is not None
        truth = reference.transform(raw, contract, received_at=ARRIVED, keyring=keyring)
        manifest = manifests[key]
        rows = {
            (output.table, date.fromisoformat(output.day)): tables[
                output.bucket, output.key
            ].to_pylist()
            for output in manifest.outputs
            if output.table
        }
        rejects = [
            row
            for output in manifest.outputs
            if output.reason
            for row in tables[output.bucket, output.key].to_pylist()
        ]
        assert rows == truth.rows, key
        assert sorted(
            (r["offset_bytes"], r["reason"], r["field"] or "", r["raw"]) for r in rejects
        ) == sorted((at, reason, f or "", data) for reason, f, at, data in truth.rejects), key
        assert (manifest.events, manifest.duplicates, dict(manifest.dropped)) == (
            truth.events,
            truth.duplicates,
            dict(truth.dropped),
        ), key
