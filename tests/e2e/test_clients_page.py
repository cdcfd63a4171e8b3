"""docs/clients.md: its Python runs as it stands, its dbt profile is the one that is tested."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from lakelet.testing.node import RunningNode, running_node
from lakelet.testing.traffic import generate

pytestmark = pytest.mark.e2e

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text("utf-8")
PROFILE = Path(__file__).parent / "dbt_project" / "profiles.yml"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("clients") / "lake") as node:
        node.lake.put(list(generate(300, until=datetime(2026, 3, 9, 12, tzinfo=UTC))))
        node.lake.flush()
        yield node


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "code", SNIPPETS, ids=lambda code: re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)[-1]
)
def test_a_snippet_answers(node, code, monkeypatch, capsys):
    for name, value in node.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    # Another test's default session would keep that test's keys.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.chdir(node.folder.parent)
    exec(compile(code, "docs/clients.md", "exec"), {"__name__": "__main__"})
    assert "page_view" in capsys.readouterr().out


def test_the_snippets_are_found():
    assert len(SNIPPETS) == len(re.findall(r"^```python$", PAGE, re.MULTILINE)) > 6


def test_the_dbt_profile_is_the_one_that_is_tested():
    profile = re.sub(r"^#.*\n", "", PROFILE.read_text("utf-8"), flags=re.MULTILINE)
    assert profile in PAGE
