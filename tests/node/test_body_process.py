"""Bodies read by another process: found as here, and nobody left waiting when it ends."""

import asyncio
import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from lakelet.node import body_process
from lakelet.node.body_process import SLOTS, BodyProcess
from lakelet.wire.put_bodies import ReadBody, split_batch
from tests.node.processes import is_running

pytestmark = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="this system shares no memory this way"
)


@pytest.fixture(autouse=True)
def _several_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def body_of(*records: bytes) -> bytes:
    entries = [{"Data": base64.b64encode(record).decode()} for record in records]
    return json.dumps({"DeliveryStreamName": "clickstream", "Records": entries}).encode()


def records_of(number: int, count: int = 500) -> list[bytes]:
    return [b"%d/%d " % (number, i) * 15 for i in range(count)]


def run(test: Callable[[], "asyncio.Future[None]"]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def started() -> AsyncIterator[BodyProcess]:
    reader = BodyProcess()
    reader.start()
    await until(lambda: reader.is_ready)
    try:
        yield reader
    finally:
        reader.close()


def asked(reader: BodyProcess, body: bytes) -> "asyncio.Future[ReadBody | None]":
    """A body that came in two pieces."""
    answer = asyncio.get_running_loop().create_future()
    assert reader.read([body[:1000], memoryview(body)[1000:]], len(body), answer.set_result)
    return answer


def test_bodies_are_found_as_the_loop_finds_them() -> None:
    bodies = [body_of(*records_of(number)) for number in range(SLOTS)]

    async def test() -> None:
        async with started() as reader:
            for _ in range(3):  # every slot has been used before
                answers = [asked(reader, body) for body in bodies]
                for body, found in zip(bodies, await asyncio.gather(*answers), strict=True):
                    stream, records = split_batch(body)
                    assert found.stream == stream == "clickstream"
                    assert found.records == records
                    assert found.records.packed_sizes == records.packed_sizes
                    assert found.payload_sha256 == hashlib.sha256(body).hexdigest().encode()

    run(test)


USUAL = body_of(*records_of(1))
UNUSUAL = {
    "small": body_of(b"a", b"b"),
    "spelled otherwise": USUAL.replace(b'{"Data"', b'{ "Data"', 9),
    "no Base64": USUAL.replace(b"MS8w", b"%%%%", 1),
    "a member more": USUAL[:-1] + b', "X": 1}',
    "no JSON": b"\xff" * 100_000,
}


@pytest.mark.parametrize("body", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_body_is_left_to_the_loop(body) -> None:
    async def test() -> None:
        async with started() as reader:
            assert await asked(reader, body) is None
            assert (await asked(reader, USUAL)).records == records_of(1)

    run(test)


def test_too_large_a_batch_is_read_too_for_others_to_refuse() -> None:
    records = [b"x" * 400_000] * 11

    async def test() -> None:
        async with started() as reader:
            assert (await asked(reader, body_of(*records))).records == records

    run(test)


def test_the_largest_batch_is_taken_and_its_memory_given_back() -> None:
    records = [b"%03d" % i + b"x" * (4 * 1024 * 1024 // 500 - 3) for i in range(500)]
    body = body_of(*records)

    def mapped_kb(pid: int) -> int:
        """Of the shared slots, what a process has in memory."""
        _, _, slots = Path(f"/proc/{pid}/smaps").read_text().partition("lakelet-bodies")
        return int(slots.partition("Rss:")[2].split()[0])

    async def test() -> None:
        async with started() as reader:
            for _ in range(3):
                assert (await asked(reader, body)).records == records
                assert mapped_kb(os.getpid()) < 1000
                assert mapped_kb(reader.pid) < 1000

    run(test)


def test_what_finds_no_slot_or_fits_none_is_not_taken() -> None:
    async def test() -> None:
        reader = BodyProcess()
        assert not reader.read([USUAL], len(USUAL), lambda _: None)  # not started
        reader.start()
        assert not reader.read([USUAL], len(USUAL), lambda _: None)  # not ready
        await until(lambda: reader.is_ready)
        answers = [asked(reader, USUAL) for _ in range(SLOTS)]
        assert not reader.read([USUAL], len(USUAL), lambda _: None)
        assert all(await asyncio.gather(*answers))
        huge = bytes(7 << 20)
        assert not reader.read([huge], len(huge), lambda _: None)
        reader.close()
        assert not reader.read([USUAL], len(USUAL), lambda _: None)

    run(test)


def test_who_waits_when_the_process_dies_is_answered_and_later_there_is_another(
    monkeypatch, caplog
) -> None:
    async def test() -> None:
        async with started() as reader:
            pid = reader.pid
            os.kill(pid, signal.SIGSTOP)  # so that it has them all as it dies
            answers = [asked(reader, USUAL) for _ in range(SLOTS)]
            os.kill(pid, signal.SIGKILL)
            assert await asyncio.gather(*answers) == [None] * SLOTS
            assert reader.pid is None
            assert "ended by itself" in caplog.text
            reader.note_own_work(1.0)
            assert reader.pid is None  # not at once: it may die of what it is given
            monkeypatch.setattr(reader, "_start_not_before", time.monotonic())
            reader.note_own_work(1.0)
            await until(lambda: reader.is_ready)
            assert reader.pid != pid
            assert (await asked(reader, USUAL)).records == records_of(1)
            await until(lambda: not is_running(pid))

    run(test)


def test_it_is_started_by_work_in_a_short_time_alone(monkeypatch) -> None:
    now = 1000.0
    monkeypatch.setattr(body_process.time, "monotonic", lambda: now)

    async def test() -> None:
        nonlocal now
        reader = BodyProcess()
        for _ in range(50):  # 5 % of the time
            reader.note_own_work(0.01)
            now += 0.2
        assert reader.pid is None
        for _ in range(11):
            reader.note_own_work(0.01)
        assert reader.pid is not None
        reader.close()

    run(test)


def test_on_one_core_or_where_it_cannot_start_the_loop_goes_on_alone(monkeypatch, caplog) -> None:
    async def test() -> None:
        monkeypatch.setattr(os, "cpu_count", lambda: 1)
        alone = BodyProcess()
        alone.note_own_work(1.0)
        assert alone.pid is None
        monkeypatch.undo()
        monkeypatch.setattr(os, "cpu_count", lambda: 2)
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        failed = BodyProcess()
        failed.note_own_work(1.0)
        assert failed.pid is None
        assert "No such file" in caplog.text
        failed.close()

    run(test)


def test_it_ends_when_there_is_no_work_and_not_before() -> None:
    async def test() -> None:
        async with started() as reader:
            pid = reader.pid
            reader.look()  # it has just become ready
            for _ in range(3):
                await asked(reader, USUAL)
                reader.look()
                assert reader.pid == pid
            answer = asked(reader, USUAL)
            reader.look()  # it has something to do
            assert reader.pid == pid
            assert await answer
            reader.look()
            assert reader.pid == pid
            reader.look()
            assert reader.pid is None
            await until(lambda: not is_running(pid))

    run(test)


def test_it_is_looked_at_by_itself(monkeypatch) -> None:
    monkeypatch.setattr(body_process, "IDLE_SECONDS", 0.01)

    async def test() -> None:
        reader = BodyProcess()
        looks = []
        monkeypatch.setattr(reader, "look", lambda: looks.append(reader.pid))
        reader.start()
        await until(lambda: len(looks) > 2)
        assert set(looks) == {reader.pid}
        reader.close()
        assert reader._timer is None  # nobody looks any more

    run(test)


def test_one_that_hangs_is_killed_and_who_waits_is_answered(caplog) -> None:
    async def test() -> None:
        async with started() as reader:
            pid = reader.pid
            assert await asked(reader, USUAL)
            reader.look()
            os.kill(pid, signal.SIGSTOP)
            answer = asked(reader, USUAL)
            reader.look()  # which it may have been given a moment ago
            assert "has not moved" not in caplog.text
            reader.look()
            assert "has not moved" in caplog.text
            assert await answer is None
            await until(lambda: not is_running(pid))

    run(test)


def test_one_that_never_becomes_ready_is_killed(caplog) -> None:
    async def test() -> None:
        reader = BodyProcess()
        reader.start()
        pid = reader.pid
        os.kill(pid, signal.SIGSTOP)
        reader.look()
        assert reader.pid == pid
        reader.look()
        assert "has not moved" in caplog.text
        await until(lambda: reader.pid is None)
        await until(lambda: not is_running(pid))

    run(test)


def test_closing_answers_who_waits_and_leaves_no_process() -> None:
    async def test() -> None:
        async with started() as reader:
            pid = reader.pid
            answers = [asked(reader, USUAL) for _ in range(SLOTS)]
            reader.close()
            assert not Path(f"/proc/{pid}").exists()  # reaped as well
            assert len(await asyncio.gather(*answers)) == SLOTS

    run(test)


NODE = """
import asyncio, sys
from lakelet.node.body_process import BodyProcess
async def main():
    reader = BodyProcess()
    reader.start()
    while not reader.is_ready:
        await asyncio.sleep(0.01)
    print(reader.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_it_ends_with_a_node_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", NODE], stdout=subprocess.PIPE) as node:
        pid = int(node.stdout.readline())
        assert is_running(pid)
        node.kill()
    deadline = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
