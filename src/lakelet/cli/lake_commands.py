"""Commands that tend stored data: quarantine, replay, reprocess, compact, redrive, backfill."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakelet.cli.options import ConfigOption, DataOption
from lakelet.cli.reach import OnOption, reach

if TYPE_CHECKING:
    from lakelet.node.lake import Progress

JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Do it aside, say exactly what would change.")
]
WhereOption = Annotated[
    str, typer.Option("--where", help="SQL on the quarantine: reason, field, day, source_key …")
]
_DAYS = ["%Y-%m-%d"]
Day = Annotated[datetime, typer.Option(formats=_DAYS)]


def register(app: typer.Typer) -> None:
    for command in (quarantine, replay, reprocess, compact, redrive, backfill):
        app.command()(command)


def quarantine(
    where: WhereOption = "",
    data: DataOption = None,
    as_json: JsonOption = False,
    on: OnOption = None,
) -> None:
    """What could not become rows, by reason, with a sample of each."""
    from lakelet.cli import render

    report = _call(data, "quarantine", on, where=where)
    if as_json:
        _print_json(report)
        return
    console = render.stdout()
    if not report["reasons"]:
        console.print("Nothing is in quarantine.")
        return
    rows = [
        (r["reason"], f"{r['count']:,}", f"{r['objects']:,}", _fields(r), (r["last_at"] or "")[:16])
        for r in report["reasons"]
    ]
    names = ("reason", "events", "objects", "fields", "last arrival")
    console.print(render.rows_table(names, rows, right=(1, 2)))
    for reason in report["reasons"]:
        console.print(f"[bold]{reason['reason']}[/bold] ", end="")
        console.print(render.harmless(reason["message"]), markup=False)
        for line in (reason["sample"], reason["source"]):
            shown = f"  {render.harmless(line)}"
            console.print(shown, markup=False, style="dim", soft_wrap=True)
    console.print("\nOnce what kept them out is mended: lakelet replay --where … --dry-run")


def replay(
    where: WhereOption = "",
    dry_run: DryRunOption = False,
    data: DataOption = None,
    as_json: JsonOption = False,
    on: OnOption = None,
) -> None:
    """Send what is in quarantine through the contract of now; twice changes nothing."""
    receipt = _call(data, "replay", on, where=where, dry_run=dry_run)
    _print_receipt(receipt, as_json)


def reprocess(
    first: Annotated[datetime, typer.Option("--from", formats=_DAYS, help="Day of event time.")],
    last: Annotated[
        datetime | None, typer.Option("--to", formats=_DAYS, help="\\[default: the same day]")
    ] = None,
    dry_run: DryRunOption = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build days again from the raw zone; readers see all of it at once."""
    until = last or first
    if until < first:
        raise typer.BadParameter(f"{until:%Y-%m-%d} is before --from", param_hint="--to")
    receipt = _call(
        data,
        "reprocess",
        first=first.date().isoformat(),
        last=until.date().isoformat(),
        dry_run=dry_run,
    )
    _print_receipt(receipt, as_json)


def compact(
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAYS)] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAYS)] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Merge days of many small files; readers see all of it at once."""
    from lakelet.cli import render

    report = _call(
        data,
        "compact",
        first=first.date().isoformat() if first else None,
        last=last.date().isoformat() if last else None,
    )
    if as_json:
        _print_json(report)
        return
    if not report["days"]:
        render.stdout().print("No day has enough small files to be worth it.")
        return
    render.stdout().print(
        f"{report['files_before']:,} files of {report['days']:,} days became "
        f"{report['files_after']:,}, with the same {report['rows']:,} rows."
    )


def redrive(
    key: Annotated[str | None, typer.Argument(help="One raw object; all by default.")] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Only show them.")] = False,
    data: DataOption = None,
    on: OnOption = None,
) -> None:
    """Try raw objects again whose transform was given up."""
    from lakelet.cli import render

    with reach(data, on) as lake:
        letters = lake.call("dead_letters")
        if not list_only:
            count = lake.call("redrive", key=key)
    console = render.stdout()
    for letter in letters:
        console.print(f"{letter['key']}: {letter['error']}", markup=False, soft_wrap=True)
    if not list_only:
        console.print(f"{count:,} tried again.")


def backfill(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=_DAYS, help="Arrival.")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAYS, help="Arrival.")] = None,
    engine: Annotated[str, typer.Option(help="`local`, or `spark` (lakelet\\[spark]).")] = "local",
    data: DataOption = None,
    config: ConfigOption = None,
    on: OnOption = None,
) -> None:
    """Transform raw objects that have no manifest yet: what was copied in, or missed.

    Takes up only what is missing, so it can be ended and begun again at any time.
    """
    from lakelet.cli import backfilling

    if on:
        days = {"first": first and f"{first:%Y-%m-%d}", "last": last and f"{last:%Y-%m-%d}"}
        print(f"The Spark job runs: {_call(data, 'backfill', on, **days)['run']}")
        return

    with _progress("transforming") as tell:
        summary = backfilling.backfill(
            data, config, engine, first and first.date(), last and last.date(), tell
        )
    backfilling.draw(summary)
    if summary.failed:
        raise typer.Exit(1)


# --- what they share ------------------------------------------------------------------


def _call(data: Path | None, name: str, on: str | None = None, **arguments: Any) -> Any:
    with reach(data, on) as lake, _progress(name) as tell:
        return lake.call(name, on_progress=tell, **arguments)


@contextmanager
def _progress(title: str) -> "Iterator[Progress]":
    """A bar on standard error once there is something to show."""
    from rich.progress import Progress as Bars

    from lakelet.cli import render

    with Bars(console=render.stderr(), transient=True) as bars:
        task = bars.add_task(title, total=None, visible=False)

        def tell(news: dict[str, Any]) -> None:
            bars.update(task, completed=news["done"], total=news["total"], visible=True)

        yield tell


def _fields(reason: dict[str, Any]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in reason["fields"].items())


def _print_json(report: Any) -> None:
    import json

    print(json.dumps(report, indent=1))


def _print_receipt(receipt: dict[str, Any], as_json: bool) -> None:
    from lakelet.cli import render

    if as_json:
        _print_json(receipt)
        return
    console = render.stdout()
    before, after = receipt["before"], receipt["after"]
    rows: list[tuple[str, str, str]] = [
        (name, f"{before[name]:,}", f"{after[name]:,}") for name in ("events", "rows", "duplicates")
    ]
    for kind in ("quarantined", "dropped"):
        rows += [
            (f"{kind}: {code}", f"{before[kind].get(code, 0):,}", f"{after[kind].get(code, 0):,}")
            for code in sorted({**before[kind], **after[kind]})
        ]
    console.print(render.rows_table(("", "before", "after"), rows, right=(1, 2)))
    verb = "would change" if receipt["dry_run"] else "changed"
    console.print(f"{receipt['changed']:,} of {receipt['objects']:,} raw objects {verb}.")
    if receipt["expired"]:
        console.print(
            f"{len(receipt['expired']):,} raw objects are past their retention and stay as "
            "they are."
        )
    if receipt["changed"] and not receipt["dry_run"]:
        console.print(f"Receipt: {receipt['id']}")
