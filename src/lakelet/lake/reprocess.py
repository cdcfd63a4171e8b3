"""Days built again from the raw zone, after a change of contract; at once, for readers."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from lakelet.lake.ledger import Each, Receipt, arrival_day, read_manifests
from lakelet.lake.rebuild import OnProgress, rebuild
from lakelet.lake.seen import SeenStore
from lakelet.model.contract import Contract, Keyring
from lakelet.model.errors import LakeletError
from lakelet.model.manifest import Manifest
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectStore


class NothingLeft(LakeletError):
    """Every raw object of the days asked for is gone."""

    code = "lake.nothing_left"


def chosen(manifests: Iterable[Manifest], first: date, last: date) -> Iterator[Manifest]:
    """Raw objects that have, or may come to have, rows in these days of event time.

    Those with rows there now, and those that arrived there: an event that could not be read
    has no day of its own yet.
    """
    for manifest in manifests:
        arrived = arrival_day(manifest.raw.key, manifest.raw.received_at)
        days = {date.fromisoformat(output.day) for output in manifest.outputs if output.day}
        if any(first <= day <= last for day in days | ({arrived} if arrived else set())):
            yield manifest


def reprocess(
    store: ObjectStore,
    pipeline: Pipeline,
    contract: Contract,
    first: date,
    last: date,
    *,
    now: datetime,
    keyring: Keyring | None = None,
    seen: SeenStore | None = None,
    dry_run: bool = False,
    each: Each = map,
    on_progress: OnProgress = lambda _done, _total, _key: None,
) -> Receipt:
    """Build days `first` to `last` (of event time) anew from raw.

    Raw objects that retention has taken stay as they were transformed; the receipt names
    them, and `raw_reaches_back_to` says how far back a rebuild can go.

    Raises:
        NothingLeft where all of them are gone.
    """
    manifests = sorted(
        chosen(read_manifests(store, pipeline, each=each), first, last),
        key=lambda manifest: (manifest.raw.received_at, manifest.raw.key),
    )
    receipt = rebuild(
        store,
        pipeline,
        contract,
        [manifest.raw.key for manifest in manifests],
        kind="reprocess",
        chosen_by=f"{first} to {last}",
        now=now,
        keyring=keyring,
        seen=seen,
        dry_run=dry_run,
        on_progress=on_progress,
    )
    if receipt.expired and not receipt.objects:
        raise NothingLeft(
            f"all {len(receipt.expired)} raw objects of {first} to {last} are gone",
            hint=f"Raw objects live {pipeline.retention.raw_days} days: days before "
            f"{raw_reaches_back_to(pipeline, now)} cannot be built again. "
            "[retention] raw_days keeps them longer, from now on.",
        )
    return receipt


def raw_reaches_back_to(pipeline: Pipeline, now: datetime) -> date:
    """The earliest day of arrival whose raw objects are all still there."""
    return (now - timedelta(days=pipeline.retention.raw_days)).date() + timedelta(days=1)
