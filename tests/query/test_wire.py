"""boto3, awswrangler and PyAthena on the other side of the Athena and Glue doors."""

import boto3
import pytest

from lakelet.catalog import Catalog
from lakelet.catalog.crawl import run_crawl
from lakelet.query import QueryEngine
from lakelet.store.clock import SystemClock
from lakelet.wire.app import build_app
from lakelet.wire.athena import athena_service
from lakelet.wire.glue import glue_service
from lakelet.wire.s3 import s3_service
from lakelet.wire.server import ServerThread
from tests.catalog.lake import BUCKET, LATER_NS, open_store, put_day
from tests.query.conftest import DAYS, a_day

_POLLS_MAX = 10_000


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    clock = SystemClock()
    store = open_store(root, clock)
    catalog = Catalog(root / "catalog.sqlite", clock)
    engine = QueryEngine(catalog, store, root / "queries.sqlite", clock, results_bucket="results")
    for index, day in enumerate(DAYS):
        put_day(store, day, a_day(index))
    services = (
        glue_service(catalog, lambda name: run_crawl(store, catalog, name, now_ns=LATER_NS)),
        athena_service(engine, catalog),
        s3_service(store),
    )
    app = build_app({s.name: s for s in services}, credentials=None, clock=clock)
    with ServerThread(app) as server:
        glue = _client("glue", server.url)
        glue.create_crawler(
            Name="c",
            Role="r",
            DatabaseName="shop",
            Targets={"S3Targets": [{"Path": f"s3://{BUCKET}/"}]},
            Tags={"team": "a"},
        )
        glue.start_crawler(Name="c")
        _until(lambda: glue.get_crawler(Name="c")["Crawler"]["State"] == "READY")
        yield server.url
    engine.close()
    catalog.close()


def _client(service, url):
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
    )


def _until(done):
    for _ in range(_POLLS_MAX):
        if done():
            return
    raise AssertionError("it never came about")


@pytest.fixture
def glue(endpoint):
    return _client("glue", endpoint)


@pytest.fixture
def athena(endpoint):
    return _client("athena", endpoint)


@pytest.fixture
def surroundings(endpoint, monkeypatch):
    """What `lakelet env` exports, for clients that make their own sessions."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def ended(athena, sql, **options):
    execution_id = athena.start_query_execution(
        QueryString=sql, QueryExecutionContext={"Database": "shop"}, **options
    )["QueryExecutionId"]
    found = {}

    def done():
        found.update(athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"])
        return found["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED")

    _until(done)
    return found


# --- Glue -------------------------------------------------------------------------------


def test_the_crawler_ran_and_says_so(glue):
    crawler = glue.get_crawler(Name="c")["Crawler"]
    assert crawler["LastCrawl"]["Status"] == "SUCCEEDED"
    (metrics,) = glue.get_crawler_metrics(CrawlerNameList=["c"])["CrawlerMetricsList"]
    assert metrics["TablesCreated"] == 1
    assert glue.list_crawlers(Tags={"team": "a"})["CrawlerNames"] == ["c"]
    assert glue.list_crawlers(Tags={"team": "b"})["CrawlerNames"] == []
    answer = glue.batch_get_crawlers(CrawlerNames=["c", "nope"])
    assert answer["CrawlersNotFound"] == ["nope"]
    with pytest.raises(glue.exceptions.CrawlerNotRunningException):
        glue.stop_crawler(Name="c")


def test_tables_versions_and_partitions_go_over_the_wire(glue):
    table = glue.get_table(DatabaseName="shop", Name="events")["Table"]
    partitions = glue.get_paginator("get_partitions").paginate(
        DatabaseName="shop", TableName="events", PaginationConfig={"PageSize": 2}
    )
    values = [item["Values"] for page in partitions for item in page["Partitions"]]
    assert values == [day.split("-") for day in DAYS]
    definition = {key: table[key] for key in ("StorageDescriptor", "PartitionKeys", "TableType")}
    glue.create_database(DatabaseInput={"Name": "d"})
    glue.create_table(DatabaseName="d", TableInput={"Name": "t", **definition})
    glue.update_table(DatabaseName="d", TableInput={"Name": "t", "Description": "x", **definition})
    versions = glue.get_table_versions(DatabaseName="d", TableName="t")["TableVersions"]
    assert [version["VersionId"] for version in versions] == ["1", "0"]
    inputs = [{"Values": ["2026", "03", day]} for day in ("01", "01", "02")]
    answer = glue.batch_create_partition(DatabaseName="d", TableName="t", PartitionInputList=inputs)
    assert [e["ErrorDetail"]["ErrorCode"] for e in answer["Errors"]] == ["AlreadyExistsException"]
    found = glue.get_partitions(DatabaseName="d", TableName="t", Expression="day > '01'")
    assert [item["Values"] for item in found["Partitions"]] == [["2026", "03", "02"]]
    glue.batch_delete_partition(
        DatabaseName="d", TableName="t", PartitionsToDelete=[{"Values": ["2026", "03", "02"]}]
    )
    assert glue.search_tables(SearchText="events")["TableList"][0]["Name"] == "events"
    glue.delete_database(Name="d")


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        ("get_table", {"DatabaseName": "shop", "Name": "nope"}, "EntityNotFoundException"),
        ("get_database", {"Name": "nope"}, "EntityNotFoundException"),
        ("create_database", {"DatabaseInput": {"Name": "shop"}}, "AlreadyExistsException"),
        ("start_crawler", {"Name": "nope"}, "EntityNotFoundException"),
        (
            "get_partitions",
            {"DatabaseName": "shop", "TableName": "events", "Expression": "nope = 1"},
            "InvalidInputException",
        ),
    ],
)
def test_errors_arrive_as_boto3_knows_them(glue, operation, arguments, code):
    with pytest.raises(getattr(glue.exceptions, code)):
        getattr(glue, operation)(**arguments)


# --- Athena -----------------------------------------------------------------------------


def test_a_query_and_its_paginated_rows(athena):
    execution = ended(athena, "SELECT day, sum(n) AS total FROM events GROUP BY day ORDER BY day")
    assert execution["Status"]["State"] == "SUCCEEDED"
    assert execution["Statistics"]["DataScannedInBytes"] > 0
    pages = athena.get_paginator("get_query_results").paginate(
        QueryExecutionId=execution["QueryExecutionId"], PaginationConfig={"PageSize": 2}
    )
    rows = [
        [datum.get("VarCharValue") for datum in row["Data"]]
        for page in pages
        for row in page["ResultSet"]["Rows"]
    ]
    assert rows == [["day", "total"], ["08", "6"], ["09", "6"], ["10", "6"]]
    statistics = athena.get_query_runtime_statistics(
        QueryExecutionId=execution["QueryExecutionId"]
    )["QueryRuntimeStatistics"]
    assert statistics["Rows"]["InputRows"] == 12
    assert statistics["Rows"]["OutputRows"] == 3


def test_a_failure_carries_its_reason(athena):
    status = ended(athena, "SELECT nope FROM events")["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith("COLUMN_NOT_FOUND: line 1:8:")
    assert status["AthenaError"]["ErrorCategory"] == 2


def test_batches_tell_of_what_is_missing(athena):
    known = ended(athena, "SELECT 1")["QueryExecutionId"]
    unknown = "11111111-1111-1111-1111-111111111111"
    answer = athena.batch_get_query_execution(QueryExecutionIds=[known, unknown])
    assert [e["QueryExecutionId"] for e in answer["QueryExecutions"]] == [known]
    assert answer["UnprocessedQueryExecutionIds"][0]["QueryExecutionId"] == unknown
    with pytest.raises(athena.exceptions.InvalidRequestException):
        athena.get_query_execution(QueryExecutionId=unknown)
    assert known in athena.list_query_executions()["QueryExecutionIds"]


def test_workgroups_named_and_prepared_queries(athena):
    athena.create_work_group(Name="team", Tags=[{"Key": "a", "Value": "b"}])
    group = athena.get_work_group(WorkGroup="team")["WorkGroup"]
    assert group["Configuration"]["EngineVersion"]["EffectiveEngineVersion"]
    arn = "arn:aws:athena:us-east-1:000000000000:workgroup/team"
    assert athena.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    athena.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert athena.list_tags_for_resource(ResourceARN=arn)["Tags"] == []
    named = {"Name": "q", "Database": "shop", "QueryString": "SELECT 1", "WorkGroup": "team"}
    identity = athena.create_named_query(**named)["NamedQueryId"]
    athena.update_named_query(NamedQueryId=identity, Name="r", QueryString="SELECT 2")
    found = athena.batch_get_named_query(NamedQueryIds=[identity])["NamedQueries"]
    assert (found[0]["Name"], found[0]["QueryString"]) == ("r", "SELECT 2")
    assert athena.list_named_queries(WorkGroup="team")["NamedQueryIds"] == [identity]
    prepared = {"StatementName": "pq", "WorkGroup": "team"}
    athena.create_prepared_statement(QueryStatement="SELECT ?", **prepared)
    answer = athena.batch_get_prepared_statement(
        PreparedStatementNames=["pq", "xy"], WorkGroup="team"
    )
    assert answer["UnprocessedPreparedStatementNames"][0]["StatementName"] == "xy"
    execution = ended(athena, "EXECUTE pq", WorkGroup="team", ExecutionParameters=["7"])
    assert execution["Status"]["State"] == "SUCCEEDED"
    athena.delete_prepared_statement(**prepared)
    with pytest.raises(athena.exceptions.ResourceNotFoundException):
        athena.get_prepared_statement(**prepared)
    with pytest.raises(athena.exceptions.InvalidRequestException):
        athena.delete_work_group(WorkGroup="team")
    athena.delete_work_group(WorkGroup="team", RecursiveDeleteOption=True)


def test_the_data_catalog_is_told_of(athena):
    catalog = {"CatalogName": "AwsDataCatalog"}
    assert athena.list_data_catalogs()["DataCatalogsSummary"][0]["Type"] == "GLUE"
    assert [d["Name"] for d in athena.list_databases(**catalog)["DatabaseList"]] == ["shop"]
    names = athena.list_table_metadata(DatabaseName="shop", **catalog)["TableMetadataList"]
    assert "events" in [table["Name"] for table in names]
    found = athena.get_table_metadata(DatabaseName="shop", TableName="events", **catalog)
    assert [key["Name"] for key in found["TableMetadata"]["PartitionKeys"]] == [
        *("year", "month", "day"),
    ]
    with pytest.raises(athena.exceptions.MetadataException, match="EntityNotFoundException"):
        athena.get_table_metadata(DatabaseName="shop", TableName="nope", **catalog)


# --- clients ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way",
    [
        {"ctas_approach": False},
        {"ctas_approach": True},
        {
            "ctas_approach": False,
            "unload_approach": True,
            "s3_output": "s3://results/unload/",
        },
        {"ctas_approach": False, "params": {"least": 1}, "where": "WHERE n >= :least"},
    ],
    ids=["csv", "ctas", "unload", "parameters"],
)
def test_awswrangler_reads_a_query_each_way_it_has(surroundings, way):
    import awswrangler as wr

    where = way.pop("where", "")
    frame = wr.athena.read_sql_query(
        f"SELECT event_id, price, n, user FROM events {where} ORDER BY event_id",
        database="shop",
        athena_query_wait_polling_delay=0.01,
        **way,
    )
    assert len(frame) == (9 if where else 12)
    assert frame["price"].sum() == (22.5 if where else 24.0)
    assert frame["user"].isna().sum() == 3


def test_awswrangler_writes_a_table_that_athena_reads(surroundings, athena):
    import awswrangler as wr
    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2, 3], "p": ["x", "x", "y"]})
    wr.s3.to_parquet(
        frame,
        path="s3://other/written/",
        dataset=True,
        database="shop",
        table="written",
        partition_cols=["p"],
        mode="overwrite_partitions",
    )
    execution = ended(athena, "SELECT count(*) FROM written WHERE p = 'x'")
    rows = athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    assert rows["ResultSet"]["Rows"][1]["Data"] == [{"VarCharValue": "2"}]


def test_awswrangler_describes_and_repairs(surroundings):
    import awswrangler as wr

    described = wr.athena.describe_table("events", database="shop")
    assert described["Column Name"][0] == "event_id"
    assert wr.athena.repair_table("events", database="shop") == "SUCCEEDED"
    assert "`price` double" in wr.athena.show_create_table("events", database="shop")


def test_pyathena_and_its_pandas_cursor(surroundings):
    from pyathena import OperationalError, connect
    from pyathena.pandas.cursor import PandasCursor

    options = {"schema_name": "shop", "poll_interval": 0.01, "work_group": "primary"}
    with connect(**options) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT n, price FROM events WHERE day = %(day)s ORDER BY n", {"day": "09"})
        assert cursor.fetchall() == [(0, 0.5), (1, 1.5), (2, 2.5), (3, 3.5)]
        assert [column[:2] for column in cursor.description] == [
            *(("n", "integer"), ("price", "double")),
        ]
        with pytest.raises(OperationalError, match="TABLE_NOT_FOUND"):
            cursor.execute("SELECT * FROM nope")
    with connect(cursor_class=PandasCursor, **options) as connection:
        frame = connection.cursor().execute("SELECT * FROM events").as_pandas()
        assert (len(frame), frame["price"].sum()) == (12, 24.0)
