"""Glue: the Data Catalog under AWS's operations, and crawlers that run on command."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from lakelet.catalog import Catalog, CatalogError
from lakelet.catalog.paging import page
from lakelet.wire.paging import threaded
from lakelet.wire.service import Handler, RequestContext, Service

Request = dict[str, Any]
Call = Callable[[Request, RequestContext], Any]

log = logging.getLogger("lakelet.crawler")


def glue_service(catalog: Catalog, crawl: Callable[[str], object]) -> Service:
    """
    Args:
        crawl: carries out, blocking, the crawl of a crawler that is marked RUNNING;
            called in a thread.
    """
    calls: dict[str, Call] = {
        **_databases(catalog),
        **_tables(catalog),
        **_partitions(catalog),
        **_crawlers(catalog),
        **_tags(catalog),
    }
    operations: dict[str, Handler] = {name: threaded(call) for name, call in calls.items()}
    operations["StartCrawler"] = _start_crawler(catalog, crawl)
    return Service("glue", operations)


def _page(request: Request) -> tuple[str | None, int | None]:
    return request.get("NextToken"), request.get("MaxResults")


def _databases(catalog: Catalog) -> dict[str, Call]:
    def get_databases(request: Request, _: RequestContext) -> Request:
        found, token = catalog.get_databases(*_page(request))
        return {"DatabaseList": found, "NextToken": token}

    return {
        "CreateDatabase": lambda r, _: catalog.create_database(r["DatabaseInput"]),
        "GetDatabase": lambda r, _: {"Database": catalog.get_database(r["Name"])},
        "GetDatabases": get_databases,
        "UpdateDatabase": lambda r, _: catalog.update_database(r["Name"], r["DatabaseInput"]),
        "DeleteDatabase": lambda r, _: catalog.delete_database(r["Name"]),
    }


def _tables(catalog: Catalog) -> dict[str, Call]:
    def get_tables(request: Request, _: RequestContext) -> Request:
        found, token = catalog.get_tables(
            request["DatabaseName"], request.get("Expression"), *_page(request)
        )
        return {"TableList": found, "NextToken": token}

    def update_table(request: Request, _: RequestContext) -> None:
        catalog.update_table(
            request["DatabaseName"],
            request["TableInput"],
            skip_archive=request.get("SkipArchive", False),
            version_id=request.get("VersionId"),
        )

    def batch_delete_table(request: Request, _: RequestContext) -> Request:
        return {
            "Errors": _each(
                request["TablesToDelete"],
                "TableName",
                lambda name: catalog.delete_table(request["DatabaseName"], name),
            )
        }

    def get_table_versions(request: Request, _: RequestContext) -> Request:
        found, token = catalog.get_table_versions(
            request["DatabaseName"], request["TableName"], *_page(request)
        )
        return {"TableVersions": found, "NextToken": token}

    def get_table_version(request: Request, _: RequestContext) -> Request:
        version = catalog.get_table_version(
            request["DatabaseName"], request["TableName"], request.get("VersionId")
        )
        return {"TableVersion": version}

    def delete_version(request: Request, version_id: str) -> None:
        catalog.delete_table_version(request["DatabaseName"], request["TableName"], version_id)

    def batch_delete_table_version(request: Request, _: RequestContext) -> Request:
        failures = _each(
            request["VersionIds"], "VersionId", lambda version: delete_version(request, version)
        )
        return {"Errors": [{**failure, "TableName": request["TableName"]} for failure in failures]}

    def search_tables(request: Request, _: RequestContext) -> Request:
        found, token = catalog.search_tables(
            request.get("SearchText"), request.get("Filters"), *_page(request)
        )
        return {"TableList": found, "NextToken": token}

    return {
        "CreateTable": lambda r, _: catalog.create_table(r["DatabaseName"], r["TableInput"]),
        "GetTable": lambda r, _: {"Table": catalog.get_table(r["DatabaseName"], r["Name"])},
        "GetTables": get_tables,
        "UpdateTable": update_table,
        "DeleteTable": lambda r, _: catalog.delete_table(r["DatabaseName"], r["Name"]),
        "BatchDeleteTable": batch_delete_table,
        "GetTableVersions": get_table_versions,
        "GetTableVersion": get_table_version,
        "DeleteTableVersion": lambda r, _: delete_version(r, r["VersionId"]),
        "BatchDeleteTableVersion": batch_delete_table_version,
        "SearchTables": search_tables,
    }


def _partitions(catalog: Catalog) -> dict[str, Call]:
    def where(request: Request) -> tuple[str, str]:
        return request["DatabaseName"], request["TableName"]

    def get_partitions(request: Request, _: RequestContext) -> Request:
        segment = request.get("Segment")
        found, token = catalog.get_partitions(
            *where(request),
            request.get("Expression"),
            *_page(request),
            exclude_column_schema=request.get("ExcludeColumnSchema", False),
            segment=(segment["SegmentNumber"], segment["TotalSegments"]) if segment else None,
        )
        return {"Partitions": found, "NextToken": token}

    def batch_get_partition(request: Request, _: RequestContext) -> Request:
        found, missed = catalog.batch_get_partition(*where(request), request["PartitionsToGet"])
        return {"Partitions": found, "UnprocessedKeys": missed}

    def get_partition(request: Request, _: RequestContext) -> Request:
        return {"Partition": catalog.get_partition(*where(request), request["PartitionValues"])}

    def batch_create(request: Request, _: RequestContext) -> Request:
        inputs = request["PartitionInputList"]
        return {"Errors": catalog.batch_create_partition(*where(request), inputs)}

    def batch_delete(request: Request, _: RequestContext) -> Request:
        keys = request["PartitionsToDelete"]
        return {"Errors": catalog.batch_delete_partition(*where(request), keys)}

    return {
        "CreatePartition": lambda r, _: catalog.create_partition(*where(r), r["PartitionInput"]),
        "GetPartition": get_partition,
        "GetPartitions": get_partitions,
        "BatchGetPartition": batch_get_partition,
        "BatchCreatePartition": batch_create,
        "UpdatePartition": lambda r, _: catalog.update_partition(
            *where(r), r["PartitionValueList"], r["PartitionInput"]
        ),
        "BatchUpdatePartition": lambda r, _: {
            "Errors": catalog.batch_update_partition(*where(r), r["Entries"])
        },
        "DeletePartition": lambda r, _: catalog.delete_partition(*where(r), r["PartitionValues"]),
        "BatchDeletePartition": batch_delete,
        # Nobody indexes or takes statistics here; clients ask before they read.
        "GetPartitionIndexes": lambda *_: {"PartitionIndexDescriptorList": []},
    }


def _crawlers(catalog: Catalog) -> dict[str, Call]:
    def create_crawler(request: Request, context: RequestContext) -> None:
        catalog.create_crawler(request)
        if request.get("Tags"):
            catalog.tags.put(context.arn(f"crawler/{request['Name']}"), request["Tags"])

    def get_crawlers(request: Request, _: RequestContext) -> Request:
        found, token = catalog.get_crawlers(*_page(request))
        return {"Crawlers": found, "NextToken": token}

    def list_crawlers(request: Request, context: RequestContext) -> Request:
        wanted = (request.get("Tags") or {}).items()
        names = [
            name
            for name in catalog.crawler_names()
            if wanted <= catalog.tags.get(context.arn(f"crawler/{name}")).items()
        ]
        chosen, token = page(names, *_page(request), 100)
        return {"CrawlerNames": chosen, "NextToken": token}

    def batch_get_crawlers(request: Request, _: RequestContext) -> Request:
        known = set(catalog.crawler_names())
        names = request["CrawlerNames"]
        return {
            "Crawlers": [catalog.get_crawler(name) for name in names if name in known],
            "CrawlersNotFound": [name for name in names if name not in known],
        }

    def get_crawler_metrics(request: Request, _: RequestContext) -> Request:
        found, token = catalog.get_crawler_metrics(request.get("CrawlerNameList"), *_page(request))
        return {"CrawlerMetricsList": found, "NextToken": token}

    return {
        "CreateCrawler": create_crawler,
        "GetCrawler": lambda r, _: {"Crawler": catalog.get_crawler(r["Name"])},
        "GetCrawlers": get_crawlers,
        "ListCrawlers": list_crawlers,
        "BatchGetCrawlers": batch_get_crawlers,
        "UpdateCrawler": lambda r, _: catalog.update_crawler(r),
        "DeleteCrawler": lambda r, _: catalog.delete_crawler(r["Name"]),
        "StopCrawler": lambda r, _: catalog.stop_crawler(r["Name"]),
        "GetCrawlerMetrics": get_crawler_metrics,
    }


def _start_crawler(catalog: Catalog, crawl: Callable[[str], object]) -> Handler:
    running: set[asyncio.Task[None]] = set()  # a task that nobody holds may vanish

    async def carry_out(name: str) -> None:
        try:
            await asyncio.to_thread(crawl, name)
        except Exception:
            # The crawler keeps the error as its LastCrawl; the next run starts afresh.
            log.warning("crawler %s failed", name, exc_info=True)

    async def start_crawler(request: Request, _: RequestContext) -> Request:
        name = request["Name"]
        await asyncio.to_thread(catalog.start_crawler, name)
        task = asyncio.create_task(carry_out(name))
        running.add(task)
        task.add_done_callback(running.discard)
        return {}

    return start_crawler


def _tags(catalog: Catalog) -> dict[str, Call]:
    return {
        "TagResource": lambda r, _: catalog.tags.put(r["ResourceArn"], r["TagsToAdd"]),
        "UntagResource": lambda r, _: catalog.tags.remove(r["ResourceArn"], r["TagsToRemove"]),
        "GetTags": lambda r, _: {"Tags": catalog.tags.get(r["ResourceArn"])},
    }


def _each(items: list[str], member: str, act: Callable[[str], None]) -> list[Mapping[str, Any]]:
    """Do each by itself; answer those that failed."""
    failures: list[Mapping[str, Any]] = []
    for item in items:
        try:
            act(item)
        except CatalogError as error:
            detail = {"ErrorCode": error.aws_code, "ErrorMessage": error.message}
            failures.append({member: item, "ErrorDetail": detail})
    return failures
