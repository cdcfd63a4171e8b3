"""`lakelet contract check` and `infer`: before a contract changes, and before there is one."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakelet.cli.options import DataOption

if TYPE_CHECKING:
    from lakelet.contract.check import Finding

_COLOURS = {"error": "red", "migration": "yellow", "note": "dim"}


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Check a contract against what is there; draft one from samples.",
        no_args_is_help=True,
    )
    group.command()(check)
    group.command()(infer)
    app.add_typer(group, name="contract")


def check(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="The declaration to check.  [default: ./lakelet.toml if there]"
        ),
    ] = None,
    data: DataOption = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Compare with this older declaration, without any lake: for CI."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Compare the contract with catalog, partitions and Parquet footers.

    Exit status 1 if a query would fail; it names the first one that would.
    """
    import json
    from dataclasses import asdict

    from lakelet.contract import load_declaration
    from lakelet.contract.check import passed

    own = Path("lakelet.toml")
    declaration = load_declaration(config or (own if own.exists() else None))
    if against:
        findings = _against_declaration(declaration.contract, against)
    else:
        findings = _against_lake(declaration.contract, data)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _draw(findings)
    if not passed(findings):
        raise typer.Exit(1)


def infer(
    files: Annotated[list[Path], typer.Argument(help="Samples: JSON in any shape, plain or .gz.")],
    table: Annotated[str, typer.Option(help="What to call the table.")] = "events",
) -> None:
    """Draft a contract from samples, with a remark wherever it guessed."""
    from lakelet.cli.sending import SendFailed
    from lakelet.contract.infer import infer as draft

    try:
        samples = [path.read_bytes() for path in files]
    except OSError as error:
        raise SendFailed(
            f"{error.filename} cannot be read: {error.strerror}", hint="Name files of JSON events."
        ) from error
    sys.stdout.write(draft(samples, table=table))


def _against_declaration(contract: Any, against: Path) -> "list[Finding]":
    from lakelet.contract import load_declaration
    from lakelet.contract.check import TableState, check, footer_columns

    older = load_declaration(against).contract
    states = [
        TableState(table.name, footer_columns(table.schema), table.partition_keys)
        for table in older.tables
    ]
    return check(contract, states)


def _against_lake(contract: Any, data: Path | None) -> "list[Finding]":
    from lakelet.contract.check import Finding, Severity
    from lakelet.node.connect import connect

    with connect(data) as lake:
        told = lake.call("contract_check", contract=contract.to_json())
    return [
        Finding(
            **{
                **values,
                "severity": Severity(values["severity"]),
                "objects": tuple(values["objects"]),
            }
        )
        for values in told
    ]


def _draw(findings: "Sequence[Finding]") -> None:
    from lakelet.cli import render

    console = render.stdout()
    for finding in findings:
        colour = _COLOURS[str(finding.severity)]
        console.print(
            f"[{colour}]{finding.severity}[/{colour}] [bold]{finding.table}[/bold] ", end=""
        )
        console.print(finding.problem, markup=False, soft_wrap=True)
        if finding.query:
            console.print(f"  fails:  {finding.query}", markup=False, soft_wrap=True)
            console.print(f"  with:   {finding.error or 'fewer rows than there are'}", markup=False)
        for name in finding.objects[:3]:
            console.print(f"  in:     {name}", markup=False, soft_wrap=True, style="dim")
        console.print(f"  remedy: {finding.remedy}", markup=False, soft_wrap=True)
    if not findings:
        console.print("[green]The contract fits what is there.[/green]")
