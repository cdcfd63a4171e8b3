"""Events as read, before the contract: columns of whatever kind was sent."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.jsontext import Number, dumps, has_surrogate

Path = tuple[str, ...]
# What JSON had there. `number` is the number's own text; `int`, `float` and
# `decimal` are numbers a faster parser has already read without loss.
Kind = Literal["string", "number", "int", "float", "decimal", "bool", "json"]


@dataclass(frozen=True, slots=True)
class Part:
    """The values of one kind; null where the row has another kind, or nothing."""

    kind: Kind
    values: pa.Array


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a record goes to quarantine."""

    reason: str
    message: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    start: int  # of its bytes in the block
    end: int
    flaw: Flaw


class Rows:
    """n events: where their bytes lie in the block, and their fields' values."""

    def __init__(
        self,
        count: int,
        fields: dict[Path, tuple[Part, ...]],
        locate: Callable[[], tuple[pa.Array, pa.Array]],
        extras: pa.Array | None = None,
        nulls: pa.Array | None = None,
    ) -> None:
        """`locate` gives starts and ends; it is asked only when they matter.

        `extras`: string, n: undeclared fields as one JSON object, or null.
        `nulls`: bool, n: whether a null was sent at a path below the root, where it is
        something: `fields` can't tell it from nothing. None: nowhere.
        """
        self.count, self.fields, self.extras, self.nulls = count, fields, extras, nulls
        self._locate = locate

    @cached_property
    def _spans(self) -> tuple[pa.Array, pa.Array]:
        return self._locate()

    @property
    def starts(self) -> pa.Array:
        """int64, n: offsets in the block."""
        return self._spans[0]

    @property
    def ends(self) -> pa.Array:
        return self._spans[1]

    def parts(self, path: Path) -> tuple[Part, ...]:
        return self.fields.get(path, ())

    def show(self, path: Path, row: int) -> str:
        """A value as text, for a message about it."""
        for part in self.parts(path):
            if (value := part.values[row].as_py()) is not None:
                shown = repr(value) if part.kind == "string" else str(value)
                return shown if len(shown) <= 200 else shown[:200] + "…"
        return "null"

    def take(self, indices: pa.Array) -> "Rows":
        """Some of the rows, in the order given."""
        return Rows(
            len(indices),
            {
                path: tuple(Part(p.kind, pc.take(p.values, indices)) for p in parts)
                for path, parts in self.fields.items()
            },
            lambda: (pc.take(self.starts, indices), pc.take(self.ends, indices)),
            None if self.extras is None else pc.take(self.extras, indices),
            None if self.nulls is None else pc.take(self.nulls, indices),
        )


def parts_of(
    values: list[Any], scrub: Callable[[Any], Any] = lambda value: value
) -> tuple[Part, ...]:
    """What `jsontext.loads` gave, by kind.

    A string with half a surrogate pair fits no text column, so it goes with the
    JSON values, as its escaped text.
    """
    kinds = set(map(type, values)) - {type(None)}
    parts = []
    if str in kinds:
        try:
            parts.append(Part("string", _only(values, str, pa.string())))
        except UnicodeEncodeError:
            values = [_Unpaired(v) if type(v) is str and has_surrogate(v) else v for v in values]
            parts.append(Part("string", _only(values, str, pa.string())))
            kinds.add(_Unpaired)
    if Number in kinds:
        parts.append(Part("number", _only(values, Number, pa.string())))
    if bool in kinds:
        parts.append(Part("bool", _only(values, bool, pa.bool_())))
    if kinds & _JSON_KINDS:
        texts = [_json_text(v, scrub) if type(v) in _JSON_KINDS else None for v in values]
        parts.append(Part("json", pa.array(texts, pa.string())))
    return tuple(parts)


class _Unpaired(str):
    __slots__ = ()


_JSON_KINDS = {dict, list, _Unpaired}


def _json_text(value: Any, scrub: Callable[[Any], Any]) -> str:
    return dumps(str(value)) if type(value) is _Unpaired else dumps(scrub(value))


def _only(values: list[Any], kind: type, arrow: pa.DataType) -> pa.Array:
    return pa.array([v if type(v) is kind else None for v in values], arrow)
