"""The transform's threads: the core starts none, so the runner does."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Two fill two cores: whoever asks for the results works too, but waits for them as often.
_WORKERS = 2
# In hand at once: one more than is worked on, so that no worker waits for the asker's turn.
_WINDOW = 3


def ahead(function: Callable[[Item], Result], items: Iterator[Item]) -> Iterator[Result]:
    """`map`, in order, a few results ahead.

    Items are drawn one after the other, on one thread, and worked on at once on others. An
    error, of an item or of the work on it, is raised where its result would have come.
    """
    drawer = ThreadPoolExecutor(1, thread_name_prefix="draw")
    workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="ahead")

    def work(drawn: "Future[list[Item]]") -> list[Result]:
        """At most one; whoever takes it out has it alone, so that memory can go early."""
        found = drawn.result()
        return [function(found.pop())] if found else []

    def submit() -> "Future[list[Result]]":
        return workers.submit(work, drawer.submit(_next, items))

    try:
        waiting = deque(submit() for _ in range(_WINDOW))
        while found := waiting.popleft().result():
            waiting.append(submit())
            yield found.pop()
    finally:
        workers.shutdown(wait=False, cancel_futures=True)
        drawer.shutdown(wait=True, cancel_futures=True)
        workers.shutdown(wait=True)


def _next(items: Iterator[Item]) -> list[Item]:
    """One item, none at the end."""
    for item in items:
        return [item]
    return []
