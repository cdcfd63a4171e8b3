"""Queries at the node: statements that write, and a stop that does not wait for ever."""

import time

import pytest

import lakelet
from lakelet.node.folder import DataFolder
from lakelet.node.runtime import Node
from lakelet.query.errors import QueryFailed


def test_statements_that_write_work_in_the_library(tmp_path):
    with lakelet.open(tmp_path / "lake") as lake:
        lake.put([{"event_type": "login"}, {"event_type": "purchase", "product_price": 2}])
        lake.query("CREATE TABLE sales AS SELECT * FROM events WHERE event_type = 'purchase'")
        assert lake.query("SELECT revenue FROM sales")["revenue"].to_pylist() == [2.0]
        lake.query("CREATE VIEW logins AS SELECT * FROM events WHERE event_type = 'login'")
        assert lake.query("SELECT count(*) AS n FROM logins")["n"].to_pylist() == [1]
        lake.query("DROP TABLE sales")
        with pytest.raises(QueryFailed, match="TABLE_NOT_FOUND"):
            lake.query("SELECT * FROM sales")
        with pytest.raises(QueryFailed):
            lake.query("CREATE TABLE again AS SELECT nothing FROM events")


def test_a_sort_larger_than_memory_goes_to_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("lakelet.node.runtime.query_memory_limit", lambda: "60MiB")
    with lakelet.open(tmp_path / "lake") as lake:
        lake.put([{"event_type": "login"}])
        answer = lake.query(
            "SELECT count(*) AS n FROM (SELECT x, row_number() OVER (ORDER BY x DESC) AS r FROM "
            "(SELECT a.v * 10000 + b.v AS x FROM unnest(sequence(1, 1500)) AS a(v) "
            "CROSS JOIN unnest(sequence(1, 2000)) AS b(v))) WHERE r > 10"
        )
        assert answer["n"].to_pylist() == [3_000_000 - 10]


def test_a_stop_cancels_what_will_not_end(tmp_path):
    node = Node(DataFolder(tmp_path / "lake"), worker_processes=0)
    node.start()
    endless = (
        "SELECT count(*) FROM unnest(sequence(1, 10000)) AS a(v) "
        "CROSS JOIN unnest(sequence(1, 10000)) AS b(v) "
        "CROSS JOIN unnest(sequence(1, 10000)) AS c(v) "
        "WHERE a.v * b.v + c.v = -1"
    )
    execution_id = node.engine.start(endless, workgroup="clickstream")
    node.queries.submit(execution_id)
    deadline = time.monotonic() + 60
    while (state := node.engine.get(execution_id)["Status"]["State"]) != "RUNNING":
        assert state == "QUEUED"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    node.queries.stop(grace_seconds=0.1)
    assert node.engine.get(execution_id)["Status"]["State"] == "CANCELLED"
    node.stop()
