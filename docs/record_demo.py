"""Draw docs/demo.svg anew from a real run of the demo: python docs/record_demo.py"""

import contextlib
import io
import re
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from lakelet.cli import render
from lakelet.cli.demo import run_demo

TARGET = Path(__file__).with_name("demo.svg")


def main() -> None:
    # Not a terminal: each stage's bar is then drawn once, as it ended.
    console = Console(
        record=True, width=100, highlight=False, color_system="truecolor", file=io.StringIO()
    )
    render.stdout = lambda: console
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        status = run_demo(events=50_000, folder=Path("demo-data"), port=4566, once=True)
        text = console.export_svg(title="make demo ONCE=1", code_format=without_web_fonts())
    if status == 0:
        TARGET.write_text(text, "utf-8")


def without_web_fonts() -> str:
    """A picture in a README must not call anybody."""
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return plain.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


if __name__ == "__main__":
    main()
