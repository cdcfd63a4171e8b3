"""Raw objects transformed once more, as one change in a reader's eyes.

Replay and reprocessing differ in which objects they choose; what happens to those is the
same and is here. Each is transformed whole, by the contract of now: so the manifest stays
the one entry that counts its events, and doing it twice gives the same bytes. (Why whole
objects, and not single rejects: docs/decisions/0004-replay-transforms-whole-objects.md.)
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from lakelet.lake.compact import read_compactions
from lakelet.lake.errors_zone import ErrorsUndone
from lakelet.lake.ledger import Counts, Receipt
from lakelet.lake.merge import merge, source_of
from lakelet.lake.seen import SeenStore
from lakelet.lake.swap import Staging, settle
from lakelet.model.contract import Contract, Keyring
from lakelet.model.errors import ObjectNotFound
from lakelet.model.layout import RECEIPT_PREFIX, is_error_key, manifest_key, receipt_key
from lakelet.model.manifest import Manifest
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectStore
from lakelet.transform import process, raw_object

OnProgress = Callable[[int, int, str], None]  # objects done, of how many, the key in work


def rebuild(
    store: ObjectStore,
    pipeline: Pipeline,
    contract: Contract,
    raw_keys: Sequence[str],
    *,
    kind: str,
    chosen_by: str,
    now: datetime,
    keyring: Keyring | None = None,
    seen: SeenStore | None = None,
    dry_run: bool = False,
    on_progress: OnProgress = lambda _done, _total, _key: None,
) -> Receipt:
    """Transform raw objects again and show all of the result at once.

    Args:
        raw_keys: in the order of arrival, so that the first of equal events stays the first.
        dry_run: do all the work aside, count it, and let nobody see it.
    Raises:
        What `transform.process` raises: then nothing has changed.
    """
    if seen and dry_run:
        seen = seen.without_claiming()
    staging = Staging(store, pipeline.transformed_bucket, swap_id(kind, chosen_by, now))
    before: list[Manifest] = []
    after: list[Manifest] = []
    try:
        present, expired = _present(staging, pipeline, raw_keys)
        twice = take_apart(staging, pipeline, frozenset(present), now)
        for done, key in enumerate(present):
            on_progress(done, len(present), key)
            before += [found] if (found := manifest_of(staging, pipeline, key)) else []
            after.append(_again(staging, pipeline, contract, key, keyring, seen))
        on_progress(len(present), len(present), "")
        old = {manifest.raw.key: manifest for manifest in before}
        changed = sum(old.get(manifest.raw.key) != manifest for manifest in after)
        receipt = Receipt(
            swap_id(kind, chosen_by, now),
            kind,
            chosen_by,
            contract.version,
            contract.fingerprint,
            now.isoformat(),
            len(present),
            changed,
            tuple(expired),
            Counts.of(before),
            Counts.of(after),
            tuple(present),
            dry_run,
        )
        if dry_run or not (changed or twice):
            staging.abandon()
            return receipt
        key = receipt_key(receipt.id)
        staging.put(
            pipeline.transformed_bucket, key, receipt.encode(), content_type="application/json"
        )
    except BaseException:
        staging.abandon()
        raise
    staging.commit(now)
    return receipt


def manifest_of(store: ObjectStore, pipeline: Pipeline, raw_key: str) -> Manifest | None:
    try:
        return Manifest.decode(store.get(pipeline.transformed_bucket, manifest_key(raw_key)))
    except (ObjectNotFound, ValueError, KeyError, TypeError):
        return None


def read_receipts(store: ObjectStore, pipeline: Pipeline) -> Iterator[Receipt]:
    bucket = pipeline.transformed_bucket
    for info in store.list(bucket, RECEIPT_PREFIX):
        yield Receipt.decode(store.get(bucket, info.key))


def swap_id(kind: str, chosen_by: str, now: datetime) -> str:
    digest = hashlib.sha256(chosen_by.encode()).hexdigest()[:8]
    return f"{kind}-{now:%Y%m%dT%H%M%S%f}-{digest}"


def _present(
    store: ObjectStore, pipeline: Pipeline, raw_keys: Sequence[str]
) -> tuple[list[str], list[str]]:
    keys = list(dict.fromkeys(raw_keys))
    present = [key for key in keys if _is_there(store, pipeline.raw_bucket, key)]
    return present, sorted(set(keys) - set(present))


def take_apart(
    staging: Staging, pipeline: Pipeline, raw_keys: frozenset[str], now: datetime
) -> int:
    """Cut the objects' rows out of the files they were compacted into: whoever transforms
    one again writes them to a file of their own.

    Returns how many of the objects had such a file already, beside the one they went into:
    somebody had replaced them since.
    """
    bucket, twice = pipeline.transformed_bucket, 0
    for entry in list(read_compactions(staging, pipeline)):
        parts = [part for part in entry.parts if part.raw_key in raw_keys]
        twice += sum(_is_there(staging, bucket, part.key) for part in parts)
        if parts:
            day = date.fromisoformat(entry.day)
            merge(
                staging,
                pipeline.transformed_bucket,
                entry.table,
                day,
                [source_of(entry)],
                now=now,
                without=raw_keys,
            )
    return twice


def separate(
    store: ObjectStore, pipeline: Pipeline, raw_keys: frozenset[str], now: datetime
) -> None:
    """Cut rows out of merged files whose raw objects somebody has just transformed again.

    For the home where many hands transform and nothing can stage their work: on AWS. After
    the transform, not before: cut short in between, events are there twice, which the audit
    names and doing it again mends; the other way round they would be missing.
    """
    bucket = pipeline.transformed_bucket
    staging = Staging(store, bucket, f"separate-{now:%Y%m%dT%H%M%S%f}")
    take_apart(staging, pipeline, raw_keys, now)
    if not staging.is_empty:
        staging.commit(now)
        settle(store, bucket, now, grace=timedelta(0))


def _is_there(store: ObjectStore, bucket: str, key: str) -> bool:
    try:
        store.head(bucket, key)
    except ObjectNotFound:
        return False
    return True


def _again(
    staging: Staging,
    pipeline: Pipeline,
    contract: Contract,
    key: str,
    keyring: Keyring | None,
    seen: SeenStore | None,
) -> Manifest:
    raw = raw_object(staging, pipeline.raw_bucket, key)
    store: Any = (
        ErrorsUndone(staging, raw)
        if is_error_key(key, error_prefix=pipeline.stream.error_prefix)
        else staging
    )
    return process(store, pipeline, contract, raw, keyring=keyring, seen=seen)
