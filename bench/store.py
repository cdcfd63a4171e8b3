"""What the disk store costs beside the bare calls that any durable file needs.

    python bench/store.py [--folder DIR] [--seconds 5] [--files 100000]

put:  a 1 MB object, against write + fsync + rename + fsync of the folder.
list: a lake of 1,000 day folders, against a bare os.walk with a stat of each file.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from lakelet.store.disk import DiskObjectStore

BUCKET = "lake"
BODY_SIZE_BYTES = 1 << 20


def bare_put(folder: Path, name: str, body: bytes) -> None:
    draft = folder / f".{name}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(descriptor, body)
    os.fsync(descriptor)
    os.close(descriptor)
    draft.rename(folder / name)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def bench_put(root: Path, seconds: float) -> None:
    body = os.urandom(BODY_SIZE_BYTES)
    store = DiskObjectStore(root / "buckets")
    store.create_bucket(BUCKET)
    bare = root / "bare"
    bare.mkdir()
    ways: dict[str, Callable[[int], object]] = {
        "bare": lambda n: bare_put(bare, str(n), body),
        "store": lambda n: store.put(BUCKET, f"year=2026/month=03/{n}", body),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    began, number = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for name, put in ways.items():  # in turn, so that a busy disk is busy for both
            start = time.perf_counter()
            put(number)
            taken[name].append(time.perf_counter() - start)
        number += 1
    store.close()
    medians = {name: statistics.median(times) * 1000 for name, times in taken.items()}
    ratio = medians["store"] / medians["bare"]
    print(f"put 1 MB, median of {number}: bare {medians['bare']:.2f} ms, "
          f"store {medians['store']:.2f} ms, ratio {ratio:.2f}")  # fmt: skip


def fill(root: Path, file_count: int) -> None:
    per_day = max(1, file_count // 1000)
    for day in range(1000):
        folder = root / f"year={2024 + day // 360}/month={day // 30 % 12 + 1:02}/day={day % 30:02}"
        folder.mkdir(parents=True)
        for number in range(per_day):
            (folder / f"{number}.parquet").write_bytes(b"x")


def bench_list(root: Path, file_count: int) -> None:
    store = DiskObjectStore(root / "listed")
    store.create_bucket(BUCKET)
    fill(root / "listed" / BUCKET, file_count)

    def bare() -> int:
        return sum(
            Path(folder, name).stat().st_size
            for folder, _, names in os.walk(root / "listed" / BUCKET)
            for name in names
        )

    prefix = "year=2025/month=06/day=10/"
    ways: list[tuple[str, Callable[[], int]]] = [
        ("bare walk and stat", bare),
        ("first list: ETags of foreign files", lambda: sum(1 for _ in store.list(BUCKET))),
        ("list", lambda: sum(1 for _ in store.list(BUCKET))),
        ("one page of 1,000", lambda: sum(1 for _ in islice(store.list(BUCKET), 1000))),
        ("one day", lambda: sum(1 for _ in store.list(BUCKET, prefix))),
    ]
    for name, call in ways:
        start = time.perf_counter()
        count = call()
        print(f"{name}: {count:,} objects in {(time.perf_counter() - start) * 1000:,.0f} ms")
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--files", type=int, default=100_000)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        bench_put(root, options.seconds)
        bench_list(root, options.files)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
