"""`lakelet doctor`: is this machine fit for a node? Each check says what to do."""

import importlib.metadata
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

FREE_BYTES_MIN = 1_000_000_000  # below it, a busy hour may fill the disk
FREE_BYTES_WARN = 10_000_000_000
FSYNC_MS_WARN = 20.0  # above it, few requests a second can be acknowledged (a guess)
OPEN_FILES_MIN = 1024
NODE_TIMEOUT_SECONDS = 10  # a node that hangs is a finding, too
LIBRARIES = ("pyarrow", "duckdb", "sqlglot", "botocore", "uvicorn", "nicegui")


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, and what was found."""

    name: str
    verdict: str  # ok, warn, bad
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(folder: Path, port: int) -> list[Check]:
    """Every check, in the order a start would meet them."""
    checks: tuple[Callable[[], Check], ...] = (
        _python,
        _libraries,
        lambda: _permissions(folder),
        lambda: _held(folder),
        lambda: _deliveries(folder),
        lambda: _disk(folder),
        lambda: _sync(folder),
        _clock,
        _open_files,
        lambda: _port(folder, port),
    )
    return [check() for check in checks]


def draw(console: "Console", checks: list[Check]) -> None:
    from lakelet.cli.render import harmless

    marks = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "bad": "[bold red]✗[/]"}
    for check in checks:
        console.print(f"{marks[check.verdict]} [bold]{check.name:<12}[/bold] ", end="")
        console.print(harmless(check.found), markup=False)
        if check.remedy and check.verdict != "ok":
            console.print(f"  → {check.remedy}", markup=False)


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    fit = sys.version_info >= (3, 11)
    remedy = "" if fit else "Lakelet needs Python 3.11 or newer."
    return Check("python", "ok" if fit else "bad", version, remedy)


def _libraries() -> Check:
    found, missing = [], []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    text = f"{', '.join(found)}; SQLite {sqlite3.sqlite_version}"
    if missing:
        return Check("libraries", "bad", f"missing: {', '.join(missing)}", "pip install lakelet")
    return Check("libraries", "ok", text)


def _permissions(folder: Path) -> Check:
    place = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        remedy = "Choose a folder you may write to: --data DIR"
        return Check("permissions", "bad", f"{place}: {error.strerror}", remedy)
    keys = folder / "keys.json"
    if keys.exists() and keys.stat().st_mode & 0o077:
        return Check("permissions", "bad", f"{keys} can be read by others", f"chmod 600 {keys}")
    return Check("permissions", "ok", f"{folder} can be written")


def _held(folder: Path) -> Check:
    from lakelet.node.folder import DataFolder

    holder = DataFolder(folder).running()
    if holder is None:
        return Check("node", "ok", "none runs on this folder")
    where = f"process {holder.pid}" + (f" at {holder.endpoint}" if holder.endpoint else "")
    return Check("node", "ok", f"runs: {where}")


def _deliveries(folder: Path) -> Check:
    """What the running node's streams hold, and which of them can't get rid of it."""
    from lakelet.cli.render import buffered, failing
    from lakelet.model.errors import LakeletError
    from lakelet.node.folder import DataFolder
    from lakelet.node.remote import HttpCaller
    from lakelet.node.report import deleted

    name, holder = "deliveries", DataFolder(folder).running()
    if holder is None or not holder.endpoint:
        return Check(name, "ok", "no node delivers on this folder")
    caller = HttpCaller(DataFolder(folder), holder, timeout_seconds=NODE_TIMEOUT_SECONDS)
    try:
        streams = caller.call("status", {})["streams"]
    except (LakeletError, OSError) as error:
        remedy = "Look at the node's log; what it acknowledged is safe."
        return Check(name, "bad", f"the node does not say: {error}", remedy)
    told = [
        f"{each['name']}: {deleted(each) or buffered(each)}"
        + (f"; {text}" if (text := failing(each)) else "")
        for each in streams
        if each["buffered_records"] or each["last_error"] or deleted(each)
    ]
    if any(each["last_error"] for each in streams):
        remedy = (
            "Mend the stream's destination (UpdateDestination), its bucket or the disk: "
            "delivery goes on by itself."
        )
        return Check(name, "bad", "\n  ".join(told), remedy)
    if any(deleted(each) for each in streams):
        remedy = "Ctrl-C and lakelet up: what was accepted before is delivered and kept."
        return Check(name, "bad", "\n  ".join(told), remedy)
    return Check(name, "ok", "\n  ".join(told) or "nothing waits")


def _disk(folder: Path) -> Check:
    usage = shutil.disk_usage(_nearest(folder))
    found = f"{usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.1f}"
    remedy = "Make room, or shorten [retention] raw_days in lakelet.toml."
    if usage.free < FREE_BYTES_MIN:
        return Check("disk", "bad", found, remedy)
    return Check("disk", "warn" if usage.free < FREE_BYTES_WARN else "ok", found, remedy)


def _sync(folder: Path) -> Check:
    """How long an fsync takes here: the floor of every acknowledgement."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)) as file:
            spans = []
            for _ in range(5):
                file.write(b"x" * 4096)
                file.flush()
                started = time.perf_counter()
                os.fsync(file.fileno())
                spans.append((time.perf_counter() - started) * 1000)
    except OSError as error:
        return Check("fsync", "bad", str(error), "Choose a local disk: --data DIR")
    median_ms = sorted(spans)[2]
    slow = median_ms > FSYNC_MS_WARN
    remedy = "Records are acknowledged no faster than this; a local SSD helps."
    return Check("fsync", "warn" if slow else "ok", f"{median_ms:.2f} ms", remedy)


def _clock() -> Check:
    now = time.time()
    if now < 1_760_000_000:  # October 2025: this was written later
        remedy = "Set the clock: signatures and partitions depend on it."
        return Check("clock", "bad", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)), remedy)
    zone = time.strftime("%Z")
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    return Check("clock", "ok", f"{at} (local zone {zone}; Lakelet speaks UTC)")


def _open_files() -> Check:
    try:
        import resource
    except ImportError:  # not POSIX
        return Check("open files", "ok", "not limited here")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    verdict = "ok" if soft >= OPEN_FILES_MIN or soft < 0 else "warn"
    return Check("open files", verdict, f"{soft:,} allowed", "ulimit -n 4096")


def _port(folder: Path, port: int) -> Check:
    from lakelet.node.folder import DataFolder

    holder = DataFolder(folder).running()
    if holder and holder.endpoint.endswith(f":{port}"):
        return Check("port", "ok", f"{port} is this node's")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            remedy = "lakelet up --port 0 takes a free one."
            return Check("port", "warn", f"{port}: {error.strerror}", remedy)
    return Check("port", "ok", f"{port} is free")


def _nearest(folder: Path) -> Path:
    """The folder itself, or the first of its parents that is there."""
    place = folder.absolute()
    while not place.is_dir():
        place = place.parent
    return place
