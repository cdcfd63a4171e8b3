"""dbt, unchanged, over a node: a project of every materialization that Hive tables have."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lakelet.testing.node import RunningNode, running_node
from lakelet.testing.traffic import TrafficMix, generate

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PROJECT = Path(__file__).with_name("dbt_project")
BIN = ROOT / ".venv" / "bin"
VENV = ROOT / ".cache" / "dbt-venv"
# dbt-core 1.12 brings a parser whose build fetches a binary from GitHub; 1.11 is all Python.
PACKAGES = ("dbt-core>=1.11,<1.12", "dbt-athena>=1.11,<1.12")
INSTALL_SECONDS_MAX = 240

COUNT = 1_500  # events of each of two loads
CLEAN = TrafficMix(late=0, duplicate=0, broken=0)
MODELS = {f"model.{path.stem}" for path in (PROJECT / "models").glob("*.sql")}
Dbt = Callable[..., dict[str, Any]]


def dbt_command() -> Path:
    """dbt in an environment of its own, made where it is missing: its pins are not ours."""
    done = VENV / "complete"
    if not done.exists() or done.read_text() != " ".join(PACKAGES):
        shutil.rmtree(VENV, ignore_errors=True)
        uv = shutil.which("uv", path=os.pathsep.join((str(BIN), os.environ["PATH"])))
        python = str(VENV / "bin" / "python")
        if uv:
            call(uv, "venv", "--quiet", "--python", sys.executable, str(VENV))
            call(uv, "pip", "install", "--quiet", "--python", python, *PACKAGES)
        else:
            call(sys.executable, "-m", "venv", str(VENV))
            call(python, "-m", "pip", "install", "--quiet", *PACKAGES)
        done.write_text(" ".join(PACKAGES))
    return VENV / "bin" / "dbt"


def call(*command: str) -> None:
    index = os.environ.get("PIP_INDEX_URL")  # uv has a name of its own for it, as in the Makefile
    subprocess.run(
        command,
        env={**({"UV_DEFAULT_INDEX": index} if index else {}), **os.environ},
        timeout=INSTALL_SECONDS_MAX,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def command() -> Path:
    try:
        return dbt_command()
    except subprocess.TimeoutExpired as error:
        pytest.skip(f"dbt was not installed within {error.timeout:.0f} s: is PyPI in reach?")
    except subprocess.CalledProcessError as error:
        pytest.skip(
            f"dbt cannot be installed, is PyPI in reach? {str(error.stderr).strip()[-400:]}"
        )


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("dbt") / "lake") as node:
        load(node, seed=1, until=datetime(2026, 3, 9, 12, tzinfo=UTC))
        yield node


def load(node: RunningNode, *, seed: int, until: datetime) -> None:
    node.lake.put(list(generate(COUNT, seed=seed, until=until, mix=CLEAN)))
    node.lake.flush()


@pytest.fixture(scope="module")
def dbt(command: Path, node: RunningNode, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """Run a dbt command that must succeed; gives the artifact that it writes."""
    target = tmp_path_factory.mktemp("target")
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    settings = {
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target),
        "DBT_USE_COLORS": "false",
    }

    def run(*arguments: str, artifact: str = "run_results.json") -> dict[str, Any]:
        ended = subprocess.run(
            [command, *arguments],
            env={**elsewhere, **node.environment, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-4_000:] + ended.stderr[-1_000:]
        answer: dict[str, Any] = json.loads((target / artifact).read_text())
        return answer

    return run


def statuses(results: dict[str, Any]) -> dict[str, str]:
    """By the node's kind and name: `model.sessions_by_day`."""
    found = {}
    for result in results["results"]:
        kind, _, name = result["unique_id"].split(".")[:3]
        found[f"{kind}.{name}"] = result["status"]
    return found


def one(node: RunningNode, sql: str) -> tuple[Any, ...]:
    (row,) = node.lake.query(sql).to_pylist()
    return tuple(row.values())


def check_models(node: RunningNode) -> None:
    """Each model's table against the events themselves."""
    revenue, purchases, searches, events = one(
        node,
        "SELECT sum(revenue), count_if(event_type = 'purchase'), count_if(event_type = 'search'),"
        " count(*) FROM clickstream.events",
    )
    sold = one(node, "SELECT sum(revenue), sum(purchases) FROM analytics.daily_revenue")
    assert sold == (pytest.approx(revenue), purchases)
    assert one(node, "SELECT count(*), count(DISTINCT event_id) FROM analytics.searches") == (
        searches,
        searches,
    )
    # An appended partition instead of a replaced one would count its events twice.
    assert one(node, "SELECT sum(events) FROM analytics.sessions_by_day") == (events,)
    labelled = one(
        node,
        "SELECT count(*), max(label_age_days - date_diff('day', l.since, e.event_date)),"
        " min(label_age_days - date_diff('day', l.since, e.event_date))"
        " FROM analytics.labelled_events t JOIN clickstream.events e USING (event_id)"
        " JOIN analytics.event_labels l ON l.event_type = e.event_type",
    )
    known = one(
        node,
        "SELECT count(*) FROM clickstream.events"
        " WHERE event_type IN (SELECT event_type FROM analytics.event_labels)",
    )
    assert labelled == (*known, 0, 0)


@pytest.fixture(scope="module")
def built(dbt: Dbt) -> dict[str, str]:
    """Seed, snapshot, run and test, in the models' order."""
    return statuses(dbt("build"))


def test_a_project_is_built_and_built_again_with_new_events(
    dbt: Dbt, node: RunningNode, built: dict[str, str]
) -> None:
    first = built
    assert set(first.values()) == {"success", "pass"}
    assert {"seed.event_labels", "snapshot.labels_over_time", *MODELS} <= set(first)
    check_models(node)
    before = one(node, "SELECT max(event_date) FROM analytics.sessions_by_day")

    # Some of these days were built already, the others are new.
    load(node, seed=2, until=datetime(2026, 3, 11, 0, tzinfo=UTC))
    assert statuses(dbt("build")) == first
    check_models(node)
    assert one(node, "SELECT max(event_date) FROM analytics.sessions_by_day") > before
    # The pipeline's own crawl and ledger let dbt's tables lie.
    names = node.client("glue").get_tables(DatabaseName="clickstream")["TableList"]
    assert [table["Name"] for table in names] == ["clickstream_quarantine", "events"]
    assert node.lake.audit()["balanced"]

    kept = one(node, "SELECT count(*), count(dbt_valid_to) FROM analytics.labels_over_time")
    assert kept == (3, 0)  # the labels did not change, and no history was made up


@pytest.mark.usefixtures("built")
def test_docs_know_the_types_and_the_catalog_the_descriptions(dbt: Dbt, node: RunningNode) -> None:
    found = dbt("docs", "generate", artifact="catalog.json")["nodes"]["model.shop.daily_revenue"]
    types = {name: column["type"] for name, column in found["columns"].items()}
    assert types == {"event_date": "date", "purchases": "bigint", "revenue": "double"}
    table = node.client("glue").get_table(DatabaseName="analytics", Name="daily_revenue")["Table"]
    assert table["Description"] == "What was sold, a row a day."
    assert table["StorageDescriptor"]["Columns"][0]["Comment"] == "The day of the event, UTC."


@pytest.mark.usefixtures("built")
def test_a_mistake_comes_back_in_athenas_words(dbt: Dbt) -> None:
    with pytest.raises(AssertionError, match=r"COLUMN_NOT_FOUND: .*Column 'nothing'"):
        dbt("show", "--inline", "select nothing from {{ ref('purchases') }}")
