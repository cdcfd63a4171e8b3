"""JSON with its numbers kept as they were written."""

import json
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any


class Number(str):
    """A JSON number's own text: no digit lost, none invented."""

    __slots__ = ()


def _integer(text: str) -> Number:
    return Number("0" if text == "-0" else text)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_decoder = json.JSONDecoder(parse_float=Number, parse_int=_integer, parse_constant=_refuse_constant)


def loads(text: str) -> Any:
    """Strings, `Number`s, bools, None, lists and dicts (of a repeated key, the last value).

    Raises:
        ValueError: not JSON. RecursionError: the caller bounds the depth.
    """
    return _decoder.decode(text)


def dumps(value: Any) -> str:
    """Compact JSON text of what `loads` gives, and of integers.

    A lone surrogate, which UTF-8 cannot hold, stays an escape.
    """
    kind = type(value)
    if kind is str:
        return quote(value)
    if kind is Number:
        return str(value)
    if kind is dict:
        return "{" + ",".join(f"{quote(k)}:{dumps(v)}" for k, v in value.items()) + "}"
    if kind is list:
        return "[" + ",".join(map(dumps, value)) + "]"
    if kind is int:
        return str(value)
    return "true" if value is True else "false" if value is False else "null"


def quote(text: str) -> str:
    if not text.isascii() and has_surrogate(text):
        return str(encode_basestring_ascii(text))
    return str(encode_basestring(text))


def has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
