"""Work that comes round by the clock: metrics out, alarms judged, expired data removed."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from lakelet.model.ports import Clock

log = logging.getLogger("lakelet.node")


@dataclass
class Round:
    """Something done every `period_seconds`, first after one period."""

    name: str
    period_seconds: float
    act: Callable[[], object]
    due: float = 0.0  # by the monotonic clock
    failures: int = 0


class Rounds:
    """One thread for all of them; one that fails is logged and comes round again."""

    def __init__(self, clock: Clock, rounds: list[Round]) -> None:
        self._clock = clock
        self._rounds = rounds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="rounds", daemon=True)
        for each in rounds:
            each.due = clock.monotonic() + each.period_seconds

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_due(self) -> list[str]:
        """Do what is due now; the names of what was done."""
        done = []
        for each in self._rounds:
            if self._clock.monotonic() < each.due:
                continue
            each.due = self._clock.monotonic() + each.period_seconds
            done.append(each.name)
            try:
                each.act()
            except Exception:
                each.failures += 1
                # Nothing is lost by a round that failed; a human looks if it keeps failing.
                log.warning("the round %r failed", each.name, exc_info=True)
        return done

    def _loop(self) -> None:
        while not self._stop.wait(self._seconds_until_due()):
            self.run_due()

    def _seconds_until_due(self) -> float:
        earliest = min((each.due for each in self._rounds), default=self._clock.monotonic() + 60)
        return max(0.0, earliest - self._clock.monotonic())
