"""A lake of three days under a query engine."""

import pyarrow as pa
import pytest

from lakelet.catalog import Catalog
from lakelet.catalog.crawl import apply_crawl, plan_crawl
from lakelet.query import QueryEngine
from lakelet.testing.clock import ManualClock
from tests.catalog.lake import BUCKET, LATER_NS, open_store, parquet, put_day

DAYS = ("2026-03-08", "2026-03-09", "2026-03-10")


class Lake:
    """A store, a catalog and an engine; `run` carries a query to its end."""

    def __init__(self, root):
        self.clock = ManualClock()
        self.store = open_store(root, self.clock)
        self.catalog = Catalog(":memory:", self.clock)
        self.engine = QueryEngine(
            self.catalog, self.store, ":memory:", self.clock, results_bucket="results"
        )

    def crawl(self):
        crawler = {
            "Name": "c",
            "DatabaseName": "shop",
            "Targets": {"S3Targets": [{"Path": f"s3://{BUCKET}/"}]},
        }
        plan = plan_crawl(self.store, self.catalog, crawler, now_ns=LATER_NS)
        return apply_crawl(plan, self.catalog)

    def run(self, sql, **options):
        """The QueryExecution in its final state."""
        execution_id = self.engine.start(sql, **{"database": "shop", **options})
        self.engine.run(execution_id)
        return self.engine.get(execution_id)

    def rows(self, sql, **options):
        """Rows of a query that must succeed, without the header."""
        execution = self.run(sql, **options)
        status = execution["Status"]
        assert status["State"] == "SUCCEEDED", status.get("StateChangeReason")
        page = self.engine.results(execution["QueryExecutionId"])
        found = [
            tuple(item.get("VarCharValue") for item in row["Data"])
            for row in page["ResultSet"]["Rows"]
        ]
        return found[1:] if execution["StatementType"] == "DML" else found

    def reason(self, sql, **options):
        """Why a query that must fail does."""
        status = self.run(sql, **options)["Status"]
        assert status["State"] == "FAILED"
        return status["StateChangeReason"]

    def scanned(self, sql):
        return self.run(sql)["Statistics"]["DataScannedInBytes"]


def a_day(index: int) -> bytes:
    """Four events: ids `0-0` …, prices 0.5 …, and one without a user."""
    return parquet(
        event_id=[f"{index}-{n}" for n in range(4)],
        price=[n + 0.5 for n in range(4)],
        n=pa.array(range(4), pa.int32()),
        user=["ann", "bob", None, "ann"],
    )


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    for index, day in enumerate(DAYS):
        put_day(lake.store, day, a_day(index))
    lake.crawl()
    yield lake
    lake.engine.close()
