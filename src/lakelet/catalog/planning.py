"""What a crawl will do about each table, by the crawler's policy, and why."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from lakelet.catalog.catalog import Catalog
from lakelet.catalog.databases import Shape
from lakelet.catalog.ensure import is_owned
from lakelet.catalog.errors import InvalidInput
from lakelet.catalog.formats import storage_descriptor
from lakelet.catalog.grouping import FoundTable
from lakelet.catalog.types import widen

UPDATED_BY = "UPDATED_BY_CRAWLER"
DEPRECATED_BY = "DEPRECATED_BY_CRAWLER"


@dataclass
class TablePlan:
    """What a crawl will do about one table, and why."""

    name: str
    action: str  # "create", "update", "keep", "deprecate", "delete"
    table_input: Shape | None  # what to create or update
    location: str
    partitions_to_put: list[Shape] = field(default_factory=list)
    partitions_to_delete: list[tuple[str, ...]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CrawlOptions:
    """A crawler's settings that bear on planning."""

    name: str
    database: str
    prefix: str
    update: str
    delete: str
    merge_new_columns: bool
    inherit: bool
    combine: bool
    table_level: int | None

    @classmethod
    def of(cls, settings: Shape) -> "CrawlOptions":
        try:
            extra = json.loads(settings.get("Configuration") or "{}")
        except ValueError as error:
            raise InvalidInput(f"Configuration is not JSON: {error}.") from error
        output, grouping = extra.get("CrawlerOutput", {}), extra.get("Grouping", {})
        policy = settings.get("SchemaChangePolicy") or {}
        return cls(
            name=settings["Name"],
            database=settings["DatabaseName"].lower(),
            prefix=settings.get("TablePrefix") or "",
            update=policy.get("UpdateBehavior", "UPDATE_IN_DATABASE"),
            delete=policy.get("DeleteBehavior", "DEPRECATE_IN_DATABASE"),
            merge_new_columns=output.get("Tables", {}).get("AddOrUpdateBehavior")
            == "MergeNewColumns",
            inherit=output.get("Partitions", {}).get("AddOrUpdateBehavior") == "InheritFromTable",
            combine=grouping.get("TableGroupingPolicy") == "CombineCompatibleSchemas",
            table_level=grouping.get("TableLevelConfiguration"),
        )


def plan_table(
    catalog: Catalog,
    options: CrawlOptions,
    bucket: str,
    found: FoundTable,
    planned_so_far: Sequence[TablePlan],
) -> TablePlan:
    """Compare one table's folders with the catalog."""
    location = f"s3://{bucket}/{found.prefix}"
    name = _free_name(
        catalog, options, planned_so_far, f"{options.prefix}{found.name}".lower(), location
    )
    before = catalog.find_table(options.database, name)
    planned = TablePlan(name, "keep", None, location, reasons=list(found.notes))
    if before is None:
        columns = _merge_columns(catalog, found, [], planned.reasons)
        planned.action = "create"
        planned.table_input = _table_input(options, found, name, location, columns)
        planned.reasons.append(f"new table of {len(columns)} columns, keys {list(found.keys)}")
    elif is_owned(before):
        planned.reasons.append("its definition belongs to the contract: partitions only")
    else:
        _plan_update(catalog, options, found, before, planned)
    _plan_partitions(catalog, options, bucket, found, before, planned)
    return planned


def _free_name(
    catalog: Catalog,
    options: CrawlOptions,
    planned_so_far: Sequence[TablePlan],
    name: str,
    location: str,
) -> str:
    """The name of the table that is at this location already, or else the wished one.

    The contract's tables may be called otherwise than their folders. Another
    location's table keeps its name; ours then gets a hash, as in Glue.
    """
    for table in catalog.all_tables(options.database):
        at = (table["StorageDescriptor"].get("Location") or "").rstrip("/")
        mine = is_owned(table) or (table.get("Parameters") or {}).get(UPDATED_BY) == options.name
        if mine and at == location.rstrip("/"):
            return str(table["Name"])
    taken = any(table.name == name and table.location != location for table in planned_so_far)
    before = catalog.find_table(options.database, name)
    if before is not None and not taken:
        at = (before["StorageDescriptor"].get("Location") or "").rstrip("/")
        taken = at != location.rstrip("/")
    if not taken:
        return name
    return f"{name}_{hashlib.md5(location.encode(), usedforsecurity=False).hexdigest()}"


def _merge_columns(
    catalog: Catalog, found: FoundTable, start: Sequence[Shape], reasons: list[str]
) -> list[Shape]:
    """Columns of all schemas: those at the start first, the most frequent schema next."""
    merged = {column["Name"]: dict(column) for column in start}
    for schema_id, _ in found.schema_ids.most_common():
        schema = catalog.folders.schema(schema_id)
        if schema.format != found.format:
            continue
        for original, kind in schema.columns:
            name = original.lower()
            if name in found.keys:
                continue
            if name not in merged:
                merged[name] = {"Name": name, "Type": kind}
                continue
            wider = widen(merged[name]["Type"], kind)
            if wider is None:
                reasons.append(
                    f"column {name} is {merged[name]['Type']} and {kind}: string holds both"
                )
            merged[name]["Type"] = wider or "string"
    return list(merged.values())


def _table_input(
    options: CrawlOptions, found: FoundTable, name: str, location: str, columns: list[Shape]
) -> Shape:
    storage = storage_descriptor(found.format)
    storage |= {"Columns": columns, "Location": location}
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "StorageDescriptor": storage,
        "PartitionKeys": [{"Name": key, "Type": "string"} for key in found.keys],
        "Parameters": {
            "classification": found.format,
            UPDATED_BY: options.name,
            "typeOfData": "file",
        },
    }


def _plan_update(
    catalog: Catalog, options: CrawlOptions, found: FoundTable, before: Shape, planned: TablePlan
) -> None:
    """Whether the columns in the catalog should change, by the crawler's policy."""
    storage = before["StorageDescriptor"]
    had = storage["Columns"]
    seen = _merge_columns(catalog, found, [], planned.reasons)
    if options.merge_new_columns:
        names = {column["Name"] for column in had}
        wanted = [*had, *(column for column in seen if column["Name"] not in names)]
    else:
        types = {column["Name"]: column["Type"] for column in seen}
        kept = [
            {**column, "Type": types[column["Name"]]} for column in had if column["Name"] in types
        ]
        names = {column["Name"] for column in kept}
        wanted = [*kept, *(column for column in seen if column["Name"] not in names)]
    deprecated = DEPRECATED_BY in (before.get("Parameters") or {})
    if wanted == had and not deprecated:
        return
    planned.reasons += _column_changes(had, wanted)
    if options.update == "LOG":
        planned.reasons.append("the crawler only logs changes (UpdateBehavior LOG)")
        return
    planned.action = "update"
    parameters = {**(before.get("Parameters") or {}), UPDATED_BY: options.name}
    parameters.pop(DEPRECATED_BY, None)
    planned.table_input = {
        **_as_input(before),
        "StorageDescriptor": {**storage, "Columns": wanted},
        "Parameters": parameters,
    }


def _column_changes(before: Sequence[Shape], after: Sequence[Shape]) -> list[str]:
    had = {column["Name"]: column["Type"] for column in before}
    has = {column["Name"]: column["Type"] for column in after}
    added = [f"column {name} {kind} is new" for name, kind in has.items() if name not in had]
    gone = [f"column {name} is in no file any more" for name in had if name not in has]
    retyped = [
        f"column {name} was {had[name]}, is {kind}"
        for name, kind in has.items()
        if name in had and had[name] != kind
    ]
    return added + retyped + gone


_INPUT_KEYS = (
    *("Name", "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention"),
    *("StorageDescriptor", "PartitionKeys", "ViewOriginalText", "ViewExpandedText"),
    *("TableType", "Parameters", "TargetTable"),
)


def _as_input(table: Shape) -> Shape:
    """The TableInput that would make this Table."""
    return {key: table[key] for key in _INPUT_KEYS if key in table}


def _plan_partitions(
    catalog: Catalog,
    options: CrawlOptions,
    bucket: str,
    found: FoundTable,
    before: Shape | None,
    planned: TablePlan,
) -> None:
    table = planned.table_input or before
    keys = [key["Name"] for key in (table or {}).get("PartitionKeys", [])]
    if table is None or not keys:
        return
    if tuple(keys) != found.keys:
        planned.reasons.append(f"its keys are {keys}, the folders say {list(found.keys)}")
        return
    known = {}
    if before is not None:
        places = catalog.partition_places(options.database, planned.name)
        known = {place.values: place.location.rstrip("/") for place in places}
    renew = planned.action == "update" and options.inherit
    for partition in found.partitions:
        location = f"s3://{bucket}/{partition.prefix}"
        at = known.get(partition.values)
        if at is not None and not renew:
            # A partition that compaction or a person moved elsewhere stays there.
            continue
        storage = {**table["StorageDescriptor"], "Location": location}
        planned.partitions_to_put.append(
            {"Values": list(partition.values), "StorageDescriptor": storage}
        )
    gone = known.keys() - {partition.values for partition in found.partitions}
    inside = f"s3://{bucket}/{found.prefix}"
    gone = {values for values in gone if f"{known[values]}/".startswith(inside)}
    if gone and options.delete == "DELETE_FROM_DATABASE":
        planned.partitions_to_delete = sorted(gone)
    elif gone:
        planned.reasons.append(
            f"{len(gone)} partitions have no files any more and stay "
            f"(DeleteBehavior {options.delete})"
        )


def plan_vanished(
    catalog: Catalog, options: CrawlOptions, roots: Sequence[str], alive: Sequence[TablePlan]
) -> list[TablePlan]:
    """Tables under `roots` that this crawler made and whose files are all gone."""
    if options.delete == "LOG":
        return []
    names = {table.name for table in alive}
    vanished = []
    for table in catalog.all_tables(options.database):
        parameters = table.get("Parameters") or {}
        location = table["StorageDescriptor"].get("Location") or ""
        mine = parameters.get(UPDATED_BY) == options.name and location.startswith(tuple(roots))
        if not mine or is_owned(table) or table["Name"] in names or DEPRECATED_BY in parameters:
            continue
        planned = TablePlan(table["Name"], "delete", None, location, reasons=["its files are gone"])
        if options.delete == "DEPRECATE_IN_DATABASE":
            planned.action = "deprecate"
            planned.table_input = {
                **_as_input(table),
                "Parameters": {**parameters, DEPRECATED_BY: options.name},
            }
        vanished.append(planned)
    return vanished
