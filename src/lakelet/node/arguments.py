"""Arguments that came as JSON, held against the function they are for."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from lakelet.model.errors import LakeletError, Outcome

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text",
          NoneType: "null", Mapping: "an object", Sequence: "a list"}  # fmt: skip
_SHOWN = 80  # characters of a wrong value


class WrongArguments(LakeletError):
    code = "node.arguments"
    outcome = Outcome.NEVER
    http_status = 400


def check_arguments(name: str, function: Callable[..., Any], arguments: Any) -> None:
    """That `function` takes them by name: each known, none missing, each of its JSON type.

    Raises:
        WrongArguments, naming the argument and what is wanted.
    """
    if not isinstance(arguments, Mapping):
        raise WrongArguments(
            f"the arguments of {name} are {_shown(arguments)}",
            hint='An object is wanted, such as {} or {"name": "value"}.',
        )
    wanted = {
        each.name: each
        for each in inspect.signature(function).parameters.values()
        if each.kind is each.KEYWORD_ONLY
    }
    takes = f"It takes {', '.join(wanted) or 'none'}."
    if unknown := sorted(set(arguments) - set(wanted)):
        raise WrongArguments(f"{name} has no argument {', '.join(unknown)}", hint=takes)
    required = [each.name for each in wanted.values() if each.default is each.empty]
    if missing := [each for each in required if each not in arguments]:
        raise WrongArguments(f"{name} lacks the argument {', '.join(missing)}", hint=takes)
    for argument, value in arguments.items():
        kinds = _kinds(wanted[argument].annotation)
        if not any(_is(value, kind) for kind in kinds):
            raise WrongArguments(
                f"{argument} of {name} is {_shown(value)}",
                hint=f"Wanted is {' or '.join(_WORDS.get(kind, str(kind)) for kind in kinds)}.",
            )


def _kinds(annotation: Any) -> list[Any]:
    """`str | None` -> [str, NoneType]; a generic without what is in it."""
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return [NoneType if part is None else get_origin(part) or part for part in parts]


def _is(value: Any, kind: Any) -> bool:
    if kind is float:
        kind = int | float
    if isinstance(value, bool):
        return kind in (bool, Any)
    if isinstance(value, str):
        return kind in (str, Any)  # and no Sequence
    return kind is Any or isinstance(value, kind)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
