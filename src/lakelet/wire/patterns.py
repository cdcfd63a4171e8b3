"""The models' regular expressions, which are Java's, said in Python's dialect."""

import re
from functools import cache

# Java writes the astral planes as surrogate pairs inside a class.
_ASTRAL_PAIRS = r"\uD800\uDC00-\uDBFF\uDFFF"
_ASTRAL_RANGE = "\\U00010000-\\U0010FFFF"

# Python's `re` has no \p{…}; these supersets let through at least what AWS does.
_PROPERTIES = {r"\p{L}": r"\w", r"\p{N}": r"\w", r"\p{Z}": r"\s", r"\p{Zs}": r"\s"}


@cache
def python_pattern(java_pattern: str) -> str | None:
    """A Python pattern for `re.search` that matches whole strings only.

    None where Python cannot say it (classes such as \\p{P}): then nothing is checked,
    since refusing what AWS accepts would be worse than the reverse.
    """
    translated = java_pattern.replace(_ASTRAL_PAIRS, _ASTRAL_RANGE).replace(r"\w-_", r"\w\-_")
    flags = "(?a)"  # Java's \w and \d are ASCII unless told otherwise
    for java, python in _PROPERTIES.items():
        if java in translated:
            translated, flags = translated.replace(java, python), ""
    whole = rf"{flags}\A(?:{translated})\Z"
    try:
        re.compile(whole)
    except re.error:
        return None
    return whole


@cache
def compiled(java_pattern: str) -> re.Pattern[str] | None:
    pattern = python_pattern(java_pattern)
    return re.compile(pattern) if pattern else None
