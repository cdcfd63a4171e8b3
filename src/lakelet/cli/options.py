"""Options that several commands share, so that they mean the same everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    csv = "csv"
    json = "json"
    parquet = "parquet"
    table = "table"


# Help is rich markup: a bracket that is meant is written \\[.
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="LAKELET_DATA",
        help="The lake's folder, whether a node runs on it or not.  \\[default: ./lake]",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="LAKELET_CONFIG",
        help="The declaration.  \\[default: ./lakelet.toml if there, else the lake's own]",
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        help="Send to this Firehose endpoint instead, with the AWS credentials in force.",
    ),
]
FormatOption = Annotated[Format | None, typer.Option("--format", "-f", help="A table by default.")]
