"""A process that transforms, so that a hostile file can hurt no one else.

The parent holds `TransformProcess`; the child runs `main`. Between them go frames over
the child's standard input and output: a length, then a pickle (both ends are this code on
this machine). The child lives as long as its standard input is open: when its parent dies,
even of kill -9, the kernel closes the pipe and the child ends at once.

Not `multiprocessing`: its spawn imports the caller's `__main__` again, which in a user's
script without a main guard would run that script twice.
"""

import contextlib
import io
import os
import pickle
import select
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol

from lakelet.model.errors import LakeletError, Outcome
from lakelet.model.manifest import Manifest
from lakelet.node.interpreter import do_without_pandas, give_memory_back


class Transform(Protocol):
    """What a Setup makes."""

    def __call__(self, bucket: str, key: str, *, alone: bool) -> Manifest:
        """One raw object. `alone`: nobody else is at work, so the other cores are free."""
        ...


Setup = Callable[[], Transform]  # picklable; called once, in the process that transforms

# Transforming may wait; answering a producer may not.
NICENESS = 5
# Private memory of the child. The transform streams, so 600 MB are its promise for 1 GB of
# input; where a bug or a bomb breaks it, the child alone meets the limit.
MEMORY_SIZE_BYTES_MAX = 4 << 30

# Arrow's own allocator keeps what it once had, for each thread and for ever: 53 MB for an object
# of 5 MB. Arrow reads this as it is loaded. The system's gave pages back too soon, after every
# object anew: to fault them in again took a tenth of the processors' time. So it keeps them, 35
# MB for such an object, until the process is idle.
ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # the most that glibc allows; others don't ask
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}
IDLE_SECONDS = 1.0
# Never idle so long, it keeps what lies between pieces that are in use: 3 MB more each minute.
KEPT_SECONDS_MAX = 10.0

_LENGTH = struct.Struct(">I")


class TransformFailed(LakeletError):
    """One raw object could not be transformed; `outcome` says whether to try again."""

    code = "node.transform_failed"
    outcome = Outcome.RETRY

    def __init__(
        self, message: str, *, hint: str = "", code: str = code, outcome: Outcome = Outcome.RETRY
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.outcome = outcome


class ProcessUnavailable(LakeletError):
    """The process did not start: this says nothing about the object."""

    code = "node.transform_process_unavailable"
    outcome = Outcome.RETRY


@dataclass(frozen=True, slots=True)
class _Failure:
    code: str
    message: str
    hint: str
    outcome: Outcome


def describe(error: BaseException) -> _Failure:
    """An error as it may be stored and logged.

    Ours say what they say. A stranger's message may quote the data it choked on, so of
    that only its type and place remain.
    """
    if isinstance(error, LakeletError):
        return _Failure(error.code, error.message, error.hint, error.outcome)
    if isinstance(error, OSError) and error.strerror:
        return _Failure("os.error", error.strerror, "", Outcome.RETRY)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return _Failure("python.error", f"{type(error).__name__}{where}", "", Outcome.RETRY)


def raise_failure(failure: _Failure) -> NoReturn:
    raise TransformFailed(
        failure.message, hint=failure.hint, code=failure.code, outcome=failure.outcome
    )


class TransformProcess:
    """The parent's end. Not thread-safe: one thread, one process."""

    def __init__(self, setup: Setup) -> None:
        """Raises ProcessUnavailable. Returns once the child can take an object."""
        paths = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        self._child = subprocess.Popen(
            # Not `-m`: as `__main__`, this module's classes would pickle under that name.
            [sys.executable, "-c", "from lakelet.node import transform_process as t; t.main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**ENVIRONMENT, **os.environ, **paths},
            # Ctrl-C in a terminal reaches the whole group: the node decides when we end.
            process_group=0,
        )
        try:
            _write(self._stdin, setup)
            ready = _read(self._stdout)
        except (OSError, EOFError) as error:
            raise ProcessUnavailable(
                f"the transform process ended with {self._ending()} before its first object",
                hint="What it wrote to standard error stands above.",
            ) from error
        if isinstance(ready, _Failure):
            self.kill()
            raise ProcessUnavailable(ready.message, hint=ready.hint)

    @property
    def pid(self) -> int:
        return self._child.pid

    def transform(
        self,
        bucket: str,
        key: str,
        *,
        timeout_seconds: float,
        alone: bool = True,
        on_tick: Callable[[], None] = lambda: None,
        tick_seconds: float = 5.0,
    ) -> Manifest:
        """One raw object. `on_tick` is called while waiting.

        Raises TransformFailed; afterwards `alive` tells whether this process goes on.
        """
        deadline = time.monotonic() + timeout_seconds
        try:
            _write(self._stdin, (bucket, key, alone))
            while not self._readable(min(tick_seconds, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    self.kill()
                    raise TransformFailed(
                        f"no end after {timeout_seconds:g} s; its process was killed",
                        code="node.transform_timeout",
                    )
                on_tick()
            answer = _read(self._stdout)
        except (OSError, EOFError) as error:
            raise TransformFailed(
                f"the transform process ended with {self._ending()}",
                hint="Signal 9 not sent by hand is most often the kernel, out of memory.",
                code="node.transform_process_ended",
            ) from error
        if isinstance(answer, _Failure):
            raise_failure(answer)
        return Manifest.decode(answer)

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def close(self) -> None:
        """End it after its current object, if any."""
        with contextlib.suppress(OSError):
            _write(self._stdin, None)
        self._child.wait()
        for stream in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                stream.close()

    def kill(self) -> None:
        """End it now. May be called from another thread: `transform` then fails."""
        self._child.kill()
        self._child.wait()

    @property
    def _stdin(self) -> Any:
        return self._child.stdin

    @property
    def _stdout(self) -> Any:
        return self._child.stdout

    def _readable(self, timeout_seconds: float) -> bool:
        return bool(select.select([self._stdout], [], [], timeout_seconds)[0])

    def _ending(self) -> str:
        status = self._child.wait()
        return f"signal {-status}" if status < 0 else f"exit status {status}"


def _write(stream: BinaryIO, message: Any) -> None:
    body = pickle.dumps(message)
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


def _read(stream: BinaryIO) -> Any:
    """Raises EOFError where the other end is gone."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    body = stream.read(_LENGTH.unpack(header)[0])
    return pickle.loads(body)  # noqa: S301 - from our own other half


# --- the child ----------------------------------------------------------------------


def main() -> None:
    """Take a Setup, then objects, until standard input ends."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    _limit_memory(MEMORY_SIZE_BYTES_MAX)
    requests, answers = _take_over_standard_streams()
    inbox = _Inbox(requests)
    do_without_pandas()
    try:
        transform: Transform = inbox.get()()
    except Exception as error:  # noqa: BLE001 - the parent shall hear of any
        _write(answers, describe(error))
        return
    _write(answers, None)
    while True:
        bucket, key, alone = inbox.get()
        try:
            answer: Any = transform(bucket, key, alone=alone).encode()
        except Exception as error:  # noqa: BLE001 - a failed object, not the end of us
            answer = describe(error)
        _write(answers, answer)


class _Inbox:
    """Requests, read by a thread of its own, so that the parent's death is seen at work too."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._items: list[Any] = []
        self._filled = threading.Semaphore(0)
        self._given_back_at = time.monotonic()
        threading.Thread(target=self._fill, daemon=True, name="requests").start()

    def get(self) -> Any:
        if not self._filled.acquire(timeout=IDLE_SECONDS):
            self._give_memory_back()
            self._filled.acquire()
        elif time.monotonic() > self._given_back_at + KEPT_SECONDS_MAX:
            self._give_memory_back()
        message = self._items.pop(0)
        if message is None:  # closed in order, between objects
            os._exit(0)
        return message

    def _give_memory_back(self) -> None:
        give_memory_back()
        self._given_back_at = time.monotonic()

    def _fill(self) -> None:
        try:
            while True:
                self._items.append(_read(self._stream))
                self._filled.release()
        except EOFError:
            os._exit(1)  # the parent is gone: nobody waits for what we are doing


def _limit_memory(size_bytes_max: int) -> None:
    try:
        import resource
    except ImportError:  # not POSIX
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (size_bytes_max, size_bytes_max))


def _take_over_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Our frames own the pipes; whoever prints, prints to standard error."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), line_buffering=True)
    return requests, answers
