"""What a node asks of Python, as far as it can be seen from outside."""

import subprocess
import sys
from pathlib import Path

import pytest

from lakelet.testing.node import RunningNode, node_process
from tests.e2e.test_survives import event

FUNCTION = """
def keep(event, context):
    return {
        "records": [
            {"recordId": each["recordId"], "result": "Ok", "data": each["data"]}
            for each in event["records"]
        ]
    }
"""
CONFIG = """
[functions]
keep = "some_function:keep"
"""


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def test_pyarrow_looks_for_pandas_unless_told_otherwise() -> None:
    look = "import sys, pyarrow as pa\n{}\npa.array([1])\nprint('pandas' in sys.modules)"
    told = "from lakelet.node.interpreter import do_without_pandas\ndo_without_pandas()"
    assert run(look.format("")) == "True"
    assert run(look.format(told)) == "False"
    assert run(look.format(told + "\nimport pandas")) == "True"
    assert run(look.format("import pandas\n" + told)) == "True"


def test_who_asks_for_pandas_afterwards_has_it() -> None:
    script = (
        "from lakelet.node.interpreter import do_without_pandas\ndo_without_pandas()\n"
        "import pyarrow as pa\nprint(len(pa.table({'a': [1, 2]}).to_pandas()))"
    )
    assert run(script) == "2"


def loaded(pid: int) -> bool:
    return "/pandas/" in Path(f"/proc/{pid}/maps").read_text()


def processes_of(node: RunningNode) -> list[int]:
    """The node and its children."""
    found = [node.process.pid]
    for folder in Path(f"/proc/{node.process.pid}/task").iterdir():
        found += map(int, (folder / "children").read_text().split())
    return found


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is mapped")
def test_a_node_loads_it_for_functions_alone(tmp_path) -> None:
    (tmp_path / "some_function.py").write_text(FUNCTION)
    config = tmp_path / "lakelet.toml"
    config.write_text(CONFIG)
    for number, (given, expected) in enumerate([(None, False), (config, True)]):
        with node_process(tmp_path / f"lake-{number}", config=given) as node:
            node.client("firehose").put_record(
                DeliveryStreamName="clickstream", Record={"Data": event("one")}
            )
            node.lake.flush()
            assert node.lake.query("SELECT count(*) AS n FROM events")["n"].to_pylist() == [1]
            (own, *children) = processes_of(node)
            assert loaded(own) is expected
            assert children
            assert not any(map(loaded, children))
