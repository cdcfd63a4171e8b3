"""One raw object, whole: read, transformed, written, entered in the ledger."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import BinaryIO

from lakelet.model.contract import Contract, Keyring
from lakelet.model.errors import LakeletError, ObjectNotFound, Outcome
from lakelet.model.layout import manifest_key, parse_delivered_name
from lakelet.model.manifest import Manifest, Output, RawObject
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectStore
from lakelet.model.seen import SeenKeys
from lakelet.transform.blocks import BLOCK_SIZE_BYTES, Block, blocks
from lakelet.transform.core import Source, Transformed, Transformer
from lakelet.transform.inflate import Tear, inflate
from lakelet.transform.outputs import Each, Outputs
from lakelet.transform.parquet import TableWriter, parquet_writer
from lakelet.transform.rows import Flaw, Reject

# Guess: a hundred times what a 128 MB buffer of text inflates to.
INFLATED_SIZE_BYTES_MAX = 64 << 30


class Stopped(LakeletError):
    """`stop()` said so between two blocks; nothing was entered in the ledger."""

    code = "transform.stopped"
    outcome = Outcome.RETRY


def raw_object(store: ObjectStore, bucket: str, key: str) -> RawObject:
    """What is known of a raw object before it is read. Raises ObjectNotFound."""
    info = store.head(bucket, key)
    named = parse_delivered_name(key)
    received_at = named.arrived_at if named else info.modified_at.astimezone(UTC)
    return RawObject(bucket, key, info.etag, info.size_bytes, received_at)


def process(
    store: ObjectStore,
    pipeline: Pipeline,
    contract: Contract,
    raw: RawObject,
    *,
    keyring: Keyring | None = None,
    seen: SeenKeys | None = None,
    write_table: TableWriter = parquet_writer,
    stop: Callable[[], bool] | None = None,
    inflated_size_bytes_max: int = INFLATED_SIZE_BYTES_MAX,
    block_size_bytes: int = BLOCK_SIZE_BYTES,
    each: Each = map,
) -> Manifest:
    """Turn one raw object into Parquet by day, quarantine and a manifest; streamed.

    Twice gives the same keys, the same bytes, the same rows. The manifest is
    written last, after outputs of an earlier run that this one no longer has are gone.

    Args:
        seen: memory across objects; without it, duplicates are found within this one only.
        stop: asked between blocks; True ends the run with `Stopped`, half-made objects unseen.
        each: maps in order, on threads of the caller's, so that blocks are read while another
            is written, and outputs are written at once; by default nothing runs beside.

    Raises:
        Stopped; KeyMissing; what the store raises. Nothing for bad data.
    """
    earlier = _earlier_outputs(store, pipeline, raw)
    source = Source(raw.bucket, raw.key, raw.received_at)
    transformer = Transformer(contract, source, keyring=keyring, seen=seen)
    outputs = Outputs(store, pipeline, raw.key, raw.received_at.date(), write_table)
    total = _Totals()
    try:
        with store.open(raw.bucket, raw.key) as stored:
            for transformed in _results(
                transformer, stored, total, inflated_size_bytes_max, block_size_bytes, each
            ):
                total.add(transformed)
                outputs.add(transformed)
                if stop is not None and stop():
                    raise Stopped(
                        f"The transform of {raw.bucket}/{raw.key} was told to stop.",
                        hint="It changes nothing to begin it again.",
                    )
        written = outputs.close(each)
    except BaseException:
        outputs.abort()
        raise
    for key in sorted(earlier - {(output.bucket, output.key) for output in written}):
        store.delete(*key)
    manifest = total.manifest(raw, contract, written)
    store.put(
        pipeline.transformed_bucket,
        manifest_key(raw.key),
        manifest.encode(),
        content_type="application/json",
    )
    return manifest


class _Totals:
    """The ledger's entry, as it grows."""

    def __init__(self) -> None:
        self.inflated_bytes = 0
        self.events = self.rows = self.duplicates = 0
        self.dropped: Counter[str] = Counter()
        self.quarantined: Counter[str] = Counter()

    def add(self, transformed: Transformed) -> None:
        self.events += transformed.events
        self.rows += transformed.rows
        self.duplicates += transformed.duplicates
        self.dropped.update(transformed.dropped)
        for entry in transformed.rejects["reason"].value_counts().to_pylist():
            self.quarantined[entry["values"]] += entry["counts"]

    def manifest(self, raw: RawObject, contract: Contract, outputs: tuple[Output, ...]) -> Manifest:
        return Manifest(
            raw=raw,
            contract_version=contract.version,
            contract_fingerprint=contract.fingerprint,
            inflated_bytes=self.inflated_bytes,
            events=self.events,
            rows=self.rows,
            duplicates=self.duplicates,
            quarantined=dict(sorted(self.quarantined.items())),
            dropped=dict(sorted(self.dropped.items())),
            outputs=outputs,
        )


def _results(
    transformer: Transformer,
    stored: BinaryIO,
    total: _Totals,
    inflated_size_bytes_max: int,
    block_size_bytes: int,
    each: Each,
) -> Iterator[Transformed]:
    tear = Tear()

    def counted() -> Iterator[bytes]:
        for piece in inflate(stored, tear, size_bytes_max=inflated_size_bytes_max):
            total.inflated_bytes += len(piece)
            yield piece

    cut = blocks(counted(), block_size_bytes=block_size_bytes)
    for records in each(transformer.read, cut):
        yield transformer.feed(records)
    if tear.reason:
        rest = Block(tear.rest, total.inflated_bytes)
        reject = Reject(0, len(tear.rest), Flaw(tear.reason, tear.message))
        yield Transformed(rejects=transformer.quarantine(rest, [reject]), events=1)


def _earlier_outputs(
    store: ObjectStore, pipeline: Pipeline, raw: RawObject
) -> set[tuple[str, str]]:
    try:
        data = store.get(pipeline.transformed_bucket, manifest_key(raw.key))
        return {(output.bucket, output.key) for output in Manifest.decode(data).outputs}
    except ObjectNotFound:
        return set()
    except (ValueError, KeyError, TypeError, json.JSONDecodeError):
        return set()  # not a manifest of ours; it is about to be written anew
