"""The transform's threads: the core starts none, so the runner does."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Two fill two cores: whoever asks for the results works too, but waits for them as often.
_WORKERS = 2
# In hand at once: one more than is worked on, so that no worker waits for the asker's turn.
_WINDOW = 3


def ahead(function: Callable[[Item], Result], items: Iterator[Item]) -> Iterator[Result]:
    """`map`, in order, a few results ahead.

    Items are drawn one after the other, on one thread, and worked on at once on others. An
    error, of an item or of the work on it, is raised where its result would have come. The
    function must not call this.
    """
    drawer, workers = _threads()
    begun: deque[tuple[Future[list[Item]], Future[list[Result]]]] = deque()

    def work(drawn: "Future[list[Item]]") -> list[Result]:
        """At most one; whoever takes it out has it alone, so that memory can go early."""
        found = drawn.result()
        return [function(found.pop())] if found else []

    def begin() -> None:
        drawn = drawer.submit(_next, items)
        begun.append((drawn, workers.submit(work, drawn)))

    try:
        for _ in range(_WINDOW):
            begin()
        while found := begun[0][1].result():
            del begun[0]
            begin()
            yield found.pop()
    finally:
        left: list[Future[Any]] = [future for both in begun for future in reversed(both)]
        begun.clear()
        for future in left:
            future.cancel()
        wait(left)  # nobody is to touch the items any more


@lru_cache(maxsize=1)
def _threads() -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
    """One to draw, some to work: the same for all objects. The system's allocator has an arena
    a thread, and with new threads for each object a process grew by 0.15 MB an object."""
    workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="ahead")
    return ThreadPoolExecutor(1, thread_name_prefix="draw"), workers


def _next(items: Iterator[Item]) -> list[Item]:
    """One item, none at the end."""
    for item in items:
        return [item]
    return []
