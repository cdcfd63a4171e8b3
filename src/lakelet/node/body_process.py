"""A process that reads large request bodies, so that the event loop need not.

What a batch of 500 records costs the node is half its hash and its Base64. Where that fills the
event loop, they are left to a process of its own: a thread would have to share the interpreter
with the loop, and hand it over more often than it computes (docs/decisions/0017). It is started
under load, and ends when there was none for a while.

Bodies and records go through memory that both have mapped, cut into slots of one body each; over a
pair of sockets goes which slot is to be read, and what was found. The child lives as long as its
socket is open: when the node dies, even of kill -9, it ends at once. When the child dies, the
node reads the bodies itself that it had: they are kept until their answer.
"""

import contextlib
import hashlib
import logging
import mmap
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from asyncio import AbstractEventLoop, TimerHandle, get_running_loop
from collections.abc import Callable, Sequence

from lakelet.ingest.records import Records
from lakelet.model.ports import Buffer
from lakelet.wire.put_bodies import ReadBody, split_batch

_log = logging.getLogger("lakelet.node")

# So many at once; the next are read by the loop. With fewer of them than the connections of a busy
# producer, both waited for each other: with 3 the node took 310,000 events/s, with 8 390,000.
SLOTS = 16
# The largest batch in Base64, with room for what stands between. Behind it comes what was found:
# three quarters of the body, and the records' sizes. Only memory that is used exists.
_BODY_SIZE_BYTES_MAX = 6 * 1024 * 1024
_SLOT_SIZE_BYTES = _BODY_SIZE_BYTES_MAX + 5 * 1024 * 1024
# A slot keeps the memory that bodies of a usual size took; what a larger one took is given back.
_KEPT_SIZE_BYTES = 1024 * 1024

# The loop reads bodies itself until it spends so much of a second on them.
BUSY_SECONDS, BUSY_WINDOW_SECONDS = 0.1, 1.0
IDLE_SECONDS = 30.0
# A child that died is not missed: the loop does its work. So there is time to find out why.
_RESTART_SECONDS = 30.0
_END_SECONDS_MAX = 5.0

_TO_READ = struct.Struct("<II")  # slot, size of its body
_FOUND = struct.Struct("<IIII64s64s")  # slot, kind, records, size of them, stream, SHA-256
_READY, _USUAL, _UNUSUAL = range(3)

_Answer = Callable[[ReadBody | None], None]


class BodyProcess:
    """The node's end, a `wire.put_bodies.BodyReader`. All of it belongs to one event loop."""

    def __init__(self) -> None:
        self._child: _Child | None = None
        self._is_needless = not hasattr(os, "memfd_create") or (os.cpu_count() or 1) < 2
        self._window_began = self._spent_seconds = self._start_not_before = 0.0
        self._timer: TimerHandle | None = None
        self._seen: tuple[int, bool] | None = None  # by the last look at this child

    @property
    def pid(self) -> int | None:
        """None while there is no process."""
        return self._child.pid if self._child else None

    @property
    def is_ready(self) -> bool:
        return self._child is not None and self._child.is_ready

    def read(self, parts: Sequence[Buffer], size_bytes: int, answer: _Answer) -> bool:
        """See `BodyReader`."""
        return self._child is not None and self._child.read(parts, size_bytes, answer)

    def note_own_work(self, seconds: float) -> None:
        """Starts the process where it would help."""
        if self._child is not None or self._is_needless:
            return
        now = time.monotonic()
        if now - self._window_began > BUSY_WINDOW_SECONDS:
            self._window_began, self._spent_seconds = now, 0.0
        self._spent_seconds += seconds
        if self._spent_seconds >= BUSY_SECONDS and now >= self._start_not_before:
            self.start()

    def start(self) -> None:
        """Bodies are taken as soon as the process is ready. Where it can't be started, the loop
        goes on alone."""
        loop = get_running_loop()
        self._start_not_before = time.monotonic() + _RESTART_SECONDS
        try:
            self._child = _Child(loop, self._forget)
        except OSError as error:
            _log.warning("no process to read bodies (%s): the event loop does it", error.strerror)
            return
        self._seen = None
        self._timer = loop.call_later(IDLE_SECONDS, self._look_again, loop)

    def close(self) -> None:
        """Returns once the process has ended. What it still has is answered with None."""
        if self._child is not None:
            child = self._child
            self._forget()
            child.close()
            child.wait()

    def look(self) -> None:
        """Ends a process that has had nothing to do since the look before, and kills one that has
        owed something since and given nothing."""
        child, before = self._child, self._seen
        if child is None:
            return
        self._seen = now = child.answered_count, child.owes
        if before is None or now[0] != before[0]:
            return
        if before[1]:
            _log.warning("the process that reads bodies has not moved for %g s", IDLE_SECONDS)
            child.kill()
        elif not child.owes:
            self._forget()
            child.close()

    def _look_again(self, loop: AbstractEventLoop) -> None:
        self._timer = loop.call_later(IDLE_SECONDS, self._look_again, loop)
        self.look()

    def _forget(self) -> None:
        self._child = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Child:
    """One process, from its start to its end."""

    def __init__(self, loop: AbstractEventLoop, on_death: Callable[[], None]) -> None:
        """Raises OSError."""
        self._loop, self._on_death = loop, on_death
        self.is_ready = False
        self.answered_count = 0
        self._free = list(range(SLOTS))
        self._waiting: dict[int, tuple[_Answer, int]] = {}
        self._came = b""  # the beginning of what was found
        size_bytes = SLOTS * _SLOT_SIZE_BYTES
        with contextlib.ExitStack() as when_failed:
            memory = os.memfd_create("lakelet-bodies")
            when_failed.callback(os.close, memory)
            os.ftruncate(memory, size_bytes)
            self._map = mmap.mmap(memory, size_bytes)
            self._slots = memoryview(self._map)
            self._socket, theirs = socket.socketpair()
            when_failed.callback(theirs.close)
            self._socket.setblocking(False)
            self._process = _start(memory, theirs.fileno())
        loop.add_reader(self._socket.fileno(), self._hear)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def owes(self) -> bool:
        """To say that it is ready is the first of its answers."""
        return not self.is_ready or bool(self._waiting)

    def read(self, parts: Sequence[Buffer], size_bytes: int, answer: _Answer) -> bool:
        if not self.is_ready or not self._free or size_bytes > _BODY_SIZE_BYTES_MAX:
            return False
        slot = self._free.pop()
        at = slot * _SLOT_SIZE_BYTES
        for part in parts:
            end = at + len(part)
            self._slots[at:end] = part
            at = end
        try:
            self._socket.send(_TO_READ.pack(slot, size_bytes))
        except OSError:  # it has died, of which `_hear` will hear
            return False
        self._waiting[slot] = answer, size_bytes
        return True

    def kill(self) -> None:
        """`_hear` will hear of it."""
        self._process.kill()

    def close(self) -> None:
        """It ends as it sees its socket closed; whoever waits is answered with None."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self.is_ready = False
        for answer, _ in self._waiting.values():
            self._loop.call_soon(answer, None)
        self._slots.release()
        self._map.close()
        # So that nothing of it remains in the kernel's table; it has nothing left to do.
        threading.Thread(target=self._process.wait, name="lakelet-reap", daemon=True).start()

    def wait(self) -> None:
        try:
            self._process.wait(_END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self) -> None:
        try:
            came = self._socket.recv(SLOTS * _FOUND.size)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        if not came:
            _log.warning(
                "the process that reads bodies ended by itself; the event loop reads them for "
                "%d s. What it wrote to standard error stands above.",
                _RESTART_SECONDS,
            )
            self._on_death()
            self.close()
            return
        came = self._came + came
        whole = len(came) // _FOUND.size * _FOUND.size
        self._came = came[whole:]
        for found in _FOUND.iter_unpack(came[:whole]):
            self._take(*found)

    def _take(
        self, slot: int, kind: int, count: int, size_bytes: int, stream: bytes, sha256: bytes
    ) -> None:
        self.answered_count += 1
        if kind == _READY:
            self.is_ready = True
            return
        answer, body_size = self._waiting.pop(slot)
        begin = slot * _SLOT_SIZE_BYTES
        body = None
        if kind == _USUAL:
            sizes_at = begin + _BODY_SIZE_BYTES_MAX
            payload_at = sizes_at + 4 * count
            sizes = bytes(self._slots[sizes_at:payload_at])
            payload = bytes(self._slots[payload_at : payload_at + size_bytes])
            body = ReadBody(sha256, stream.rstrip(b"\0").decode(), Records(sizes, payload))
        if body_size > _KEPT_SIZE_BYTES:
            self._map.madvise(mmap.MADV_REMOVE, begin, _SLOT_SIZE_BYTES)
        self._free.append(slot)
        self._loop.call_soon(answer, body)  # what one may raise is not the others' business


def _start(memory: int, end: int) -> "subprocess.Popen[bytes]":
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        # Not `-m`, and not multiprocessing: see transform_process.py.
        [
            sys.executable,
            "-c",
            "from lakelet.node import body_process as b; b.main()",
            str(memory),
            str(end),
        ],
        stdin=subprocess.DEVNULL,
        stdout=2,  # whoever prints, prints to standard error
        pass_fds=(memory, end),
        # One thread is all it has use for; BLAS would keep memory for each core.
        env={"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": paths},
        # Ctrl-C in a terminal reaches the whole group: the node decides when we end.
        process_group=0,
    )


# --- the child ----------------------------------------------------------------------


def main() -> None:
    """Read bodies until the socket is closed."""
    memory, end = int(sys.argv[1]), int(sys.argv[2])
    slots = memoryview(mmap.mmap(memory, SLOTS * _SLOT_SIZE_BYTES))
    node = socket.socket(fileno=end)
    # A node that is gone waits for nothing that we are doing.
    with contextlib.suppress(ConnectionError):
        node.sendall(_FOUND.pack(0, _READY, 0, 0, b"", b""))
        while len(told := node.recv(_TO_READ.size, socket.MSG_WAITALL)) == _TO_READ.size:
            slot, size_bytes = _TO_READ.unpack(told)
            begin = slot * _SLOT_SIZE_BYTES
            found = read_slot(slots[begin : begin + _SLOT_SIZE_BYTES], size_bytes)
            node.sendall(_FOUND.pack(slot, *found))


def read_slot(slot: memoryview, size_bytes: int) -> tuple[int, int, int, bytes, bytes]:
    """What is told of a slot's body; its records stand in the slot, behind it."""
    body = slot[:size_bytes]
    found = split_batch(body)
    if found is None:
        return _UNUSUAL, 0, 0, b"", b""
    stream, records = found
    payload_at = _BODY_SIZE_BYTES_MAX + len(records.packed_sizes)
    end = payload_at + records.size_bytes
    slot[_BODY_SIZE_BYTES_MAX:payload_at] = records.packed_sizes
    slot[payload_at:end] = memoryview(records.payload).cast("B")
    sha256 = hashlib.sha256(body).hexdigest().encode()
    return _USUAL, len(records), records.size_bytes, stream.encode(), sha256
