"""When the crawler runs: after new data, on schedule, on command; never twice at once."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from lakelet.model.ports import Clock
from lakelet.node.schedule import Schedule

log = logging.getLogger("lakelet.crawler")

# Of a crawl's own time: crawls that data asks for take a tenth of the whole at most. One looks at
# every file of a folder that changed, and the day's folder changes with each new file.
REST_RATIO = 9
REST_SECONDS_MAX = 60.0


class CrawlRunner:
    """A thread that crawls when asked, folding requests that come meanwhile into one.

    After a crawl it rests; who can't wait has `run_now`. SQL need not wait either, but for
    partitions and columns that no crawl has seen: a query looks at the folders it reads.

    `crawl()` does the work and returns a line for each change; it is called from
    this thread or, by `run_now`, from the caller's, but from one at a time.
    """

    def __init__(
        self, crawl: Callable[[], list[str]], clock: Clock, schedule: Schedule | None
    ) -> None:
        self._crawl, self._clock, self._schedule = crawl, clock, schedule
        self._scheduled_at = schedule.next_after(clock.now()) if schedule else None
        self._rest_until = 0.0  # by the monotonic clock
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
            began = self._clock.monotonic()
            try:
                lines = self._crawl()
            except Exception as error:
                self.failures += 1
                self.last_error = str(error)
                raise
            finally:
                ended = self._clock.monotonic()
                self._rest_until = ended + min(REST_SECONDS_MAX, REST_RATIO * (ended - began))
            self.runs += 1
            self.last_at, self.last_lines, self.last_error = self._clock.now(), lines, ""
            return lines

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread:
            self._thread.join()

    def is_due(self) -> bool:
        """Whether a crawl is wanted and the last one's rest is over, or it is time by schedule."""
        if self._scheduled_at is not None and self._clock.now() >= self._scheduled_at:
            return True
        return self._wanted and self._clock.monotonic() >= self._rest_until

    def _seconds_until_due(self) -> float | None:
        waits = []
        if self._scheduled_at is not None:
            waits.append((self._scheduled_at - self._clock.now()).total_seconds())
        if self._wanted:
            waits.append(self._rest_until - self._clock.monotonic())
        return max(0.0, min(waits)) if waits else None

    def _loop(self) -> None:
        while True:
            with self._wake:
                while not self._stopping and not self.is_due():
                    self._wake.wait(self._seconds_until_due())
                if self._stopping:
                    return
            if self._schedule and self._scheduled_at and self._clock.now() >= self._scheduled_at:
                self._scheduled_at = self._schedule.next_after(self._clock.now())
            try:
                self.run_now()
            except Exception:
                # Nothing is lost: the data lies there and the next crawl finds it.
                log.warning("a crawl failed; the next one will try again", exc_info=True)
