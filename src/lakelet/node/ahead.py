"""The transform's read-ahead: the core starts no thread, so the runner does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; the next is made on a second thread while one is worked on.

    An error of theirs is raised where its item would have come. One item waits, no more.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as executor:
        waiting = executor.submit(_next, items)
        while found := waiting.result():
            waiting = executor.submit(_next, items)
            yield found.pop()


def _next(items: Iterator[Item]) -> list[Item]:
    """One item, none at the end; whoever takes it out has it alone, so memory can go early."""
    for item in items:
        return [item]
    return []
