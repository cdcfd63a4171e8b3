"""The log, case by case: what was written, how it is damaged, what must survive."""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.ingest import frame as frames
from lakelet.ingest.errors import LogUnavailable
from lakelet.ingest.frame import HEADER_SIZE, Frame
from lakelet.ingest.log import Log
from lakelet.ingest.records import Records
from lakelet.ingest.segment import Damage, first_position_of, segment_name
from lakelet.testing.files import FaultyFileSystem

KEY = 5
FIRST = f"log/{segment_name(0)}"


def write(disk: FaultyFileSystem, groups: list[list[bytes]], **options) -> Log:
    log = Log.open(disk, "log", key=KEY, **options)
    for group in groups:
        log.append(group, arrived_ms=1_770_000_000_000)
        log.sync()
    return log


def read(log: Log, first: int = 0) -> tuple[list[bytes], list[Damage]]:
    items = list(log.read(first, log.position_durable))
    records = [r for item in items if isinstance(item, Frame) for r in item.records]
    return records, [item for item in items if isinstance(item, Damage)]


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_a_frame_round_trips(records: list[bytes], key: int) -> None:
    head, *body = frames.encode(
        records, key=key, first_position=9, durable_position=4, arrived_ms=-5
    )
    header = frames.decode_header(head, key=key)
    assert header is not None
    body = b"".join(body)
    assert (header.frame_size, header.durable_position) == (len(head) + len(body), 4)
    assert frames.body_is_whole(header, body)
    assert frames.decode_body(header, memoryview(body)) == Frame(9, -5, Records.of(records))


@given(st.integers(0, 8 * 200 - 1))
def test_no_flipped_bit_passes(bit: int) -> None:
    buffers = frames.encode(
        [b"x" * 100, b"y" * 44], key=KEY, first_position=0, durable_position=0, arrived_ms=1
    )
    data = bytearray(b"".join(buffers))
    assert len(data) == 200
    data[bit // 8] ^= 1 << bit % 8
    header = frames.decode_header(data, key=KEY)
    assert header is None or not frames.body_is_whole(header, bytes(data[HEADER_SIZE:]))


def test_the_checksum_is_plain_crc32_whichever_library_computes_it() -> None:
    assert frames.crc32(b"lakelet", 7) == zlib.crc32(b"lakelet", 7)


def test_another_logs_frames_are_not_ours() -> None:
    head, _, _ = frames.encode([b"a"], key=1, first_position=0, durable_position=0, arrived_ms=0)
    assert frames.decode_header(head, key=2) is None


def test_a_record_that_holds_a_frame_is_only_a_record() -> None:
    """Were the key not in the checksum, damage before it would bring the forgery to life."""
    forged = b"".join(
        frames.encode([b"evil"], key=0, first_position=1, durable_position=1, arrived_ms=0)
    )
    disk = FaultyFileSystem()
    write(disk, [[b"good"], [forged], [b"last"]])
    disk.flip(FIRST, 2 * HEADER_SIZE + 8 + 3)  # the second frame's header
    records, damages = read(Log.open(disk, "log", key=KEY))
    assert records == [b"good", b"last"]
    assert [(d.first_position, d.end_position) for d in damages] == [(1, 2)]


@dataclass
class Case:
    name: str
    damage: Callable[[FaultyFileSystem], object]
    survives: list[bytes]
    lost: list[tuple[int, int]]
    torn_bytes: int = 0


A, B, C, D = b"a" * 30, b"b" * 30, b"c" * 30, b"d" * 30
FRAME = HEADER_SIZE + 4 + 30

CASES = [
    Case("nothing", lambda disk: None, [A, B, C, D], []),
    Case("tail cut in the body", lambda d: d.truncate(FIRST, 4 * FRAME - 1), [A, B, C], [], 81),
    Case("tail cut in the header", lambda d: d.truncate(FIRST, 3 * FRAME + 9), [A, B, C], [], 9),
    Case("tail cut between", lambda d: d.truncate(FIRST, 3 * FRAME), [A, B, C], []),
    Case("emptied", lambda d: d.truncate(FIRST, 0), [], []),
    Case("body flipped", lambda d: d.flip(FIRST, FRAME + 60), [A, C, D], [(1, 2)]),
    Case("magic flipped", lambda d: d.flip(FIRST, FRAME), [A, C, D], [(1, 2)]),
    Case("size flipped", lambda d: d.flip(FIRST, FRAME + 17), [A, C, D], [(1, 2)]),
    Case("first frame flipped", lambda d: d.flip(FIRST, 50), [B, C, D], [(0, 1)]),
    Case(
        "two neighbours flipped",
        lambda d: (d.flip(FIRST, FRAME + 60), d.flip(FIRST, 2 * FRAME + 12)),
        [A, D],
        [(1, 3)],
    ),
    Case(
        "two apart flipped",
        lambda d: (d.flip(FIRST, 60), d.flip(FIRST, 2 * FRAME + 60)),
        [B, D],
        [(0, 1), (2, 3)],
    ),
    Case("last frame flipped", lambda d: d.flip(FIRST, 4 * FRAME - 1), [A, B, C], [], FRAME),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_recovery(case: Case) -> None:
    disk = FaultyFileSystem()
    write(disk, [[A], [B], [C], [D]]).close()
    case.damage(disk)
    log = Log.open(disk, "log", key=KEY)
    records, damages = read(log)
    assert records == case.survives
    assert [(d.first_position, d.end_position) for d in damages] == case.lost
    assert log.recovery.torn_bytes == case.torn_bytes
    assert all(damage.acknowledged for damage in log.recovery.damages)
    # It writes on, and what it writes outlives the next start.
    log.append([b"after"], arrived_ms=2)
    log.sync()
    again, _ = read(Log.open(disk, "log", key=KEY))
    assert again == [*case.survives, b"after"]


def test_a_damaged_segment_is_kept_aside_and_a_sound_one_deleted() -> None:
    disk = FaultyFileSystem()
    write(disk, [[A], [B], [C], [D]], size_bytes_max=2 * FRAME).close()
    disk.flip(FIRST, 60)
    log = Log.open(disk, "log", key=KEY)
    log.discard(4)
    assert disk.paths() == [FIRST + ".damaged"]


def test_damage_after_the_start_is_told_in_its_place() -> None:
    disk = FaultyFileSystem()
    log = write(disk, [[A], [B], [C]])
    disk.flip(FIRST, FRAME + 60)
    assert read(log) == ([A, C], [Damage(segment_name(0), 1, 2, acknowledged=True)])


def test_a_lost_segment_is_reported_not_renumbered() -> None:
    disk = FaultyFileSystem()
    write(disk, [[A], [B], [C]], size_bytes_max=1).close()
    disk.remove(f"log/{segment_name(1)}")
    log = Log.open(disk, "log", key=KEY)
    assert log.position_next == 3
    assert read(log)[0] == [A, C]
    assert [(d.first_position, d.end_position) for d in log.recovery.damages] == [(1, 2)]


def test_a_failed_sync_is_never_believed_afterwards() -> None:
    disk = FaultyFileSystem()
    log = write(disk, [[A]])
    log.append([B], arrived_ms=1)
    disk.fail("sync")
    with pytest.raises(LogUnavailable, match="sync"):
        log.sync()
    log.append([C], arrived_ms=1)
    log.sync()
    disk.crash(keep_unsynced_bytes=10_000, keep_entry=lambda _: True)
    assert read(Log.open(disk, "log", key=KEY)) == ([A, C], [])


def test_a_full_disk_refuses_and_recovers_by_itself() -> None:
    disk = FaultyFileSystem()
    log = write(disk, [[A]])
    disk.capacity_bytes = FRAME + 20
    for _ in range(3):
        with pytest.raises(LogUnavailable, match="No space left"):
            log.append([B], arrived_ms=1)
            log.sync()
    disk.heal()
    log.append([C], arrived_ms=1)
    assert log.sync() == 2
    assert read(log) == ([A, C], [])


def test_delivered_segments_go_and_starting_reads_only_the_rest() -> None:
    disk = FaultyFileSystem()
    log = write(disk, [[bytes([i]) * 30] for i in range(50)], size_bytes_max=2 * FRAME)
    log.close()
    disk.calls.clear()
    log = Log.open(disk, "log", key=KEY, delivered=46)
    assert sum(operation == "read" for operation, _ in disk.calls) == 2
    assert log.recovery.records == 4
    log.discard(50)
    assert disk.paths() == []
    assert Log.open(disk, "log", key=KEY, delivered=50).position_next == 50


def test_an_idle_log_keeps_no_delivered_record() -> None:
    disk = FaultyFileSystem()
    log = write(disk, [[A], [B]])
    log.discard(2)
    assert disk.paths() == []
    log.append([C], arrived_ms=1)
    log.sync()
    assert read(log, 2) == ([C], [])


def test_discard_leaves_what_is_being_written() -> None:
    disk = FaultyFileSystem()
    log = write(disk, [[A]])
    log.append([B], arrived_ms=1)
    log.discard(1)
    log.sync()
    assert read(log, 1) == ([B], [])


def test_reading_begins_and_ends_anywhere() -> None:
    disk = FaultyFileSystem()
    records = [os.urandom(200_000) for _ in range(40)]
    pairs = [records[i : i + 2] for i in range(0, 40, 2)]
    log = write(disk, pairs, size_bytes_max=3_000_000)
    for first, end in [(0, 40), (3, 4), (7, 31), (39, 40), (12, 12)]:
        found = [r for frame in log.read(first, end) for r in frame.records]
        assert found == records[first:end]


def test_recovery_tells_of_undelivered_frames_only() -> None:
    disk = FaultyFileSystem()
    write(disk, [[A], [B], [C]]).close()
    seen = []
    Log.open(disk, "log", key=KEY, delivered=2, on_frame=seen.append)
    assert [(h.first_position, h.record_count, h.payload_size) for h in seen] == [(2, 1, 30)]


@pytest.mark.parametrize(
    ("name", "position"),
    [
        ("00000000000000000012.seg", 12),
        ("00000000000000000012.seg.damaged", None),
        ("12.seg", None),
        (".seg", None),
        ("notes.txt", None),
    ],
)
def test_only_segments_are_taken_for_segments(name: str, position: int | None) -> None:
    assert first_position_of(name) == position
