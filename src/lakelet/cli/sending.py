"""`lakelet send`: lines of a file into a delivery stream, drawn as they go."""

import gzip
import io
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lakelet.cli import render
from lakelet.model.errors import LakeletError

if TYPE_CHECKING:
    from rich.console import Console

    from lakelet.producer.settings import Failure

_GZIP_MAGIC = b"\x1f\x8b"
_SHOWN_FAILURES_MAX = 5


class SendFailed(LakeletError):
    code = "send.failed"


@dataclass
class _Tally:
    """What happened to the lines; failures are told at the end, together."""

    sent: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def on_error(self, failure: "Failure") -> None:
        if failure.records:
            self.failed[failure.error.message] += len(failure.records)


def send_file(
    file: str,
    *,
    stream: str | None,
    data: Path | None,
    endpoint_url: str | None,
    on: str | None = None,
) -> None:
    console = render.stderr()
    tally = _Tally()
    with (
        _opened(file) as (source, position, total_bytes),
        _sink(stream, data, endpoint_url, tally, on) as send,
        _progress(console, file, total_bytes) as draw,
    ):
        for number, line in enumerate(source, 1):
            record = line.rstrip(b"\r\n")
            if not record.strip():
                continue
            try:
                send(record)
                tally.sent += 1
            except LakeletError as error:
                if error.code != "producer.event_invalid":
                    raise
                tally.failed[f"line {number}: {error.message}"] += 1
            if number % 500 == 0:
                draw(position(), tally.sent)
        draw(position(), tally.sent)
    failed = sum(tally.failed.values())
    accepted = tally.sent - sum(n for why, n in tally.failed.items() if not why.startswith("line "))
    console.print(f"{accepted:,} records acknowledged" + (f", {failed:,} failed" if failed else ""))
    if failed:
        shown = "\n".join(
            f"  {n:,} × {why}" for why, n in tally.failed.most_common(_SHOWN_FAILURES_MAX)
        )
        raise SendFailed(
            f"{failed:,} records were not accepted:\n{shown}",
            hint="Those were not stored; all others were. Mend and send only them again.",
        )


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, Any, int | None]]:
    """Lines, how many stored bytes were read, and of how many."""
    raw: BinaryIO
    if file == "-":
        raw, total_bytes = sys.stdin.buffer, None
    else:
        try:
            raw = Path(file).open("rb")  # noqa: SIM115 - closed below
            total_bytes = Path(file).stat().st_size
        except OSError as error:
            raise SendFailed(
                f"{file} cannot be read: {error.strerror}",
                hint="Name a file of NDJSON (plain or .gz), or - for standard input.",
            ) from error
    try:
        counted = _Counted(raw)
        buffered = io.BufferedReader(counted, 1 << 20)
        source: Any = buffered
        if buffered.peek(2)[:2] == _GZIP_MAGIC:
            source = gzip.GzipFile(fileobj=buffered)
        yield source, lambda: counted.read_bytes, total_bytes
    except (EOFError, gzip.BadGzipFile) as error:
        raise SendFailed(
            f"{file} is damaged gzip: {error}",
            hint="What came before the damage was sent; mend the file and send the rest.",
        ) from error
    finally:
        if file != "-":
            raw.close()


class _Counted(io.RawIOBase):
    def __init__(self, inner: BinaryIO) -> None:
        self._inner, self.read_bytes = inner, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read1(len(buffer)) if hasattr(self._inner, "read1") else None
        data = self._inner.read(len(buffer)) if data is None else data
        buffer[: len(data)] = data
        self.read_bytes += len(data)
        return len(data)


@contextmanager
def _sink(
    stream: str | None, data: Path | None, endpoint_url: str | None, tally: _Tally, on: str | None
) -> Iterator[Any]:
    """Where a record goes: AWS, a Firehose endpoint, the lake's node, or the lake itself."""
    if on:
        from lakelet.cli.reach import home_on

        with home_on(on).producer(tally.on_error, stream) as producer:
            yield producer.send
        return
    from lakelet.node.connect import DEFAULT_FOLDER, connect
    from lakelet.node.folder import DataFolder

    folder = DataFolder(data or DEFAULT_FOLDER)
    holder = None if endpoint_url else folder.running()
    if endpoint_url or (holder and holder.endpoint):
        from lakelet.node.exports import make_producer

        with make_producer(folder, endpoint_url, stream, tally.on_error) as producer:
            yield producer.send
        return
    with connect(data) as lake:
        pending: list[bytes] = []

        def send(record: bytes) -> None:
            pending.append(record)
            if len(pending) >= 500:
                lake.put(pending, stream=stream)
                pending.clear()

        yield send
        lake.put(pending, stream=stream)


@contextmanager
def _progress(console: "Console", file: str, total_bytes: int | None) -> Iterator[Any]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(36),
        TextColumn("{task.fields[sent]:,} sent"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with progress:
        task = progress.add_task(Path(file).name, total=total_bytes, sent=0)
        yield lambda read, sent: progress.update(task, completed=read, sent=sent)
