"""A crawl: what the files say, against what the catalog says, and the difference put right.

`plan_crawl` only reads (and remembers nothing); `apply_crawl` writes the catalog
and the memory of folders in one transaction; `run_crawl` does both and keeps the
crawler's state.
"""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lakelet.catalog.catalog import Catalog
from lakelet.catalog.crawlers import READY, RUNNING
from lakelet.catalog.databases import Shape
from lakelet.catalog.errors import InvalidInput
from lakelet.catalog.grouping import group
from lakelet.catalog.planning import CrawlOptions, TablePlan, plan_table, plan_vanished
from lakelet.catalog.survey import Survey, survey
from lakelet.model.ports import ObjectStore


@dataclass
class CrawlPlan:
    """A crawl before it is carried out."""

    crawler: str
    database: str
    tables: list[TablePlan] = field(default_factory=list)
    surveys: list[Survey] = field(default_factory=list)
    cancelled: bool = False

    @property
    def changes(self) -> int:
        return sum(
            (table.action != "keep")
            + len(table.partitions_to_put)
            + len(table.partitions_to_delete)
            for table in self.tables
        )

    def explain(self) -> list[str]:
        """Lines for a person: what was looked at, what changes, and why."""
        lines = []
        for seen in self.surveys:
            lines.append(
                f"s3://{seen.bucket}/{seen.root}: {len(seen.folders)} folders, "
                f"{seen.listed_count} listed, {seen.footer_count} files opened, "
                f"{len(seen.changed)} changed, {len(seen.gone)} gone"
            )
            lines += [f"unreadable, passed over: {key}" for key in seen.unreadable]
        for table in self.tables:
            lines.append(
                f"{table.action} table {self.database}.{table.name}: "
                f"{len(table.partitions_to_put)} partitions to write, "
                f"{len(table.partitions_to_delete)} to delete"
            )
            lines += [f"  {reason}" for reason in table.reasons]
        return lines


@dataclass(frozen=True, slots=True)
class CrawlResult:
    tables_created: int = 0
    tables_updated: int = 0
    tables_deleted: int = 0
    partitions_added: int = 0
    partitions_updated: int = 0
    partitions_deleted: int = 0
    cancelled: bool = False


def plan_crawl(
    store: ObjectStore,
    catalog: Catalog,
    crawler: str | Shape,
    *,
    now_ns: int,
    stopped: Callable[[], bool] = lambda: False,
) -> CrawlPlan:
    """Look over a crawler's targets and say what should change.

    Args:
        crawler: its name, or a `Crawler` structure that need not be in the catalog.
        now_ns: the wall clock, nanoseconds since the epoch.
        stopped: asked between folders; True gives a plan that changes nothing.
    Raises:
        EntityNotFound, InvalidInput; BucketNotFound from the store.
    """
    settings = catalog.get_crawler(crawler) if isinstance(crawler, str) else crawler
    options = CrawlOptions.of(settings)
    plan = CrawlPlan(options.name, options.database)
    for target in settings["Targets"]["S3Targets"]:
        bucket, root = split_location(target["Path"])
        seen = survey(
            store,
            catalog.folders,
            bucket,
            root,
            now_ns=now_ns,
            keep=_keeper(root, target.get("Exclusions") or ()),
            sample_size=target.get("SampleSize"),
            stopped=stopped,
        )
        plan.surveys.append(seen)
        if stopped():
            plan.cancelled = True
            plan.tables = []
            return plan
        for found in group(
            seen.folders,
            catalog.folders,
            bucket,
            root,
            table_level=options.table_level,
            combine=options.combine,
        ):
            plan.tables.append(plan_table(catalog, options, bucket, found, plan.tables))
    if any(seen.gone for seen in plan.surveys):
        roots = [f"s3://{seen.bucket}/{seen.root}" for seen in plan.surveys]
        plan.tables += plan_vanished(catalog, options, roots, plan.tables)
    return plan


def apply_crawl(plan: CrawlPlan, catalog: Catalog) -> CrawlResult:
    """Carry a plan out: all of it, or nothing. A cancelled plan changes nothing."""
    if plan.cancelled:
        return CrawlResult(cancelled=True)
    counts = dict.fromkeys(("create", "update", "delete", "deprecate", "keep"), 0)
    added = updated = deleted = 0
    with catalog.transaction():
        catalog.ensure_database(plan.database)
        for table in plan.tables:
            counts[table.action] += 1
            _apply_table(catalog, plan.database, table)
            if table.partitions_to_put:
                new = catalog.put_partitions(plan.database, table.name, table.partitions_to_put)
                added += new
                updated += len(table.partitions_to_put) - new
            for values in table.partitions_to_delete:
                catalog.delete_partition(plan.database, table.name, values)
            deleted += len(table.partitions_to_delete)
        for seen in plan.surveys:
            states = [state for state in seen.folders.values() if state.files is not None]
            catalog.folders.save(seen.bucket, states)
            catalog.folders.forget(seen.bucket, seen.gone)
    return CrawlResult(
        counts["create"],
        counts["update"] + counts["deprecate"],
        counts["delete"],
        added,
        updated,
        deleted,
    )


def run_crawl(store: ObjectStore, catalog: Catalog, name: str, *, now_ns: int) -> CrawlResult:
    """Plan, apply and finish a crawl, blocking.

    A crawler that `start_crawler` has marked RUNNING is carried on, a READY one is
    started. Runs on one catalog wait for each other. The crawler ends READY whatever
    happens; an error is recorded there and raised.
    """
    with catalog.crawl_turn:
        if catalog.get_crawler(name)["State"] == READY:
            catalog.start_crawler(name)
        try:
            plan = plan_crawl(
                store,
                catalog,
                name,
                now_ns=now_ns,
                stopped=lambda: bool(catalog.get_crawler(name)["State"] != RUNNING),
            )
            result = apply_crawl(plan, catalog)
        except Exception as error:
            catalog.finish_crawler(name, "FAILED", message=str(error))
            raise
        catalog.finish_crawler(
            name,
            "CANCELLED" if result.cancelled else "SUCCEEDED",
            metrics={
                "TablesCreated": result.tables_created,
                "TablesUpdated": result.tables_updated,
                "TablesDeleted": result.tables_deleted,
            },
        )
        return result


def split_location(location: str) -> tuple[str, str]:
    """`s3://bucket/some/prefix` → ("bucket", "some/prefix/"). Raises InvalidInput."""
    scheme, _, rest = location.partition("://")
    bucket, _, prefix = (rest or scheme).partition("/")
    if not bucket or (rest and scheme not in ("s3", "s3a", "s3n")):
        raise InvalidInput(
            f"Location {location!r} is no place in a bucket.", hint="Write s3://bucket/prefix/."
        )
    return bucket, prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def _keeper(root: str, exclusions: Sequence[str]) -> Callable[[str], bool]:
    """Exclusion patterns are relative to the include path; `**` crosses folders."""
    if not exclusions:
        return lambda _: True
    patterns = [pattern.replace("**", "*") for pattern in exclusions]
    return lambda key: (
        not any(fnmatch.fnmatchcase(key[len(root) :], pattern) for pattern in patterns)
    )


def _apply_table(catalog: Catalog, database: str, table: TablePlan) -> None:
    if table.action == "create" and table.table_input:
        catalog.create_table(database, table.table_input)
    elif table.action in ("update", "deprecate") and table.table_input:
        catalog.update_table(database, table.table_input)
    elif table.action == "delete":
        catalog.delete_table(database, table.name)
