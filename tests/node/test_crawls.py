"""When a crawl runs: as soon as data asks for it, but never most of the time."""

import threading
from datetime import UTC, datetime

import pytest

from lakelet.node.crawls import REST_RATIO, REST_SECONDS_MAX, CrawlRunner
from lakelet.node.schedule import Schedule, parse_schedule
from lakelet.store.clock import SystemClock
from lakelet.testing.clock import ManualClock


def runner_of(clock: ManualClock, seconds: float, schedule: Schedule | None = None) -> CrawlRunner:
    """Each of its crawls takes so long."""

    def crawl() -> list[str]:
        clock.advance(seconds)
        return []

    return CrawlRunner(crawl, clock, schedule)


@pytest.mark.parametrize(
    ("seconds", "rest"), [(0.01, 0.01 * REST_RATIO), (2, 2 * REST_RATIO), (50, REST_SECONDS_MAX)]
)
def test_after_a_crawl_it_rests_in_proportion(seconds, rest) -> None:
    clock = ManualClock()
    runner = runner_of(clock, seconds)
    runner.request()
    assert runner.is_due()  # the first waits for nothing
    runner.run_now()
    assert not runner.is_due()
    runner.request()
    clock.advance(rest * 0.99)
    assert not runner.is_due()
    assert runner.pending
    clock.advance(rest * 0.02)
    assert runner.is_due()


def test_one_that_failed_rests_as_well() -> None:
    clock = ManualClock()

    def fail() -> list[str]:
        clock.advance(2)
        raise OSError("no")

    runner = CrawlRunner(fail, clock, None)
    with pytest.raises(OSError, match="no"):
        runner.run_now()
    runner.request()
    assert not runner.is_due()
    clock.advance(2 * REST_RATIO + 1)
    assert runner.is_due()


def test_a_schedule_and_a_command_wait_for_no_rest() -> None:
    clock = ManualClock(datetime(2026, 3, 9, 14, 59, 50, tzinfo=UTC))
    runner = runner_of(clock, 5, parse_schedule("cron(0 * * * ? *)"))
    runner.run_now()
    runner.request()
    assert not runner.is_due()
    runner.run_now()
    assert runner.runs == 2
    assert clock.now().hour == 15
    assert runner.is_due()


def test_the_thread_crawls_what_was_asked_for_during_a_rest() -> None:
    crawled = threading.Semaphore(0)

    def crawl() -> list[str]:
        crawled.release()
        return []

    runner = CrawlRunner(crawl, SystemClock(), None)
    runner.start()
    for _ in range(3):
        runner.request()
        assert crawled.acquire(timeout=10)
    runner.stop()


def test_it_stops_in_the_middle_of_a_rest() -> None:
    clock = ManualClock()
    runner = runner_of(clock, 1000)
    runner.run_now()
    runner.request()
    runner.start()
    runner.stop()
    assert runner.runs == 1
