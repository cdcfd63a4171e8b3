"""Athena: the query room under AWS's operations. Queries run beside the event loop."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from lakelet.catalog import Catalog, CatalogError
from lakelet.query import QueryEngine
from lakelet.query.errors import InvalidRequest, MetadataNotFound, QueryError
from lakelet.query.workgroups import ENGINE, PRIMARY
from lakelet.wire.paging import page_of, threaded
from lakelet.wire.service import Handler, RequestContext, Service

Request = dict[str, Any]
Call = Callable[[Request, RequestContext], Any]

CATALOG_NAME = "AwsDataCatalog"
_BATCH_MAX = 50

log = logging.getLogger("lakelet.query")


def athena_service(
    engine: QueryEngine, catalog: Catalog, submit: Callable[[str], None] | None = None
) -> Service:
    """
    Args:
        submit: has a queued execution run somewhere; by default in a thread of the
            event loop's own pool.
    """
    calls: dict[str, Call] = {
        **_executions(engine),
        **_workgroups(engine),
        **_named_queries(engine),
        **_prepared(engine),
        **_metadata(catalog),
        **_tags(engine),
    }
    operations: dict[str, Handler] = {name: threaded(call) for name, call in calls.items()}
    operations["StartQueryExecution"] = _start(engine, submit or _in_thread(engine))
    return Service("athena", operations)


def _page(request: Request) -> tuple[str | None, int | None]:
    return request.get("NextToken"), request.get("MaxResults")


def _in_thread(engine: QueryEngine) -> Callable[[str], None]:
    running: set[asyncio.Task[None]] = set()  # a task that nobody holds may vanish

    async def carry_out(execution_id: str) -> None:
        try:
            await asyncio.to_thread(engine.run, execution_id)
        except Exception:
            # The execution is FAILED and says why; this line is for whoever mends it.
            log.exception("query %s met an error of ours", execution_id)

    def submit(execution_id: str) -> None:
        task = asyncio.create_task(carry_out(execution_id))
        running.add(task)
        task.add_done_callback(running.discard)

    return submit


def _start(engine: QueryEngine, submit: Callable[[str], None]) -> Handler:
    async def start_query_execution(request: Request, _: RequestContext) -> Request:
        context = request.get("QueryExecutionContext") or {}
        reuse = (request.get("ResultReuseConfiguration") or {}).get("ResultReuseByAgeConfiguration")
        identity = await asyncio.to_thread(
            engine.start,
            request["QueryString"],
            database=context.get("Database"),
            catalog=context.get("Catalog"),
            workgroup=request.get("WorkGroup"),
            output_location=(request.get("ResultConfiguration") or {}).get("OutputLocation"),
            token=request.get("ClientRequestToken"),
            parameters=request.get("ExecutionParameters") or (),
            reuse_max_age_minutes=(
                reuse.get("MaxAgeInMinutes", 60) if reuse and reuse.get("Enabled") else None
            ),
        )
        submit(identity)
        return {"QueryExecutionId": identity}

    return start_query_execution


def _executions(engine: QueryEngine) -> dict[str, Call]:
    def list_executions(request: Request, _: RequestContext) -> Request:
        found, token = engine.list_executions(request.get("WorkGroup"), *_page(request))
        return {"QueryExecutionIds": found, "NextToken": token}

    def batch_get(request: Request, _: RequestContext) -> Request:
        found, missing = _found_and_missing(request["QueryExecutionIds"], engine.get)
        return {
            "QueryExecutions": found,
            "UnprocessedQueryExecutionIds": [
                {"QueryExecutionId": identity, **error} for identity, error in missing
            ],
        }

    return {
        "GetQueryExecution": lambda r, _: {"QueryExecution": engine.get(r["QueryExecutionId"])},
        "StopQueryExecution": lambda r, _: engine.cancel(r["QueryExecutionId"]),
        "ListQueryExecutions": list_executions,
        "BatchGetQueryExecution": batch_get,
        "GetQueryResults": lambda r, _: engine.results(r["QueryExecutionId"], *_page(r)),
        "GetQueryRuntimeStatistics": lambda r, _: {
            "QueryRuntimeStatistics": engine.runtime_statistics(r["QueryExecutionId"])
        },
        "ListEngineVersions": lambda *_: {"EngineVersions": [ENGINE]},
    }


def _workgroups(engine: QueryEngine) -> dict[str, Call]:
    def create(request: Request, context: RequestContext) -> None:
        engine.workgroups.create(request)
        tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags") or ()}
        engine.tags.put(context.arn(f"workgroup/{request['Name']}"), tags)

    def summaries(request: Request, _: RequestContext) -> Request:
        found, token = engine.workgroups.summaries(*_page(request))
        return {"WorkGroups": found, "NextToken": token}

    return {
        "CreateWorkGroup": create,
        "GetWorkGroup": lambda r, _: {"WorkGroup": engine.workgroups.get(r["WorkGroup"])},
        "ListWorkGroups": summaries,
        "UpdateWorkGroup": lambda r, _: engine.workgroups.update(r),
        "DeleteWorkGroup": lambda r, _: engine.workgroups.delete(
            r["WorkGroup"], recursive=r.get("RecursiveDeleteOption", False)
        ),
    }


def _named_queries(engine: QueryEngine) -> dict[str, Call]:
    saved = engine.saved

    def create(request: Request, _: RequestContext) -> Request:
        engine.workgroups.get(request.get("WorkGroup") or PRIMARY)
        return {"NamedQueryId": saved.create_named(request)}

    def list_ids(request: Request, _: RequestContext) -> Request:
        found, token = saved.named_ids(request.get("WorkGroup"), *_page(request))
        return {"NamedQueryIds": found, "NextToken": token}

    def batch_get(request: Request, _: RequestContext) -> Request:
        found, missing = _found_and_missing(request["NamedQueryIds"], saved.named)
        return {
            "NamedQueries": found,
            "UnprocessedNamedQueryIds": [
                {"NamedQueryId": identity, **error} for identity, error in missing
            ],
        }

    return {
        "CreateNamedQuery": create,
        "GetNamedQuery": lambda r, _: {"NamedQuery": saved.named(r["NamedQueryId"])},
        "ListNamedQueries": list_ids,
        "BatchGetNamedQuery": batch_get,
        "UpdateNamedQuery": lambda r, _: saved.update_named(r),
        "DeleteNamedQuery": lambda r, _: saved.delete_named(r["NamedQueryId"]),
    }


def _prepared(engine: QueryEngine) -> dict[str, Call]:
    saved = engine.saved

    def put(request: Request, is_new: bool) -> None:
        engine.workgroups.get(request["WorkGroup"])
        saved.put_prepared(
            request["WorkGroup"],
            request["StatementName"],
            request["QueryStatement"],
            request.get("Description") or "",
            is_new=is_new,
        )

    def get(request: Request, _: RequestContext) -> Request:
        return {"PreparedStatement": saved.prepared(request["WorkGroup"], request["StatementName"])}

    def summaries(request: Request, _: RequestContext) -> Request:
        found, token = saved.prepared_summaries(request["WorkGroup"], *_page(request))
        return {"PreparedStatements": found, "NextToken": token}

    def batch_get(request: Request, _: RequestContext) -> Request:
        found, missing = saved.prepared_many(
            request["WorkGroup"], request["PreparedStatementNames"]
        )
        return {"PreparedStatements": found, "UnprocessedPreparedStatementNames": missing}

    return {
        "CreatePreparedStatement": lambda r, _: put(r, True),
        "UpdatePreparedStatement": lambda r, _: put(r, False),
        "GetPreparedStatement": get,
        "ListPreparedStatements": summaries,
        "BatchGetPreparedStatement": batch_get,
        "DeletePreparedStatement": lambda r, _: saved.delete_prepared(
            r["WorkGroup"], r["StatementName"]
        ),
    }


def _metadata(catalog: Catalog) -> dict[str, Call]:
    def list_databases(request: Request, _: RequestContext) -> Request:
        _known_catalog(request["CatalogName"])
        found, token = catalog.get_databases(*_page(request))
        return {"DatabaseList": [_database(item) for item in found], "NextToken": token}

    def get_database(request: Request, _: RequestContext) -> Request:
        _known_catalog(request["CatalogName"])
        found = _metadata_or_error(lambda: catalog.get_database(request["DatabaseName"]))
        return {"Database": _database(found)}

    def list_tables(request: Request, _: RequestContext) -> Request:
        _known_catalog(request["CatalogName"])
        found, token = _metadata_or_error(
            lambda: catalog.get_tables(
                request["DatabaseName"], request.get("Expression"), *_page(request)
            )
        )
        return {"TableMetadataList": [_table(item) for item in found], "NextToken": token}

    def get_table(request: Request, _: RequestContext) -> Request:
        _known_catalog(request["CatalogName"])
        found = _metadata_or_error(
            lambda: catalog.get_table(request["DatabaseName"], request["TableName"])
        )
        return {"TableMetadata": _table(found)}

    def get_data_catalog(request: Request, _: RequestContext) -> Request:
        _known_catalog(request["Name"])
        return {"DataCatalog": {"Name": CATALOG_NAME, "Type": "GLUE"}}

    summary = {"CatalogName": CATALOG_NAME, "Type": "GLUE", "Status": "CREATE_COMPLETE"}
    return {
        "ListDataCatalogs": lambda *_: {"DataCatalogsSummary": [summary]},
        "GetDataCatalog": get_data_catalog,
        "ListDatabases": list_databases,
        "GetDatabase": get_database,
        "ListTableMetadata": list_tables,
        "GetTableMetadata": get_table,
    }


def _known_catalog(name: str) -> None:
    if name.lower() != CATALOG_NAME.lower():
        raise InvalidRequest(f"Catalog {name} was not found", hint=f"There is one, {CATALOG_NAME}.")


def _metadata_or_error(read: Callable[[], Any]) -> Any:
    """Athena speaks of MetadataException where Glue says EntityNotFoundException."""
    try:
        return read()
    except CatalogError as error:
        # Clients read the inner code out of this text; the hint would stand in their way.
        service = f"Service: AmazonDataCatalog; Status Code: 400; Error Code: {error.aws_code}"
        raise MetadataNotFound(f"{error.message} ({service}; Proxy: null)") from error


def _database(database: Request) -> Request:
    return {key: database.get(key) for key in ("Name", "Description", "Parameters")}


def _table(table: Request) -> Request:
    storage = table["StorageDescriptor"]
    serde = storage.get("SerdeInfo") or {}
    parameters = dict(table.get("Parameters") or {})
    for key, value in (
        ("inputformat", storage.get("InputFormat")),
        ("outputformat", storage.get("OutputFormat")),
        ("location", storage.get("Location")),
        ("serde.serialization.lib", serde.get("SerializationLibrary")),
    ):
        if value:
            parameters.setdefault(key, value)
    for key, value in (serde.get("Parameters") or {}).items():
        parameters.setdefault(f"serde.param.{key}", value)
    return {
        "Name": table["Name"],
        "CreateTime": table["CreateTime"],
        "LastAccessTime": table.get("LastAccessTime"),
        "TableType": table.get("TableType"),
        "Columns": [_column(column) for column in storage["Columns"]],
        "PartitionKeys": [_column(column) for column in table.get("PartitionKeys") or ()],
        "Parameters": parameters,
    }


def _column(column: Request) -> Request:
    return {key: column.get(key) for key in ("Name", "Type", "Comment")}


def _tags(engine: QueryEngine) -> dict[str, Call]:
    def put(request: Request, _: RequestContext) -> None:
        engine.tags.put(
            request["ResourceARN"], {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        )

    def list_tags(request: Request, _: RequestContext) -> Request:
        tags = sorted(engine.tags.get(request["ResourceARN"]).items())
        shapes = [{"Key": key, "Value": value} for key, value in tags]
        found, token = page_of(shapes, request.get("NextToken"), request.get("MaxResults") or 75)
        return {"Tags": list(found), "NextToken": token}

    return {
        "TagResource": put,
        "UntagResource": lambda r, _: engine.tags.remove(r["ResourceARN"], r["TagKeys"]),
        "ListTagsForResource": list_tags,
    }


def _found_and_missing(
    identities: list[str], read: Callable[[str], Request]
) -> tuple[list[Request], list[tuple[str, Request]]]:
    if len(identities) > _BATCH_MAX:
        raise InvalidRequest(f"{len(identities)} ids were given, more than {_BATCH_MAX}.")
    found, missing = [], []
    for identity in identities:
        try:
            found.append(read(identity))
        except QueryError as error:
            missing.append((identity, {"ErrorCode": error.aws_code, "ErrorMessage": error.message}))
    return found, missing
