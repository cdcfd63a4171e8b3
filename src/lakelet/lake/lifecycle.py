"""When stored objects are due to go, and removing them: S3's own arithmetic."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectInfo, ObjectStore


def due_at(created_at: datetime, days: int) -> datetime:
    """Creation plus `days`, rounded up to the next 00:00 UTC.

    Source: the S3 user guide on lifecycle expiration: 15 January 10:30 plus 3 days is
    19 January 00:00. An object made at midnight exactly is not rounded.
    """
    due = created_at.astimezone(UTC) + timedelta(days=days)
    midnight = due.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == due else midnight + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """Objects of a bucket under a prefix live so long."""

    id: str
    bucket: str
    days: int
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Expired:
    """One object whose time has come, by which rule, since when."""

    info: ObjectInfo
    rule: Rule
    due_at: datetime


def rules(pipeline: Pipeline) -> tuple[Rule, ...]:
    """What the declaration asks for. Quarantine lies in the raw bucket, so raw's rule is its."""
    retention = pipeline.retention
    return (
        Rule("raw", pipeline.raw_bucket, retention.raw_days),
        Rule("results", pipeline.results_bucket, retention.results_days),
    )


def plan_expiry(store: ObjectStore, wanted: tuple[Rule, ...], now: datetime) -> Iterator[Expired]:
    """Objects due by `now`, in key order within each rule."""
    for rule in wanted:
        for info in store.list(rule.bucket, rule.prefix):
            due = due_at(info.modified_at, rule.days)
            if due <= now:
                yield Expired(info, rule, due)


def apply_expiry(
    store: ObjectStore,
    pipeline: Pipeline,
    now: datetime,
    *,
    on_expired: Callable[[Expired], None] = lambda _expired: None,
    keep: Callable[[ObjectInfo], bool] = lambda _info: False,
) -> int:
    """Delete what is due; returns how many objects.

    Args:
        keep: objects that must stay whatever their age: a raw object not transformed yet
            would be a silent loss (S3 would delete it; here somebody can still act).
    """
    count = 0
    for expired in plan_expiry(store, rules(pipeline), now):
        if keep(expired.info):
            continue
        store.delete(expired.info.bucket, expired.info.key)
        on_expired(expired)
        count += 1
    return count
