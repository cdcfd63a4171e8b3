"""The read-ahead gives what it was given, on a thread that ends with it."""

import threading
from collections.abc import Iterator

import pytest

from lakelet.node.ahead import read_ahead


def test_the_same_items_in_order_empty_ones_too() -> None:
    assert list(read_ahead(iter([1, 0, None, "", 2]))) == [1, 0, None, "", 2]
    assert list(read_ahead(iter([]))) == []


def test_the_next_item_is_made_elsewhere_while_one_is_worked_on() -> None:
    second_made = threading.Event()
    threads = []

    def items() -> Iterator[int]:
        threads.append(threading.current_thread())
        yield 1
        second_made.set()
        yield 2

    ahead = read_ahead(items())
    assert next(ahead) == 1
    assert second_made.wait(10)
    assert list(ahead) == [2]
    assert threads[0] is not threading.current_thread()
    assert not threads[0].is_alive()


def test_an_error_comes_in_its_items_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("torn")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="torn"):
        next(ahead)


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    ahead = read_ahead(iter(range(1_000)))
    next(ahead)
    ahead.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
