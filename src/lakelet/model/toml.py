"""TOML read strictly: every error names the file, the line, the key and the remedy."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

from lakelet.model.errors import DeclarationError

T = TypeVar("T")

_KIND_NAMES = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


@dataclass
class Section:
    """One table of a TOML document, taken key by key.

    `finish()` refuses what was never taken, so that a misspelt key is an error
    and not a silent default.
    """

    values: Mapping[str, Any]
    path: tuple[str, ...]
    source: "Source"
    taken: set[str] = field(default_factory=set)

    def take(
        self,
        key: str,
        kind: type[T],
        default: T | None = None,
        *,
        least: float | None = None,
        most: float | None = None,
        choices: tuple[str, ...] | None = None,
        pattern: str | None = None,
        required: bool = False,
    ) -> T:
        """The value under `key`, checked; the default where it is absent."""
        self.taken.add(key)
        if key not in self.values:
            if required:
                raise self.error(key, f"`{key}` is missing", f"Add `{key} = …`.")
            return cast("T", default)
        value = self.values[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(key, f"{value!r} is not {_KIND_NAMES[kind]}", "Change its type.")
        if (least is not None and cast("Any", value) < least) or (
            most is not None and cast("Any", value) > most
        ):
            raise self.error(
                key, f"{value!r} is out of range", f"Choose from {least:g} to {most:g}."
            )
        if choices is not None and value not in choices:
            raise self.error(key, f"{value!r} is not known", f"One of: {', '.join(choices)}.")
        if pattern is not None and not re.fullmatch(pattern, str(value)):
            raise self.error(key, f"{value!r} is not a valid name", f"It must match {pattern}")
        return value

    def section(self, key: str) -> "Section":
        """A table below; empty where it is absent."""
        return Section(self.take(key, dict, {}), (*self.path, key), self.source)

    def sections(self) -> "dict[str, Section]":
        """Every table below, by name: for open sets such as `[contract.fields]`."""
        return {key: self.section(key) for key in self.values}

    def finish(self) -> None:
        for key in self.values:
            if key not in self.taken:
                near = get_close_matches(key, self.taken, 1)
                hint = (
                    f"Did you mean `{near[0]}`?"
                    if near
                    else f"Known here: {', '.join(sorted(self.taken))}."
                )
                raise self.error(key, f"`{key}` is not a setting", hint)

    def error(self, key: str, problem: str, hint: str) -> DeclarationError:
        where = ".".join((*self.path, key))
        return DeclarationError(f"{self.source.at(self.path, key)}: {where}: {problem}.", hint=hint)


@dataclass(frozen=True)
class Source:
    """The text a document came from, to find a key's line again."""

    name: str
    text: str

    def at(self, path: tuple[str, ...], key: str) -> str:
        line = self.line_of((*path, key))
        return f"{self.name}, line {line}" if line else self.name

    def line_of(self, path: tuple[str, ...]) -> int | None:
        """The 1-based line where a key is set, or its nearest table opens.

        tomllib keeps no positions; this scans headers and keys, which is exact
        for the plain layouts people write and at worst points at the table.
        """
        header: tuple[str, ...] = ()
        nearest: tuple[int, int] | None = None
        for number, line in enumerate(self.text.splitlines(), 1):
            if found := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?", line):
                header = tuple(_split(found[1]))
                here = header
            elif found := re.match(r"\s*([\w\-.\"' *]+?)\s*=", line):
                here = (*header, *_split(found[1]))
            else:
                continue
            if here == path[: len(here)] and (nearest is None or len(here) > nearest[0]):
                nearest = (len(here), number)
        return nearest[1] if nearest else None


def _split(dotted: str) -> list[str]:
    return [part.strip(" \"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", dotted)]


def load(text: str, name: str) -> Section:
    """The root section of a TOML text; `name` is what errors call the file."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(
            f"{name}: {error}.", hint="Mend the TOML there; https://toml.io shows the syntax."
        ) from error
    return Section(values, (), Source(name, text))


def load_file(path: Path) -> Section:
    try:
        return load(path.read_text("utf-8"), str(path))
    except FileNotFoundError as error:
        raise DeclarationError(
            f"{path} does not exist.", hint=f"Write one: lakelet init {path}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(
            f"{path} cannot be read: {error}.", hint="It must be a readable UTF-8 file."
        ) from error
