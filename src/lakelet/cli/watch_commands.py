"""Commands that watch: cost, doctor, console; the overview in a terminal."""

from pathlib import Path
from typing import Annotated

import typer

from lakelet.cli.options import DataOption


def register(app: typer.Typer) -> None:
    for command in (cost, doctor, console):
        app.command()(command)


def cost(
    data: DataOption = None,
    events: Annotated[
        float | None, typer.Option(help="Events a month, instead of what the node measured.")
    ] = None,
    event_bytes: Annotated[float, typer.Option(help="Mean size, with --events.")] = 500.0,
    growth: Annotated[str, typer.Option(help="Times the traffic, comma-separated.")] = "1,10,100",
    prices: Annotated[
        Path | None, typer.Option(help="A price table of your own (TOML, as prices.toml).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What this pipeline would cost on AWS a month, line by line, and what would save money."""
    import json

    from lakelet.cli import render, watching

    report = watching.cost_report(data, events, event_bytes, growth, prices)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        watching.draw_cost(render.stdout(), report)


def doctor(
    data: DataOption = None,
    port: Annotated[int, typer.Option(help="The port a node would use.")] = 4566,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Look at the machine and its node: versions, disk, clock, permissions, port, deliveries that
    fail. Exit 1 if a check fails."""
    import json

    from lakelet.cli import doctor as checks
    from lakelet.cli import render
    from lakelet.node.connect import DEFAULT_FOLDER

    found = checks.examine(data or DEFAULT_FOLDER, port)
    if as_json:
        print(json.dumps([check.as_dict() for check in found], indent=1))
    else:
        checks.draw(render.stdout(), found)
    if any(check.verdict == "bad" for check in found):
        raise typer.Exit(1)


def console(
    data: DataOption = None,
    browser: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Print a fresh login link to the running node's console: it works once, for a day."""
    from lakelet.cli import watching

    link = watching.console_link(data)
    print(link)
    if browser:
        import webbrowser

        webbrowser.open(link)
