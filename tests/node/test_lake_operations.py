"""What tends stored data, on a whole lake: quarantine, replay, reprocess, compact, redrive."""

import gzip
import json

import pytest

import lakelet
from lakelet.lake.quarantine import ConditionRefused
from lakelet.model.errors import DeclarationError

DAY = "2026-03-09"
NEW_CONTRACT = """
[contract]
version = 2
table = "events"
event_time = { field = "timestamp", oldest_days = 3650, ahead_hours = 87600 }
deduplicate = { field = "event_id", window_hours = 72 }
[contract.fields]
event_id = { type = "string", required = true }
event_type = { type = "string", required = true }
timestamp = { type = "timestamp", required = true, column = "event_timestamp" }
product_price = { type = "double" }
colour = { type = "string" }
"""


def event(number, **fields):
    return {
        "event_id": f"e{number}",
        "event_type": "purchase",
        "timestamp": f"{DAY}T12:00:00Z",
        "product_price": 1.5,
        **fields,
    }


def old_lake(folder):
    """Two deliveries by the shipped contract: three rows, one event too far ahead, garbage."""
    with lakelet.open(folder) as lake:
        lake.put([event(1), event(2, timestamp="2031-01-01T00:00:00Z")])
        lake.flush()
        lake.put([event(3), b"garbage", event(4), event(1)])
        lake.flush()
    return folder


def ids(lake):
    return lake.query("SELECT event_id FROM events ORDER BY 1")["event_id"].to_pylist()


def test_quarantine_says_what_and_why(tmp_path):
    with lakelet.open(old_lake(tmp_path / "lake")) as lake:
        report = lake.call("quarantine")
        assert {r["reason"]: r["count"] for r in report["reasons"]} == {"event_time": 1, "json": 1}
        assert json.loads(json.dumps(report))["count"] == 2
        only = lake.call("quarantine", where="reason = 'json'")
        assert [r["sample"] for r in only["reasons"]] == ["garbage"]
        with pytest.raises(ConditionRefused):
            lake.call("quarantine", where="no = 1")


def test_replay_after_a_change_of_contract(tmp_path):
    folder = old_lake(tmp_path / "lake")
    (folder / "lakelet.toml").write_text(NEW_CONTRACT)
    told = []
    with lakelet.open(folder) as lake:
        planned = lake.call("replay", where="reason = 'event_time'", dry_run=True)
        assert (planned["rescued"], planned["changed"], planned["dry_run"]) == (1, 1, True)
        assert ids(lake) == ["e1", "e3", "e4"]
        receipt = lake.call("replay", where="reason = 'event_time'", on_progress=told.append)
        assert receipt["rescued"] == 1
        # A day that had no row before is a partition at once.
        assert ids(lake) == ["e1", "e2", "e3", "e4"]
        assert told[-1]["done"] == told[-1]["total"] == 1
        report = lake.audit(deep=True)
        assert report["balanced"], report
        assert report["duplicates"] == 1, "e1 came twice, and is still known to have"
        totals = lake.status()["ledger"]
        assert (totals["rows"], totals["quarantined"]) == (4, {"json": 1})
        again = lake.call("replay")
        assert again["rescued"] == 0
    with lakelet.open(folder) as lake:
        assert ids(lake) == ["e1", "e2", "e3", "e4"]
        assert lake.audit()["balanced"]


def test_reprocess_builds_days_again(tmp_path):
    folder = old_lake(tmp_path / "lake")
    (folder / "lakelet.toml").write_text(NEW_CONTRACT)
    with lakelet.open(folder) as lake:
        receipt = lake.call("reprocess", first=DAY, last=DAY)
        assert receipt["changed"] == 2
        assert receipt["raw_reaches_back_to"] < "2031"
        assert (
            lake.query("SELECT count(*) AS n FROM events WHERE colour IS NULL")["n"][0].as_py() == 4
        )
        assert lake.audit(deep=True)["balanced"]
        with pytest.raises(DeclarationError, match="no date"):
            lake.call("reprocess", first="yesterday", last=DAY)


def test_compaction_of_young_files_waits(tmp_path):
    with lakelet.open(old_lake(tmp_path / "lake")) as lake:
        assert lake.call("compact") == {
            "days": 0, "files_before": 0, "files_after": 0, "rows": 0,
        }  # fmt: skip


def test_what_a_stream_gave_up_reaches_the_quarantine(tmp_path):
    folder = old_lake(tmp_path / "lake")
    errors = folder / "buckets" / "clickstream-raw" / "errors" / "processing-failed" / "x.gz"
    errors.parent.mkdir(parents=True)
    document = {"rawData": "eyJhIjoxfQ==", "errorCode": "Lambda.X", "errorMessage": "no"}
    errors.write_bytes(gzip.compress(json.dumps(document).encode()))
    with lakelet.open(folder) as lake:
        lake.flush()
        reasons = {r["reason"] for r in lake.call("quarantine")["reasons"]}
        assert "processing-failed" in reasons
        assert lake.audit()["balanced"]


def test_dead_letters_are_listed_and_tried_again(tmp_path, monkeypatch):
    folder = tmp_path / "lake"
    (folder / "state").mkdir(parents=True)
    text = NEW_CONTRACT + 'user_id = { type = "string", personal = "hash" }\n'
    (folder / "lakelet.toml").write_text(text)
    monkeypatch.setenv("LAKELET_KEYRING", "{}")
    with lakelet.open(folder) as lake:
        lake.put([event(1, user_id="u")])
        lake.call("flush")
        assert lake.status()["transform"]["last_error"]
        assert lake.audit()["in_flight"] == 1
    monkeypatch.delenv("LAKELET_KEYRING")
    with lakelet.open(folder) as lake:
        lake.call("redrive")
        lake.flush()
        assert ids(lake) == ["e1"]
        assert lake.call("dead_letters") == []
