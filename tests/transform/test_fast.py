"""The quick reader keeps its work: what it must not parse, it must not try to."""

import numpy as np
import pytest

from lakelet.transform import fast
from lakelet.transform.lines import Lines, Mask
from lakelet.transform.odd import OddLines
from lakelet.transform.rows import Kind
from tests.transform.contracts import DEFAULT
from tests.transform.events import event, line
from tests.transform.test_reference import assert_same

CUT = line(5, product_id="p1")[: line(5, product_id="p1").index(b'"page_url"')].rstrip()
CALL_US = line(6, product_price="call us")


@pytest.mark.parametrize("odd", [CUT, CALL_US, CUT + b'"a"}'], ids=["cut", "type", "no pair"])
def test_one_odd_line_costs_no_search(odd: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that a regular expression lets pass and the parser does not are found by halving."""
    parsed: list[int] = []

    def parse(data: bytes, *rest: object) -> object:
        parsed.append(len(data))
        return original(data, *rest)  # type: ignore[arg-type]

    original = fast._parse
    monkeypatch.setattr(fast, "_parse", parse)
    lines = [line(n, product_price=1.5) for n in range(2_000)]
    raw = b"\n".join([*lines[:700], odd, *lines[700:]])
    assert CUT.endswith(b",")
    assert_same(raw, DEFAULT)
    assert len(parsed) <= 2  # the block as a whole, then the lines that are vouched for


@pytest.mark.parametrize("least", [0, 100])
def test_few_lines_with_strangers_mean_the_same_either_way(
    least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "_SIMPLE_LINES_MIN", least)
    lines = [line(n, campaign="spring", app={"v": 1}) if n % 9 == 0 else line(n) for n in range(90)]
    assert_same(b"\n".join(lines), DEFAULT)


def laid_out(odd: dict[int, bytes], count: int = 3_000) -> bytes:
    """Usual lines, with others at some places."""
    return b"\n".join(odd.get(n) or line(n, product_price=1.5) for n in range(count))


def matched(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many blocks had each of their lines looked at; all of them mean what they must."""
    looked: list[object] = []

    def matching(self: Lines, pattern: str) -> object:
        looked.append(self)
        return original(self, pattern)

    original = Lines.matching
    monkeypatch.setattr(Lines, "matching", matching)
    assert_same(raw, DEFAULT, block_size_bytes=50_000)
    return len(looked)


CALLS = {n: line(n, product_price="call us") for n in range(7, 3_000, 90)}
NEW = {n: line(n, campaign="spring") for n in range(9, 3_000, 70)}


@pytest.mark.parametrize("odd", [CALLS, NEW, CALLS | NEW], ids=["type", "new field", "both"])
def test_odd_lines_are_found_by_what_the_first_ones_had(
    odd: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert matched(laid_out(odd), monkeypatch) == 1


LATER = {
    "another type": line(2_000, quantity="two"),
    "another field": line(2_000, other={"product_price": 2}),
    "not a number": line(2_000)[:-1] + b',"product_price":NaN}',
    "a brace in a string": line(2_000, product_name="}"),
    "two in a line": line(2_000) + line(2_001),
    "a null beside": line(2_000) + b" null " + line(2_001),
    "not UTF-8": line(2_000, product_name="x").replace(b"x", b"\xff"),
    "the token in a string": line(2_000, product_name='"product_price": "'),
    "cut": CUT,
    "NUL": line(2_000) + b"\0",
    "a lone surrogate": line(2_000, product_name="x").replace(b'"x"', b'"\\ud800"'),
    "twice": line(2_000)[:-1] + b',"event_type":"purchase"}',
}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
def test_a_wrong_guess_costs_time_alone(later: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= matched(laid_out(CALLS | {2_000: later}), monkeypatch) <= 3  # then it guesses again


def test_after_two_wrong_guesses_none_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    new = {n: line(n, **{f"new{n // 100}": 1}) for n in range(500, 3_000, 100)}
    guessed: list[object] = []
    original = OddLines.guess

    def guess(self: OddLines, lines: Lines) -> object:
        guessed.append(found := original(self, lines))
        return found

    monkeypatch.setattr(OddLines, "guess", guess)
    assert matched(laid_out(CALLS | new), monkeypatch) > 2
    assert sum(found is not None for found in guessed) >= 2
    assert guessed[-1] is None


KINDS: dict[str, Kind] = {**dict.fromkeys(event(), "string"), "product_price": "float"}


def test_blocks_read_side_by_side_teach_each_other_nothing_halfway() -> None:
    """Two readers share what was learned; one may unlearn it while the other looks."""
    odd = OddLines(KINDS)
    odd.learn(Lines(CALLS[7]), np.array([0]))

    class Unlearning(Lines):
        def framed(self) -> Mask:
            odd.learn(Lines(b'{"product_price":1}'), np.array([0]))  # nothing odd to be told by
            return super().framed()

    raw = b"\n".join([line(1), line(2), CALLS[7]])
    found = odd.guess(Unlearning(raw))
    assert found is not None and found.tolist() == [True, True, False]
    assert odd.guess(Lines(raw)) is None


def test_what_tells_half_of_the_lines_is_soon_not_asked() -> None:
    odd = OddLines(KINDS)
    odd.learn(Lines(CALLS[7]), np.array([0]))
    lines = Lines(b"\n".join([line(1), CALLS[7], CALLS[7]]))
    asked: list[bytes] = []
    lines.holding = lambda token: asked.append(token) or np.array([1, 2])  # type: ignore[method-assign,func-returns-value]
    assert [odd.guess(lines) for _ in range(4)] == [None] * 4
    assert len(asked) == 2
