"""Faults on demand, for those who test their producers."""

from typing import Annotated

import typer

from lakelet.cli.options import DataOption


def register(app: typer.Typer) -> None:
    app.command()(faults)


def faults(
    fail: Annotated[
        str | None, typer.Option(help="k/n: of the next n records, k fail. Such as 3/10.")
    ] = None,
    repeat: Annotated[bool, typer.Option("--repeat", help="Again and again.")] = False,
    seed: Annotated[int, typer.Option(help="Decides which ones.")] = 0,
    bytes_per_second: Annotated[float, typer.Option(min=0, help="Throttle; 0: don't.")] = 0,
    records_per_second: Annotated[float, typer.Option(min=0, help="Throttle; 0: don't.")] = 0,
    requests_per_second: Annotated[float, typer.Option(min=0, help="Throttle; 0: don't.")] = 0,
    delay: Annotated[float, typer.Option(min=0, help="Seconds that deliveries come late.")] = 0,
    off: Annotated[
        bool, typer.Option("--off", help="No faults any more; declared quotas stay.")
    ] = False,
    stream: Annotated[
        str | None, typer.Option(help="Delivery stream; by default the pipeline's own.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Make a running node's stream fail, throttle or dawdle: to test your producers."""
    import json

    from lakelet.node.connect import connect

    given: dict[str, object] = {}
    if fail:
        given |= {"fail": parse_share(fail), "repeat": repeat, "seed": seed}
    rates = {
        "bytes_per_second": bytes_per_second,
        "records_per_second": records_per_second,
        "requests_per_second": requests_per_second,
        "delivery_delay_seconds": delay,
    }
    given |= {name: value for name, value in rates.items() if value}
    with connect(data) as lake:
        found = lake.call("faults", stream=stream, given=given if given or off else None)
    print(json.dumps(found, indent=1))


def parse_share(text: str) -> list[int]:
    """`3/10` -> [3, 10]."""
    count, _, of = text.partition("/")
    if not (count.isdigit() and of.isdigit()):
        raise typer.BadParameter(f"{text!r} is not of the form k/n, such as 3/10")
    return [int(count), int(of)]
