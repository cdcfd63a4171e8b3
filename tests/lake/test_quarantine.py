"""The quarantine: summarised with samples, chosen from by SQL that can do nothing else."""

import pytest

from lakelet.lake.quarantine import (
    ConditionRefused,
    compile_condition,
    on_day,
    read_rejects,
    summarise,
)
from tests.lake.lake import PIPELINE, START, TestLake, event


@pytest.fixture(scope="module")
def lake():
    made = TestLake()
    made.deliver([event(1, product_price="cheap"), event(2, quantity="many"), b"garbage"])
    made.pass_time(days=1)
    made.deliver([event(3, product_price="dear"), b"\xff\xfe not utf-8"])
    return made


def count(lake, where):
    return sum(t.num_rows for t in read_rejects(lake.store, PIPELINE, compile_condition(where)))


def test_a_summary_by_reason_with_a_sample_of_each(lake):
    first, second, *_ = summarise(read_rejects(lake.store, PIPELINE))
    assert (first.reason, first.count, first.objects) == ("type", 3, 2)
    assert dict(first.fields) == {"product_price": 2, "quantity": 1}
    assert b'"cheap"' in first.sample
    assert first.sample_source.endswith("at byte 0")
    assert first.last_at.date() > first.first_at.date()
    assert second.report()["sample"]


@pytest.mark.parametrize(
    "where, expected",
    [
        ("true", 5),
        ("reason = 'type'", 3),
        ("reason <> 'type'", 2),
        ("REASON in ('type') and field = 'quantity'", 1),
        ("day >= '2026-03-10'", 2),
        ("day = '2026-03-09' AND year = '2026' AND month = '03'", 3),
        ("field IS NULL", 2),
        ("message LIKE '%nothing says this%'", 0),
        ("offset_bytes = 0 AND size_bytes > 10", 2),
        ("received_at > timestamp '2026-03-09 13:00:00'", 2),
        ("cast(raw as varchar) like '%cheap%'", 1),
        ("NULL", 0),
    ],
)
def test_conditions_are_athenas_sql(lake, where, expected):
    assert count(lake, where) == expected


def test_a_day_alone(lake):
    tables = read_rejects(lake.store, PIPELINE, on_day(START.date()))
    assert sum(table.num_rows for table in tables) == 3


@pytest.mark.parametrize(
    "where",
    [
        "",
        "reason =",
        "reasn = 'type'",
        "x.reason = 'type'",
        "true; DROP TABLE quarantine",
        "true GROUP BY 1",
        "true ORDER BY 1",
        "true LIMIT 1",
        "true UNION SELECT 1",
        "reason IN (SELECT 1)",
        "EXISTS (SELECT * FROM read_csv('/etc/passwd'))",
        "reason = no_such_function(1)",
        "offset_bytes = 'not a number'",
        "(SELECT count(*) FROM '/etc/passwd') > 0",
        "length(getenv('HOME')) > 0 AND read_text('/etc/passwd') IS NULL",
    ],
)
def test_what_is_no_condition_is_refused_with_an_example(lake, where):
    with pytest.raises(ConditionRefused) as caught:
        count(lake, where)
    assert "--where" in caught.value.hint
