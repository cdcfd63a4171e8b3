"""Behind the watching commands: what is read, and how it is drawn."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakelet.model.errors import DataFolderError, DeclarationError
from lakelet.node.connect import DEFAULT_FOLDER
from lakelet.node.folder import DataFolder

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

REFRESH_SECONDS = 1.0


def cost_report(
    data: Path | None,
    events: float | None,
    event_bytes: float,
    growth: str,
    prices: Path | None,
) -> dict[str, Any]:
    """`node.bill.bill_report`, of what the node measured or of what is supposed."""
    from lakelet.node.bill import bill_report
    from lakelet.watch.prices import load_prices

    table, factors = load_prices(prices), _factors(growth)
    if events is not None:
        return bill_report(_supposed(events, event_bytes), table, growth=factors)
    measured = _measured(DataFolder(data or DEFAULT_FOLDER))
    days = measured.observed_days
    return bill_report(measured.usage, table, observed_days=days, growth=factors)


def _supposed(events: float, event_bytes: float) -> Any:
    """A month of the default pipeline with so many events."""
    from lakelet.watch.cost import HOURS_MONTH, Usage

    # Ratios of the default contract's traffic, as the demo measures them: gzip to a tenth,
    # Parquet to a seventh. An object a minute, a second of function each, hourly crawls.
    sent_bytes = events * event_bytes
    objects = min(events, max(HOURS_MONTH * 60, sent_bytes / 5_000_000))
    return Usage(
        events=events,
        event_bytes=event_bytes,
        raw_objects=objects,
        raw_bytes=sent_bytes / 10,
        transformed_objects=objects,
        transformed_bytes=sent_bytes / 7,
        lambda_seconds=objects * 1.0,
        crawls=HOURS_MONTH,
        log_bytes=objects * 600,
    )


def _measured(folder: DataFolder) -> Any:
    from lakelet.contract import load_declaration
    from lakelet.node.bill import measured_usage
    from lakelet.watch.history import MetricHistory

    path = folder.state / "watch" / "metrics.sqlite"
    if not path.exists():
        raise DataFolderError(
            f"{folder.root} holds no metrics: no node has run on it",
            hint="Suppose some traffic instead: lakelet cost --events 30000000",
        )
    declared = load_declaration(folder.declaration if folder.declaration.exists() else None)
    history = MetricHistory(str(path))
    try:
        return measured_usage(history, declared.pipeline, datetime.now(UTC))
    finally:
        history.close()


def _factors(growth: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in growth.split(","))
    except ValueError as error:
        raise DeclarationError(
            f"--growth {growth!r} is not a list of numbers", hint="As in --growth 1,10,100"
        ) from error


def draw_cost(console: "Console", report: Mapping[str, Any]) -> None:
    from lakelet.cli import render

    seen = report["observed_days"]
    if not report["events"]:
        console.print("[yellow]No event has been accepted yet: only what stands idle is priced.[/]")
    elif seen and seen < 1:
        console.print(f"[yellow]From {seen * 24:.1f} h of traffic: a guess.[/]")
    rows = [
        (
            *(line["component"], f"{line['quantity']:,.1f} {line['unit']}"),
            *(f"{line['dollars']:,.2f}", line["note"]),
        )
        for line in report["lines"]
        if line["dollars"] >= 0.005
    ]
    head = ("component", "a month", "dollars", "")
    title = f"{report['events']:,.0f} events a month, {report['event_bytes']:,.0f} bytes each"
    console.print(render.rows_table(head, rows, right=(1, 2), title=title))
    console.print(f"[bold]${report['dollars']:,.2f} a month[/bold] on AWS, {report['region']}")
    grown = ", ".join(f"× {g['factor']:g}: ${g['dollars']:,.2f}" for g in report["growth"][1:])
    if grown:
        console.print(f"  with growth: {grown}")
    for advice in report["advice"]:
        saved = f"${advice['dollars_saved']:,.2f} a month"
        console.print(f"  [bold]{advice['title']}[/bold] (saves {saved})\n    {advice['detail']}")
    console.print(f"  [dim]Prices of {report['prices_date']}: {report['prices_source']}.[/dim]")


def draw_query_cost(console: "Console", report: Mapping[str, Any]) -> None:
    """What `node.operations.query_cost` answers, in a line."""
    from lakelet.cli.render import size

    scanned, billed = size(report["scanned_bytes"]), size(report["billed_bytes"])
    console.print(
        f"It would scan {scanned}, billed as {billed}: [bold]${report['dollars']:.6f}[/bold] "
        f"on Athena, {report['region']}, list price of {report['prices_date']}."
    )


def console_link(data: Path | None) -> str:
    """Raises DataFolderError where no node runs."""
    from lakelet.node.logins import login_path
    from lakelet.store.clock import SystemClock

    root = data or DEFAULT_FOLDER
    holder = DataFolder(root).running()
    if holder is None or not holder.endpoint:
        raise DataFolderError(
            f"no node is running on {root}", hint=f"Start it: lakelet up --data {root}"
        )
    return holder.endpoint + login_path(holder.token, SystemClock())


# --- lakelet status --watch ---


def watch_status(console: "Console", data: Path | None) -> None:
    """The overview, drawn anew each second until Ctrl-C."""
    from rich.live import Live

    from lakelet.node.connect import connect

    with connect(data) as lake, Live(console=console, auto_refresh=False, screen=True) as screen:
        before: dict[str, Any] | None = None
        before_at = 0.0
        try:
            while True:
                at, status = time.monotonic(), lake.status()
                rates = _rates(before, status, at - before_at) if before else {}
                screen.update(overview(status, rates), refresh=True)
                before, before_at = status, at
                time.sleep(REFRESH_SECONDS)
        except KeyboardInterrupt:
            return


def _rates(before: Mapping[str, Any], now: Mapping[str, Any], seconds: float) -> dict[str, float]:
    """A second, between two looks."""

    def rate(*path: str) -> float:
        old: Any = before
        new: Any = now
        for key in path:
            old, new = old[key], new[key]
        return max(0.0, float(new - old) / seconds)

    return {
        "accepted": rate("stream", "accepted_records"),
        "events": rate("ledger", "events"),
        "rows": rate("ledger", "rows"),
    }


def overview(status: Mapping[str, Any], rates: Mapping[str, float]) -> "RenderableType":
    """Eight stages, one a line."""
    from rich.console import Group
    from rich.text import Text

    from lakelet.cli.render import failing, rows_table, size
    from lakelet.node.report import deleted

    stream, transform = status["stream"], status["transform"]
    ledger, crawl = status["ledger"], status["crawl"]
    quarantined = sum(ledger["quarantined"].values())
    dropped = sum(ledger["dropped"].values())
    waits = f"oldest {stream['oldest_seconds']:.0f} s" if stream["buffered_records"] else "empty"
    dead = f", {transform['dead']:,} given up" if transform["dead"] else ""
    imbalance = ledger["events"] - ledger["rows"] - ledger["duplicates"] - quarantined - dropped
    partitions = sum(table["partitions"] for table in status["tables"])
    rows = [
        ("accepted", f"{stream['accepted_records']:,}", _a_second(rates, "accepted"),
         size(stream["accepted_bytes"])),
        ("buffered", f"{stream['buffered_records']:,}", "", waits),
        ("raw zone", f"{stream['delivered_objects']:,}", "", "objects delivered"),
        ("transform", f"{ledger['events']:,}", _a_second(rates, "events"),
         f"{transform['waiting']:,} objects waiting, {transform['running']:,} running{dead}"),
        ("rows", f"{ledger['rows']:,}", _a_second(rates, "rows"),
         f"{ledger['duplicates']:,} duplicates, {quarantined:,} quarantined, {dropped:,} dropped"),
        ("crawler", f"{crawl['runs']:,}", "", crawl["last_error"] or f"last {crawl['last_at']}"),
        ("catalog", f"{partitions:,}", "", "partitions of "
         + ", ".join(table["name"] for table in status["tables"])),
    ]  # fmt: skip
    table = rows_table(("stage", "count", "a second", ""), rows, right=(1, 2))
    verdict = (
        Text("The ledger balances.", "green")
        if imbalance == 0
        else Text(f"{imbalance:,} events are unaccounted for: lakelet audit", "bold red")
    )
    failures = [
        Text(f"{stream['name']}: {text}", "bold red")
        for stream in status["streams"]
        if (text := failing(stream) or deleted(stream))
    ]
    return Group(Text(str(status["node"]["endpoint"]), "bold"), table, verdict, *failures)


def _a_second(rates: Mapping[str, float], name: str) -> str:
    return f"{rates[name]:,.0f}" if name in rates else ""
