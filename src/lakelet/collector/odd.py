"""JSON that msgspec refuses: a second look, so that one odd event harms no other.

The transform takes more than msgspec does: numbers of any size, and half a surrogate pair,
which JSON.stringify makes of an emoji that was cut in two, as `.slice()` does. And what is
no JSON at all is still told from its neighbours, by brackets alone: in linear time, without
recursion. Whoever reads the pieces says what is wrong with one.
"""

import re
from collections.abc import Iterator
from typing import Any

from lakelet.model.jsontext import dumps, loads

# A string that is never closed takes all that is left: what it swallowed can't be told.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# Brackets without brackets in them are one token: most events are. That `{` may meet `]`, here
# and in the count of them, is right: what is between them is no JSON, and harms itself alone.
_TOKEN = re.compile(
    rb'[{\[](?:[^"{}\[\]]++|' + _STRING + rb")*+[}\]]|" + _STRING + rb"?|[{}\[\],]", re.DOTALL
)
_NAME = re.compile(rb"\s*(" + _STRING + rb")\s*:", re.DOTALL)
_OPENING, _CLOSING = (b"{", b"["), (b"}", b"]")
PARTS_MAX = 20_000  # of the outermost brackets
_DEPTH_MAX = 1_000  # about what `read` bears; hostile bytes are to cost no more


def read(text: bytes) -> Any:
    """As `jsontext.loads`, numbers to the digit. Raises ValueError."""
    try:
        return loads(text.decode())
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def write(value: Any) -> bytes:
    """What `read` gave, as JSON text. Raises ValueError: reading reaches deeper than writing."""
    try:
        return dumps(value).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def split_array(text: bytes) -> list[bytes]:
    """The elements as they are written, white space around them apart.

    Raises ValueError where it is no array, or does not end where the text does.
    """
    if not text.startswith(b"["):
        raise ValueError("it does not begin with [")
    return [part.strip() for part in _parts(text)]


def split_object(text: bytes) -> dict[str, bytes]:
    """The members' values as they are written; of a repeated name, the last.

    Raises ValueError as `split_array`, and for a member without a name.
    """
    if not text.startswith(b"{"):
        raise ValueError("it does not begin with {")
    found: dict[str, bytes] = {}
    for part in _parts(text):
        name = _NAME.match(part)
        if name is None:
            raise ValueError("a member has no name")
        found[read(name[1])] = part[name.end() :].strip()
    return found


def _parts(text: bytes) -> list[bytes]:
    """What stands between the commas of the outermost brackets; [] where nothing does."""
    *parts, last = _between(text)
    return [*parts, last] if parts or last.strip() else []


def _between(text: bytes) -> Iterator[bytes]:
    start, depth, count = 1, 1, 1
    for token in _TOKEN.finditer(text, 1):
        mark = token[0]
        if mark in _OPENING:
            depth += 1
            if depth > _DEPTH_MAX:
                raise ValueError(f"it is nested more than {_DEPTH_MAX:,} deep")
        elif mark == b"," and depth == 1:
            yield text[start : token.start()]
            start, count = token.end(), count + 1
            if count > PARTS_MAX:
                raise ValueError(f"it has more than {PARTS_MAX:,} elements")
        elif mark in _CLOSING:
            depth -= 1
            if not depth:
                yield text[start : token.start()]
                if mark != _CLOSING[_OPENING.index(text[:1])] or text[token.end() :].strip():
                    raise ValueError(f"it ends at byte {token.end()}, but not as it should")
                return
    raise ValueError("it does not end")
