"""A data folder: where a lake lies, and who holds it."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from lakelet.model.errors import DataFolderError


@dataclass(frozen=True, slots=True)
class Holder:
    """What a running node leaves in `node.json` for those who look for it."""

    pid: int
    endpoint: str = ""  # "" until the doors are open, or where none are
    token: str = ""  # for the node's own control door; the file's mode is 0600


class DataFolder:
    """The layout of a data folder, and its lock."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.buckets = self.root / "buckets"
        self.streams = self.root / "streams"
        self.state = self.root / "state"
        self.keys = self.root / "keys.json"
        self.declaration = self.root / "lakelet.toml"
        self._holder = self.root / "node.json"
        self._lock: int | None = None

    def exists(self) -> bool:
        return self.state.is_dir()

    def acquire(self) -> None:
        """Create the folder where needed and hold it until `release` or death.

        The lock is the kernel's (flock), so a node that was killed leaves nothing
        to clean up.
        """
        try:
            for folder in (self.root, self.buckets, self.streams, self.state):
                folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataFolderError(
                f"the data folder {self.root} cannot be used: {error.strerror}",
                hint="Choose a folder you may write to: --data DIR",
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            holder = self.read_holder()
            who = f"process {holder.pid}" if holder else "another process"
            at = f" at {holder.endpoint}" if holder and holder.endpoint else ""
            raise DataFolderError(
                f"the data folder {self.root} is held by {who}{at}",
                hint="One node serves a folder. Use that one, stop it, or choose another: "
                "--data DIR",
            ) from error
        self._lock = lock
        self.announce(Holder(os.getpid()))

    def announce(self, holder: Holder) -> None:
        temporary = self._holder.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(holder), file)
        temporary.replace(self._holder)

    def release(self) -> None:
        if self._lock is not None:
            holder = self.read_holder()
            if holder and holder.pid == os.getpid():  # the folder may have been replaced
                self._holder.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def read_holder(self) -> Holder | None:
        try:
            return Holder(**json.loads(self._holder.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def running(self) -> Holder | None:
        """Who holds the folder now; None where nobody does."""
        try:
            lock = os.open(self.root / "lock", os.O_RDWR)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return self.read_holder() or Holder(0)
        else:
            return None
        finally:
            os.close(lock)
