"""Tables as charts: pure."""

from datetime import date

import pyarrow as pa
import pytest

from lakelet.console import charts
from lakelet.console.html import Html, ago, dollars, number, size, sparkline, tag
from lakelet.testing.clock import ManualClock

TABLE = pa.table(
    {
        "day": [date(2026, 3, 9), date(2026, 3, 9), date(2026, 3, 10)],
        "device": ["mobile", "desktop", "mobile"],
        "events": [5, 3, None],
    }
)


def test_a_day_and_a_number_suggest_a_line():
    assert charts.suggest(TABLE) == ("line", "day", "events")
    assert charts.suggest(TABLE.select(["device", "events"])) == ("bar", "device", "events")
    assert charts.suggest(TABLE.select(["device"])) == ("bar", "device", None)


@pytest.mark.parametrize("kind", charts.KINDS)
def test_every_kind_draws_every_value(kind):
    option = charts.option(kind, TABLE, "day", "events", "device")
    text = str(option["series"])
    assert "5" in text and "3" in text


def test_a_split_makes_one_series_a_group_and_leaves_gaps():
    option = charts.option("line", TABLE, "day", "events", "device")
    assert [one["name"] for one in option["series"]] == ["mobile", "desktop"]
    assert option["series"][1]["data"] == [3.0, None]
    assert option["xAxis"]["data"] == ["2026-03-09", "2026-03-10"]


def test_a_funnel_tells_how_many_went_on():
    option = charts.funnel(["viewed", "bought"], [200, 50])
    assert [item["name"] for item in option["series"][0]["data"]] == [
        "viewed: 200",
        "bought: 50  25% went on",
    ]


def test_values_never_become_markup():
    made = tag("p", "<script>", title='"x"', aria_label=None)
    assert made == '<p title="&quot;x&quot;">&lt;script&gt;</p>'
    assert tag("p", tag("b", "&")) == "<p><b>&amp;</b></p>"
    assert isinstance(made, Html)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0, "0"),
        (0.354, "0.35"),
        (12.34, "12.3"),
        (1234, "1,234"),
        (12_345_678, "12.3 M"),
    ],
)
def test_numbers_are_short(value, said):
    assert number(value) == said


def test_sizes_money_and_ages():
    assert (size(999), size(1_500_000)) == ("999 B", "1.5 MB")
    assert (dollars(0), dollars(0.001), dollars(1234.5)) == ("$0.00", "under 1¢", "$1,234.50")
    clock = ManualClock()
    then = clock.now()
    clock.advance(150)
    assert ago(then, clock.now()) == "2\u00a0min\u00a0ago"
    assert ago(None, clock.now()) == "never"


def test_a_sparkline_of_nothing_is_flat():
    assert "NaN" not in sparkline([], "none") and "NaN" not in sparkline([0, 0], "none")
