"""SQL expressions of a contract: parsed by sqlglot, checked, compiled to `Expression`.

The subset is what can be worked out over one event, twice the same: no
sub-queries, aggregates, windows or clocks. Types are checked here, so that the
transform never meets a surprise; an error points at the offending token.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp, parse
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ParseError, SqlglotError

from lakelet.contract.functions import (
    DATE_FORMAT,
    FUNCTIONS,
    PARAMETER_NAMES,
    SPECIAL,
    TRUNC_UNITS,
    Function,
)
from lakelet.model.contract import Expression
from lakelet.model.errors import DeclarationError
from lakelet.model.schema import arrow_type


class _Plain(Trino):
    """Trino's grammar, but a function stays a name and its arguments: we know our own."""

    class Parser(Trino.Parser):  # type: ignore[misc, valid-type]
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: Trino.Parser.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST", "EXTRACT")
        }


class SqlError(DeclarationError):
    """An expression that cannot be compiled; the message shows where."""

    code = "contract.sql"


_INTEGERS = ("int", "bigint")
_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "equal",
    exp.NEQ: "not_equal",
    exp.LT: "less",
    exp.LTE: "less_equal",
    exp.GT: "greater",
    exp.GTE: "greater_equal",
}
_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "add",
    exp.Sub: "subtract",
    exp.Mul: "multiply",
    exp.Div: "divide",
    exp.Mod: "modulo",
}
_CAST_NAMES = {"varchar": "string", "text": "string", "integer": "int", "bool": "boolean"}


def compile_sql(sql: str, columns: Mapping[str, str], *, where: str = "") -> Expression:
    """An expression over `columns` (name -> type).

    Args:
        where: what messages call the place, such as `lakelet.toml, line 70: contract.computed`.

    Raises:
        SqlError
    """
    try:
        parsed = parse(sql, read=_Plain)
    except ParseError as error:
        at = error.errors[0] if error.errors else {}
        offset = _offset(sql, at.get("line", 1), at.get("col", 1), str(at.get("highlight", "")))
        raise _error(sql, where, offset, str(at.get("description", error)), _SYNTAX_HINT) from error
    except SqlglotError as error:
        raise _error(sql, where, 0, str(error), _SYNTAX_HINT) from error
    if len(parsed) != 1 or parsed[0] is None:
        raise _error(sql, where, 0, "it is not one expression", _SYNTAX_HINT)
    return _Compiler(sql, columns, where).compile(parsed[0])


_SYNTAX_HINT = "Write one SQL expression, such as: product_price * quantity"


def _offset(sql: str, line: int, column: int, token: str) -> int:
    start = sum(len(text) + 1 for text in sql.split("\n")[: line - 1])
    return max(0, start + column - max(1, len(token)))


def _error(sql: str, where: str, offset: int, problem: str, hint: str) -> SqlError:
    """The SQL's own line with a caret below the token."""
    start = sql.rfind("\n", 0, offset) + 1
    line = sql[start:].split("\n", 1)[0]
    place = f"{where}: " if where else ""
    picture = f"\n    {line}\n    {' ' * (offset - start)}^"
    return SqlError(f"{place}{problem}.{picture}", hint=hint)


class _Compiler:
    def __init__(self, sql: str, columns: Mapping[str, str], where: str) -> None:
        self._sql, self._columns, self._where = sql, columns, where

    def compile(self, node: exp.Expr) -> Expression:
        kind = type(node)
        if isinstance(node, exp.Paren):
            return self.compile(node.this)
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, (exp.Literal, exp.Boolean, exp.Null)):
            return self._literal(node)
        if kind in _ARITHMETIC:
            return self._arithmetic(node, _ARITHMETIC[kind])
        if kind in _COMPARISONS:
            return self._comparison(node, _COMPARISONS[kind])
        special = getattr(self, f"_{kind.__name__.lower()}", None)
        if special is None:
            raise self._fail(
                node,
                f"`{node.sql('trino')}` is more than an expression over one event may do",
                "Columns, literals, operators, CASE, CAST and the functions of the "
                "contract's reference; no sub-queries, aggregates or clocks.",
            )
        result: Expression = special(node)
        return result

    # --- leaves -------------------------------------------------------------------

    def _column(self, node: exp.Column) -> Expression:
        name = node.name
        if node.table or name not in self._columns:
            whole = node.sql("trino")
            near = get_close_matches(name, self._columns, 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(self._columns)}."
            raise self._fail(node, f"there is no column `{whole}` here", hint)
        return Expression(self._columns[name], column=name)

    def _literal(self, node: exp.Expr) -> Expression:
        if isinstance(node, exp.Null):
            return Expression("null")
        if isinstance(node, exp.Boolean):
            return Expression("boolean", value=bool(node.this))
        if node.args.get("is_string"):
            return Expression("string", value=str(node.this))
        text = str(node.this)
        if text.isdigit():
            if int(text) >= 2**63:
                raise self._fail(node, f"{text} does not fit a bigint", "Write it as a double.")
            return Expression("bigint", value=int(text))
        return Expression("double", value=float(text))

    # --- operators ----------------------------------------------------------------

    def _pair(self, node: exp.Expr) -> tuple[Expression, Expression]:
        return self.compile(node.this), self.compile(node.args["expression"])

    def _arithmetic(self, node: exp.Expr, operation: str) -> Expression:
        left, right = (self._number(node, side) for side in self._pair(node))
        kind = "bigint" if {left.type, right.type} <= {*_INTEGERS, "null"} else "double"
        return _call(kind, operation, _cast(left, kind), _cast(right, kind))

    def _neg(self, node: exp.Expr) -> Expression:
        value = self._number(node, self.compile(node.this))
        kind = "bigint" if value.type in _INTEGERS else "double"
        if isinstance(value.value, (int, float)):
            return Expression(kind, value=-value.value)
        return _call(kind, "negate", _cast(value, kind))

    def _number(self, node: exp.Expr, value: Expression) -> Expression:
        if not (_is_number(value.type) or value.type == "null"):
            raise self._fail(
                node, f"a {value.type} cannot be reckoned with", "CAST it to a number first."
            )
        return value

    def _comparison(self, node: exp.Expr, operation: str) -> Expression:
        left, right = self._alike(node, [*self._pair(node)])
        return _call("boolean", operation, left, right)

    def _and(self, node: exp.Expr) -> Expression:
        return _call("boolean", "and", *(self._condition(node, side) for side in self._pair(node)))

    def _or(self, node: exp.Expr) -> Expression:
        return _call("boolean", "or", *(self._condition(node, side) for side in self._pair(node)))

    def _not(self, node: exp.Expr) -> Expression:
        return _call("boolean", "not", self._condition(node, self.compile(node.this)))

    def _condition(self, node: exp.Expr, value: Expression) -> Expression:
        if value.type not in ("boolean", "null"):
            raise self._fail(node, f"a {value.type} is not a condition", "Compare it to something.")
        return _cast(value, "boolean")

    def _is(self, node: exp.Expr) -> Expression:
        value = self.compile(node.this)
        wanted = node.args["expression"]
        if isinstance(wanted, exp.Null):
            return _call("boolean", "is_null", value)
        equal = _call("boolean", "equal", self._condition(node, value), self.compile(wanted))
        return _call("boolean", "coalesce", equal, Expression("boolean", value=False))

    def _in(self, node: exp.In) -> Expression:
        if not node.expressions:
            raise self._fail(node, "IN takes a list of values", "Write: x IN ('a', 'b')")
        return _call(
            "boolean",
            "in",
            *self._alike(node, [self.compile(node.this), *map(self.compile, node.expressions)]),
        )

    def _between(self, node: exp.Between) -> Expression:
        sides = [self.compile(side) for side in (node.this, node.args["low"], node.args["high"])]
        value, low, high = self._alike(node, sides)
        return _call(
            "boolean",
            "and",
            _call("boolean", "greater_equal", value, low),
            _call("boolean", "less_equal", value, high),
        )

    def _like(self, node: exp.Like) -> Expression:
        value, pattern = self.compile(node.this), node.args["expression"]
        if value.type not in ("string", "null") or not _is_text(pattern):
            raise self._fail(node, "LIKE takes a string and a literal pattern", "x LIKE 'abc%'")
        like = _call(
            "boolean", "like", _cast(value, "string"), Expression("string", value=pattern.this)
        )
        return _call("boolean", "not", like) if node.args.get("negate") else like

    def _dpipe(self, node: exp.DPipe) -> Expression:
        return self._joined(node, list(self._pair(node)))

    def _joined(self, node: exp.Expr, values: list[Expression]) -> Expression:
        for value in values:
            if value.type not in ("string", "null"):
                raise self._fail(node, f"a {value.type} is no text", "CAST it to varchar first.")
        return _call("string", "concat", *(_cast(value, "string") for value in values))

    # --- CASE, CAST, EXTRACT ------------------------------------------------------

    def _case(self, node: exp.Case) -> Expression:
        conditions, results = [], []
        for branch in node.args["ifs"]:
            condition = self.compile(branch.this)
            if node.this is not None:
                sides = self._alike(branch, [self.compile(node.this), condition])
                condition = _call("boolean", "equal", *sides)
            conditions.append(self._condition(branch, condition))
            results.append(self.compile(branch.args["true"]))
        otherwise = node.args.get("default")
        results.append(self.compile(otherwise) if otherwise else Expression("null"))
        return self._chosen(node, conditions, results)

    def _if(self, node: exp.If) -> Expression:
        otherwise = node.args.get("false")
        results = [
            self.compile(node.args["true"]),
            self.compile(otherwise) if otherwise else Expression("null"),
        ]
        return self._chosen(node, [self._condition(node, self.compile(node.this))], results)

    def _chosen(
        self, node: exp.Expr, conditions: list[Expression], results: list[Expression]
    ) -> Expression:
        results = self._alike(node, results)
        branches = [v for pair in zip(conditions, results, strict=False) for v in pair]
        return _call(results[0].type, "case", *branches, results[-1])

    def _cast(self, node: exp.Cast) -> Expression:
        text = node.args["to"].sql("trino").lower().replace(" ", "")
        text = text.split("(")[0] if text.startswith(("varchar", "timestamp")) else text
        kind = _CAST_NAMES.get(text, text)
        try:
            arrow = arrow_type(kind)
        except ValueError as error:
            raise self._fail(node, str(error), "CAST to one of these types.") from error
        if pa.types.is_nested(arrow) or kind == "json":
            raise self._fail(node, f"nothing can be CAST to {kind}", "CAST to a scalar type.")
        value = self.compile(node.this)
        if pa.types.is_nested(_arrow(value.type)):
            raise self._fail(node, f"a {value.type} cannot be CAST", "CAST scalars only.")
        return _cast(value, kind)

    _trycast = _cast

    def _extract(self, node: exp.Extract) -> Expression:
        unit = str(node.this.name).lower()
        function = FUNCTIONS.get(unit)
        if function is None or function.takes != "t" or function.gives != "bigint":
            raise self._fail(node, f"EXTRACT knows no {unit}", "year, month, day, hour, …")
        value = self._argument(node, function, 0, node.args["expression"])
        return _call("bigint", function.operation, value)

    # --- functions ----------------------------------------------------------------

    def _anonymous(self, node: exp.Anonymous) -> Expression:
        name = str(node.this).lower()
        if name in ("coalesce", "greatest", "least", "nullif"):
            return self._of_alike(node, name)
        if name == "concat":
            return self._joined(node, [self.compile(a) for a in node.expressions])
        function = FUNCTIONS.get(name)
        if function is None:
            near = get_close_matches(name, [*FUNCTIONS, *SPECIAL], 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(FUNCTIONS)}."
            raise self._fail(node, f"there is no function `{name}` here", hint)
        least, most = len(function.takes) - function.optional, len(function.takes)
        if not least <= len(node.expressions) <= most:
            count = f"{least}" if least == most else f"{least} to {most}"
            raise self._fail(
                node, f"`{name}` takes {count} arguments, not {len(node.expressions)}", "See above."
            )
        arguments = [self._argument(node, function, i, a) for i, a in enumerate(node.expressions)]
        if function.operation == "cast_date":
            return _cast(arguments[0], "date")
        gives = arguments[0].type if function.gives == "first" else function.gives
        if function.operation == "modulo":
            gives = "bigint" if {a.type for a in arguments} <= {*_INTEGERS} else "double"
            arguments = [_cast(argument, gives) for argument in arguments]
        return _call(gives, function.operation, *arguments)

    def _of_alike(self, node: exp.Anonymous, name: str) -> Expression:
        least = 1 if name == "coalesce" else 2
        most = 2 if name == "nullif" else 100
        if not least <= len(node.expressions) <= most:
            raise self._fail(node, f"`{name}` takes {least} arguments or more", "Give it some.")
        values = self._alike(node, [self.compile(a) for a in node.expressions])
        return _call(values[0].type, name, *values)

    def _argument(
        self, call: exp.Expr, function: Function, index: int, node: exp.Expr
    ) -> Expression:
        takes = function.takes[index]
        if takes in "SIFUPR":
            return self._literal_argument(node, takes)
        value = self.compile(node)
        kind = value.type
        if kind == "null":
            return _cast(
                value, {"s": "string", "i": "bigint", "t": "timestamp"}.get(takes, "double")
            )
        if takes == "s" and kind in ("string", "json"):
            return value
        if takes == "t" and kind in ("timestamp", "date"):
            return _cast(value, "timestamp")
        if takes == "n" and _is_number(kind):
            return value if kind in (*_INTEGERS, "double") else _cast(value, "double")
        if takes == "d" and _is_number(kind):
            return _cast(value, "double")
        raise self._fail(
            node if node.find(exp.Identifier) else call,
            f"`{function.operation}` takes {PARAMETER_NAMES[takes]}, not a {kind}",
            "CAST it, or use another column.",
        )

    def _literal_argument(self, node: exp.Expr, takes: str) -> Expression:
        value = self.compile(node)
        wanted = "bigint" if takes == "I" else "string"
        if value.column or value.call or value.type != wanted:
            raise self._fail(node, f"here stands {PARAMETER_NAMES[takes]}", "Write it out.")
        text = str(value.value)
        if takes == "I" and abs(int(text)) > 10_000:
            raise self._fail(node, f"{text} is out of range", "Choose a smaller number.")
        if takes == "U" and text not in TRUNC_UNITS:
            raise self._fail(node, f"`{text}` is no unit", f"One of: {', '.join(TRUNC_UNITS)}.")
        if takes == "F":
            return Expression("string", value=self._strftime(node, text))
        if takes == "P":
            self._check_pattern(node, text)
        return value

    def _strftime(self, node: exp.Expr, pattern: str) -> str:
        result, at = "", 0
        while at < len(pattern):
            letter = pattern[at]
            if letter == "%":
                at += 1
                letter = pattern[at : at + 1]
                if letter not in DATE_FORMAT:
                    known = " ".join(f"%{name}" for name in DATE_FORMAT)
                    raise self._fail(node, f"date_format knows no `%{letter}`", f"Known: {known}")
                result += DATE_FORMAT[letter]
            else:
                result += letter
            at += 1
        return result

    def _check_pattern(self, node: exp.Expr, pattern: str) -> None:
        try:
            pc.match_substring_regex(pa.array([""]), pattern)
        except pa.ArrowInvalid as error:
            raise self._fail(node, f"not an RE2 pattern: {error}", "See RE2's syntax.") from error

    # --- types and errors ---------------------------------------------------------

    def _alike(self, node: exp.Expr, values: list[Expression]) -> list[Expression]:
        """All cast to the narrowest type that holds them all."""
        kinds = {value.type for value in values} - {"null"}
        common = _common(kinds)
        if common is None:
            raise self._fail(
                node, f"{' and '.join(sorted(kinds))} cannot be mixed", "CAST one to the other."
            )
        return [_cast(value, common) for value in values]

    def _fail(self, node: exp.Expr, problem: str, hint: str) -> SqlError:
        return _error(self._sql, self._where, self._place(node), problem, hint)

    def _place(self, node: exp.Expr) -> int:
        starts = [int(n.meta["start"]) for n in node.walk() if "start" in n.meta]
        if starts:
            return min(starts)
        text = str(node.this) if isinstance(node, exp.Literal) else node.sql("trino")
        return max(0, self._sql.lower().find(text.lower()))


def _call(kind: str, operation: str, *arguments: Expression) -> Expression:
    return Expression(kind, call=operation, arguments=arguments)


def _cast(value: Expression, kind: str) -> Expression:
    if value.type == kind:
        return value
    if value.type == "null":
        return Expression(kind)
    if kind == "double" and value.type == "bigint" and isinstance(value.value, int):
        return Expression("double", value=float(value.value))
    return _call(kind, "cast", value)


def _arrow(kind: str) -> pa.DataType:
    return pa.null() if kind == "null" else arrow_type(kind)


def _is_number(kind: str) -> bool:
    return kind in ("int", "bigint", "double") or kind.startswith("decimal")


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and bool(node.args.get("is_string"))


def _common(kinds: set[str]) -> str | None:
    if len(kinds) <= 1:
        return next(iter(kinds), "string")
    if all(map(_is_number, kinds)):
        return "bigint" if kinds <= set(_INTEGERS) else "double"
    if kinds == {"date", "timestamp"}:
        return "timestamp"
    if kinds == {"string", "json"}:
        return "string"
    # A literal '2026-03-09' beside a timestamp or date is meant as one.
    if len(kinds) == 2 and "string" in kinds and kinds & {"timestamp", "date"}:
        return next(iter(kinds - {"string"}))
    return None
