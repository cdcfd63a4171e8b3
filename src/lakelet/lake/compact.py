"""Days of many small files made into days of few large ones.

A delivery a minute makes 1,440 files a day; every query opens each. Compaction merges the
small files of a day, as one change in a reader's eyes (lake/swap.py), and enters it in the
ledger, so that the audit still accounts for each raw object's rows.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.lake.footer import read_schema
from lakelet.lake.ledger import Compaction, Each, Part, read_manifests
from lakelet.lake.merge import (
    Keep,
    Source,
    common_schema,
    keep_all,
    merge,
    source_of,
)
from lakelet.lake.seen import SeenStore
from lakelet.lake.swap import Staging
from lakelet.lake.viewed import ViewedStore
from lakelet.model.contract import Contract
from lakelet.model.layout import COMPACTION_PREFIX
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import Clock, ObjectInfo, ObjectStore
from lakelet.model.swap import read_view

TARGET_SIZE_BYTES = 256 << 20  # Athena's advice is 128 MB and more a file
FILES_MIN = 4  # fewer are not worth a rewrite
SETTLED_FOR = timedelta(hours=1)  # younger files may still be written again by a retry


@dataclass(frozen=True, slots=True)
class DayPlan:
    """Objects of one table and day that shall become one."""

    table: str
    day: date
    sources: tuple[Source, ...]

    @property
    def size_bytes(self) -> int:
        return sum(source.size_bytes for source in self.sources)


def plan_compaction(
    store: ObjectStore,
    pipeline: Pipeline,
    now: datetime,
    *,
    first: date | None = None,
    last: date | None = None,
    target_size_bytes: int = TARGET_SIZE_BYTES,
    files_min: int = FILES_MIN,
    settled_for: timedelta = SETTLED_FOR,
    each: Each = map,
) -> list[DayPlan]:
    """What is worth merging, day by day. Files that no manifest knows are left alone."""
    bucket = pipeline.transformed_bucket
    store = ViewedStore(store, read_view(store, bucket))
    listed = {
        info.key: info
        for info in store.list(bucket)
        if not info.key.startswith(("_", ".")) and now - info.modified_at >= settled_for
    }
    by_day: dict[tuple[str, date], list[Source]] = defaultdict(list)
    for table, day, source in _sources(store, pipeline, listed, each):
        within = (first is None or first <= day) and (last is None or day <= last)
        if within and source.size_bytes < target_size_bytes // 2:
            by_day[table, day].append(source)
    plans = []
    for (table, day), sources in sorted(by_day.items()):
        for group in _groups(sorted(sources, key=lambda s: s.key), target_size_bytes):
            plans += [DayPlan(table, day, tuple(group))] if len(group) >= files_min else []
    return plans


def _sources(
    store: ObjectStore, pipeline: Pipeline, listed: dict[str, ObjectInfo], each: Each
) -> Iterator[tuple[str, date, Source]]:
    for manifest in read_manifests(store, pipeline, each=each):
        for output in manifest.outputs:
            if output.table and output.key in listed:
                part = Part(manifest.raw.key, output.key, output.rows, output.rows)
                source = Source(output.key, output.size_bytes, (part,))
                yield output.table, date.fromisoformat(output.day), source
    for entry in read_compactions(store, pipeline):
        if entry.output.key in listed:
            yield entry.table, date.fromisoformat(entry.day), source_of(entry)


def read_compactions(store: ObjectStore, pipeline: Pipeline) -> Iterator[Compaction]:
    bucket = pipeline.transformed_bucket
    for info in store.list(bucket, COMPACTION_PREFIX):
        yield Compaction.decode(store.get(bucket, info.key))


def _groups(sources: Sequence[Source], target_size_bytes: int) -> Iterator[list[Source]]:
    group: list[Source] = []
    for source in sources:
        if group and sum(s.size_bytes for s in group) + source.size_bytes > target_size_bytes:
            yield group
            group = []
        group.append(source)
    if group:
        yield group


def apply_compaction(
    store: ObjectStore,
    pipeline: Pipeline,
    contract: Contract,
    plans: Sequence[DayPlan],
    clock: Clock,
    *,
    deduplicate: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Compaction]:
    """Merge plans as one change: readers see it when this returns, `settle` ends it later.

    Args:
        deduplicate: keep each event key's first row only: where raw objects were transformed
            without a common memory, as functions on AWS are.
        on_progress: (done, all) plans.
    Returns:
        The ledger's entries. Files whose columns have clashing types stay apart.
    """
    bucket, now = pipeline.transformed_bucket, clock.now()
    staging = Staging(store, bucket, f"compact-{now:%Y%m%dT%H%M%S%f}")
    made = []
    try:
        for number, plan in enumerate(plans, 1):
            if _is_mergeable(staging, bucket, plan):
                with tempfile.TemporaryDirectory() as folder:
                    keep = _first_of_each(contract, plan, Path(folder), clock, deduplicate)
                    entry = merge(
                        staging, bucket, plan.table, plan.day, plan.sources, now=now, keep=keep
                    )
                made += [entry] if entry else []
            on_progress(number, len(plans))
    except BaseException:
        staging.abandon()
        raise
    if not staging.is_empty:
        staging.commit(now)
    return made


def _is_mergeable(store: ObjectStore, bucket: str, plan: DayPlan) -> bool:
    try:
        common_schema([read_schema(store, bucket, source.key) for source in plan.sources])
    except pa.ArrowTypeError:
        return False
    return True


def _first_of_each(
    contract: Contract, plan: DayPlan, folder: Path, clock: Clock, wanted: bool
) -> Keep:
    """Rows whose key no earlier part has; in bounded memory, however long the day."""
    table = next((t for t in contract.tables if t.name == plan.table), None)
    if not wanted or table is None or table.deduplicate is None:
        return keep_all
    key_column, time_column = table.deduplicate.column, table.event_time.column
    window = timedelta(hours=table.deduplicate.window_hours)
    seen = SeenStore(folder, {plan.table: window}, clock)

    def keep(rows: pa.Table, part: Part) -> pa.Table:
        keys = rows.column(key_column).combine_chunks()
        times = rows.column(time_column).combine_chunks()
        valid = pc.is_valid(keys)  # a row without a key is nobody's duplicate
        claimed = seen.claim(plan.table, keys.filter(valid), times.filter(valid), part.key)
        chosen = pc.replace_with_mask(pc.invert(valid), valid, claimed)
        return rows.filter(chosen)

    return keep
