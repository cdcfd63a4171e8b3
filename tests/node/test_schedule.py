from datetime import UTC, datetime, timedelta

import pytest

from lakelet.model.errors import DeclarationError
from lakelet.node.schedule import parse_schedule

AT = datetime(2026, 3, 9, 14, 30, 20, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("expression", "then"),
    [
        ("rate(1 minute)", AT + timedelta(minutes=1)),
        ("rate(6 hours)", AT + timedelta(hours=6)),
        ("rate(2 days)", AT + timedelta(days=2)),
        ("cron(15 * * * ? *)", datetime(2026, 3, 9, 15, 15, tzinfo=UTC)),
        ("cron(0/20 14 * * ? *)", datetime(2026, 3, 9, 14, 40, tzinfo=UTC)),
        ("cron(0 6 1 * ? *)", datetime(2026, 4, 1, 6, tzinfo=UTC)),
        ("cron(0 6 ? * MON-FRI *)", datetime(2026, 3, 10, 6, tzinfo=UTC)),
        ("cron(0 0 ? * 1 *)", datetime(2026, 3, 15, tzinfo=UTC)),  # 1 is Sunday
        ("cron(0 12 29 FEB ? *)", datetime(2028, 2, 29, 12, tzinfo=UTC)),
        ("cron(31 14 9 3 ? 2026)", datetime(2026, 3, 9, 14, 31, tzinfo=UTC)),
    ],
)
def test_next(expression: str, then: datetime):
    schedule = parse_schedule(expression)
    assert schedule is not None
    assert schedule.next_after(AT) == then


def test_a_schedule_that_is_over_never_fires():
    schedule = parse_schedule("cron(0 0 1 1 ? 2020)")
    assert schedule is not None
    assert schedule.next_after(AT) is None


def test_empty_means_never():
    assert parse_schedule(" ") is None


@pytest.mark.parametrize(
    "expression",
    ["hourly", "rate(0 hours)", "rate(1 week)", "cron(* * * *)", "cron(61 * * * ? *)",
     "cron(0 0 L * ? *)", "cron(*/0 * * * ? *)"],
)  # fmt: skip
def test_nonsense_is_refused_with_an_example(expression: str):
    with pytest.raises(DeclarationError) as caught:
        parse_schedule(expression)
    assert "cron(" in caught.value.hint
