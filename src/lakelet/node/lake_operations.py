"""The operations that tend stored data: quarantine, replay, reprocess, compact, redrive."""

import threading
from datetime import date
from typing import TYPE_CHECKING, Any

from lakelet.model.errors import DeclarationError
from lakelet.node.operations import Tell, operation

if TYPE_CHECKING:
    from lakelet.lake.ledger import Receipt
    from lakelet.node.runtime import Node


# What changes many objects runs alone: two at once would each undo the other's.
_changing = threading.Lock()


@operation
def quarantine(node: "Node", _: Tell, *, where: str = "") -> dict[str, Any]:
    """What is in quarantine, by reason, with a sample of each."""
    from lakelet.lake.quarantine import compile_condition, read_rejects, summarise

    condition = compile_condition(where) if where else None
    reasons = summarise(read_rejects(node.store, node.pipeline, condition))
    return {
        "reasons": [reason.report() for reason in reasons],
        "count": sum(reason.count for reason in reasons),
    }


@operation
def replay(node: "Node", tell: Tell, *, where: str = "", dry_run: bool = False) -> dict[str, Any]:
    """Send rejects through the contract of now; the receipt says what became of them."""
    from lakelet.lake.replay import replay as run

    with _changing:
        receipt = run(
            node.store,
            node.pipeline,
            node.contract,
            where=where,
            now=node.clock.now(),
            dry_run=dry_run,
            on_progress=_progress(tell),
            **_memory(node),
        )
    return _finish(node, receipt)


@operation
def reprocess(
    node: "Node", tell: Tell, *, first: str, last: str, dry_run: bool = False
) -> dict[str, Any]:
    """Build days of event time again from raw; `first` and `last` are YYYY-MM-DD."""
    from lakelet.lake.reprocess import raw_reaches_back_to
    from lakelet.lake.reprocess import reprocess as run

    with _changing:
        receipt = run(
            node.store,
            node.pipeline,
            node.contract,
            _day(first),
            _day(last),
            now=node.clock.now(),
            dry_run=dry_run,
            on_progress=_progress(tell),
            **_memory(node),
        )
    reach = raw_reaches_back_to(node.pipeline, node.clock.now())
    return {**_finish(node, receipt), "raw_reaches_back_to": reach.isoformat()}


@operation
def compact(
    node: "Node", tell: Tell, *, first: str | None = None, last: str | None = None
) -> dict[str, Any]:
    """Merge days of many small files."""
    from lakelet.lake.compact import apply_compaction, plan_compaction

    with _changing:
        plans = plan_compaction(
            node.store,
            node.pipeline,
            node.clock.now(),
            first=_day(first) if first else None,
            last=_day(last) if last else None,
        )
        made = apply_compaction(
            node.store,
            node.pipeline,
            node.contract,
            plans,
            node.clock,
            on_progress=lambda done, total: tell({"done": done, "total": total}),
        )
    node.crawls.run_now()
    return {
        "days": len({(entry.table, entry.day) for entry in made}),
        "files_before": sum(len(plan.sources) for plan in plans),
        "files_after": len(made),
        "rows": sum(entry.output.rows for entry in made),
    }


@operation
def dead_letters(node: "Node", _: Tell) -> list[dict[str, Any]]:
    """Raw objects whose transform was given up, with why."""
    return [
        {"key": item.key, "attempts": item.attempts, "error": item.error}
        for item in node.queue.dead_letters()
    ]


@operation
def redrive(node: "Node", _: Tell, *, key: str | None = None) -> int:
    """Try dead letters again: all, or one. Returns how many."""
    return node.queue.redrive(key)


def settle_swaps(node: "Node") -> list[str]:
    """A node's round: end changes that nobody can still be reading around."""
    from lakelet.lake.swap import settle, sweep

    now, bucket = node.clock.now(), node.pipeline.transformed_bucket
    with _changing:
        settled = settle(node.store, bucket, now)
    sweep(node.store, (bucket, node.pipeline.raw_bucket), bucket, now)
    if settled:
        node.crawls.request()
    return settled


def _memory(node: "Node") -> dict[str, Any]:
    """What a transform remembers beyond one object: pseudonyms' keys, keys seen before."""
    from lakelet.lake.seen import open_seen_keys
    from lakelet.node.keyring import local_keyring

    return {
        "keyring": local_keyring(node.folder.root, node.contract),
        "seen": open_seen_keys(node.folder.state / "seen", node.contract, node.clock),
    }


def _finish(node: "Node", receipt: "Receipt") -> dict[str, Any]:
    if receipt.changed and not receipt.dry_run:
        from lakelet.lake.ledger import read_manifests

        again = set(receipt.raw_keys)
        for manifest in read_manifests(node.store, node.pipeline):
            if manifest.raw.key in again:
                node.ledger.record(manifest)
        node.crawls.run_now()  # days that had no rows before become partitions
    report = receipt.report()
    report.pop("raw_keys")
    return report


def _progress(tell: Tell) -> Any:
    return lambda done, total, key: tell({"done": done, "total": total, "key": key})


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DeclarationError(f"{text!r} is no date", hint="Write YYYY-MM-DD.") from error
