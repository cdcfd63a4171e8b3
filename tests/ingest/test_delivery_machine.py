"""Deliveries over crashes: what is acknowledged is in exactly one object, whatever fails."""

import gzip
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lakelet.ingest.errors import DeliveryFailed, LogUnavailable
from lakelet.model.pipeline import Pipeline, StreamSettings
from lakelet.node.ingestion import Ingestion
from lakelet.testing.clock import ManualClock
from lakelet.testing.files import FaultyFileSystem
from tests.ingest.fakes import FakeStore

NAME = "clickstream"


class DeliveryMachine(RuleBasedStateMachine):
    """Records are unique lines; objects are counted, also against what was told."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.disk, self.store, self.clock = FaultyFileSystem(), FakeStore(), ManualClock()
        self.prefix = "a/"
        self.told: set[str] = set()
        self.acknowledged: set[bytes] = set()
        self.count = 0
        self.open()

    def open(self) -> None:
        self.ingestion = Ingestion(
            Pipeline(stream=StreamSettings(prefix=self.prefix)),
            files=self.disk,
            store=self.store,
            clock=self.clock,
            folder=Path(self.folder.name),
            on_delivered=lambda delivery, _info: self.told.add(delivery.key),
        )
        self.ingestion.start()

    def teardown(self) -> None:
        self.disk.heal()
        self.store.fail_after = None
        self.ingestion.flush()
        lines = self.lines()
        assert self.acknowledged <= set(lines), "acknowledged, and in no object"
        assert self.told == set(self.store.names()), "objects nobody was told of"
        ledger = list(self.ingestion.deliveries(NAME))
        assert {each.key for each in ledger} == set(self.store.names())
        assert sum(each.records for each in ledger) == len(lines)
        cuts = [done.cut for done in self.ingestion.cuts()]
        spans = [(cut.first_position, cut.end_position) for cut in cuts]
        assert sum(end - first for first, end in spans) == len(lines)
        assert [first for first, _ in spans] == [0, *(end for _, end in spans)][: len(spans)]
        assert self.ingestion.position_next(NAME) == self.ingestion.position_delivered(NAME)
        self.ingestion.close(drain=False)
        self.folder.cleanup()

    @rule(count=st.integers(1, 5))
    def put(self, count: int) -> None:
        records = [b"%d" % (self.count + i) for i in range(count)]
        self.count += count
        with suppress(LogUnavailable):
            self.ingestion.put_blocking(NAME, records)
            self.acknowledged.update(records)

    @rule()
    def deliver(self) -> None:
        with suppress(OSError, DeliveryFailed):
            self.ingestion.flush()

    @rule(puts=st.integers(0, 2))
    def break_bucket(self, puts: int) -> None:
        self.store.fail_after = puts

    @rule()
    def mend_bucket(self) -> None:
        self.store.fail_after = None

    @rule(operation=st.sampled_from(["sync", "write", "append", "remove", "sync_folder"]))
    def break_disk(self, operation: str) -> None:
        self.disk.fail(operation)

    @rule(kept=st.integers(0, 100), names=st.booleans(), step=st.sampled_from(["", "told", "done"]))
    def power_failure(self, kept: int, names: bool, step: str) -> None:
        """Between two steps of a delivery, or between deliveries."""
        if step:
            self.stop_at(step)
        self.ingestion.close(drain=False)
        self.disk.crash(keep_unsynced_bytes=kept, keep_entry=lambda _path: names)
        self.store.fail_after = None
        self.open()

    def stop_at(self, step: str) -> None:
        def die(*_arguments: object) -> None:
            raise KeyboardInterrupt

        if step == "told":
            self.ingestion._deliverer.on_delivered = die
        else:
            self.ingestion._ledger.finish = die  # type: ignore[method-assign]
        with suppress(KeyboardInterrupt, OSError, DeliveryFailed):
            self.ingestion.flush()

    @rule(prefix=st.sampled_from(["a/", "b/"]))
    def restart_with_another_prefix(self, prefix: str) -> None:
        self.ingestion.close(drain=False)
        self.disk.heal()
        self.prefix = prefix
        self.open()

    @rule(seconds=st.integers(-100_000, 100_000))
    def clock_jumps(self, seconds: int) -> None:
        self.clock.jump_wall(seconds)

    def lines(self) -> list[bytes]:
        return [line for body in self.store.bodies.values() for line in gunzip(body)]

    @invariant()
    def no_record_is_in_two_objects(self) -> None:
        lines = self.lines()
        assert len(lines) == len(set(lines))


def gunzip(body: bytes) -> list[bytes]:
    return gzip.decompress(body).splitlines()


TestDeliveryMachine = DeliveryMachine.TestCase
TestDeliveryMachine.settings = settings(
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
