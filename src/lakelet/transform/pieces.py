"""A block's rows came in pieces, each read its own way: the good ones as one again, in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakelet.transform.check import Checked
from lakelet.transform.lines import Indices, Mask, as_mask
from lakelet.transform.rows import Rows

EXTRAS = "properties"  # no declared column is named so

# Rows that stay together are copied together: with this many in a stretch on average, stretches
# take less than half the time of rows one by one.
_STRETCH_ROWS_MIN = 32


@dataclass(frozen=True, slots=True)
class Piece:
    """Checked rows of one piece of a block, and which of them are good."""

    rows: Rows
    columns: dict[str, pa.Array]
    good: Mask | None  # None: all

    @classmethod
    def of(cls, rows: Rows, checked: Checked) -> "Piece":
        good = None if checked.verdict is None else as_mask(pc.is_null(checked.verdict))
        return cls(rows, checked.columns, good)

    @property
    def has_any(self) -> bool:
        return self.rows.count > 0 and (self.good is None or bool(self.good.any()))

    @property
    def mask(self) -> Mask:
        return np.ones(self.rows.count, np.bool_) if self.good is None else self.good


class GoodRows:
    """Of all pieces, in the order of their bytes. Nothing is copied before it is asked for."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        """At least one; those without any good row add nothing."""
        self._pieces = [piece for piece in pieces if piece.has_any] or list(pieces[:1])
        self._has_extras = any(piece.rows.extras is not None for piece in self._pieces)
        # Over the pieces laid end to end. None: all of them, as they are.
        self._order: Indices | None = _order(self._pieces)

    @property
    def count(self) -> int:
        return self._pieces[0].rows.count if self._order is None else len(self._order)

    def keep(self, mask: pa.Array) -> int:
        """These alone from now on (bool, one a row); how many went."""
        before, kept = self.count, np.flatnonzero(as_mask(mask))
        self._order = kept if self._order is None else self._order[kept]
        return before - len(kept)

    def column(self, name: str) -> pa.Array:
        """For a look: stretches are worth their while for many columns at once."""
        values = _joined([piece.columns[name] for piece in self._pieces])
        return values if self._order is None else pc.take(values, pa.array(self._order))

    def columns(self, names: Iterable[str]) -> dict[str, pa.Array]:
        """With the undeclared fields, as text or null, where any row has one."""
        columns = [(name, [p.columns[name] for p in self._pieces]) for name in names]
        if self._has_extras:
            columns.append((EXTRAS, [_extras(piece.rows) for piece in self._pieces]))
        return self._gathered(columns)

    def _gathered(self, columns: list[tuple[str, list[pa.Array]]]) -> dict[str, pa.Array]:
        if self._order is None:
            return {name: parts[0] for name, parts in columns}
        begins = np.cumsum([0, *(piece.rows.count for piece in self._pieces)])
        firsts, lasts = _stretches(self._order, begins)
        if len(firsts) * _STRETCH_ROWS_MIN > len(self._order) or not len(firsts):
            order = pa.array(self._order)
            return {name: pc.take(_joined(parts), order) for name, parts in columns}
        # By columns' places, not names: any name will do in a batch.
        places = [str(at) for at in range(len(columns))]
        batches = [
            pa.RecordBatch.from_arrays([parts[at] for _, parts in columns], places)
            for at in range(len(self._pieces))
        ]
        owners = np.searchsorted(begins, firsts, "right") - 1
        stretches = zip(
            owners.tolist(),
            (firsts - begins[owners]).tolist(),
            (lasts - firsts + 1).tolist(),
            strict=True,
        )
        rows = pa.Table.from_batches([batches[at].slice(*stretch) for at, *stretch in stretches])
        # A single stretch is joined too: a slice would hold all that it was cut from.
        joined = [pa.concat_arrays(column.chunks) for column in rows.columns]
        return {name: joined[at] for at, (name, _) in enumerate(columns)}


def _joined(parts: list[pa.Array]) -> pa.Array:
    return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)


def _stretches(order: Indices, begins: Indices) -> tuple[Indices, Indices]:
    """First and last of neighbours in one piece: of 4, 5, 9 these are 4, 9 and 5, 9.

    Args:
        begins: where each piece begins, in order.
    """
    if not len(order):
        return order, order
    parted = np.diff(order) != 1
    for begin in begins[1:]:
        parted |= order[1:] == begin
    breaks = np.flatnonzero(parted)
    return order[np.append(0, breaks + 1)], order[np.append(breaks, len(order) - 1)]


def _order(pieces: Sequence[Piece]) -> Indices | None:
    if len(pieces) == 1:
        return None if pieces[0].good is None else np.flatnonzero(pieces[0].good)
    starts = np.concatenate([piece.rows.starts.to_numpy() for piece in pieces])
    # Each piece is in order already, and such a sort goes by runs.
    order: Indices = np.argsort(starts, kind="stable")
    if all(piece.good is None for piece in pieces):
        return order
    good: Indices = order[np.concatenate([piece.mask for piece in pieces])[order]]
    return good


def _extras(rows: Rows) -> pa.Array:
    return pa.nulls(rows.count, pa.string()) if rows.extras is None else rows.extras
