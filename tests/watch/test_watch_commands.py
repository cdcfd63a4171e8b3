"""`lakelet cost`, `doctor`, `console`, and the terminal's overview."""

import io
import json
from datetime import UTC, datetime

from rich.console import Console
from typer.testing import CliRunner

import lakelet
from lakelet.cli.doctor import Check, examine
from lakelet.cli.main import app
from lakelet.cli.watching import _rates, overview
from lakelet.model.pipeline import Pipeline
from lakelet.node.bill import crawls_a_month
from lakelet.node.folder import DataFolder, Holder
from lakelet.store.clock import SystemClock
from lakelet.watch.room import open_watch

runner = CliRunner()


def test_the_cost_of_supposed_traffic():
    done = runner.invoke(app, ["cost", "--events", "1000000", "--json"])
    report = json.loads(done.stdout)
    assert report["lines"][0]["component"] == "Glue crawler"
    firehose = next(line for line in report["lines"] if line["component"].startswith("Firehose"))
    assert round(firehose["dollars"], 4) == round(1e6 * 5120 / 1e9 * 0.029, 4)
    assert [growth["factor"] for growth in report["growth"]] == [1, 10, 100]
    drawn = runner.invoke(app, ["cost", "--events", "30000000", "--growth", "1,2"])
    assert "a month on AWS" in drawn.stdout and "to be checked" in drawn.stdout


def test_the_cost_of_what_a_node_did(tmp_path):
    folder = DataFolder(tmp_path)
    (folder.state / "watch").mkdir(parents=True)
    watch = open_watch(SystemClock(), "clickstream", folder.state / "watch")
    watch.meters.accepted("clickstream", 1000, 600_000, 1.0)
    watch.close()
    done = runner.invoke(app, ["cost", "--data", str(tmp_path), "--json"])
    report = json.loads(done.stdout)
    assert report["event_bytes"] == 600
    assert report["observed_days"] > 0


def test_crawls_are_those_of_the_schedule():
    now = datetime(2026, 3, 9, tzinfo=UTC)
    assert round(crawls_a_month(Pipeline().crawler.schedule, now)) == 730
    assert round(crawls_a_month("cron(15 3 * * ? *)", now)) == 30
    assert crawls_a_month("", now) == 0


def test_doctor_finds_a_healthy_folder_and_keys_that_others_can_read(tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    keys.chmod(0o600)
    found = {check.name: check for check in examine(tmp_path, 0)}
    assert found["permissions"].verdict == "ok" and found["fsync"].verdict != "bad"
    keys.chmod(0o644)
    found = {check.name: check for check in examine(tmp_path, 0)}
    assert found["permissions"] == Check(
        "permissions", "bad", f"{keys} can be read by others", f"chmod 600 {keys}"
    )
    done = runner.invoke(app, ["doctor", "--data", str(tmp_path), "--port", "0"])
    assert done.exit_code == 1 and "chmod 600" in done.stdout


def test_a_console_link_is_fresh_each_time(tmp_path):
    folder = DataFolder(tmp_path)
    folder.acquire()
    try:
        folder.announce(Holder(1, "http://127.0.0.1:1", "secret"))
        links = {runner.invoke(app, ["console", "--data", str(tmp_path)]).stdout for _ in range(2)}
    finally:
        folder.release()
    assert len(links) == 2
    assert all(
        link.startswith("http://127.0.0.1:1/login?token=") and "secret" not in link
        for link in links
    )


def test_a_query_is_priced_before_it_runs(tmp_path):
    lake = ["--data", str(tmp_path / "lake")]
    lakelet.open(tmp_path / "lake").close()
    for sql, said in (
        ("SELECT count(*) FROM events", "billed as 10.0 MB: $0.000050"),
        ("SHOW TABLES", "billed as 0 B: $0.000000"),
    ):
        done = runner.invoke(app, ["query", *lake, "--cost", sql])
        assert said in " ".join(done.stdout.split()), done.output


def status(accepted: int, rows: int) -> dict:
    stream = {
        "name": "clickstream",
        "status": "ACTIVE",
        "accepted_records": accepted,
        "accepted_bytes": accepted * 500,
        "buffered_records": 10,
        "oldest_seconds": 3.0,
        "delivered_objects": 2,
        "last_error": "",
        "failing_since": None,
    }
    return {
        "node": {"endpoint": "http://127.0.0.1:4566"},
        "stream": stream,
        "streams": [stream],
        "transform": {"waiting": 1, "running": 0, "dead": 0},
        "ledger": {
            "events": rows + 5,
            "rows": rows,
            "duplicates": 2,
            "quarantined": {"not_json": 3},
            "dropped": {},
        },
        "crawl": {"runs": 1, "last_at": "now", "last_error": ""},
        "tables": [{"name": "events", "partitions": 4}],
    }


def test_the_terminals_overview_shows_rates_and_the_ledger():
    before, now = status(1000, 800), status(1500, 1000)
    rates = _rates(before, now, 2.0)
    assert rates == {"accepted": 250, "events": 100, "rows": 100}
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(overview(now, rates))
    text = console.export_text()
    assert "250" in text and "The ledger balances." in text
    now["ledger"]["rows"] -= 1
    console.print(overview(now, {}))
    now["stream"] |= {"last_error": "NoSuchBucket: none", "failing_since": "noon"}
    console.print(overview(now, {}))
    text = console.export_text()
    assert "1 events are unaccounted for" in text
    assert "clickstream: no delivery since noon: NoSuchBucket: none" in text
