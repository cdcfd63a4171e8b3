"""What a block's odd lines had in common, to find the next block's by.

The expression that vouches for a line reads each of its bytes, which takes a quarter of the time
of a block. But odd lines resemble each other: one producer's wrong type, one new field. So a few
bytes are remembered that tell them, `"product_price":"`, and looked for in the block as a whole.
It is a guess: whoever makes it proves the other lines as he would a whole block.
"""

import re
from collections.abc import Mapping

import numpy as np

from lakelet.model.jsontext import Number, quote
from lakelet.transform.lines import Indices, Lines, Mask, sampled
from lakelet.transform.rows import Kind

_TOKENS_MAX = 4  # a pass over the block each; more cost what they save
_LOOKED_AT = 64
_FAILURES_MAX = 2


class OddLines:
    """Of one shape, over the blocks of one raw object."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        """`kinds`: of the fields that a usual line may have."""
        self._kinds = dict(kinds)
        self._tokens: list[bytes] | None = None  # None: nothing to go by
        self._failures = 0

    def learn(self, lines: Lines, unusual: Indices) -> None:
        """From a block whose unusual lines were found in earnest."""
        tokens: list[bytes] | None = []
        for at in unusual[:_LOOKED_AT].tolist():
            line = lines.line(at)
            if _is_framed(line) and not any(token in line for token in tokens or ()):
                token = self._token(line)
                if not token or len(tokens or ()) == _TOKENS_MAX:
                    tokens = None
                    break
                tokens = [*(tokens or ()), token]
        self._tokens = tokens

    def guess(self, lines: Lines) -> Mask | None:
        """Whether each line is a usual one, as far as can be told; None where it can't."""
        tokens = self._tokens  # read once: another block may be read beside this one
        if tokens is None or self._failures >= _FAILURES_MAX:
            return None
        usual = lines.framed()
        for token in tokens:
            usual[lines.holding(token)] = False
        if 2 * np.count_nonzero(usual) > len(usual):
            return usual
        self.failed()  # it tells too little, and may have been long in the telling
        return None

    def failed(self) -> None:
        """A guess was wrong. Twice, and no more are made."""
        self._failures += 1

    def _token(self, line: bytes) -> bytes:
        """Bytes that tell lines like this one; none where nothing in it does."""
        for name, value in sampled(line).items():
            pair = rb"%b[ \t]*:[ \t]*" % re.escape(quote(name).encode())
            if value is None or not (found := re.search(pair, line)):
                continue
            if name not in self._kinds:
                return found[0]
            first = line[found.end() : found.end() + 1]
            if not _fits(value, self._kinds[name]) and not first.isdigit() and first != b"-":
                return found[0] + first
        return b""


def _is_framed(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith(b"}")


def _fits(value: object, kind: Kind) -> bool:
    wanted: dict[Kind, type] = {"string": str, "bool": bool}
    return type(value) is wanted.get(kind, Number)
