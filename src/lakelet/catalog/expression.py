"""Predicates over partition values: Glue's filter language, and a query's WHERE.

The language is a part of SQL: comparisons, AND, OR, NOT, IN, BETWEEN, LIKE,
IS NULL. sqlglot parses it; here it becomes a function over a partition's values.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakelet.catalog.errors import InvalidInput

# Hive's name for the partition of rows whose key is NULL.
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"

Values = Sequence[str]
# SQL's three truths: True, False, and None for unknown.
Truth = bool | None
Test = Callable[[Values], Truth]
Term = Callable[[Values], Any]


class NotAPredicate(Exception):
    """The tree holds something this language has no word for."""


def compile_expression(text: str, keys: Mapping[str, str]) -> Callable[[Values], bool]:
    """Glue's `Expression` as a test of one partition's values.

    Args:
        keys: name and Hive type of each partition key, in order.
    Raises:
        InvalidInput: for text that can't be read, or names what is no key.
    """
    try:
        tree = sqlglot.parse_one(text, read="hive")
        test = compile_tree(tree, keys)
    except (SqlglotError, NotAPredicate) as error:
        raise InvalidInput(
            f"Expression {text!r} cannot be read: {error}",
            hint="Compare partition keys with constants: year = '2026' AND month IN ('01', '02').",
        ) from error
    return lambda values: test(values) is True


def compile_tree(tree: exp.Expr, keys: Mapping[str, str]) -> Test:
    """A parsed predicate as a test. Raises NotAPredicate for anything beyond the language."""
    return _Compiler({name.lower(): (at, kind) for at, (name, kind) in enumerate(keys.items())})(
        tree
    )


_COMPARISONS: dict[type[exp.Expr], Callable[[Any, Any], bool]] = {
    exp.EQ: lambda left, right: left == right,
    exp.NEQ: lambda left, right: left != right,
    exp.LT: lambda left, right: left < right,
    exp.LTE: lambda left, right: left <= right,
    exp.GT: lambda left, right: left > right,
    exp.GTE: lambda left, right: left >= right,
}


class _Compiler:
    def __init__(self, keys: Mapping[str, tuple[int, str]]) -> None:
        self._keys = keys

    def __call__(self, tree: exp.Expr) -> Test:
        tree = tree.unnest()
        if isinstance(tree, exp.And | exp.Or):
            return _junction(self(tree.left), self(tree.right), isinstance(tree, exp.And))
        if isinstance(tree, exp.Not):
            return _negate(self(tree.this))
        if isinstance(tree, exp.Boolean):
            answer = bool(tree.this)
            return lambda _: answer
        if type(tree) in _COMPARISONS:
            return self._comparison(tree)
        if isinstance(tree, exp.Between):
            return _junction(
                self._comparison(exp.GTE(this=tree.this.copy(), expression=tree.args["low"])),
                self._comparison(exp.LTE(this=tree.this.copy(), expression=tree.args["high"])),
                True,
            )
        if isinstance(tree, exp.In) and tree.expressions and not tree.args.get("query"):
            tests = [
                self._comparison(exp.EQ(this=tree.this.copy(), expression=item.copy()))
                for item in tree.expressions
            ]
            return _any(tests)
        if isinstance(tree, exp.Like):
            return self._like(tree)
        if isinstance(tree, exp.Is) and isinstance(tree.expression, exp.Null):
            term, _ = self._term(tree.this)
            return lambda values: term(values) is None
        raise NotAPredicate(f"{tree.sql()} is not a comparison of a partition key")

    def _comparison(self, tree: exp.Expr) -> Test:
        left, right = tree.args["this"], tree.args["expression"]
        read_left, left_kind = self._term(left)
        read_right, right_kind = self._term(right)
        if left_kind is None and right_kind is None:
            raise NotAPredicate(f"{tree.sql()} names no partition key")
        as_left, as_right = (
            _converter(left_kind or right_kind or "string"),
            _converter(right_kind or left_kind or "string"),
        )
        compare = _COMPARISONS[type(tree)]

        def test(values: Values) -> Truth:
            one, other = as_left(read_left(values)), as_right(read_right(values))
            if one is None or other is None:
                return None
            return compare(one, other)

        return test

    def _like(self, tree: exp.Expr) -> Test:
        term, _ = self._term(tree.args["this"])
        if not isinstance(tree.args["expression"], exp.Literal):
            raise NotAPredicate(f"{tree.sql()} has no constant pattern")
        pattern = like_pattern(tree.args["expression"].this)

        def test(values: Values) -> Truth:
            value = term(values)
            return None if value is None else bool(pattern.fullmatch(str(value)))

        return test

    def _term(self, tree: exp.Expr) -> tuple[Term, str | None]:
        """How to read one side, and its type where it is a key."""
        tree = tree.unnest()
        if isinstance(tree, exp.Column):
            found = self._keys.get(tree.name.lower())
            if found is None:
                raise NotAPredicate(f"{tree.name} is not a partition key")
            at, kind = found
            return (lambda values: None if values[at] == NULL_PARTITION else values[at]), kind
        if isinstance(tree, exp.Literal):
            text = tree.this
            return (lambda _: text), None
        if isinstance(tree, exp.Neg) and isinstance(tree.this, exp.Literal):
            negative = f"-{tree.this.this}"
            return (lambda _: negative), None
        if isinstance(tree, exp.Cast) and isinstance(tree.this, exp.Literal):
            # DATE '2026-03-01' arrives as a cast.
            inner = tree.this.this
            return (lambda _: inner), None
        raise NotAPredicate(f"{tree.sql()} is neither a partition key nor a constant")


def like_pattern(text: str, escape: str | None = None) -> re.Pattern[str]:
    parts, at = [], 0
    while at < len(text):
        letter = text[at]
        if escape and letter == escape and at + 1 < len(text):
            at += 1
            parts.append(re.escape(text[at]))
        else:
            parts.append({"%": ".*", "_": "."}.get(letter) or re.escape(letter))
        at += 1
    return re.compile("".join(parts), re.DOTALL)


def _junction(left: Test, right: Test, both: bool) -> Test:
    def test(values: Values) -> Truth:
        one = left(values)
        if one is (not both):
            return one
        other = right(values)
        if other is (not both):
            return other
        return None if one is None or other is None else both

    return test


def _any(tests: Sequence[Test]) -> Test:
    joined = tests[0]
    for test in tests[1:]:
        joined = _junction(joined, test, False)
    return joined


def _negate(inner: Test) -> Test:
    def test(values: Values) -> Truth:
        answer = inner(values)
        return None if answer is None else not answer

    return test


def _number(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


def _date(value: Any) -> date | None:
    try:
        return None if value is None else date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def _timestamp(value: Any) -> datetime | None:
    try:
        return None if value is None else datetime.fromisoformat(str(value)).replace(tzinfo=None)
    except ValueError:
        return None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _converter(kind: str) -> Callable[[Any], Any]:
    name = kind.split("(")[0].lower()
    if name in ("tinyint", "smallint", "int", "integer", "bigint", "decimal", "float", "double"):
        return _number
    return {"date": _date, "timestamp": _timestamp}.get(name, _text)
