"""Whatever was acknowledged is read back: all, in order, once. On a disk that fails."""

import errno
from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lakelet.ingest.errors import LogUnavailable
from lakelet.ingest.frame import Frame
from lakelet.ingest.log import Log
from lakelet.testing.files import FaultyFileSystem

KEY = 77
RECORDS = st.lists(st.binary(max_size=40), min_size=1, max_size=6)
OPERATIONS = ["append", "write", "sync", "truncate", "sync_folder", "remove", "*"]


class LogMachine(RuleBasedStateMachine):
    """`acknowledged` maps positions to records; a record that was written but never
    acknowledged may be there after a crash, and then keeps its place."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = FaultyFileSystem()
        self.acknowledged: dict[int, bytes] = {}
        self.unsynced: dict[int, bytes] = {}
        self.attempted: set[bytes] = set()
        self.refused: set[bytes] = set()  # answered with an error since the last start
        self.delivered = 0
        self.log = self.open()

    def open(self) -> Log:
        return Log.open(self.disk, "log", key=KEY, delivered=self.delivered, size_bytes_max=300)

    @rule(records=RECORDS)
    def append(self, records: list[bytes]) -> None:
        records = [b"%d:" % len(self.attempted) + bytes([i]) + r for i, r in enumerate(records)]
        self.attempted.update(records)
        try:
            first = self.log.append(records, arrived_ms=1)
        except LogUnavailable:
            self.refused.update(records)
            self.settle_failure()
            return
        self.unsynced |= {first + i: record for i, record in enumerate(records)}

    @rule()
    def sync(self) -> None:
        try:
            self.log.sync()
        except LogUnavailable:
            self.settle_failure()
            return
        self.acknowledged |= {p: r for p, r in self.unsynced.items() if p >= self.delivered}
        self.unsynced = {}

    def settle_failure(self) -> None:
        """What lies below the durable position may be answered with a record id."""
        durable = self.log.position_durable
        self.acknowledged |= {
            p: r for p, r in self.unsynced.items() if self.delivered <= p < durable
        }
        self.refused |= {r for p, r in self.unsynced.items() if p >= durable}
        self.unsynced = {}

    @rule(
        operation=st.sampled_from(OPERATIONS),
        error=st.sampled_from([errno.EIO, errno.ENOSPC]),
        skip=st.integers(0, 3),
        times=st.integers(1, 3),
        keep_bytes=st.integers(0, 60),
    )
    def break_disk(self, operation, error, skip, times, keep_bytes) -> None:
        self.disk.fail(operation, error, skip=skip, times=times, keep_bytes=keep_bytes)

    @rule(room=st.integers(0, 400))
    def fill_disk(self, room: int) -> None:
        used = sum(map(self.disk.size_bytes, self.disk.paths()))
        self.disk.capacity_bytes = used + room

    @rule()
    def heal_disk(self) -> None:
        self.disk.heal()

    @rule(kept=st.integers(0, 200), names=st.booleans(), scribble=st.booleans())
    def power_failure(self, kept: int, names: bool, scribble: bool) -> None:
        self.disk.crash(keep_unsynced_bytes=kept, keep_entry=lambda _path: names, scribble=scribble)
        self.reopen()

    @rule()
    def process_killed(self) -> None:
        """The page cache outlives the process."""
        self.disk.heal()
        self.reopen()

    def reopen(self) -> None:
        self.disk.heal()
        self.unsynced, self.refused = {}, set()
        self.log = self.open()
        known = [damage for damage in self.log.recovery.damages if damage.acknowledged]
        assert known == [], "a crash must never look like lost acknowledged records"
        for frame in self.read():
            for position, record in enumerate(frame.records, frame.first_position):
                if position not in self.acknowledged:
                    assert record in self.attempted, "a record that nobody sent"
                    self.acknowledged[position] = record

    @precondition(lambda self: self.log.position_durable > self.delivered)
    @rule(share=st.floats(0, 1))
    def deliver(self, share: float) -> None:
        span = self.log.position_durable - self.delivered
        self.delivered += round(span * share)
        self.acknowledged = {p: r for p, r in self.acknowledged.items() if p >= self.delivered}
        with suppress(OSError):
            self.log.discard(self.delivered)

    def read(self) -> list[Frame]:
        faults, self.disk._faults = self.disk._faults, []
        items = list(self.log.read(self.delivered, self.log.position_durable))
        self.disk._faults = faults
        return [item for item in items if isinstance(item, Frame)]

    @invariant()
    def nothing_acknowledged_is_lost(self) -> None:
        found = {
            position: record
            for frame in self.read()
            for position, record in enumerate(frame.records, frame.first_position)
        }
        assert {p: found.get(p) for p in self.acknowledged} == self.acknowledged

    @invariant()
    def nothing_refused_is_delivered(self) -> None:
        """A producer that was told to resend finds its record once. (Only a restart
        may bring a refused one back, where the disk would not let it be cut off.)"""
        assert not self.refused.intersection(r for frame in self.read() for r in frame.records)

    @invariant()
    def positions_never_overlap(self) -> None:
        at = self.delivered
        for frame in self.read():
            assert frame.first_position >= at
            at = frame.end_position
        assert at <= max(self.log.position_durable, self.delivered)


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
