"""The field's own clients, unchanged: awswrangler, PyAthena, the AWS CLI."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from lakelet.testing.node import RunningNode, running_node
from lakelet.testing.traffic import TrafficMix, generate

pytestmark = pytest.mark.e2e

CLEAN = TrafficMix(late=0, duplicate=0, broken=0)
COUNT = 1_500


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with a shop's day in it."""
    with running_node(tmp_path_factory.mktemp("shop") / "lake") as node:
        node.lake.put(generate(COUNT, until=datetime(2026, 3, 9, 12, tzinfo=UTC), mix=CLEAN))
        node.lake.flush()
        yield node


@pytest.fixture
def environment(shop: RunningNode, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in shop.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    # Another test's default session would keep that test's keys.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return shop.environment


def aws(*arguments: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("aws"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "options",
    [
        {"ctas_approach": False},
        {"ctas_approach": True},
        {"ctas_approach": False, "unload_approach": True},
    ],
)
def test_awswrangler_reads_sql(environment, shop, options):
    import awswrangler

    if options.get("unload_approach"):
        options["s3_output"] = "s3://clickstream-results/unload/"
    frame = awswrangler.athena.read_sql_query(
        "SELECT event_type, count(*) AS n, sum(revenue) AS revenue FROM events GROUP BY 1",
        database="clickstream",
        workgroup="clickstream",
        **options,
    )
    assert frame["n"].sum() == COUNT
    assert frame["revenue"].sum() > 0


def test_awswrangler_reads_the_catalog_and_the_files(environment, shop):
    import awswrangler

    types = awswrangler.catalog.get_table_types(database="clickstream", table="events")
    assert types["product_price"] == "double"
    assert types["year"] == "string"
    frame = awswrangler.s3.read_parquet_table(
        database="clickstream", table="events", columns=["event_id"]
    )
    assert len(frame) == COUNT
    partitions = awswrangler.catalog.get_parquet_partitions(database="clickstream", table="events")
    assert ["2026", "03", "09"] in partitions.values()


def test_awswrangler_writes_a_table_of_its_own(environment, shop):
    import awswrangler
    import pandas as pd

    awswrangler.s3.to_parquet(
        pd.DataFrame({"sku": ["a", "b"], "stock": [1, 2], "site": ["x", "y"]}),
        path="s3://clickstream-transformed/stock/",
        dataset=True,
        database="clickstream",
        table="stock",
        partition_cols=["site"],
    )
    frame = awswrangler.athena.read_sql_query(
        "SELECT sku, stock FROM stock WHERE site = 'y'",
        database="clickstream",
        workgroup="clickstream",
        ctas_approach=False,
    )
    assert frame.to_dict("records") == [{"sku": "b", "stock": 2}]


def test_pyathena_cursors(environment, shop):
    from pyathena import connect
    from pyathena.pandas.cursor import PandasCursor

    options = {
        "work_group": "clickstream",
        "schema_name": "clickstream",
        "region_name": "us-east-1",
    }
    cursor = connect(**options).cursor()
    cursor.execute(
        "SELECT count(*), max(event_date), max(event_timestamp) FROM events "
        "WHERE event_type = %(t)s",
        {"t": "page_view"},
    )
    count, day, instant = cursor.fetchone()
    assert 0 < count < COUNT
    assert day.year == instant.year == 2026
    with pytest.raises(Exception, match="COLUMN_NOT_FOUND"):
        cursor.execute("SELECT nothing FROM events")

    frame = (
        connect(**options, cursor_class=PandasCursor)
        .cursor()
        .execute("SELECT event_id, product_price, hour FROM events")
        .as_pandas()
    )
    assert len(frame) == COUNT
    assert frame["product_price"].dtype == "float64"


def test_pyathena_sqlalchemy(environment, shop):
    from sqlalchemy import create_engine, inspect, text

    engine = create_engine(
        "awsathena+rest://@athena.us-east-1.amazonaws.com:443/clickstream"
        "?work_group=clickstream&s3_staging_dir=s3://clickstream-results/alchemy/"
    )
    assert "events" in inspect(engine).get_table_names()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM events")).scalar() == COUNT


def test_the_aws_cli_from_put_to_answer(environment, shop, tmp_path):
    names = json.loads(aws("firehose", "list-delivery-streams"))["DeliveryStreamNames"]
    assert names == ["clickstream"]
    event = {"event_id": "cli", "event_type": "login", "timestamp": "2026-03-09T01:02:03Z"}
    data = base64.b64encode(json.dumps(event).encode()).decode()
    put = aws(
        "firehose",
        "put-record",
        "--delivery-stream-name",
        "clickstream",
        "--record",
        f"Data={data}",
    )
    assert json.loads(put)["RecordId"]
    assert "clickstream-raw" in aws("s3", "ls")
    aws("s3", "sync", "s3://clickstream-transformed/events/", str(tmp_path / "events"))
    assert list((tmp_path / "events").rglob("*.parquet"))
    assert json.loads(aws("glue", "get-tables", "--database-name", "clickstream"))["TableList"]
    started = json.loads(
        aws("athena", "start-query-execution", "--work-group", "clickstream",
            "--query-string", "SELECT 41 + 1 AS answer")
    )  # fmt: skip
    query_id = started["QueryExecutionId"]
    state = ""
    while state not in ("SUCCEEDED", "FAILED"):
        shown = aws("athena", "get-query-execution", "--query-execution-id", query_id)
        state = json.loads(shown)["QueryExecution"]["Status"]["State"]
    rows = json.loads(aws("athena", "get-query-results", "--query-execution-id", query_id))
    assert rows["ResultSet"]["Rows"][1]["Data"] == [{"VarCharValue": "42"}]


def test_a_wrong_key_is_refused(shop):
    from botocore.exceptions import ClientError

    client = boto3.client(
        "firehose",
        endpoint_url=shop.endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="not the node's",
    )
    with pytest.raises(ClientError) as caught:
        client.list_delivery_streams()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
