"""When to deliver: by size or by age, whichever comes first. Pure bookkeeping.

A buffer knows positions and sizes; the records themselves stay in the log, so that
memory doesn't grow with what is undelivered.
"""

from collections import deque
from dataclasses import dataclass
from math import inf

from lakelet.ingest.destination import Hints


@dataclass(slots=True)
class Span:
    """Neighbouring records that will be delivered together."""

    first_position: int
    end_position: int
    size_bytes: int
    arrived_ms: int  # wall clock, of the oldest: names the object
    since: float  # stopwatch, of the oldest: decides when
    due_at: float = inf  # stopwatch; when it was closed, full


class Buffer:
    """What one stream has accepted and not delivered. Not thread-safe by itself."""

    def __init__(self, first_position: int) -> None:
        self._closed: deque[Span] = deque()  # full: due now
        self._open: Span | None = None
        self._end_position = first_position
        self.size_bytes = 0

    def add(
        self, *, end_position: int, size_bytes: int, arrived_ms: int, at: float, hints: Hints
    ) -> bool:
        """Durable records, in order; whether they made something due, or began a wait.

        Positions that were skipped (damaged in the log) go with the records after them,
        so that spans leave no hole.
        """
        began = self._open is None
        if self._open is None:
            self._open = Span(self._end_position, end_position, size_bytes, arrived_ms, at)
        else:
            self._open.end_position = end_position
            self._open.size_bytes += size_bytes
        self._end_position = end_position
        self.size_bytes += size_bytes
        if self._open.size_bytes >= hints.size_bytes:
            self._close(at)
            return True
        return began

    def force(self) -> None:
        """Make everything due."""
        self._close(-inf)
        for span in self._closed:
            span.due_at = -inf

    def due_in(self, now: float, hints: Hints) -> float | None:
        """Seconds until something is due, 0 or less if it is; None while empty."""
        if self._closed:
            return self._closed[0].due_at - now
        return self._open.since + hints.interval_seconds - now if self._open else None

    def take(self, now: float, hints: Hints) -> Span | None:
        """The oldest span if it is due. It stays counted until `done`."""
        if not self._closed and self._open and self._open.since + hints.interval_seconds <= now:
            self._close(now)
        return self._closed[0] if self._closed and self._closed[0].due_at <= now else None

    def _close(self, due_at: float) -> None:
        if self._open:
            self._open.due_at = due_at
            self._closed.append(self._open)
            self._open = None

    def done(self, span: Span) -> None:
        """It is delivered."""
        self._closed.remove(span)
        self.size_bytes -= span.size_bytes

    @property
    def oldest_since(self) -> float | None:
        oldest = self._closed[0] if self._closed else self._open
        return oldest.since if oldest else None
