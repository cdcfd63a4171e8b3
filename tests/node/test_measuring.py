"""How often a lake is weighed."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from lakelet.node.measuring import Measuring
from lakelet.testing.clock import ManualClock


class SlowStore:
    """Two buckets; each of their objects takes a while to list."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self.sizes = [3, 4]

    def list_buckets(self) -> list[str]:
        return ["a", "b"]

    def list(self, bucket: str) -> Iterator[SimpleNamespace]:
        for size_bytes in self.sizes:
            self._clock.advance(self._seconds)
            yield SimpleNamespace(size_bytes=size_bytes)


@pytest.mark.parametrize(
    ("seconds_an_object", "period_seconds"), [(0.0001, 60), (1.0, 420), (1000.0, 3600)]
)
def test_a_lake_is_weighed_as_often_as_it_is_cheap(seconds_an_object, period_seconds) -> None:
    clock, told = ManualClock(), []
    store = SlowStore(clock, seconds_an_object)
    meters = SimpleNamespace(stored=lambda *stored: told.append(stored))
    node = SimpleNamespace(clock=clock, store=store, watch=SimpleNamespace(meters=meters))
    measuring = Measuring(node)
    measuring.weigh()
    assert told == [("a", 7, 2), ("b", 7, 2)]
    store.sizes.append(5)
    for _ in range(60, period_seconds, 60):
        clock.advance(60)
        measuring.weigh_again()
        assert len(told) == 2
    clock.advance(60)
    measuring.weigh_again()
    assert told[2:] == [("a", 12, 3), ("b", 12, 3)]
