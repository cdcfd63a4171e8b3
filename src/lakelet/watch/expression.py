"""CloudWatch metric math: arithmetic over series, and the functions people use of it."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from lakelet.model.errors import LakeletError

EXPRESSION_LENGTH_MAX = 2048  # MetricExpression's limit in the service's model

Points = dict[int, float]  # the period's start in Unix time -> the value
Value = float | Points | list[Points] | str


class ExpressionError(LakeletError):
    """A metric math expression that cannot be read or computed."""

    code = "watch.expression"
    aws_code = "ValidationError"
    http_status = 400


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may speak of."""

    series: Mapping[str, Points]  # by id
    metric_ids: tuple[str, ...]  # those that are metrics: METRICS() gives them
    period_seconds: int
    times: tuple[int, ...]  # every period asked for, for FILL


def compute(text: str, scope: Scope) -> Points:
    """The series an expression stands for.

    Two series meet where both have a point, as in CloudWatch; a number meets every point.
    """
    value = _Evaluator(scope).visit(parse(text))
    if isinstance(value, dict):
        return value
    raise ExpressionError(
        f"{text!r} does not give one time series.",
        hint="Combine a metric's id with it, as in m1 * 0 + 5.",
    )


def parse(text: str) -> ast.expr:
    """The grammar is Python's but for three operators: its parser knows the precedences.

    Only the node kinds that `_Evaluator` names are ever computed; nothing is executed.
    """
    if len(text) > EXPRESSION_LENGTH_MAX:
        raise ExpressionError(
            f"The expression has {len(text)} characters.",
            hint=f"At most {EXPRESSION_LENGTH_MAX} are read.",
        )
    python = text.replace("^", "**").replace("&&", " and ").replace("||", " or ")
    python = re.sub(r"\bAND\b", "and", re.sub(r"\bOR\b", "or", python))
    try:
        return ast.parse(python.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ExpressionError(
            f"The expression {text!r} cannot be read.", hint="As in 100 * (m1 / m2)."
        ) from error


def names_in(text: str) -> set[str]:
    """The ids an expression refers to."""
    nodes = list(ast.walk(parse(text)))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return {n.id for n in nodes if isinstance(n, ast.Name) and id(n) not in called} - {"REPEAT"}


_BINARY: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.And: lambda a, b: float(bool(a) and bool(b)),
    ast.Or: lambda a, b: float(bool(a) or bool(b)),
}


class _Evaluator:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def visit(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id=name):
                return self._name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _each(operator.neg, self.visit(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _both(_BINARY[type(op)], self.visit(left), self.visit(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _BINARY:
                return _both(_BINARY[type(op)], self.visit(left), self.visit(right))
            case ast.BoolOp(op=op, values=values):
                result = self.visit(values[0])
                for value in values[1:]:
                    result = _both(_BINARY[type(op)], result, self.visit(value))
                return result
            case ast.List(elts=elements):
                return [_points(self.visit(element)) for element in elements]
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name.upper(), [self.visit(argument) for argument in arguments])
        raise ExpressionError(
            f"{ast.unparse(node)!r} is not metric math we know.", hint="As in SUM(METRICS())."
        )

    def _name(self, name: str) -> Value:
        if name in self._scope.series:
            return self._scope.series[name]
        if name == "REPEAT":
            return name
        raise ExpressionError(f"There is no metric with the id {name!r}.", hint="Declare it.")

    def _call(self, name: str, arguments: list[Value]) -> Value:
        try:
            if name == "METRICS":
                part = arguments[0] if arguments else ""
                return [self._scope.series[i] for i in self._scope.metric_ids if str(part) in i]
            if name == "PERIOD":
                return float(self._scope.period_seconds)
            if name == "FILL":
                return _fill(_points(arguments[0]), arguments[1], self._scope.times)
            if name == "IF":
                return _choose(*arguments)
            if name in _FOLDS:
                return _fold(_FOLDS[name], arguments)
            if name in _EACH:
                return _each(_EACH[name], arguments[0])
            if name in _SEQUENCES:
                return _SEQUENCES[name](_points(arguments[0]))
        except (IndexError, TypeError) as error:
            raise ExpressionError(
                f"{name} does not take these arguments.", hint="See CloudWatch's metric math."
            ) from error
        raise ExpressionError(
            f"The function {name} is not known.",
            hint="SUM, AVG, MIN, MAX, ABS, CEIL, FLOOR, RATE, DIFF, RUNNING_SUM, FILL, IF, "
            "PERIOD, METRICS.",
        )


def _points(value: Value) -> Points:
    if isinstance(value, dict):
        return value
    raise ExpressionError("A time series is wanted there.", hint="Use a metric's id.")


def _safe(function: Callable[..., float], *arguments: float) -> float | None:
    """No point where arithmetic has no answer, as CloudWatch drops x / 0."""
    try:
        result = function(*arguments)
    except (ZeroDivisionError, OverflowError):
        return None
    return float(result) if not isinstance(result, complex) else None


def _each(function: Callable[[float], float], value: Value) -> Value:
    if isinstance(value, float):
        return float(function(value))
    if isinstance(value, list):
        return [_points(_each(function, one)) for one in value]
    return {at: float(function(number)) for at, number in _points(value).items()}


def _both(function: Callable[[float, float], float], left: Value, right: Value) -> Value:
    if isinstance(left, list):
        return [_points(_both(function, one, right)) for one in left]
    if isinstance(right, list):
        return [_points(_both(function, left, one)) for one in right]
    if isinstance(left, float) and isinstance(right, float):
        answer = _safe(function, left, right)
        if answer is None:
            raise ExpressionError("A division by zero.", hint="Divide by a metric.")
        return answer
    pairs: dict[int, tuple[float, float]]
    if isinstance(left, float):
        pairs = {at: (left, number) for at, number in _points(right).items()}
    elif isinstance(right, float):
        pairs = {at: (number, right) for at, number in _points(left).items()}
    else:
        first, second = _points(left), _points(right)
        pairs = {at: (first[at], second[at]) for at in first if at in second}
    computed = {at: _safe(function, *pair) for at, pair in pairs.items()}
    return {at: number for at, number in computed.items() if number is not None}


def _fold(function: Callable[[list[float]], float], arguments: list[Value]) -> Value:
    """A list of series folds point by point; one series folds to a number."""
    if len(arguments) == 1 and isinstance(arguments[0], dict):
        numbers = list(arguments[0].values())
        return function(numbers) if numbers else 0.0
    series = arguments[0] if isinstance(arguments[0], list) else [_points(a) for a in arguments]
    times = sorted({at for points in series for at in points})
    return {at: function([points[at] for points in series if at in points]) for at in times}


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def _fill(points: Points, filler: Value, times: tuple[int, ...]) -> Points:
    filled: Points = {}
    last: float | None = None
    for at in times:
        last = points.get(at, last)
        if at in points:
            filled[at] = points[at]
        elif filler == "REPEAT":
            if last is not None:
                filled[at] = last
        elif isinstance(filler, dict):
            if at in filler:
                filled[at] = filler[at]
        elif isinstance(filler, float):
            filled[at] = filler
    return filled


def _choose(condition: Value, yes: Value, no: Value | None = None) -> Points:
    def pick(side: Value | None, at: int) -> float | None:
        if isinstance(side, dict):
            return side.get(at)
        return side if isinstance(side, float) else None

    chosen = {at: pick(yes if true else no, at) for at, true in _points(condition).items()}
    return {at: number for at, number in chosen.items() if number is not None}


def _differences(points: Points, *, per_second: bool) -> Points:
    times = sorted(points)
    return {
        later: (points[later] - points[earlier]) / ((later - earlier) if per_second else 1)
        for earlier, later in pairwise(times)
    }


def _running_sum(points: Points) -> Points:
    total, sums = 0.0, {}
    for at in sorted(points):
        total += points[at]
        sums[at] = total
    return sums


_FOLDS: dict[str, Callable[[list[float]], float]] = {
    "SUM": sum,
    "AVG": _mean,
    "MIN": min,
    "MAX": max,
}
_EACH: dict[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": lambda n: float(-(-n // 1)),
    "FLOOR": lambda n: float(n // 1),
}
_SEQUENCES: dict[str, Callable[[Points], Points]] = {
    "RATE": lambda points: _differences(points, per_second=True),
    "DIFF": lambda points: _differences(points, per_second=False),
    "RUNNING_SUM": _running_sum,
}
