"""The AWS home's own commands: deploy, destroy, outputs, logs, template, verify.

`register(app)` hangs them into the command line; `aws_home` is what `--on aws` of the others
talks to. Everything heavy is imported inside.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from lakelet.aws.deploy import Deployment, Plan, Progress
    from lakelet.aws.home import AwsHome
    from lakelet.aws.site import Site

PANEL = "On AWS"

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="LAKELET_CONFIG",
        help="The declaration.  \\[default: ./lakelet.toml if there, else the shipped one]",
    ),
]
StageOption = Annotated[
    str | None, typer.Option(help="A word that joins every name: two stages share an account.")
]
ProfileOption = Annotated[str | None, typer.Option(help="Of ~/.aws/config.")]
RegionOption = Annotated[str | None, typer.Option(help="By default the profile's, or AWS_REGION.")]
EventsOption = Annotated[
    int, typer.Option("--events-a-month", min=0, help="What the estimate is made for.")
]


def register(app: typer.Typer) -> None:
    for command in (deploy, destroy, outputs, logs, template, verify):
        app.command(rich_help_panel=PANEL)(command)


def deploy(
    config: ConfigOption = None,
    stage: StageOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look and plan only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    events_a_month: EventsOption = 30_000_000,
) -> None:
    """Put the pipeline on AWS, or bring it up to date. May be run again at any point."""
    with _telling() as (console, tell):
        deployment = _deployment(config, stage, profile, region, tell)
        plan = deployment.plan()
    show_plan(console, deployment, plan, events_a_month)
    if dry_run or not plan.changes:
        deployment.discard(plan)
        return
    if not yes and not _agreed(plan):
        deployment.discard(plan)
        raise typer.Exit(1)
    with _telling(console) as (console, tell):
        deployment.tell_to(tell)
        found = deployment.apply(plan)
    console.print("[bold green]Deployed.[/bold green] Producers put to", end=" ")
    console.print(f"[bold]{found['DeliveryStreamName']}[/bold]; everything else:", end=" ")
    console.print("lakelet outputs, lakelet verify")


def _agreed(plan: "Plan") -> bool:
    if plan.losses:
        typer.secho("What is replaced or deleted above holds data.", fg="red", bold=True, err=True)
        return bool(typer.prompt("Write `lose it` to go on", default="no") == "lose it")
    return typer.confirm("Go on?")


def show_plan(
    console: "Console", deployment: "Deployment", plan: "Plan", events_a_month: int
) -> None:
    """Checks, changes and the bill, for people."""
    from rich.table import Table

    from lakelet.aws.estimate import Traffic, planned_bill
    from lakelet.watch.prices import load_prices

    for check in plan.checks:
        sign = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "[yellow]?[/yellow]"}
        console.print(f"{sign[check.ok]} {check.name}: [dim]{check.found}[/dim]")
    if not plan.changes:
        console.print("Nothing to change.")
        return
    colours = {"created": "green", "changed": "yellow", "REPLACED": "bold red", "deleted": "red"}
    table = Table("", "what", "name", "why", box=None, header_style="dim")
    for change in plan.changes:
        effect = change.sentence().split(" ", 1)[0]
        colour = colours.get(effect, "white")
        table.add_row(
            f"[{colour}]{effect}[/{colour}]", change.service, change.logical_id, change.why
        )
    console.print(table)
    site = deployment.site
    traffic = Traffic(events_a_month)
    planned = planned_bill(site.pipeline, site.settings, traffic, load_prices())
    bill = Table("a month", "USD", "for", box=None, header_style="dim")
    for line in planned.lines:
        what = f"{line.quantity:,.0f} {line.unit}" if line.unit else ""
        told = "; ".join(part for part in (what, line.note) if part)
        bill.add_row(line.component, f"{line.dollars:,.2f}", f"[dim]{told}[/dim]")
    bill.add_row("[bold]total[/bold]", f"[bold]{planned.dollars:,.2f}[/bold]", "")
    console.print(bill)
    console.print(
        f"[dim]{events_a_month:,} events a month in {planned.region}, by {planned.prices_source} "
        f"({planned.prices_date}): https://calculator.aws[/dim]"
    )


def draw_status(console: "Console", report: dict[str, Any]) -> None:
    """Of a deployed pipeline."""
    raised = [name for name, state in report["alarms"].items() if state == "ALARM"]
    transform = report["transform"]
    tables = [f"{table['name']} ({table['partitions']:,} partitions)" for table in report["tables"]]
    rows = [
        ("stack", report["stack"]),
        ("stream", f"{report['stream']['name']}: {report['stream']['status'].lower()}"),
        (
            "given up",
            f"{transform['dead_letters']:,} dead letters, {transform['failures']:,} failures",
        ),
        ("alarms", ", ".join(raised) or f"none of {len(report['alarms'])} raised"),
        ("tables", ", ".join(tables) or "partitions by rule"),
    ]
    for name, text in rows:
        console.print(f"[bold]{name:>10}[/bold]  ", end="")
        console.print(text, markup=False)


def destroy(
    config: ConfigOption = None,
    stage: StageOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="The buckets too, with all they hold.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove the pipeline from AWS; its data stays, unless it is told by name to go."""
    from lakelet.aws.deploy import NotDeployed

    with _telling() as (console, tell):
        deployment = _deployment(config, stage, profile, region, tell)
        name = deployment.site.names.base
        buckets = deployment.kept_buckets()
    if delete_data:
        console.print(f"All data of {name} will be gone: {', '.join(buckets)}", style="bold red")
        if typer.prompt(f"Write `{name}` to go on", default="") != name:
            raise typer.Exit(1)
    elif not yes and not typer.confirm(f"Remove {deployment.stack_name}? Its buckets stay."):
        raise typer.Exit(1)
    with _telling(console) as (console, tell):
        deployment.tell_to(tell)
        try:
            kept = deployment.destroy()
        except NotDeployed:
            if not delete_data:
                raise
            kept = buckets
        if delete_data:
            for progress in deployment.delete_data():
                tell(progress)
            kept = []
    console.print("Removed." + (f" Kept: {', '.join(kept)}" if kept else ""))


def outputs(
    config: ConfigOption = None,
    stage: StageOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Names and ARNs, as `export`s for producers and analysts."""
    import json

    deployment = _deployment(config, stage, profile, region)
    found = deployment.outputs()
    if as_json:
        print(json.dumps(found, indent=1))  # noqa: T201
        return
    for line in exports(found, deployment.region):
        print(line)  # noqa: T201


def exports(found: dict[str, str], region: str) -> list[str]:
    """Shell lines: `DeliveryStreamName` becomes `LAKELET_DELIVERY_STREAM_NAME`."""
    import re
    import shlex

    lines = [f"export AWS_REGION={shlex.quote(region)}"]
    for key, value in found.items():
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", key).upper()
        lines.append(f"export LAKELET_{name}={shlex.quote(value)}")
    return lines


def logs(
    config: ConfigOption = None,
    stage: StageOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until Ctrl-C.")] = False,
    minutes: Annotated[int, typer.Option(min=1, help="How far back to begin.")] = 15,
) -> None:
    """The transform function's log."""
    import time

    home = aws_home(config, stage, profile, region)
    since_ms = int((time.time() - minutes * 60) * 1000)
    seen: set[str] = set()
    while True:
        for event in home.logs(since_ms):
            identity = event.get("eventId") or f"{event['timestamp']} {event['message']}"
            if identity not in seen:
                seen.add(identity)
                since_ms = max(since_ms, event["timestamp"])
                sys.stdout.write(event["message"].rstrip("\n") + "\n")
        sys.stdout.flush()
        if not follow:
            return
        time.sleep(2)


def template(
    config: ConfigOption = None,
    stage: StageOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of YAML.")] = False,
    package: Annotated[
        Path | None,
        typer.Option(help="A folder to write function, wheel and script to, and their keys."),
    ] = None,
    deployer_policy: Annotated[
        bool,
        typer.Option(
            "--deployer-policy", help="What whoever deploys must be allowed: IAM policies."
        ),
    ] = False,
    account: Annotated[str, typer.Option(help="For the policy.")] = "ACCOUNT",
    region: RegionOption = None,
) -> None:
    """Print the CloudFormation template, for those who deploy with tools of their own."""
    import json

    from lakelet.aws.deployer import deployer_policies
    from lakelet.aws.template import build_template, render

    site = _site(config, stage)
    if deployer_policy:
        policies = deployer_policies(site, account, region or "REGION")
        print(json.dumps(policies, indent=1))  # noqa: T201
        return
    built = build_template(site)
    print(json.dumps(built, indent=1) if as_json else render(built), end="")  # noqa: T201
    if package:
        _write_package(site, package)


def _write_package(site: "Site", folder: Path) -> None:
    from lakelet.aws.package import build_package

    built = build_package(site.pipeline, site.contract)
    for artifact in built.artifacts():
        target = folder / artifact.key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(artifact.body)
    for name, key in built.parameters().items():
        sys.stderr.write(f"{name}={key}\n")


def verify(
    on: Annotated[str, typer.Option(help="Where: aws.")] = "aws",
    config: ConfigOption = None,
    stage: StageOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Marked events.")] = 1_000,
) -> None:
    """Send marked events to AWS and follow them through every stage to SQL."""
    from lakelet.aws.verify import verify as walk

    if on != "aws":
        raise typer.BadParameter("the embedded home is checked by `lakelet audit`")
    with _telling() as (console, _):
        home = aws_home(config, stage, profile, region)
        for passed in walk(home, _site(config, stage).contract, count=count):
            console.print(f"[green]✓[/green] {passed.name}: [dim]{passed.found}[/dim]")


# --- what they share --------------------------------------------------------------------


def aws_home(
    config: Path | None = None,
    stage: str | None = None,
    profile: str | None = None,
    region: str | None = None,
) -> "AwsHome":
    """The deployed pipeline, for `--on aws`: a `Caller` for `node.lake.Lake`.

    Raises:
        NotDeployed; DeclarationError.
    """
    from lakelet.aws.home import open_home

    return open_home(_session(profile, region), _site(config, stage))


def _site(config: Path | None, stage: str | None) -> "Site":
    from lakelet.aws.site import load_site
    from lakelet.model.pipeline import DEFAULT_NAME

    here = Path(DEFAULT_NAME)
    return load_site(config or (here if here.exists() else None), stage=stage)


def _session(profile: str | None, region: str | None) -> Any:
    import boto3
    from botocore.exceptions import ProfileNotFound

    from lakelet.aws.preflight import PreflightFailed

    try:
        return boto3.Session(profile_name=profile, region_name=region)
    except ProfileNotFound as error:
        raise PreflightFailed(
            str(error), hint="`aws configure list-profiles` shows them."
        ) from error


def _deployment(
    config: Path | None,
    stage: str | None,
    profile: str | None,
    region: str | None,
    tell: Any = None,
) -> "Deployment":
    from lakelet.aws.deploy import Deployment, silent
    from lakelet.aws.preflight import who_am_i

    session = _session(profile, region)
    site = _site(config, stage)
    who_am_i(session)
    return Deployment(session, site, tell=tell or silent)


class _telling:  # noqa: N801 - used as a function
    """A console, and a `tell` that draws progress on it."""

    def __init__(self, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.progress import Progress as Bar

        self._console = console or Console(highlight=False)
        self._bar = Bar(
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("looking", total=None)

    def __enter__(self) -> "tuple[Console, Any]":
        self._bar.start()
        return self._console, self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, progress: "Progress") -> None:
        self._bar.update(
            self._task,
            description=progress.text,
            completed=progress.done,
            total=progress.total or None,
        )
        if not progress.total:
            self._console.print(f"[dim]{progress.text}[/dim]")
