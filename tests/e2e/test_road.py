"""The whole road, through public doors only: Firehose in, Athena out."""

import json
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from lakelet.testing.node import RunningNode
from lakelet.testing.traffic import generate

pytestmark = pytest.mark.e2e

UNTIL = datetime(2026, 3, 9, 12, tzinfo=UTC)


def put(node: RunningNode, records: list[bytes]) -> None:
    firehose = node.client("firehose")
    for start in range(0, len(records), 500):
        answer = firehose.put_record_batch(
            DeliveryStreamName="clickstream",
            Records=[{"Data": record} for record in records[start : start + 500]],
        )
        assert answer["FailedPutCount"] == 0


def ask(node: RunningNode, sql: str) -> list[list[str | None]]:
    athena = node.client("athena")
    query_id = athena.start_query_execution(QueryString=sql, WorkGroup="clickstream")[
        "QueryExecutionId"
    ]
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, "the query did not end"
        status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
        time.sleep(0.005)
    assert status["State"] == "SUCCEEDED", status
    pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
    rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
    return [[datum.get("VarCharValue") for datum in row] for row in rows][1:]


def expected_types(records: list[bytes]) -> Counter[str]:
    """Counted independently: whole JSON, all required fields, each event_id once."""
    seen: dict[str, str] = {}
    for record in records:
        try:
            event = json.loads(record)
            instant = datetime.fromisoformat(event["timestamp"])
            float(event.get("product_price", 0))
        except (ValueError, KeyError):
            continue
        if instant.year > 2000 and "event_id" in event:
            seen.setdefault(event["event_id"], event["event_type"])
    return Counter(seen.values())


def test_events_in_at_firehose_come_out_at_athena(lakelet_node: RunningNode):
    records = list(generate(4_000, until=UNTIL))
    put(lakelet_node, records)
    lakelet_node.lake.flush()
    counts = ask(lakelet_node, "SELECT event_type, count(*) FROM events GROUP BY 1")
    assert {name: int(count) for name, count in counts} == dict(expected_types(records))

    report = lakelet_node.lake.audit(deep=True)
    assert report["balanced"], report
    assert report["accepted"] == 4_000
    assert report["rows"] == sum(expected_types(records).values())
    assert report["duplicates"] > 0
    assert sum(report["quarantined"].values()) > 0


def test_personal_data_stops_at_the_raw_zone(lakelet_node: RunningNode):
    records = list(generate(1_500, until=UNTIL))
    assert b"@mail.example" in b"".join(records)
    put(lakelet_node, records)
    lakelet_node.lake.flush()
    ask(lakelet_node, "SELECT * FROM events")
    buckets = lakelet_node.folder / "buckets"
    for bucket in ("clickstream-transformed", "clickstream-results"):
        table = lakelet_node.lake.query("SELECT * FROM events")
        assert "ip_address" not in table.column_names
        assert "mail.example" not in str(table.to_pylist())
        for path in (buckets / bucket).rglob("*"):
            if path.is_file() and path.suffix in (".csv", ".json"):
                assert b"mail.example" not in path.read_bytes(), path


def test_an_object_put_by_an_s3_client_is_an_arrival_too(lakelet_node: RunningNode):
    event = {"event_id": "e1", "event_type": "login", "timestamp": "2026-03-09T01:02:03Z"}
    lakelet_node.client("s3").put_object(
        Bucket="clickstream-raw", Key="history/batch.json", Body=json.dumps(event).encode()
    )
    lakelet_node.lake.flush()
    rows = ask(lakelet_node, "SELECT event_id, year, month, day, hour FROM events")
    assert rows == [["e1", "2026", "03", "09", "1"]]
    assert lakelet_node.lake.audit()["balanced"]


def test_sending_everything_twice_adds_no_row(lakelet_node: RunningNode):
    records = list(generate(1_000, until=UNTIL))
    for _ in range(2):
        put(lakelet_node, records)
        lakelet_node.lake.flush()
    expected = sum(expected_types(records).values())
    assert ask(lakelet_node, "SELECT count(*) FROM events") == [[str(expected)]]
    report = lakelet_node.lake.audit(deep=True)
    assert report["balanced"], report
    assert report["rows"] == expected


def test_quarantine_is_a_table(lakelet_node: RunningNode):
    event = {"event_id": "e1", "event_type": "purchase", "timestamp": "2026-03-09T01:02:03Z"}
    put(lakelet_node, [json.dumps({**event, "product_price": "call us"}).encode()])
    lakelet_node.lake.flush()
    rows = ask(lakelet_node, "SELECT reason, field FROM clickstream_quarantine")
    assert len(rows) == 1
    assert rows[0][1] == "product_price"
