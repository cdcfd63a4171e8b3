"""`lakelet env`: what to eval so that any AWS client speaks to the node."""

import shlex
from pathlib import Path

from lakelet.node.connect import DEFAULT_FOLDER
from lakelet.node.exports import running_environment


def export_lines(data: Path | None) -> list[str]:
    """`export NAME=value`, safe to eval."""
    variables = running_environment(data or DEFAULT_FOLDER)
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
