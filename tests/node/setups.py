"""Transforms of the worker's tests: importable, as a transform process must unpickle them."""

import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakelet.model.errors import LakeletError, ObjectNotFound, Outcome
from lakelet.model.manifest import Manifest, RawObject

AT = datetime(2026, 3, 9, tzinfo=UTC)


class Slow(LakeletError):
    code = "test.slow"
    outcome = Outcome.RETRY


def manifest(bucket, key, **details):
    raw = RawObject(bucket, key, "e", 1, AT)
    return Manifest(raw, 1, "f", 10, events=2, rows=2, duplicates=0, details=details)


@dataclass(frozen=True)
class Scripted:
    """Does what the key says."""

    folder: str = ""

    def __call__(self):
        return self.transform

    def transform(self, bucket, key, *, alone):
        what = key.split("/")[0]
        if what == "missing":
            raise ObjectNotFound(f"{key} is gone", hint="look elsewhere")
        if what == "slow-down":
            raise Slow("later, please")
        if what == "raise":
            raise ValueError("secret@example.com is no number")
        if what == "die":
            os.abort()
        if what == "exit":
            sys.exit(3)
        if what == "print":
            print("noise on standard output")
        if what == "hang":
            (Path(self.folder) / "hanging").touch()
            time.sleep(600)
        if what == "meet":
            _meet(Path(self.folder), key.replace("/", "-"))
        if what == "pool":
            import pyarrow as pa

            return manifest(bucket, key, pool=pa.default_memory_pool().backend_name)
        if what == "hoard":
            pieces = [bytearray(1 << 20) for _ in range(100)]
            del pieces
        if what == "memory":
            return manifest(bucket, key, size=len(bytearray(64 << 30)))
        return manifest(bucket, key, pid=os.getpid(), alone=alone)


def _meet(folder, name):
    """Returns once another is here too."""
    (folder / name).touch()
    for _ in range(6_000):
        if len(list(folder.glob("meet-*"))) > 1:
            return
        time.sleep(0.01)
    raise TimeoutError("nobody came")


def broken_setup():
    raise ObjectNotFound("no such declaration", hint="write one")


def dying_setup():
    os._exit(7)
