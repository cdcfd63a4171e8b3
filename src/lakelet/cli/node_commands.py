"""Commands about the node itself: init, up, env, status, demo."""

from pathlib import Path
from typing import Annotated

import typer

from lakelet.cli.options import ConfigOption, DataOption
from lakelet.cli.reach import OnOption, reach

DEFAULT_PORT = 4566  # where people's AWS stand-ins already listen


def register(app: typer.Typer) -> None:
    for command in (demo, init, up, status, env):
        app.command()(command)


def init(
    path: Annotated[
        Path, typer.Argument(help="A file, or a folder to put lakelet.toml in.")
    ] = Path("lakelet.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a commented lakelet.toml: pipeline and contract, all defaults spelt out."""
    from lakelet.model.errors import DeclarationError
    from lakelet.model.pipeline import DEFAULT_NAME, default_text

    target = path / DEFAULT_NAME if path.is_dir() else path
    if target.exists() and not force:
        raise DeclarationError(f"{target} exists already", hint="Keep it, or add --force.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(default_text(), "utf-8")
    except OSError as error:
        raise DeclarationError(
            f"{target} cannot be written: {error.strerror}", hint="Choose another path."
        ) from error
    found_by_itself = target.absolute() == Path(DEFAULT_NAME).absolute()
    print(f"Wrote {target}. Next: lakelet up{'' if found_by_itself else f' --config {target}'}")


def up(
    data: DataOption = None,
    config: ConfigOption = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, envvar="LAKELET_PORT", help="0 takes a free one.")
    ] = DEFAULT_PORT,
    host: Annotated[
        str, typer.Option(help="Loopback unless you mean to serve others.")
    ] = "127.0.0.1",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Accept any AWS signature: throw-away use only.")
    ] = False,
) -> None:
    """Start the node: every AWS door on one port. Ctrl-C drains and stops."""
    from lakelet.console import make_console
    from lakelet.node.serve import serve

    serve(
        data=data,
        config=config,
        host=host,
        port=port,
        insecure=insecure,
        make_console=make_console,
    )


def env(data: DataOption = None) -> None:
    """Print export lines that point any AWS SDK at the node: eval "$(lakelet env)"."""
    from lakelet.cli.exports import export_lines

    for line in export_lines(data):
        print(line)


def status(
    data: DataOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it anew each second.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    on: OnOption = None,
) -> None:
    """What is where: accepted, buffered, delivered, transformed, quarantined, crawled."""
    import json

    from lakelet.cli import render

    if watch:
        from lakelet.cli.watching import watch_status

        watch_status(render.stdout(), data)
        return

    with reach(data, on) as lake:
        report = lake.status()
    if as_json:
        print(json.dumps(report, indent=1))
    elif on:
        from lakelet.aws.commands import draw_status

        draw_status(render.stdout(), report)
    else:
        render.status(render.stdout(), report)


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End afterwards; exit 0 only if the audit balances.")
    ] = False,
    events: Annotated[int, typer.Option(min=100, help="How many events to send.")] = 50_000,
    data: Annotated[Path, typer.Option(help="Made anew each time.")] = Path("demo-data"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0, or a port in use, takes a free one.")
    ] = DEFAULT_PORT,
) -> None:
    """Watch the whole road: generated traffic in by Firehose, answers out by Athena."""
    from lakelet.cli.demo import run_demo

    raise typer.Exit(run_demo(events=events, folder=data, port=port, once=once))
