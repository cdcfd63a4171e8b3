"""What a terminal shows of strangers' text, and of answers wider than itself."""

import io
import re

import pyarrow as pa
import pytest
from rich.console import Console

from lakelet.cli import render


def shown(draw, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True)
    draw(console)
    return console.file.getvalue()


def test_an_answer_that_fits_is_a_table():
    table = pa.table({"event_type": ["login", None], "n": [1, 2]})
    lines = shown(lambda console: render.answer(console, table)).split("\n")
    assert lines[1].split() == ["event_type", "n"]
    assert lines[3].split() == ["login", "1"]
    assert lines[4].split() == ["NULL", "2"]


def test_an_answer_wider_than_the_terminal_stands_upright():
    names = [f"column_{number:02}" for number in range(25)]
    table = pa.table({name: [f"a value of {name}", None] for name in names})
    text = shown(lambda console: render.answer(console, table))
    assert "column_07  a value of column_07\n" in text
    assert [line for line in text.splitlines() if line.startswith("row")] == ["row 1", "row 2"]
    beside = shown(lambda console: render.answer(console, table), width=1_000)
    assert "row 1" not in beside


@pytest.mark.parametrize(
    ("hostile", "seen"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\rb\x08c\x00", r"a\rb\x08c\x00"),
        ("\x9b31m", r"\x9b31m"),
        ("user‮txt.exe", r"user\u202etxt.exe"),
        ("[red]not markup[/red]", "[red]not markup[/red]"),
        ("東京 ☂ é", "東京 ☂ é"),
    ],
)
@pytest.mark.parametrize("width", [80, 4])
def test_escape_sequences_of_events_do_not_reach_the_terminal(hostile, seen, width):
    table = pa.table({"page_url": [hostile]})
    if width == 4:  # too narrow for any table: upright, whose lines are never folded
        assert seen in shown(lambda console: render.answer(console, table), width)
    else:
        assert seen in shown(lambda console: render.answer(console, table), width)
        drawn = render.drawn_table([["page_url", "n"], [hostile, "2"]])
        assert seen in shown(lambda console: console.print(drawn), width)


@pytest.mark.parametrize("value", ["x" * 5_000_000, b"\0" * 5_000_000])
def test_a_value_of_megabytes_is_cut_and_says_so(value):
    text = shown(lambda console: render.answer(console, pa.table({"raw": [value]})))
    assert len(text) < 10_000
    assert "4,999,000more" in "".join(text.split())


@pytest.mark.parametrize("width", [80, 100, 200])
def test_counts_of_progress_are_whole_on_any_terminal(width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    status = {
        "stream": {
            "accepted_records": 50_000,
            "accepted_bytes": 25_000_000,
            "buffered_records": 0,
            "delivered_objects": 12,
        },
        "ledger": {
            "events": 50_000,
            "rows": 49_000,
            "duplicates": 400,
            "quarantined": {"json.invalid": 312, "field.required_is_missing": 288},
        },
        "crawl": {"pending": False},
        "tables": [{"name": "events", "partitions": 4}],
    }
    with render.stage_progress(console, 50_000) as draw:
        draw(status)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\n", console.file.getvalue())
    last = [line for line in text.splitlines() if line][-5:]
    counts = {"quarantined": "600/600"}
    for stage in ("accepted", "delivered", "transformed", "quarantined", "crawled"):
        (line,) = [each for each in last if stage in each]
        assert counts.get(stage, "50000/50000") in line
        assert len(line) <= width
        assert "0:00:0" in line
