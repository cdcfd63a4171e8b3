"""CloudWatch Logs' filter patterns, as a test of one message."""

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from lakelet.model.errors import LakeletError

Test = Callable[[str], bool]
_JsonTest = Callable[[Any], bool]
_ABSENT = object()


class PatternInvalid(LakeletError):
    """A filter pattern that cannot be read."""

    code = "watch.log_pattern"
    aws_code = "InvalidParameterException"
    http_status = 400


def compile_pattern(pattern: str) -> Test:
    """`ERROR "two words" -skip`, `?either ?or`, or `{ $.level = "ERROR" && $.rows > 5 }`.

    Raises:
        PatternInvalid, also for space-delimited `[…]` and regular `%…%` expressions,
        which are not offered.
    """
    text = pattern.strip()
    if not text:
        return lambda _message: True
    if text.startswith("{"):
        return _json_pattern(text)
    if text.startswith("[") or re.search(r"(^|\s)%", text):
        raise PatternInvalid(
            f"The pattern {text!r} is of a kind that Lakelet does not read.",
            hint='Use terms, or JSON: { $.level = "ERROR" }.',
        )
    return _term_pattern(text)


def _term_pattern(text: str) -> Test:
    terms = re.findall(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))', text)
    wanted = [_unquoted(quoted, bare) for sign, quoted, bare in terms if sign == ""]
    either = [_unquoted(quoted, bare) for sign, quoted, bare in terms if sign == "?"]
    unwanted = [_unquoted(quoted, bare) for sign, quoted, bare in terms if sign == "-"]

    def test(message: str) -> bool:
        return (
            all(term in message for term in wanted)
            # As CloudWatch: beside a wanted term, the optional ones decide nothing.
            and (bool(wanted) or not either or any(term in message for term in either))
            and not any(term in message for term in unwanted)
        )

    return test


def _unquoted(quoted: str, bare: str) -> str:
    return bare or quoted.replace('\\"', '"').replace("\\\\", "\\")


def _json_pattern(text: str) -> Test:
    if not text.endswith("}"):
        raise PatternInvalid(f"The pattern {text!r} has no closing brace.", hint="Add }.")
    parser = _JsonParser(_tokens(text[1:-1]), text)
    condition = parser.any_of()
    if parser.peek():
        raise parser.error()

    def test(message: str) -> bool:
        try:
            return condition(json.loads(message))
        except ValueError:
            return False

    return test


_TOKEN = re.compile(
    r"""\s*(?:(&&|\|\||!=|>=|<=|=|>|<|\(|\))|(\$[\w.\[\]@-]*)|"((?:[^"\\]|\\.)*)"|([^\s()&|=<>!"]+))"""
)


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text): op, path, string, word."""
    tokens, position = [], 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if not found:
            raise PatternInvalid(
                f"The pattern cannot be read at {text[position:]!r}.",
                hint='As in { $.level = "ERROR" }.',
            )
        kind = ("op", "path", "string", "word")[(found.lastindex or 1) - 1]
        tokens.append((kind, found[found.lastindex or 1]))
        position = found.end()
    return tokens


class _JsonParser:
    """or := and (`||` and)*; and := one (`&&` one)*; one := `(` or `)` | path test."""

    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens, self._text = tokens, text

    def peek(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def take(self, kind: str = "") -> str:
        if not self._tokens or (kind and self._tokens[0][0] != kind):
            raise self.error()
        return self._tokens.pop(0)[1]

    def error(self) -> PatternInvalid:
        near = self.peek() or "its end"
        return PatternInvalid(
            f"The pattern {self._text!r} cannot be read near {near}.",
            hint='As in { ($.level = "ERROR") && ($.attempt > 2) }.',
        )

    def any_of(self) -> _JsonTest:
        tests = [self.all_of()]
        while self.peek() == "||":
            self.take()
            tests.append(self.all_of())
        return lambda value: any(test(value) for test in tests)

    def all_of(self) -> _JsonTest:
        tests = [self.one()]
        while self.peek() == "&&":
            self.take()
            tests.append(self.one())
        return lambda value: all(test(value) for test in tests)

    def one(self) -> _JsonTest:
        if self.peek() == "(":
            self.take()
            inner = self.any_of()
            if self.take() != ")":
                raise self.error()
            return inner
        path = _path(self.take("path"))
        if self.peek().upper() in ("IS", "NOT"):
            return self._is(path)
        operator = self.take("op")
        if not self._tokens:
            raise self.error()
        kind, wanted = self._tokens.pop(0)
        if kind not in ("string", "word"):
            raise self.error()
        return lambda value: _compare(_at(value, path), operator, wanted)

    def _is(self, path: list[str | int]) -> _JsonTest:
        words = f"{self.take().upper()} {self.take('word').upper()}"
        if words == "NOT EXISTS":
            return lambda value: _at(value, path) is _ABSENT
        for text, constant in (("IS NULL", None), ("IS TRUE", True), ("IS FALSE", False)):
            if words == text:
                return lambda value, constant=constant: _at(value, path) is constant  # type: ignore[misc]
        raise self.error()


def _path(text: str) -> list[str | int]:
    steps = re.findall(r"\[(\d+)\]|([\w@-]+)", text.removeprefix("$"))
    return [int(index) if index else name for index, name in steps]


def _at(value: Any, path: list[str | int]) -> Any:
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return _ABSENT
            value = value[step]
        elif isinstance(value, dict):
            value = value.get(step, _ABSENT)
        else:
            return _ABSENT
    return value


def _compare(value: Any, operator: str, wanted: str) -> bool:
    if value is _ABSENT:
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(wanted)
        except ValueError:
            return operator == "!="
        return {
            "=": value == number,
            "!=": value != number,
            ">": value > number,
            ">=": value >= number,
            "<": value < number,
            "<=": value <= number,
        }[operator]
    text = json.dumps(value) if isinstance(value, bool | type(None)) else str(value)
    # `*` is the only wildcard there; fnmatch's others are made plain.
    same = fnmatchcase(text, re.sub(r"([\[?])", r"[\1]", wanted))
    return same if operator == "=" else not same if operator == "!=" else False
