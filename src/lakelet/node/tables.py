"""The node's tables: owned by the contract, their partitions found by the crawler."""

from typing import Any

from lakelet.catalog import Catalog, TableSpec
from lakelet.catalog.crawl import CrawlResult, run_crawl
from lakelet.catalog.errors import AlreadyExists
from lakelet.model.contract import Contract
from lakelet.model.layout import QUARANTINE_PREFIX
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import Clock, ObjectStore
from lakelet.model.schema import QUARANTINE_SCHEMA

QUARANTINE_KEYS = ("reason", "year", "month", "day")


def quarantine_table_name(pipeline: Pipeline) -> str:
    return f"{pipeline.database}_quarantine"


def ensure_tables(catalog: Catalog, pipeline: Pipeline, contract: Contract) -> None:
    """Database, tables and crawler as the declaration wants them; nothing where they are so."""
    if catalog.find_database(pipeline.database) is None:
        catalog.create_database({"Name": pipeline.database})
    for table in contract.tables:
        spec = TableSpec.from_arrow(table.name, table.schema, table.partition_keys)
        catalog.ensure_table(pipeline.database, spec, _location(pipeline, table.name))
    quarantine = TableSpec.from_arrow(
        quarantine_table_name(pipeline), QUARANTINE_SCHEMA, QUARANTINE_KEYS
    )
    catalog.ensure_table(pipeline.database, quarantine, _quarantine_location(pipeline))
    _ensure_crawler(catalog, pipeline, [table.name for table in contract.tables])


def _location(pipeline: Pipeline, table_name: str) -> str:
    return f"s3://{pipeline.transformed_bucket}/{table_name}/"


def _quarantine_location(pipeline: Pipeline) -> str:
    return f"s3://{pipeline.raw_bucket}/{QUARANTINE_PREFIX}"


def _ensure_crawler(catalog: Catalog, pipeline: Pipeline, table_names: list[str]) -> None:
    """Over the contract's own tables, as on AWS. Over the whole bucket it would take each
    folder that dbt writes there, and has a table for, for one more table of the pipeline."""
    wanted: dict[str, Any] = {
        "Name": pipeline.crawler_name,
        "Role": "lakelet",
        "DatabaseName": pipeline.database,
        "Description": "Finds the partitions of the contract's tables.",
        "Targets": {
            "S3Targets": [
                *({"Path": _location(pipeline, name)} for name in table_names),
                {"Path": _quarantine_location(pipeline)},
            ]
        },
    }
    try:
        catalog.create_crawler(wanted)
    except AlreadyExists:
        catalog.update_crawler(wanted)


def crawl(catalog: Catalog, store: ObjectStore, pipeline: Pipeline, clock: Clock) -> list[str]:
    """Run the pipeline's crawler; a line for each kind of change, or one that says none."""
    result = crawl_by_name(catalog, store, pipeline.crawler_name, clock)
    counts = {
        "tables created": result.tables_created,
        "tables updated": result.tables_updated,
        "tables deleted": result.tables_deleted,
        "partitions added": result.partitions_added,
        "partitions updated": result.partitions_updated,
        "partitions deleted": result.partitions_deleted,
    }
    return [f"{count:,} {what}" for what, count in counts.items() if count] or ["no changes"]


def crawl_by_name(catalog: Catalog, store: ObjectStore, name: str, clock: Clock) -> CrawlResult:
    """Any crawler of the catalog, blocking. Raises EntityNotFound."""
    return run_crawl(store, catalog, name, now_ns=int(clock.now().timestamp() * 1e9))


def workgroup_configuration(pipeline: Pipeline) -> dict[str, Any]:
    """Athena's WorkGroupConfiguration for the pipeline's workgroup."""
    configuration: dict[str, Any] = {
        "EnforceWorkGroupConfiguration": False,
        "ResultConfiguration": {
            "OutputLocation": f"s3://{pipeline.results_bucket}/{pipeline.workgroup_name}/"
        },
    }
    if pipeline.workgroup.bytes_scanned_cutoff:
        configuration["BytesScannedCutoffPerQuery"] = pipeline.workgroup.bytes_scanned_cutoff
    return configuration
