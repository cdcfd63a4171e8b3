"""When the crawler runs: after new data, on schedule, on command; never twice at once."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from lakelet.model.ports import Clock
from lakelet.node.schedule import Schedule

log = logging.getLogger("lakelet.crawler")


class CrawlRunner:
    """A thread that crawls when asked, folding requests that come meanwhile into one.

    `crawl()` does the work and returns a line for each change; it is called from
    this thread or, by `run_now`, from the caller's, but from one at a time.
    """

    def __init__(
        self, crawl: Callable[[], list[str]], clock: Clock, schedule: Schedule | None
    ) -> None:
        self._crawl, self._clock, self._schedule = crawl, clock, schedule
        self._turn = threading.Lock()
        self._wake = threading.Condition()
        self._wanted = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.runs = 0
        self.failures = 0
        self.last_at: datetime | None = None
        self.last_lines: list[str] = []
        self.last_error = ""

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="crawler", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> bool:
        """Whether a crawl is wanted or under way."""
        return self._wanted or self._turn.locked()

    def request(self) -> None:
        with self._wake:
            self._wanted = True
            self._wake.notify()

    def run_now(self) -> list[str]:
        with self._turn:
            with self._wake:
                self._wanted = False
            try:
                lines = self._crawl()
            except Exception as error:
                self.failures += 1
                self.last_error = str(error)
                raise
            self.runs += 1
            self.last_at, self.last_lines, self.last_error = self._clock.now(), lines, ""
            return lines

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread:
            self._thread.join()

    def _loop(self) -> None:
        due = self._schedule.next_after(self._clock.now()) if self._schedule else None
        while True:
            with self._wake:
                if not self._wanted and not self._stopping:
                    wait_seconds = (
                        max(0.0, (due - self._clock.now()).total_seconds()) if due else None
                    )
                    self._wake.wait(wait_seconds)
                if self._stopping:
                    return
                is_due = due is not None and self._clock.now() >= due
                if not self._wanted and not is_due:
                    continue
            if is_due and self._schedule:
                due = self._schedule.next_after(self._clock.now())
            try:
                self.run_now()
            except Exception:
                # Nothing is lost: the data lies there and the next crawl finds it.
                log.warning("a crawl failed; the next one will try again", exc_info=True)
