"""`ahead` is `map`, on other threads."""

import threading
from collections.abc import Iterator

import pytest

from lakelet.node.ahead import ahead


def same(item: object) -> object:
    return item


def test_the_same_items_in_order_empty_ones_too() -> None:
    assert list(ahead(same, iter([1, 0, None, "", 2]))) == [1, 0, None, "", 2]
    assert list(ahead(same, iter([]))) == []
    assert list(ahead(lambda n: n * n, iter(range(500)))) == [n * n for n in range(500)]


def test_two_items_are_worked_on_at_once() -> None:
    both = threading.Barrier(2)  # nobody passes alone

    def meet(item: int) -> int:
        both.wait(10)
        return item

    assert list(ahead(meet, iter([1, 2, 3, 4]))) == [1, 2, 3, 4]


def test_the_next_item_is_worked_on_elsewhere_while_one_is_used() -> None:
    second_made = threading.Event()
    threads = set()

    def work(item: int) -> int:
        threads.add(threading.current_thread())
        if item == 2:
            second_made.set()
        return item

    results = ahead(work, iter([1, 2]))
    assert next(results) == 1
    assert second_made.wait(10)
    assert list(results) == [2]
    assert threading.current_thread() not in threads


def test_items_are_drawn_one_after_the_other_and_not_far_ahead() -> None:
    drawn: list[int] = []
    drawing = threading.Lock()

    def items() -> Iterator[int]:
        for n in range(100):
            assert drawing.acquire(blocking=False)
            drawn.append(n)
            drawing.release()
            yield n

    for n, found in enumerate(ahead(same, items())):
        assert found == n
        assert len(drawn) <= n + 4  # the one in hand, and three to come


@pytest.mark.parametrize("at", ["item", "work"])
def test_an_error_comes_in_its_place(at: str) -> None:
    def items() -> Iterator[int]:
        yield 1
        if at == "item":
            raise ValueError("torn")
        yield 2

    def work(item: int) -> int:
        if item == 2:
            raise ValueError("torn")
        return item

    results = ahead(work, items())
    assert next(results) == 1
    with pytest.raises(ValueError, match="torn"):
        next(results)


def test_who_leaves_early_leaves_no_work_behind() -> None:
    touched: list[str] = []
    last = threading.Event()

    def items() -> Iterator[int]:
        for n in range(1_000):
            touched.append(f"drawn {n}")
            yield n

    def work(item: int) -> int:
        if item:
            last.wait(0.05)  # so that some is under way, and some not begun
        touched.append(f"worked on {item}")
        return item

    results = ahead(work, items())
    next(results)
    results.close()  # type: ignore[attr-defined]
    before = list(touched)
    assert len(before) < 10
    assert list(ahead(same, iter([1, 2, 3]))) == [1, 2, 3]  # the same threads are free
    assert touched == before


def test_all_objects_are_worked_on_by_the_same_threads() -> None:
    """New ones for each cost an arena of memory each time."""
    seen = [set(ahead(lambda _: threading.get_ident(), iter(range(20)))) for _ in range(6)]
    assert len(set().union(*seen)) <= 2


def test_two_may_be_drawn_from_at_once() -> None:
    one, other = ahead(str, iter(range(50))), ahead(str, iter(range(50)))
    assert list(zip(one, other, strict=True)) == [(str(at), str(at)) for at in range(50)]
