"""Who owns which spool folder: one a process, orphans adopted.

    <root>/stream-<stream>/<pid>-<random>/lock

The lock is `flock`: the kernel drops it with the process, however that ends, so
a folder without a holder is an orphan, and pids that come round again mislead nobody.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakelet.producer.spool import sync_folder

_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class OwnedFolder:
    """A folder whose lock this object holds until `release`."""

    path: Path
    descriptor: int

    def release(self, *, remove: bool) -> None:
        """Give it up; with `remove`, delete it first (it must hold nothing of worth)."""
        if remove:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.descriptor)


def _stream_folder(root: Path, stream: str) -> Path:
    # The prefix keeps a stream called `..`, which Firehose allows, inside the root.
    return root / f"stream-{stream}"


def create_folder(root: Path, stream: str) -> OwnedFolder:
    """A fresh folder for this process. Raises OSError."""
    parent = _stream_folder(root, stream)
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        path = parent / f"{os.getpid()}-{secrets.token_hex(4)}"
        path.mkdir(mode=0o700)
        # Between mkdir and flock somebody may adopt it, and remove it as empty.
        if owned := _try_own(path):
            sync_folder(parent)
            return owned


def adopt_folders(root: Path, stream: str) -> Iterator[OwnedFolder]:
    """Folders whose owner is gone, oldest first; they are the caller's from here on."""
    parent = _stream_folder(root, stream)
    try:
        paths = sorted(
            (path for path in parent.iterdir() if path.is_dir()),
            key=lambda path: path.stat().st_mtime_ns,
        )
    except OSError:  # absent, or another process is removing one just now
        return
    for path in paths:
        if owned := _try_own(path):
            yield owned


def _try_own(path: Path) -> OwnedFolder | None:
    """None where somebody lives there, or the folder has just gone."""
    lock = path / _LOCK
    try:
        # Created here too: a crash behind mkdir leaves a folder without one.
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The lock may be on a file that its last owner has removed meanwhile.
        if os.path.samestat(os.fstat(descriptor), lock.stat()):
            return OwnedFolder(path, descriptor)
    except OSError:
        pass
    os.close(descriptor)
    return None
