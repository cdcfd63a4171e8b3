"""A clock the test moves."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Stands still until told otherwise."""

    def __init__(self, at: datetime = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)) -> None:
        self._now = at
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Time passes, on the wall and by the stopwatch alike."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock; no time passes."""
        self._now += timedelta(seconds=seconds)
