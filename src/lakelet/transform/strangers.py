"""Undeclared fields of simple lines, as `properties` text, without a look at each event.

What a contract declares is cut out of a line by one regular expression; what is
left are the strangers' pairs, in their own words. Only lines are taken whose
strings hold no backslash, brace or bracket, so quotes always come in pairs,
brackets always mean what they say, and between two strings there is always a
`,` or a `:`: the expressions cannot lose their step.
"""

import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.transform.personal import NameRules


def _listed(item: str) -> str:
    return rf"(?:[ \t]*{item}[ \t]*(?:,[ \t]*{item}[ \t]*)*|[ \t]*)"


def _array(item: str) -> str:
    return rf"\[{_listed(item)}\]"


def _object(value: str) -> str:
    pair = rf"{_KEY}[ \t]*:[ \t]*{value}"
    return rf"\{{{_listed(pair)}\}}"


_KEY = r'"[A-Za-z0-9_.$-]+"'
_PLAIN_STRING = r'"[^"\\{}\[\]\x00-\x1f]*"'
# "-0" is left out: as an integer it is written 0.
_NUMBER = (
    r"(?:(?:-?[1-9][0-9]*|0)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    r"|-0\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
)
# A root field that is null is nothing; further in it stays, so we leave it to `exact`.
_SCALAR = f"(?:{_PLAIN_STRING}|{_NUMBER}|true|false)"
_INNER_OBJECT = _object(f"(?:{_SCALAR}|{_array(_SCALAR)})")
_INNER_ARRAY = _array(f"(?:{_SCALAR}|{_object(_SCALAR)})")
_VALUE = f"(?:{_SCALAR}|null|{_INNER_OBJECT}|{_INNER_ARRAY})"
SIMPLE_LINE = rf"^(?:[{{,][ \t]*{_KEY}[ \t]*:[ \t]*{_VALUE}[ \t]*)+\}}\r?\z"

_WORD = r'("[^"]*"|[^" \t,:]+)[ \t]*([,:]?)[ \t]*'
_SPACED = r"[,:{\[][ \t]|[ \t][,:}\]]"
# A bare value ends before `;` too, or it would hide the next object's first name.
_PAIR = r'"([^"]*)":(?:"[^"]*"|\{[^{}]*\}|\[[^\[\]]*\]|[^",;{}\[\]]+)'
_INNER = r"[^{}]*\{([^{}]*)\}[^{}]*"


class Strangers:
    """What is left of lines when a shape's pairs are taken out."""

    def __init__(self, known_pairs: str, known_names: Iterable[str], names: NameRules) -> None:
        """
        Args:
            known_pairs: RE2 for a declared pair of its usual kind.
            known_names: every name that must not be left over.
        """
        nothing = rf"{_KEY}[ \t]*:[ \t]*null"
        # The terminator keeps 12 from matching in 12.5; no group, for groups are slow. A run of
        # pairs is one match: each by itself took three times as long.
        self._known = rf"(?:{known_pairs}[ \t]*[,}}][ \t]*)+"
        self._known_or_null = rf"(?:(?:{known_pairs}|{nothing})[ \t]*[,}}][ \t]*)+"
        self._known_names = frozenset(known_names)
        some = "|".join(map(re.escape, sorted(self._known_names)))
        self._known_inside = rf'\{{[^{{}}]*"(?:{some})"[ \t]*:[^{{}}]*\}}'
        self._names = names

    def of(self, lines: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Of lines that match SIMPLE_LINE: JSON objects (null: no strangers), and whether
        each can be trusted. Not so: a declared name of an unusual kind or inside
        another value, one that is personal, or one that comes twice."""
        rest = _left_over(lines, self._known_or_null)
        some = pc.greater(pc.binary_length(rest), 0)
        objects = pc.if_else(some, pc.binary_join_element_wise("{", rest, "}", ""), None)
        sound = self._sound(pc.replace_substring_regex(rest, _PAIR, r"\1"))
        if _holds(lines, b"null"):  # one may be the last word on a name given twice
            nulls = pc.match_substring(lines, "null")
            whole = _left_over(pc.filter(lines, nulls), self._known)
            with_nulls = self._sound(pc.replace_substring_regex(whole, _PAIR, r"\1"))
            sound = pc.and_(sound, pc.replace_with_mask(sound, nulls, with_nulls))
        nested = pc.match_substring(rest, "{")  # what was cut out had none
        if pc.any(nested).as_py():
            inner = self._inner_sound(pc.filter(lines, nested), pc.filter(rest, nested))
            sound = pc.and_(sound, pc.replace_with_mask(sound, nested, inner))
        return objects, sound

    def _inner_sound(self, lines: pa.Array, rest: pa.Array) -> pa.Array:
        """bool: no declared name was cut out of a stranger's value, and its names will do."""
        untouched = pc.invert(pc.match_substring_regex(lines, self._known_inside))
        inner = pc.replace_substring_regex(rest, _INNER, r"\1;")
        return pc.and_(untouched, self._sound(pc.replace_substring_regex(inner, _PAIR, r"\1")))

    def _sound(self, keys: pa.Array) -> pa.Array:
        """bool: by names, `,` between them and `;` between objects; each list judged once."""
        lists = keys.dictionary_encode()
        sound = [
            all(self._are_sound(names.split(",")) for names in text.split(";") if names)
            for text in lists.dictionary.to_pylist()
        ]
        return pc.take(pa.array(sound, pa.bool_()), lists.indices)

    def _are_sound(self, names: list[str]) -> bool:
        return (
            len(set(names)) == len(names)
            and self._known_names.isdisjoint(names)
            and not any(self._names.rule(name) for name in names)
        )


def _holds(texts: pa.Array, what: bytes) -> bool:
    """Whether one of them may hold it: asked of all at once, so it may lie between two."""
    buffer = texts.buffers()[2]
    return buffer is not None and what in buffer.to_pybytes()


def _left_over(lines: pa.Array, pattern: str) -> pa.Array:
    """Pairs that `pattern` does not take out, compact."""
    rest = _without_frame(pc.replace_substring_regex(lines, pattern, ""))
    if pc.any(pc.match_substring_regex(rest, _SPACED)).as_py():
        rest = pc.replace_substring_regex(rest, _WORD, r"\1\2")
    return rest


def _without_frame(rest: pa.Array) -> pa.Array:
    """Pairs without the line's own braces. Its last one is still there only if a
    stranger was last: then there are more closing than opening ones."""
    rest = pc.ascii_rtrim(pc.ascii_ltrim(rest, "{, \t"), ", \t\r")
    framed = pc.greater(pc.count_substring(rest, "}"), pc.count_substring(rest, "{"))
    rest = pc.if_else(framed, pc.replace_substring_regex(rest, r"\}\z", ""), rest)
    return pc.ascii_rtrim(rest, ", \t")
