"""Who counted an event first: the port that makes de-duplication reach across objects."""

from typing import Protocol

import pyarrow as pa


class SeenKeys(Protocol):
    """Exact memory of event keys, for as long as a table's window says."""

    def claim(self, table: str, keys: pa.Array, times: pa.Array, owner: str) -> pa.Array:
        """Take keys for a raw object; all of them in one transaction, so twice is once.

        Args:
            keys: string, n; no nulls, no repeats.
            times: timestamp[us], n: event times in UTC. The window is measured between them.
            owner: the raw object, `bucket/key`.

        Returns:
            bool, n: True where nobody had the key within the window, or this very owner did.
        """
        ...
