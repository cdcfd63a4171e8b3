"""Joda's date patterns, which format_datetime and parse_datetime take, as strftime's."""

import re

from lakelet.query.errors import QueryFailed

# A run of one letter, a quoted text, or anything else.
_PARTS = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")

_LETTERS = {
    "y": {2: "%y", 0: "%Y"},
    "Y": {2: "%y", 0: "%Y"},
    "x": {0: "%G"},
    "M": {1: "%-m", 2: "%m", 3: "%b", 0: "%B"},
    "d": {1: "%-d", 0: "%d"},
    "D": {1: "%-j", 0: "%j"},
    "H": {1: "%-H", 0: "%H"},
    "h": {1: "%-I", 0: "%I"},
    "m": {1: "%-M", 0: "%M"},
    "s": {1: "%-S", 0: "%S"},
    "S": {3: "%g", 6: "%f", 0: "%g"},
    "E": {1: "%a", 2: "%a", 3: "%a", 0: "%A"},
    "e": {0: "%u"},
    "w": {0: "%V"},
    "a": {0: "%p"},
    "Z": {0: "%z"},
    "z": {0: "%Z"},
}


def joda_to_strftime(pattern: str) -> str:
    """`yyyy-MM-dd'T'HH:mm` → `%Y-%m-%dT%H:%M`. Raises QueryFailed for an unknown letter."""
    out = []
    for part in _PARTS.finditer(pattern):
        quoted, letter = part[1], part[2]
        if quoted is not None:
            out.append((quoted.replace("''", "'") or "'").replace("%", "%%"))
        elif letter is None:
            out.append(part[0].replace("%", "%%"))
        elif letter in _LETTERS:
            choices = _LETTERS[letter]
            out.append(choices.get(len(part[0]), choices[0]))
        else:
            raise QueryFailed(
                "INVALID_FUNCTION_ARGUMENT", f"Illegal pattern component: {letter} in {pattern!r}"
            )
    return "".join(out)
