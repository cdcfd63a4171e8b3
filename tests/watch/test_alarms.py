"""Alarm evaluation, metric math, and the book that remembers."""

import json
from datetime import timedelta

import pytest

from lakelet.testing.clock import ManualClock
from lakelet.watch.alarm_book import AlarmBook
from lakelet.watch.alarms import Alarm, AlarmState, Missing, evaluate, shipped_alarms
from lakelet.watch.expression import ExpressionError, Scope, compute
from lakelet.watch.history import MetricHistory
from lakelet.watch.names import KNOWN, Lakelet
from lakelet.watch.queries import MetricQuery, run
from lakelet.watch.registry import Metrics, SeriesKey

OK, ALARM, UNSURE = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA
KEY = SeriesKey("Shop", "Errors")
X, O, _ = 10.0, 0.0, None  # noqa: E741 - breaching, not breaching, missing: as in AWS's tables


def alarm(needed: int, treat: Missing = Missing.MISSING, **changes) -> Alarm:
    query = MetricQuery("m1", KEY, "Sum", 60)
    return Alarm(
        "errors",
        (query,),
        5.0,
        evaluation_periods=3,
        datapoints_to_alarm=needed,
        treat_missing=treat,
        **changes,
    )


# Rows after the two tables of CloudWatch's "Configuring how alarms treat missing data";
# "keep" is whatever held before. Written down from memory of them (assumed).
CASES = [
    # points, needed, missing, ignore, breaching, notBreaching
    ((O, _, X, _, X), 3, OK, OK, OK, OK),
    ((_, _, _, _, O), 3, OK, OK, OK, OK),
    ((_, _, _, _, _), 3, UNSURE, "keep", ALARM, OK),
    ((O, X, X, _, X), 3, ALARM, ALARM, ALARM, ALARM),
    ((_, _, X, _, _), 3, ALARM, "keep", ALARM, OK),
    ((_, _, _, _, X), 3, UNSURE, "keep", ALARM, OK),
    ((O, _, X, _, X), 2, ALARM, ALARM, ALARM, ALARM),
    ((O, O, X, O, X), 2, ALARM, ALARM, ALARM, ALARM),
    ((O, _, X, _, _), 2, OK, OK, ALARM, OK),
    ((_, _, _, _, O), 2, OK, OK, ALARM, OK),
    ((_, _, _, X, _), 2, ALARM, "keep", ALARM, OK),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]} of {case[0]}")
@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("before", list(AlarmState))
def test_evaluation(case, column, before):
    points, needed, *expected = case
    wanted = expected[column]
    verdict = evaluate(alarm(needed, list(Missing)[column]), points, before)
    assert verdict.state == (before if wanted == "keep" else wanted)


def test_the_reason_tells_the_values():
    verdict = evaluate(alarm(2), (O, X, X), OK)
    assert verdict.reason == (
        "Threshold Crossed: 2 out of the last 3 datapoints [10, 10, 0] were greater than "
        "the threshold (5) (minimum 2 datapoints)."
    )


M1, M2 = {0: 1.0, 60: 2.0, 120: 4.0}, {0: 10.0, 120: 0.0}
SCOPE = Scope({"m1": M1, "m2": M2}, ("m1", "m2"), 60, (0, 60, 120))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m1 + m2", {0: 11, 120: 4}),
        ("100 * m1 / m2", {0: 10}),
        ("m1 ^ 2 - 1", {0: 0, 60: 3, 120: 15}),
        ("-m1", {0: -1, 60: -2, 120: -4}),
        ("SUM(METRICS())", {0: 11, 60: 2, 120: 4}),
        ("MAX([m1, m2])", {0: 10, 60: 2, 120: 4}),
        ("AVG(METRICS('m1'))", M1),
        ("m1 / SUM(m1)", {0: 1 / 7, 60: 2 / 7, 120: 4 / 7}),
        ("FILL(m2, 0)", {0: 10, 60: 0, 120: 0}),
        ("FILL(m2, REPEAT)", {0: 10, 60: 10, 120: 0}),
        ("RATE(m1)", {60: 1 / 60, 120: 2 / 60}),
        ("DIFF(m1)", {60: 1, 120: 2}),
        ("RUNNING_SUM(m1)", {0: 1, 60: 3, 120: 7}),
        ("IF(m1 > 1 AND m1 < 4, 5, m1)", {0: 1, 60: 5, 120: 4}),
        ("IF(m1 >= 2 || m1 == 1, 1)", {0: 1, 60: 1, 120: 1}),
        ("m1 / PERIOD(m1)", {0: 1 / 60, 60: 2 / 60, 120: 4 / 60}),
        ("CEIL(m1 / 3)", {0: 1, 60: 1, 120: 2}),
    ],
)
def test_metric_math(text, expected):
    assert compute(text, SCOPE) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "m1 +",
        "nobody",
        "3 + 4",
        "NOSUCH(m1)",
        "FILL(m1)",
        "METRICS()",
        "1 / 0",
        "__import__('os').system('true')",
        "m1.__class__",
        "[m1 for m1 in METRICS()]",
        "lambda: m1",
        "(" * 900 + "m1" + ")" * 900,
        "m1" + " + m1" * 1000,
    ],
)
def test_what_is_not_metric_math_is_refused(text):
    with pytest.raises(ExpressionError):
        compute(text, SCOPE)


def test_expressions_may_refer_to_one_another_but_not_in_a_circle():
    def read(*_):
        return {}

    circle = [MetricQuery("a", expression="b + 1"), MetricQuery("b", expression="a + 1")]
    with pytest.raises(ExpressionError, match="circle"):
        run(circle, 0, 60, read)


def measured(clock, values):
    metrics, history = Metrics(clock), MetricHistory()
    for value in values:
        metrics.count("Shop", "Errors", value)
        clock.advance(60)
    history.write(metrics.drain())
    return history


def test_an_alarm_goes_off_tells_its_actions_and_comes_back():
    clock, book = ManualClock(), AlarmBook()
    declared = alarm(3, alarm_actions=("https://example.test/hook",), ok_actions=("log",))
    book.put(declared, clock.now())
    history = measured(clock, [X, X, X])
    (notice,) = book.tick(history, clock.now())
    assert (notice.before, notice.after) == (UNSURE, ALARM)
    assert notice.actions == ("https://example.test/hook",)
    assert json.loads(json.dumps(notice.body()))["NewStateValue"] == "ALARM"
    assert book.tick(history, clock.now()) == []

    clock.advance(60)
    calm = measured(clock, [O, O, O])
    (back,) = book.tick(calm, clock.now())
    assert (back.after, back.actions) == (OK, ("log",))
    summaries = [item.summary for item in book.history("errors")]
    assert summaries == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        "Alarm 'errors' created",
    ]


def test_the_open_minute_is_not_judged():
    clock, book = ManualClock(), AlarmBook()
    book.put(alarm(3, Missing.NOT_BREACHING), clock.now())
    metrics, history = Metrics(clock), MetricHistory()
    metrics.count("Shop", "Errors", 100)
    history.write(metrics.drain())
    book.tick(history, clock.now())
    status = book.get("errors")
    assert status is not None and status.state is OK


def test_an_hours_alarm_does_not_wait_for_the_hours_end():
    clock, book = ManualClock(), AlarmBook()
    query = MetricQuery("m1", KEY, "Sum", 3600)
    book.put(Alarm("hourly", (query,), 5.0), clock.now())
    history = measured(clock, [X])
    assert [notice.after for notice in book.tick(history, clock.now())] == [ALARM]


def test_metric_math_can_be_watched():
    clock, book = ManualClock(), AlarmBook()
    queries = (
        MetricQuery("m1", KEY, "Sum", 60, return_data=False),
        MetricQuery("rate", expression="FILL(m1, 0) * 100 / 200"),
    )
    book.put(Alarm("rate", queries, 4.0), clock.now())
    history = measured(clock, [X])
    (notice,) = book.tick(history, clock.now())
    assert notice.after is ALARM and "[5]" in notice.reason


def test_disabled_actions_stay_silent_and_the_state_still_moves():
    clock, book = ManualClock(), AlarmBook()
    book.put(alarm(1, alarm_actions=("https://example.test",)), clock.now())
    book.enable_actions(["errors"], clock.now(), enabled=False)
    (notice,) = book.tick(measured(clock, [X]), clock.now())
    assert notice.after is ALARM and notice.actions == ()


def test_shipped_alarms_are_there_unless_somebody_decided_otherwise(tmp_path):
    clock = ManualClock()
    path = str(tmp_path / "alarms.sqlite")
    book = AlarmBook(path)
    book.ensure(shipped_alarms("clickstream"), clock.now())
    assert len(book.statuses()) == 7
    book.delete(["lakelet-disk"], clock.now())
    changed = book.get("lakelet-freshness")
    assert changed is not None
    mine = Alarm("lakelet-freshness", changed.alarm.queries, 9.0)
    book.put(mine, clock.now())
    book.close()

    again = AlarmBook(path)
    again.ensure(shipped_alarms("clickstream"), clock.now())
    assert again.get("lakelet-disk") is None
    kept = again.get("lakelet-freshness")
    assert kept is not None and kept.alarm == mine and not kept.alarm.shipped
    shipped = again.get("lakelet-dead-letters")
    assert shipped is not None and shipped.alarm.shipped


def test_shipped_alarms_watch_measures_that_are_measured():
    for declared in shipped_alarms("clickstream"):
        key = declared.watched.key
        assert key is not None
        measure = KNOWN[key.namespace, key.name]
        assert set(key.dimension_map) == set(measure.dimension_names[:1])


def test_a_ledger_imbalance_of_one_record_goes_off():
    clock, book = ManualClock(), AlarmBook()
    book.ensure(shipped_alarms("clickstream"), clock.now())
    metrics, history = Metrics(clock), MetricHistory()
    metrics.record(Lakelet.IMBALANCE, 1, "clickstream")
    history.write(metrics.drain())
    clock.advance(60)
    off = [n.alarm.name for n in book.tick(history, clock.now()) if n.after is ALARM]
    assert off == ["lakelet-ledger-imbalance"]


def test_history_is_forgotten_after_thirty_days():
    clock, book = ManualClock(), AlarmBook()
    book.put(alarm(1), clock.now())
    book.tidy(clock.now() + timedelta(days=29))
    assert len(book.history()) == 1
    book.tidy(clock.now() + timedelta(days=31))
    assert book.history() == []
