"""Whatever is done to it, with whatever keys, the disk store answers as the one in memory."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lakelet.model.errors import ObjectNotFound, PreconditionFailed
from lakelet.store.disk import DiskObjectStore
from lakelet.testing.clock import ManualClock
from lakelet.testing.objects import MemoryObjectStore

BUCKET = "lake"

# Few names, so that objects and folders get into each other's way.
segments = st.sampled_from(["a", "b", "", ".", "..", ".lakelet", ".lakelet%", ".lakelet=a"])
keys = st.lists(segments, min_size=1, max_size=4).map("/".join).filter(bool)
bodies = st.binary(max_size=8)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        clock = ManualClock()
        self.disk = DiskObjectStore(self.folder, clock)
        self.memory = MemoryObjectStore(clock)
        for store in (self.disk, self.memory):
            store.create_bucket(BUCKET)

    @rule(key=keys, body=bodies)
    def put(self, key: str, body: bytes) -> None:
        assert self.disk.put(BUCKET, key, body) == self.memory.put(BUCKET, key, body)

    @rule(key=keys, body=bodies)
    def put_if_absent(self, key: str, body: bytes) -> None:
        outcomes = []
        for store in (self.disk, self.memory):
            try:
                store.put(BUCKET, key, body, only_if_absent=True)
                outcomes.append(True)
            except PreconditionFailed:
                outcomes.append(False)
        assert outcomes[0] == outcomes[1]

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.disk.delete(BUCKET, key)
        self.memory.delete(BUCKET, key)

    @precondition(lambda self: any(self.memory.list(BUCKET)))
    @rule(data=st.data())
    def delete_one_that_is_there(self, data: st.DataObject) -> None:
        self.delete(data.draw(st.sampled_from([i.key for i in self.memory.list(BUCKET)])))

    @rule(prefix=st.one_of(st.just(""), keys, keys.map(lambda key: key + "/")), after=keys)
    def look(self, prefix: str, after: str) -> None:
        for options in ({}, {"start_after": after}):
            found = list(self.disk.list(BUCKET, prefix, **options))
            assert found == list(self.memory.list(BUCKET, prefix, **options))
        assert self.disk.list_folder(BUCKET, prefix) == self.memory.list_folder(BUCKET, prefix)

    @rule(key=keys)
    def read(self, key: str) -> None:
        answers: list[object] = []
        for store in (self.disk, self.memory):
            try:
                answers.append((store.get(BUCKET, key), store.head(BUCKET, key)))
            except ObjectNotFound:
                answers.append(None)
        assert answers[0] == answers[1]

    @invariant()
    def all_is_there(self) -> None:
        assert list(self.disk.list(BUCKET)) == list(self.memory.list(BUCKET))

    def teardown(self) -> None:
        self.disk.close()
        shutil.rmtree(self.folder)


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestStoreMachine = StoreMachine.TestCase
