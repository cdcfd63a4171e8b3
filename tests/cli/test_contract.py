"""`lakelet contract`: a change that would break a query is found before it does."""

import json
from pathlib import Path

import lakelet as library
from lakelet.model.pipeline import default_text
from tests.cli.test_commands import lakelet

COUNT = 'search_results_count = { type = "int" }'


def changed(tmp_path: Path, declared: str) -> Path:
    text = default_text()
    assert COUNT in text
    path = tmp_path / "changed.toml"
    path.write_text(text.replace(COUNT, f"search_results_count = {declared}"))
    return path


def make_lake(tmp_path: Path) -> None:
    with library.open(tmp_path / "lake") as lake:
        event = {"event_type": "search", "search_results_count": 3}
        lake.put({**event, "timestamp": "2026-03-09T01:00:00Z"})
        lake.flush()


def test_what_is_there_fits_its_own_contract(tmp_path):
    make_lake(tmp_path)
    assert "fits what is there" in lakelet("contract", "check", cwd=tmp_path).stdout.decode()


def test_a_type_that_changes_names_the_query_that_would_fail(tmp_path):
    make_lake(tmp_path)
    config = changed(tmp_path, '{ type = "string" }')
    done = lakelet("contract", "check", "--config", str(config), cwd=tmp_path, status=1)
    told = done.stdout.decode()
    assert "HIVE_BAD_DATA" in told
    assert 'SELECT "search_results_count" FROM events' in told
    assert "year = '2026' AND month = '03' AND day = '09'" in told
    findings = json.loads(
        lakelet(
            "contract", "check", "--config", str(config), "--json", cwd=tmp_path, status=1
        ).stdout
    )
    assert {finding["column"] for finding in findings} >= {"search_results_count"}


def test_two_declarations_are_compared_without_any_lake(tmp_path):
    older = tmp_path / "older.toml"
    older.write_text(default_text())
    newer = changed(tmp_path, '{ type = "decimal(10,2)" }')
    arguments = ("contract", "check", "--config", str(newer), "--against", str(older))
    assert b"search_results_count" in lakelet(*arguments, cwd=tmp_path, status=1).stdout
    newer.write_text(default_text() + 'plan = { type = "string", sql = "lower(country)" }\n')
    assert b"error" not in lakelet(*arguments, cwd=tmp_path).stdout


def test_a_draft_is_a_declaration_that_works(tmp_path):
    events = [
        {"id": f"e{number}", "event": "click", "at": "2026-03-09T01:00:00Z", "price": 1.5}
        for number in range(20)
    ]
    (tmp_path / "sample.ndjson").write_text("\n".join(map(json.dumps, events)))
    draft = lakelet("contract", "infer", "sample.ndjson", cwd=tmp_path).stdout.decode()
    (tmp_path / "drafted.toml").write_text(draft)
    with library.open(tmp_path / "lake", config=tmp_path / "drafted.toml") as lake:
        lake.put(map(json.dumps, events))
        assert lake.query("SELECT count(*) AS n, sum(price) AS p FROM events").to_pylist() == [
            {"n": 20, "p": 30.0}
        ]
    refused = lakelet("contract", "infer", "nowhere.json", cwd=tmp_path, status=1)
    assert "nowhere.json cannot be read" in refused.stderr.decode()
