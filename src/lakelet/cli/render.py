"""What people see in a terminal: tables, and sizes they can read."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

ROWS_SHOWN_MAX = 500
STREAMS_SHOWN_MAX = 20
# A column folded narrower than this is read letter by letter: then rows stand upright.
_COLUMN_WIDTH_MIN = 12
# An event may be a megabyte, a quarantined original 64.
_CELL_SIZE_MAX = 1_000
# C0 but tab and newline, DEL, C1, and the marks that turn the direction of text.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def arrow_table(table: "pa.Table", *, title: str | None = None) -> "Table":
    """At most ROWS_SHOWN_MAX rows; numbers to the right, NULL dimmed."""
    import pyarrow as pa

    numeric = [
        pa.types.is_integer(f.type) or pa.types.is_floating(f.type) or pa.types.is_decimal(f.type)
        for f in table.schema
    ]
    shown = table.slice(0, ROWS_SHOWN_MAX)
    columns = [column.to_pylist() for column in shown.columns]
    return rows_table(
        table.column_names,
        zip(*columns, strict=True) if columns else (),
        right=[index for index, is_number in enumerate(numeric) if is_number],
        title=title,
    )


def answer(console: "Console", table: "pa.Table") -> None:
    """An answer's rows side by side where they fit the terminal, else each upright."""
    natural = [
        max(len(name), *(len(cell(value)) for value in column.to_pylist()), 0)
        for name, column in zip(
            table.column_names, table.slice(0, ROWS_SHOWN_MAX).columns, strict=True
        )
    ]
    # Two spaces stand between columns and one before the first.
    narrowest = sum(min(width, _COLUMN_WIDTH_MIN) + 2 for width in natural) + 1
    if narrowest <= console.width:
        console.print(arrow_table(table))
        return
    for line in upright(table):
        console.print(line, soft_wrap=True)


def upright(table: "pa.Table") -> "Iterator[Text]":
    """At most ROWS_SHOWN_MAX rows, each as `name  value` lines under its number."""
    from rich.text import Text

    width = max(len(name) for name in table.column_names)
    for number, row in enumerate(table.slice(0, ROWS_SHOWN_MAX).to_pylist(), start=1):
        yield Text(f"row {number}", "bold")
        for name, value in row.items():
            shown = Text("NULL", "dim") if value is None else Text(cell(value))
            yield Text.assemble("  ", (f"{name:<{width}}", "cyan"), "  ", shown)


def rows_table(
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[int] = (),
    title: str | None = None,
) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="bold cyan",
    )
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text("NULL", "dim") if value is None else Text(cell(value)) for value in row)
        )
    return table


def cell(value: Any) -> str:
    """As SQL would say it: digits ungrouped, floats without their binary tail."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    text = str(value[:_CELL_SIZE_MAX] if isinstance(value, str | bytes) else value)
    cut = len(value) - _CELL_SIZE_MAX if isinstance(value, str | bytes) else 0
    return harmless(text) + (f"… ({cut:,} more; --format csv has all)" if cut > 0 else "")


def harmless(text: str) -> str:
    """`text` with its control characters spelt out.

    An event is a stranger's text: its escape sequences would set a terminal's title,
    hide lines, or answer for its user.
    """
    return _CONTROLS.sub(lambda found: repr(found.group())[1:-1], text)


def size(size_bytes: float) -> str:
    """`12.3 MB`, in powers of ten as AWS bills."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def stdout() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def drawn_table(answer: Sequence[Sequence[str | None]]) -> "Table":
    """A table of texts, header first; its last numeric column also as bars."""
    from rich.text import Text

    header, rows = list(answer[0]), [list(row) for row in answer[1:]]
    numeric = [
        index
        for index in range(len(header))
        if rows and all(row[index] is None or _is_number(row[index]) for row in rows)
    ]
    measure = numeric[-1] if numeric else None
    largest = max((float(row[measure] or 0) for row in rows), default=0) if measure else 0
    table = rows_table([str(name) for name in header], [], right=numeric)
    if measure:
        table.add_column("", style="cyan")
    for row in rows:
        cells = [
            "NULL"
            if value is None
            else _grouped(value)
            if index and index in numeric
            else cell(value)
            for index, value in enumerate(row)
        ]
        if measure:
            share = float(row[measure] or 0) / largest if largest else 0
            cells.append(bar(share))
        table.add_row(*map(Text, cells))
    return table


def bar(share: float, width: int = 24) -> str:
    """A bar of eighths of a cell, `share` of `width` long."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, part = divmod(eighths, 8)
    return "█" * whole + ("▏▎▍▌▋▊▉"[part - 1] if part else "")


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _grouped(text: str) -> str:
    number = float(text)
    return f"{int(text):,}" if text.lstrip("-").isdigit() else f"{number:,.2f}"


def audit(console: "Console", report: Mapping[str, Any]) -> None:
    """The ledger as a sum a person can check."""
    colour = "green" if report["balanced"] else "red"
    word = "The ledger balances" if report["balanced"] else "The ledger does NOT balance"
    console.print()
    console.print(f"[bold {colour}]{word}[/bold {colour}]")
    console.print(f"  {report['line']}", markup=False, soft_wrap=True)
    for line in report.get("notes", ()):
        console.print(f"  {line}", markup=False, style="dim")
    for line in report.get("problems", ())[:20]:
        console.print(f"  {line}", markup=False, style="red", soft_wrap=True)


def status(console: "Console", report: Mapping[str, Any]) -> None:
    stream, transform = report["stream"], report["transform"]
    ledger, crawl = report["ledger"], report["crawl"]
    quarantined = sum(ledger["quarantined"].values())
    dead = f", {transform['dead']:,} in the dead letter" if transform["dead"] else ""
    accepted = f"{stream['accepted_records']:,} records accepted"
    events = (
        f"{ledger['events']:,} = {ledger['rows']:,} rows + {ledger['duplicates']:,} duplicates "
        f"+ {quarantined:,} quarantined + {sum(ledger['dropped'].values()):,} dropped"
    )
    objects = (
        f"{ledger['objects']:,} objects done, {transform['waiting']:,} waiting, "
        f"{transform['running']:,} running{dead}"
    )
    crawls = f"{crawl['runs']:,} runs, last {crawl['last_at'] or 'never'}"
    tables = [f"{table['name']} ({table['partitions']:,} partitions)" for table in report["tables"]]
    from lakelet.node.report import deleted

    own = f"{stream['name']}: {accepted}, {size(stream['accepted_bytes'])} since start"
    if missing := deleted(stream):
        own = f"{stream['name']}: {missing}"
    rows = [
        ("node", report["node"]["endpoint"] or "not running (opened by this command)"),
        ("stream", own),
        ("buffer", buffered(stream)),
        *_failing(stream),
        *_other_streams(report),
        ("raw zone", f"{size(ledger['raw_bytes'])} transformed so far"),
        ("transform", objects),
        ("events", events),
        ("crawler", crawls + (f", error: {crawl['last_error']}" if crawl["last_error"] else "")),
        ("tables", ", ".join(tables) or "none yet"),
    ]
    for name, text in rows:
        style = "bold red" if name == "failing" else "bold"
        console.print(f"[{style}]{name:>10}[/{style}]  ", end="")
        console.print(harmless(text), markup=False)


def buffered(stream: Mapping[str, Any]) -> str:
    """What a stream holds, as `status` reports it."""
    return (
        f"{stream['buffered_records']:,} records, {size(stream['buffered_bytes'])}, "
        f"oldest {stream['oldest_seconds']:.0f} s"
    )


def failing(stream: Mapping[str, Any]) -> str:
    """Its last delivery's error, and since when none has gone well; "" where one has."""
    if not stream["last_error"]:
        return ""
    return f"no delivery since {stream['failing_since']}: {stream['last_error']}"


def _failing(stream: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if text := failing(stream):
        yield "failing", text


def _other_streams(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Those made through the API: each that holds records or fails, the rest as a count."""
    others = [each for each in report["streams"] if each["name"] != report["stream"]["name"]]
    busy = [each for each in others if each["buffered_records"] or each["last_error"]]
    for stream in busy[:STREAMS_SHOWN_MAX]:
        accepted = f"{stream['accepted_records']:,} records accepted"
        yield "stream", f"{stream['name']}: {accepted}, buffer {buffered(stream)}"
        yield from _failing(stream)
    if (more := len(busy) - STREAMS_SHOWN_MAX) > 0:
        yield "streams", f"{more:,} more hold records: lakelet status --json"
    if idle := len(others) - len(busy):
        yield "streams", f"{idle:,} {'other holds' if idle == 1 else 'others hold'} nothing"


@contextmanager
def stage_progress(
    console: "Console", events: int
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A bar a stage; call what you get with each new status."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    # What is short of room shortens the notes, of which the others are no part.
    note = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    progress = Progress(
        TextColumn("{task.description:>12}"),
        BarColumn(36 if console.width >= 100 else 16),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[note]}[/dim]", table_column=note),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=12,
        expand=True,
    )
    names = ("accepted", "delivered", "transformed", "quarantined", "crawled")
    with progress:
        tasks = {name: progress.add_task(name, total=events, note="") for name in names}
        progress.update(tasks["quarantined"], total=None)

        def draw(status: Mapping[str, Any]) -> None:
            stream, ledger, crawl = status["stream"], status["ledger"], status["crawl"]
            quarantined = sum(ledger["quarantined"].values())
            progress.update(
                tasks["accepted"],
                completed=stream["accepted_records"],
                note=size(stream["accepted_bytes"]),
            )
            progress.update(
                tasks["delivered"],
                completed=stream["accepted_records"] - stream["buffered_records"],
                note=f"{stream['delivered_objects']} objects",
            )
            progress.update(
                tasks["transformed"],
                completed=ledger["events"],
                note=f"{ledger['rows']:,} rows, {ledger['duplicates']:,} duplicates",
            )
            progress.update(
                tasks["quarantined"],
                completed=quarantined,
                total=max(quarantined, 1),
                note=", ".join(f"{n} {reason}" for reason, n in ledger["quarantined"].items()),
            )
            tables = {table["name"]: table["partitions"] for table in status["tables"]}
            progress.update(
                tasks["crawled"],
                completed=0 if crawl["pending"] else ledger["events"],
                note=f"{tables.get('events', 0)} partitions",
            )
            progress.refresh()

        yield draw
