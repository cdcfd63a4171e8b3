"""A pytest fixture for users' tests: a real node, on a free port, in a fresh folder.

    def test_checkout_sends_a_purchase(lakelet_node):
        firehose = lakelet_node.client("firehose")
        ...
        lakelet_node.lake.flush()
        assert lakelet_node.lake.query("SELECT count(*) AS n FROM events")["n"][0].as_py() == 1

The plugin is found by itself where Lakelet is installed; it imports nothing until used.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lakelet.testing.node import RunningNode


@pytest.fixture
def lakelet_node(tmp_path: Path) -> "Iterator[RunningNode]":
    """A node of its own for this test: `.endpoint`, `.client(service)`, `.lake`."""
    from lakelet.testing.node import running_node

    with running_node(tmp_path / "lake") as node:
        yield node
