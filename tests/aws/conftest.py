"""One emulator and one deployment for the session (a worker of it)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakelet.aws.emulator import Emulator
from tests.aws.live import Live, deployed

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    venv = Path(os.environ.get("LAKELET_EMULATOR_VENV", REPOSITORY / ".cache" / "ministack"))
    with Emulator(venv, tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def live(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with deployed(emulator, tmp_path_factory.mktemp("front")) as running:
        yield running
