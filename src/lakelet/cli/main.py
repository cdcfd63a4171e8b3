"""The `lakelet` command: assembled here, decided in the rooms.

Imports stay inside the commands: `lakelet --help` answers in the blink of an eye.
"""

import os
import sys

import typer

from lakelet.aws import commands as aws_commands
from lakelet.cli import (
    contract_commands,
    data_commands,
    fault_commands,
    lake_commands,
    node_commands,
    watch_commands,
)

app = typer.Typer(
    name="lakelet",
    help="A clickstream pipeline: Firehose in, Parquet lake, Athena SQL out. "
    "On this machine, or on AWS.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        from lakelet import __version__

        print(f"lakelet {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


node_commands.register(app)
data_commands.register(app)
lake_commands.register(app)
contract_commands.register(app)
fault_commands.register(app)
watch_commands.register(app)
aws_commands.register(app)


def main() -> None:
    """Run; an error of ours becomes a sentence, a next step and exit status 1."""
    from lakelet.model.errors import LakeletError

    try:
        app()
    except LakeletError as error:
        _fail(error.message, error.hint)
    except BrokenPipeError:
        # The reader of our output has left (`lakelet query … | head`): not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str, hint: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from lakelet.cli.render import harmless

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("error: ", "bold red"), harmless(message)))
    if hint:
        console.print(Text.assemble(("  → ", "bold"), harmless(hint)))
    sys.exit(1)


if __name__ == "__main__":
    main()
