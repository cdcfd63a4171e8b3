"""The quick reader keeps its work: what it must not parse, it must not try to."""

import pytest

from lakelet.transform import fast
from tests.transform.contracts import DEFAULT
from tests.transform.events import line
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
