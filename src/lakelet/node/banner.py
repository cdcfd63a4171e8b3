"""What `lakelet up` says to the person who started it."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lakelet.node.logins import login_path

if TYPE_CHECKING:
    from lakelet.node.runtime import Node


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def print_ready(node: "Node", endpoint: str, root: Path, token: str) -> None:
    name = node.pipeline.name
    data = "" if root == Path("lake") else f" --data {root}"
    _console().print(
        f"[bold]Lakelet is ready[/bold] at {endpoint}, data in {node.folder.root}\n"
        f"  stream, database, workgroup [bold]{name}[/bold]; "
        f"table{'s' if len(node.contract.tables) > 1 else ''} "
        f"[bold]{', '.join(table.name for table in node.contract.tables)}[/bold]\n"
        f'  clients: [cyan]eval "$(lakelet env{data})"[/cyan]\n'
        f'  SQL:     [cyan]lakelet query{data} "SELECT count(*) FROM '
        f'{node.contract.tables[0].name}"[/cyan]\n'
        f"  console: [cyan]{endpoint}{login_path(token, node.clock)}[/cyan]\n"
        "  Ctrl-C drains and stops."
    )


def warn_insecure(*, exposed: bool) -> None:
    where = " AND others can reach this address" if exposed else ""
    _console().print(f"[bold yellow]--insecure: no signature is checked{where}.[/bold yellow]")


def print_farewell(node: "Node") -> None:
    buffered = sum(stats.buffered_records for stats in node.ingestion.stats().values())
    _console().print(f"Draining: {buffered:,} records to deliver and transform …")
