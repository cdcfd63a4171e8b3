"""Which lake a command talks to: the folder's, or the one deployed on AWS."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lakelet.aws.home import AwsHome
    from lakelet.node.lake import Lake

OnOption = Annotated[
    str | None,
    typer.Option(
        "--on",
        envvar="LAKELET_ON",
        metavar="aws[:STAGE]",
        help="The pipeline deployed on AWS, with the AWS profile and region in force.",
    ),
]


def reach(data: Path | None, on: str | None) -> "Lake":
    """A lake to talk to.

    Args:
        on: None for a folder's; `aws`, or `aws:STAGE`.
    Raises:
        DataFolderError; NotDeployed.
    """
    if on is None:
        from lakelet.node.connect import connect

        return connect(data)
    from lakelet.node.lake import Lake

    return Lake(home_on(on))


def home_on(on: str) -> "AwsHome":
    """Raises NotDeployed."""
    home, _, stage = on.partition(":")
    if home != "aws":
        raise typer.BadParameter(f"{on!r} is no home: aws, or aws:STAGE", param_hint="--on")
    from lakelet.aws.commands import aws_home

    return aws_home(stage=stage or None)
