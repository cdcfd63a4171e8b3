"""Log records: their shape, what they never say, and how they are read back."""

import io
import json
import logging
import threading
from datetime import timedelta

import pytest

from lakelet.model.errors import StorageFull
from lakelet.testing.clock import ManualClock
from lakelet.watch.log_book import PENDING_MAX, LogBook, LogGroupExists, LogGroupNotFound
from lakelet.watch.log_filter import PatternInvalid, compile_pattern
from lakelet.watch.logs import configure, correlated, entry_of
from lakelet.watch.redaction import redact

log = logging.getLogger("lakelet.delivery")
PLANTED = ("ada@example.com", "203.0.113.77", "2001:db8::42", "Ada Lovelace", "tok_4242")


@pytest.fixture
def book():
    made = LogBook(ManualClock())
    yield made
    made.close()


@pytest.fixture
def lines(book):
    """What the terminal got; records go to the book as well."""
    out = io.StringIO()
    undo = configure(sink=book, stream=out, level="DEBUG")
    yield out
    undo()


def entries(out) -> list[dict]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_record_is_one_json_object_with_what_it_correlates_to(lines):
    with correlated(request_id="r-1"), correlated(raw_key="year=2026/a.gz"):
        log.warning("refused, again in %d s", 4, extra={"attempt": 2, "stream": "clicks"})
    (entry,) = entries(lines)
    assert entry.pop("at").endswith("+00:00")
    assert entry == {
        "level": "WARN",
        "component": "delivery",
        "message": "refused, again in 4 s",
        "request_id": "r-1",
        "raw_key": "year=2026/a.gz",
        "attempt": 2,
        "stream": "clicks",
    }


def test_correlation_does_not_leak_into_another_thread(lines):
    with correlated(request_id="r-1"):
        thread = threading.Thread(target=log.info, args=("from elsewhere",))
        thread.start()
        thread.join()
    assert "request_id" not in entries(lines)[0]


def test_planted_personal_data_is_in_no_log(lines, book):
    event = {"user": "Ada Lovelace", "email": "ada@example.com", "ip": "203.0.113.77"}
    payload = json.dumps(event).encode()
    log.info("got %s", payload, extra={"payload": event, "records": 1})
    log.info("mail to ada@example.com from 203.0.113.77 or 2001:db8::42")
    log.info("url", extra={"key": "https://shop.test/?u=ada%40example.com"})
    log.info("card", extra={"token": "tok_4242", "sql": "SELECT 'Ada Lovelace'"})
    for raise_it in (
        lambda: float("ada@example.com"),
        lambda: int("Ada Lovelace"),
        lambda: {}["Ada Lovelace"],
        lambda: json.loads('{"user": "Ada Lovelace"'),
        lambda: b"Ada Lovelace\xff".decode(),
    ):
        try:
            raise_it()
        except (ValueError, KeyError):
            log.exception("one event could not be read")
    kept = "".join(event.message for event in book.events("/lakelet/delivery"))
    assert len(kept) > 1000
    for text in (lines.getvalue(), kept):
        for secret in (*PLANTED, "%40"):
            assert secret not in text


def test_an_error_of_ours_keeps_its_sentence_and_its_place(lines):
    try:
        raise StorageFull("/data has 12 bytes left", hint="Make room.")
    except StorageFull:
        log.exception("delivery waits")
    (entry,) = entries(lines)
    assert entry["error"] == "StorageFull: /data has 12 bytes left"
    assert entry["where"][-1].startswith("test_logs.py:")


@pytest.mark.parametrize(
    "text",
    [
        "listening on http://127.0.0.1:4566",
        "at 14:30:05 of 2026-03-09",
        "clickstream-1-2026-03-09-14-30-05-5f0e.gz",
        "version 1.2.3",
        "arn:aws:firehose:us-east-1:000000000000:deliverystream/clicks",
    ],
)
def test_what_is_nobodys_address_stays(text):
    assert redact(text) == text


def test_people_read_lines(book):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    undo = configure(stream=out)
    log.error("the disk is full", extra={"size_bytes": 12})
    undo()
    assert "ERROR delivery   the disk is full  size_bytes=12" in out.getvalue()
    log.error("afterwards")
    assert "afterwards" not in out.getvalue()


def test_a_wrong_format_string_costs_nothing():
    record = logging.makeLogRecord({"name": "lakelet.x", "msg": "%d of %d", "args": (1,)})
    assert entry_of(record)["message"] == "%d of %d"


def test_components_are_groups_and_days_are_streams(lines, book):
    log.info("one")
    logging.getLogger("lakelet.crawler").info("two")
    assert [group.name for group in book.groups()] == ["/lakelet/crawler", "/lakelet/delivery"]
    assert [group.name for group in book.groups(prefix="/lakelet/c")] == ["/lakelet/crawler"]
    assert book.groups()[0].stored_bytes > 20
    (stream,) = book.streams("/lakelet/delivery")
    assert stream.name.count("/") == 3 and stream.name.endswith("/node")


def filled(book) -> None:
    book.create_group("app")
    for name in ("a", "b"):
        book.create_stream("app", name)
    book.put("app", "a", [(1000 * n, f"a{n} even" if n % 2 == 0 else f"a{n}") for n in range(6)])
    book.put("app", "b", [(1000 * n + 500, f"b{n}") for n in range(6)])


def messages(events) -> list[str]:
    return [event.message for event in events]


def test_events_come_in_time_order_over_streams_and_page_on(book):
    filled(book)
    first = book.events("app", limit=5)
    assert messages(first) == ["a0 even", "b0", "a1", "b1", "a2 even"]
    rest = book.events("app", after=first[-1].cursor)
    assert messages(rest) == ["b2", "a3", "b3", "a4 even", "b4", "a5", "b5"]
    back = book.events("app", before=first[-1].cursor, newest_first=True, limit=2)
    assert messages(back) == ["b1", "a1"]


def test_events_are_chosen_by_stream_time_and_pattern(book):
    filled(book)
    assert messages(book.events("app", streams=["b"], start_ms=4500)) == ["b4", "b5"]
    assert messages(book.events("app", stream_prefix="a", end_ms=1000)) == ["a0 even"]
    assert messages(book.events("app", pattern="even -a2")) == ["a0 even", "a4 even"]
    assert book.events("app", streams=[]) == []


def test_missing_and_double_groups_are_refused(book):
    with pytest.raises(LogGroupNotFound):
        book.events("nowhere")
    book.create_group("app")
    with pytest.raises(LogGroupExists):
        book.create_group("app")
    with pytest.raises(LogGroupNotFound, match="stream"):
        book.put("app", "nowhere", [(0, "x")])


def test_old_events_go_by_their_groups_retention():
    clock = ManualClock()
    book = LogBook(clock)
    filled_at = int(clock.now().timestamp() * 1000)
    for days in (3, None):
        group = f"kept-{days}"
        book.create_group(group)
        book.create_stream(group, "s")
        book.put(group, "s", [(filled_at, "x")])
        book.set_retention(group, days)
    clock.advance(timedelta(days=4).total_seconds())
    assert book.tidy() == 1
    assert messages(book.events("kept-None")) == ["x"]
    assert book.events("kept-3") == []


def test_a_flood_is_counted_not_kept_in_memory(book):
    for _ in range(PENDING_MAX + 5):
        book.append("delivery", 0, "{}")
    assert book.lost_count == 5


def test_log_events_outlive_the_node(tmp_path):
    path = str(tmp_path / "logs.sqlite")
    book = LogBook(ManualClock(), path)
    book.append("delivery", 1, "kept")
    book.close()
    assert messages(LogBook(ManualClock(), path).events("/lakelet/delivery")) == ["kept"]


RECORD = json.dumps(
    {"level": "ERROR", "rows": 5, "a": {"b": [1, "x y"]}, "none": None, "yes": True}
)


@pytest.mark.parametrize(
    ("pattern", "passes"),
    [
        ("", True),
        ("ERROR", True),
        ("error", False),
        ("ERROR rows", True),
        ("ERROR -rows", False),
        ('"x y"', True),
        ("?nothing ?ERROR", True),
        ("?nothing ?neither", False),
        ("ERROR ?nothing", True),
        ('{ $.level = "ERROR" }', True),
        ('{ $.level = "ERR*" }', True),
        ("{ $.level != ERROR }", False),
        ("{ $.rows > 4 && $.rows <= 5 }", True),
        ("{ $.rows > 5 || ($.level = ERROR && $.rows = 5) }", True),
        ('{ $.a.b[1] = "x y" }', True),
        ("{ $.a.b[0] = 1 }", True),
        ("{ $.a.b[7] = 1 }", False),
        ("{ $.missing = 1 }", False),
        ("{ $.missing NOT EXISTS }", True),
        ("{ $.none IS NULL }", True),
        ("{ $.yes IS TRUE }", True),
        ("{ $.yes IS FALSE }", False),
    ],
)
def test_filter_patterns(pattern, passes):
    assert compile_pattern(pattern)(RECORD) is passes
    assert compile_pattern("{ $.level = ERROR }")("not json") is False


@pytest.mark.parametrize(
    "pattern", ["{ $.a = }", "{ $.a", "{ a = 1 }", "[a, b]", "%x%", "{ ($.a = 1 }", "{ $.a = 1 2 }"]
)
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(PatternInvalid):
        compile_pattern(pattern)
