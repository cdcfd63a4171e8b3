"""Undeclared fields of flat lines, as `properties` text, without a look at each event.

What a contract declares is cut out of a line by one regular expression; what is
left are the strangers' pairs, in their own words. Only lines are taken whose
strings hold no backslash, so quotes always come in pairs, and between two
strings there is always a `,` or a `:`: the expression cannot lose its step.
"""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.transform.personal import NameRules

_KEY = r'"[A-Za-z0-9_.$-]+"'
_PLAIN_STRING = r'"[^"\\\x00-\x1f]*"'
# "-0" is left out: as an integer it is written 0.
_NUMBER = (
    r"(?:(?:-?[1-9][0-9]*|0)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    r"|-0\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
)
_SCALAR = f"(?:{_PLAIN_STRING}|{_NUMBER}|true|false|null)"
FLAT_LINE = rf"^\{{(?:[ \t]*{_KEY}[ \t]*:[ \t]*{_SCALAR}[ \t]*[,}}])+\r?\z"
_WORD = r'("[^"]*"|[^" \t,:]+)[ \t]*([,:]?)[ \t]*'
_PAIR = r'"([^"]*)":(?:"[^"]*"|[^",]+)'


class Strangers:
    """What is left of lines when a shape's pairs are taken out."""

    def __init__(self, known_pairs: str, known_names: Iterable[str], names: NameRules) -> None:
        """
        Args:
            known_pairs: RE2 for a declared pair of its usual kind.
            known_names: every name that must not be left over.
        """
        nothing = rf"{_KEY}[ \t]*:[ \t]*null"
        # The terminator keeps 12 from matching in 12.5; no group, for groups are slow.
        self._known = rf"(?:{known_pairs}|{nothing})[ \t]*[,}}]"
        self._known_names = frozenset(known_names)
        self._names = names

    def of(self, lines: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Of lines that match FLAT_LINE: JSON objects (null: no strangers), and whether each
        can be trusted. Not so: a declared name of an unusual kind, one that is
        personal, or one that comes twice."""
        rest = pc.replace_substring_regex(lines, self._known, "")
        rest = pc.ascii_trim(rest, "{}, \t\r")
        rest = pc.replace_substring_regex(rest, _WORD, r"\1\2")
        some = pc.greater(pc.binary_length(rest), 0)
        objects = pc.if_else(some, pc.binary_join_element_wise("{", rest, "}", ""), None)
        keys = pc.replace_substring_regex(rest, _PAIR, r"\1").dictionary_encode()
        sound = [self._are_sound(text) for text in keys.dictionary.to_pylist()]
        return objects, pc.take(pa.array(sound, pa.bool_()), keys.indices)

    def _are_sound(self, keys: str) -> bool:
        names = keys.split(",")
        return (
            len(set(names)) == len(names)
            and self._known_names.isdisjoint(names)
            and not any(self._names.rule(name) for name in names)
        )
