"""Which event keys were seen before, across objects: exact, on disk, in bounded memory.

A key store for one node. Keys come by the ten thousand, at random places of the key space:
a B-tree (SQLite, LMDB) then rewrites a page a key, and at five million keys LMDB was down
to 100,000 keys/s. So this is a log of sorted runs: each claim appends one small sorted
file, and files merge by size, as in any LSM tree, a part of the key space at a time.
Looking up is a binary search of sorted keys in each of some dozen memory-mapped files.

    <folder>/<table>/<bucket>/<number>.run

A bucket holds what was claimed within a quarter of the window, by the clock's time; when
all of it is older than the window the folder goes at once. Each file appears whole, by
rename; a merge that is cut short leaves its inputs beside its result, and claims in two
files are still the same claims. So there is no state to repair.

How exact: keys are compared as 128 bits of BLAKE2b, owners as 64. For a billion keys the
chance that any two share 128 bits is below 10⁻²⁰.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakelet.model.contract import Contract
from lakelet.model.ports import Clock

MAGIC = b"LKSEEN01"
BUCKETS_PER_WINDOW = 4
# Runs of like size merge when there are so many: more means fewer rewrites, more lookups.
MERGE_COUNT = 8
# Of a merge, how many are in memory at once: 100 bytes each. Runs grow to gigabytes.
_PART_KEYS = 1 << 16
_SUFFIX = ".run"

U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Claims:
    """Keys with what is known of each, sorted by `high`. Columns of equal length."""

    high: U64  # the key's 128 bits
    low: U64
    time_us: npt.NDArray[np.int64]
    owner: U64

    def __len__(self) -> int:
        return len(self.high)

    def take(self, where: npt.NDArray[Any] | slice) -> "_Claims":
        return _Claims(self.high[where], self.low[where], self.time_us[where], self.owner[where])

    def ordered(self) -> "_Claims":
        # Runs laid end to end: timsort, which "stable" is here, merges what is sorted already.
        return self.take(np.argsort(self.high, kind="stable"))


class SeenStore:
    """Claims of event keys by their owners (raw objects). One folder; several processes may
    use it, one at a time (flock). Not thread-safe within a process."""

    def __init__(self, folder: Path, windows: dict[str, timedelta], clock: Clock) -> None:
        """
        Args:
            windows: for each table with duplicates to find, how far apart the times of
                two events with one key may lie to count as one event.
        """
        self._folder = folder
        self._windows = windows
        self._clock = clock
        self._remembers = True
        self._maps: dict[Path, _Claims] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def without_claiming(self) -> "SeenStore":
        """The same answers, and nothing is remembered: for a dry run."""
        store = copy(self)
        store._remembers = False
        return store

    def claim(self, table: str, keys: pa.Array, times: pa.Array, owner: str) -> pa.Array:
        """Claim keys for one owner.

        Args:
            keys: without nulls, each once; compared as text.
            times: timestamps, one a key; what the window is measured in.
            owner: the raw object. Whoever claims twice gets the same answer twice.
        Returns:
            Booleans: True where the key is the owner's, False where another owner has it
            within the window. Durable on return.
        """
        if len(keys) == 0:
            return pa.array([], pa.bool_())
        window_us = self._windows[table] // timedelta(microseconds=1)
        wanted, order = _wanted(keys, times, owner)
        with self._locked(table) as bucket:
            mine, taken = _look(wanted, self._runs(table), window_us)
            fresh = wanted.take(~mine & ~taken)
            if len(fresh) and self._remembers:
                if not bucket.exists():  # a new quarter of the window begins
                    self._expire(table, int(bucket.name))
                self._append(bucket, fresh)
                self._merge(bucket)
        allowed = np.empty(len(wanted), dtype=bool)
        allowed[order] = mine | ~taken
        return pa.array(allowed)

    # --- files -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self, table: str) -> Iterator[Path]:
        """Hold the table; gives the bucket of this moment."""
        folder = self._folder / table
        seconds = self._windows[table] / timedelta(seconds=1) / BUCKETS_PER_WINDOW
        number = int(self._clock.now().timestamp() // max(seconds, 1.0))
        folder.mkdir(exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder / f"{number:012d}"
        finally:
            os.close(lock)

    def _buckets(self, table: str) -> list[Path]:
        folder = self._folder / table
        return sorted(path for path in folder.iterdir() if path.name.isdigit())

    def _runs(self, table: str) -> list[_Claims]:
        paths = [path for bucket in self._buckets(table) for path in _run_paths(bucket)]
        for gone in self._maps.keys() - set(paths):
            if gone.parent.parent.name == table:
                del self._maps[gone]
        for path in paths:
            if path not in self._maps:
                self._maps[path] = _map(path)
        return [self._maps[path] for path in paths]

    def _expire(self, table: str, now: int) -> None:
        """Remove buckets whose last claim lies a whole window behind."""
        for bucket in self._buckets(table):
            if int(bucket.name) < now - BUCKETS_PER_WINDOW:
                self._remove(bucket)

    def _append(self, bucket: Path, claims: _Claims) -> None:
        bucket.mkdir(exist_ok=True)
        numbers = [int(path.stem) for path in _run_paths(bucket)]
        path = bucket / f"{max(numbers, default=0) + 1:012d}{_SUFFIX}"
        _write(path, len(claims), iter([claims]))

    def _merge(self, bucket: Path) -> None:
        """Merge the newest runs while MERGE_COUNT of them are of like size.

        Sizes fall from old to new. A run joins the merge while all newer ones together
        are at least a MERGE_COUNT-th of it: so each claim is rewritten a logarithm of times.
        """
        paths = _run_paths(bucket)
        sizes = [path.stat().st_size for path in paths]
        start, together = len(paths), 0
        while start and sizes[start - 1] <= max(together, min(sizes)) * MERGE_COUNT:
            start -= 1
            together += sizes[start]
        if len(paths) - start < MERGE_COUNT:
            return
        runs = [_map(path) for path in paths[start:]]
        # Under the newest number: should we be cut short, the inputs are merely merged again.
        _write(paths[-1], sum(map(len, runs)), _merged(runs))
        for path in paths[start:-1]:
            path.unlink()
            self._maps.pop(path, None)
        self._maps.pop(paths[-1], None)

    def _remove(self, bucket: Path) -> None:
        for path in _run_paths(bucket):
            path.unlink()
            self._maps.pop(path, None)
        with contextlib.suppress(OSError):  # a torn write's leavings: next time
            for leftover in bucket.iterdir():
                leftover.unlink()
            bucket.rmdir()


def open_seen_keys(folder: Path, contract: Contract, clock: Clock) -> SeenStore | None:
    """The store for a contract; None where no table looks for duplicates across objects."""
    windows = {
        table.name: timedelta(hours=table.deduplicate.window_hours)
        for table in contract.tables
        if table.deduplicate and table.deduplicate.window_hours
    }
    return SeenStore(folder, windows, clock) if windows else None


# --- keys ------------------------------------------------------------------------------


def _wanted(keys: pa.Array, times: pa.Array, owner: str) -> tuple[_Claims, npt.NDArray[np.intp]]:
    """The claims in key order, and where each came from."""
    digests = b"".join([_digest(key) for key in keys.to_pylist()])
    halves = np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2)
    order = np.argsort(halves[:, 0], kind="stable")
    time_us = times.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    owners = np.full(len(order), _owner_number(owner), dtype=np.uint64)
    return _Claims(halves[order, 0], halves[order, 1], time_us[order], owners), order


def _digest(key: object) -> bytes:
    return blake2b(str(key).encode("utf-8", "surrogatepass"), digest_size=16).digest()


@lru_cache(maxsize=64)
def _owner_number(owner: str) -> int:
    return int.from_bytes(blake2b(owner.encode(), digest_size=8).digest(), "little")


def _look(
    wanted: _Claims, runs: list[_Claims], window_us: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """For each wanted claim: whether it stands already, and whether another owner has it."""
    mine = np.zeros(len(wanted), dtype=bool)
    taken = np.zeros(len(wanted), dtype=bool)
    for run in runs:
        at = np.searchsorted(run.high, wanted.high)
        here = np.arange(len(wanted))
        while True:  # most keys once; further rounds for keys claimed again after the window
            inside = at < len(run)
            here, at = here[inside], at[inside]
            same = run.high[at] == wanted.high[here]
            here, at = here[same], at[same]
            if not len(here):
                break
            found = run.take(at)
            key = found.low == wanted.low[here]
            near = np.abs(found.time_us - wanted.time_us[here]) <= window_us
            own = found.owner == wanted.owner[here]
            mine[here[key & own & (found.time_us == wanted.time_us[here])]] = True
            taken[here[key & near & ~own]] = True
            at = at + 1
    return mine, taken


# --- a run: magic, count, then the four columns ------------------------------------------


def _columns(claims: _Claims) -> tuple[npt.NDArray[Any], ...]:
    return claims.high, claims.low, claims.time_us, claims.owner


def _run_paths(bucket: Path) -> list[Path]:
    if not bucket.is_dir():
        return []
    return sorted(path for path in bucket.iterdir() if path.suffix == _SUFFIX)


def _merged(runs: list[_Claims]) -> Iterator[_Claims]:
    """All of them in key order, in parts of about the same size, however many they are: the
    halves of a hash lie evenly, so equal ranges of them hold about as many keys."""
    parts = sum(map(len, runs)) // _PART_KEYS + 1
    edges = np.array([(part << 64) // parts for part in range(1, parts)], dtype=np.uint64)
    cuts = [[0, *np.searchsorted(run.high, edges).tolist(), len(run)] for run in runs]
    for part in range(parts):
        pieces = [
            run.take(slice(cut[part], cut[part + 1])) for run, cut in zip(runs, cuts, strict=True)
        ]
        columns = zip(*map(_columns, pieces), strict=True)
        yield _Claims(*map(np.concatenate, columns)).ordered()


def _write(path: Path, count: int, parts: Iterator[_Claims]) -> None:
    """Args: parts: `count` claims in all, in key order."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(MAGIC + count.to_bytes(8, "little"))
        done = 0
        for part in parts:
            for number, column in enumerate(_columns(part)):
                file.seek(16 + 8 * (number * count + done))
                file.write(np.ascontiguousarray(column).data)
            done += len(part)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _map(path: Path) -> _Claims:
    header = path.open("rb").read(16)
    count = int.from_bytes(header[8:], "little")
    if header[:8] != MAGIC or path.stat().st_size != 16 + 32 * count:
        raise ValueError(f"{path} is no run of seen keys")
    words = np.memmap(path, dtype=np.uint64, mode="r", offset=16, shape=(4, count))
    return _Claims(words[0], words[1], words[2].view(np.int64), words[3])
