"""Write docs/cli.md from the command itself: python docs/make_cli.py"""

from pathlib import Path
from typing import Any

import typer.main

from lakelet.cli.main import app

TARGET = Path(__file__).with_name("cli.md")
HEAD = """# The `lakelet` command

<!-- Written by docs/make_cli.py; a test fails when it is out of date. -->

`lakelet COMMAND --help` says the same in the terminal. Errors go to standard error with what to do
next; exit status 0 means done, 1 that it could not be (or, for `audit`, does not balance), 2 that
the command was misspelt.
"""


def reference() -> str:
    group: Any = typer.main.get_command(app)
    return HEAD + "".join(_section(f"lakelet {name}", command) for name, command in _walk(group))


def _walk(group: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for name in sorted(group.commands):
        command = group.commands[name]
        if hasattr(command, "commands"):
            found += _walk(command, f"{prefix}{name} ")
        elif not command.hidden:
            found.append((prefix + name, command))
    return found


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    words = [name, *(f"[{(a.name or '').upper()}]" for a in arguments)]
    lines = [f"\n## `{name}`\n", f"\n`{' '.join(words)}{' [OPTIONS]' if options else ''}`\n"]
    lines.append(f"\n{_plain(command.help)}\n")
    rows = [(a.name.upper(), a.help) for a in arguments]
    rows += [(", ".join((*o.opts, *o.secondary_opts)), o.help) for o in options]
    if rows:
        lines.append("\n| | |\n|---|---|\n")
        lines += [f"| `{left}` | {_plain(text)} |\n" for left, text in rows if left != "--help"]
    return "".join(lines)


def _plain(text: str | None) -> str:
    return " ".join((text or "").replace("\\[", "[").replace("|", "\\|").split())


if __name__ == "__main__":
    TARGET.write_text(reference(), "utf-8")
