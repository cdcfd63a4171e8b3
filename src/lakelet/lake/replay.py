"""Rejects sent through the contract of now, once whatever kept them out has been mended."""

from collections import Counter
from datetime import datetime

from lakelet.lake.ledger import Receipt
from lakelet.lake.quarantine import compile_condition, read_rejects, sources
from lakelet.lake.rebuild import OnProgress, manifest_of, rebuild
from lakelet.lake.seen import SeenStore
from lakelet.lake.viewed import ViewedStore
from lakelet.model.contract import Contract, Keyring
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectStore
from lakelet.model.swap import read_view


def choose(store: ObjectStore, pipeline: Pipeline, where: str = "") -> dict[str, Counter[str]]:
    """Raw keys with rejects that the condition picks, with how many for which reason.

    Raises ConditionRefused.
    """
    return sources(read_rejects(store, pipeline, compile_condition(where) if where else None))


def replay(
    store: ObjectStore,
    pipeline: Pipeline,
    contract: Contract,
    *,
    where: str = "",
    now: datetime,
    keyring: Keyring | None = None,
    seen: SeenStore | None = None,
    dry_run: bool = False,
    on_progress: OnProgress = lambda _done, _total, _key: None,
) -> Receipt:
    """Transform again every raw object that holds a reject which `where` picks.

    Whole objects: so other rejects of the same objects get their chance as well, and rows
    get the contract's columns of now. Doing it twice changes nothing, and the second time
    there is less to pick.

    Args:
        where: SQL on the quarantine table ("" picks everything); see compile_condition.
        dry_run: the same receipt, exact to the event, and nothing is changed.
    Raises:
        ConditionRefused.
    """
    picked = choose(store, pipeline, where)
    seen_now = ViewedStore(store, read_view(store, pipeline.transformed_bucket))

    def arrival(key: str) -> tuple[str, str]:
        manifest = manifest_of(seen_now, pipeline, key)
        return (manifest.raw.received_at.isoformat() if manifest else "", key)

    return rebuild(
        store,
        pipeline,
        contract,
        sorted(picked, key=arrival),
        kind="replay",
        chosen_by=where or "true",
        now=now,
        keyring=keyring,
        seen=seen,
        dry_run=dry_run,
        on_progress=on_progress,
    )
