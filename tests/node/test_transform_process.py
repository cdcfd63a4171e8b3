"""What the child does between objects."""

import os
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from lakelet.node import transform_process
from lakelet.node.transform_process import KEPT_SECONDS_MAX, _Inbox, _write


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def returns(monkeypatch) -> list[float]:
    """When memory was given back."""
    found: list[float] = []
    monkeypatch.setattr(transform_process, "time", Time())
    monkeypatch.setattr(
        transform_process,
        "give_memory_back",
        lambda: found.append(transform_process.time.now),
    )
    return found


@pytest.fixture
def node(returns: list[float]) -> Iterator[tuple[_Inbox, BinaryIO]]:
    """Never closed: an inbox whose node is gone ends its process."""
    reading, writing = os.pipe()
    yield _Inbox(os.fdopen(reading, "rb")), os.fdopen(writing, "wb", closefd=False)


def test_memory_is_given_back_when_idle_and_once_for_each_rest(node, returns, monkeypatch) -> None:
    monkeypatch.setattr(transform_process, "IDLE_SECONDS", 0.05)
    inbox, writer = node
    for number in range(3):
        seen = len(returns)

        def write_after_a_rest() -> None:
            deadline = time.monotonic() + 30
            while len(returns) == seen and time.monotonic() < deadline:  # noqa: B023 - ends before
                time.sleep(0.01)
            time.sleep(0.2)  # in which a second return would be seen
            _write(writer, number)  # noqa: B023

        threading.Thread(target=write_after_a_rest, daemon=True).start()
        assert inbox.get() == number
        assert len(returns) == seen + 1


def test_a_process_that_never_rests_gives_back_now_and_then(node, returns, monkeypatch) -> None:
    inbox, writer = node
    begun = transform_process.time.now
    for number in range(100):  # a second each
        _write(writer, number)
        assert inbox.get() == number
        transform_process.time.now += 1
    assert len(returns) in (8, 9)
    gaps = [after - before for before, after in zip([begun, *returns], returns, strict=False)]
    assert all(KEPT_SECONDS_MAX < gap <= KEPT_SECONDS_MAX + 1 for gap in gaps)
