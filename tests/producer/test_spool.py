"""The disk queue: order, damage, bounds, ownership."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakelet.producer.errors import SpoolFull
from lakelet.producer.frames import HEADER_BYTES, decode_frames, encode_frames
from lakelet.producer.records import Record
from lakelet.producer.spool import SpoolQueue
from lakelet.producer.spool_folders import adopt_folders, create_folder

MIB = 1024 * 1024

record_lists = st.lists(st.builds(Record, st.binary(max_size=64), st.integers(1, 20)), max_size=20)


def records(*numbers):
    return [Record(b"event %d" % number) for number in numbers]


@pytest.fixture
def damages():
    return []


@pytest.fixture
def open_queue(tmp_path, damages):
    def open_(folder=tmp_path, **options):
        options = {"bytes_max": MIB, "segment_bytes": 64, **options}
        return SpoolQueue(folder, on_damage=damages.append, **options)

    return open_


def drain(queue):
    found = []
    while chunk := queue.peek():
        found += chunk.records
        queue.advance(chunk)
    return found


# --- frames -----------------------------------------------------------------------


@given(record_lists)
def test_frames_round_trip(kept):
    decoded = decode_frames(encode_frames(kept), records_max=100)
    assert decoded.records == kept
    assert decoded.damaged_bytes(len(kept)) == 0


@given(record_lists, record_lists, st.binary(max_size=40), st.integers(0, 7), st.data())
def test_a_flipped_bit_costs_one_record_at_most(before, after, middle, bit, data):
    damaged = bytearray(encode_frames([Record(middle)]))
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] ^= 1 << bit
    raw = encode_frames(before) + bytes(damaged) + encode_frames(after)
    assert decode_frames(raw, records_max=100).records == [*before, *after]


@given(record_lists, st.data())
def test_a_torn_tail_costs_only_what_was_torn(kept, data):
    raw = encode_frames(kept)
    cut = data.draw(st.integers(0, len(raw)))
    decoded = decode_frames(raw[:cut], records_max=100)
    assert decoded.records == kept[: len(decoded.records)]
    whole = [end for end in decode_frames(raw, records_max=100).ends if end <= cut]
    assert decoded.ends == whole


# --- the queue --------------------------------------------------------------------


def test_first_in_first_out_over_many_segments_and_nothing_is_left(open_queue, tmp_path):
    queue = open_queue()
    for number in range(50):
        queue.append(records(number))
    assert len(list(tmp_path.glob("*.spool"))) > 5
    assert queue.pending_bytes == sum(HEADER_BYTES + len(r.data) for r in records(*range(50)))
    assert drain(queue) == records(*range(50))
    assert queue.pending_bytes == 0
    assert list(tmp_path.iterdir()) == []


def test_until_advanced_the_same_records_come_again(open_queue):
    queue = open_queue()
    queue.append(records(1, 2))
    assert queue.peek() == queue.peek()


@pytest.mark.parametrize("advanced", [0, 1, 3])
def test_a_new_process_goes_on_where_the_last_one_stopped(open_queue, advanced):
    queue = open_queue(segment_bytes=10_000)
    for number in range(4):
        queue.append(records(*range(number * 500, number * 500 + 500)))
    for _ in range(advanced):
        queue.advance(queue.peek())
    queue.close()
    again = open_queue()
    assert drain(again) == records(*range(advanced * 500, 2000))


def test_appending_while_the_tail_is_being_sent(open_queue):
    queue = open_queue(segment_bytes=10_000)
    queue.append(records(1))
    chunk = queue.peek()
    queue.append(records(2))
    queue.advance(chunk)
    assert drain(queue) == records(2)
    queue.append(records(3))
    assert drain(queue) == records(3)


def test_a_lost_progress_file_means_again_not_never(open_queue, tmp_path):
    queue = open_queue(segment_bytes=100_000)
    queue.append(records(*range(600)))
    queue.advance(queue.peek())
    for path in tmp_path.glob("*.sent"):
        path.write_text("nonsense")
    assert drain(open_queue()) == records(*range(600))


def test_the_bound_holds_and_space_comes_back(open_queue):
    queue = open_queue(bytes_max=200)
    with pytest.raises(SpoolFull, match="bound of 200"):
        for number in range(100):
            queue.append(records(number))
    held = drain(queue)
    assert 0 < len(held) < 100
    assert held == records(*range(len(held)))
    queue.append(records(7))
    assert drain(queue) == records(7)


def test_a_disk_that_refuses_is_a_full_spool(open_queue, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    queue = open_queue(folder)
    shutil.rmtree(folder)
    with pytest.raises(SpoolFull, match="cannot be written"):
        queue.append(records(1))


def test_a_half_written_batch_is_cut_off_and_never_appended_behind(tmp_path):
    """The file-size limit of a process of its own tears a write for real."""
    program = f"""
import resource, signal
from pathlib import Path
from lakelet.producer.errors import SpoolFull
from lakelet.producer.records import Record
from lakelet.producer.spool import SpoolQueue
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
queue = SpoolQueue(Path({str(tmp_path)!r}), bytes_max=10**6, on_damage=print)
queue.append([Record(b"first")])
resource.setrlimit(resource.RLIMIT_FSIZE, (60, resource.RLIM_INFINITY))
try:
    queue.append([Record(b"x" * 100)])
except SpoolFull:
    print("full")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
queue.append([Record(b"second")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("full\n", 0), done.stderr
    problems = []
    queue = SpoolQueue(tmp_path, bytes_max=MIB, on_damage=problems.append)
    assert drain(queue) == [Record(b"first"), Record(b"second")]
    assert problems == []


def test_damage_is_told_and_the_rest_is_read_on(open_queue, tmp_path, damages):
    queue = open_queue(segment_bytes=10_000)
    queue.append(records(1, 2, 3))
    queue.append(records(4))
    queue.close()
    (path,) = tmp_path.glob("*.spool")
    data = bytearray(path.read_bytes())
    data[data.index(b"event 2")] ^= 0xFF
    path.write_bytes(data + b"LkR1torn")
    assert drain(open_queue()) == records(1, 3, 4)
    assert [damage.code for damage in damages] == ["producer.spool_damaged"] * 2


def test_a_segment_of_nothing_but_damage_does_not_block(open_queue, tmp_path, damages):
    (tmp_path / "0000000001.spool").write_bytes(b"\0" * 100)
    queue = open_queue()
    queue.append(records(1))
    assert drain(queue) == records(1)
    assert len(damages) == 1


def test_rejected_records_are_kept_out_of_the_queue(open_queue, tmp_path):
    queue = open_queue()
    queue.keep_rejected(records(1))
    queue.keep_rejected(records(2))
    assert queue.peek() is None
    kept = decode_frames((tmp_path / "rejected.frames").read_bytes(), records_max=9)
    assert kept.records == records(1, 2)


# --- folders ----------------------------------------------------------------------


def test_a_folder_is_adopted_only_once_its_owner_is_gone(tmp_path):
    mine = create_folder(tmp_path, "s")
    assert list(adopt_folders(tmp_path, "s")) == []
    assert list(adopt_folders(tmp_path, "another")) == []
    mine.release(remove=False)
    (adopted,) = adopt_folders(tmp_path, "s")
    assert adopted.path == mine.path
    assert list(adopt_folders(tmp_path, "s")) == [], "once"
    adopted.release(remove=True)
    assert not mine.path.exists()


def test_kill_9_leaves_an_orphan(tmp_path):
    program = f"""
import sys
from pathlib import Path
from lakelet.producer.spool_folders import create_folder
folder = create_folder(Path({str(tmp_path)!r}), "s")
print(folder.path, flush=True)
sys.stdin.read()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    path = Path(child.stdout.readline().strip())
    assert list(adopt_folders(tmp_path, "s")) == []
    child.kill()
    child.communicate()
    assert [folder.path for folder in adopt_folders(tmp_path, "s")] == [path]


def test_a_lock_on_a_removed_file_counts_for_nothing(tmp_path, monkeypatch):
    mine = create_folder(tmp_path, "s")
    flock = fcntl.flock

    def flock_behind_the_owners_last_act(descriptor, operation):
        mine.release(remove=True)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock_behind_the_owners_last_act)
    assert list(adopt_folders(tmp_path, "s")) == []


def test_a_stream_called_dot_dot_stays_inside(tmp_path):
    root = tmp_path / "root"
    assert create_folder(root, "..").path.is_relative_to(root)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
