"""The door's routes, refusals and answers, without a socket."""

import asyncio
import gzip
import zlib

import httpx
import pytest

from lakelet.collector import CollectorSettings, Enrichment, RateLimit, read_collector
from lakelet.collector.app import batches
from lakelet.collector.tracker import PIXEL
from lakelet.model.errors import DeclarationError, LakeletError, StorageFull
from lakelet.model.toml import load
from tests.collector.doors import Door

SHOP = "https://shop.example"
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)


@pytest.fixture
def door():
    return Door()


# --- events -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ('{"event_id":"1","n":1}', 1),
        ('[{"n":1},{"n":2}]', 2),
        ('{"n":1}\n{"n":2}\n', 2),
        ('{"n":1}\r\n\r\n{"n":2}\r\n', 2),
        ('\ufeff{"n":1}', 1),
        ('{\n  "n": 1,\n  "m": [1,\n 2]\n}', 1),
        ('  [ {"n": 1} ,\n {"n": 2} ]  ', 2),
    ],
)
def test_an_event_an_array_and_lines_are_taken(door, body, count):
    answer = door.post(body.encode())
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "accepted": count, "failed": []},
    )
    assert [stream for stream, _ in door.sink.records] == ["clicks"] * count
    assert [event["n"] for event in door.sink.events] == list(range(1, count + 1))
    assert all(record.count(b"\n") == 1 for _, record in door.sink.records), "one line an event"


def test_an_event_is_kept_to_the_letter_and_completed_only_where_it_is_silent():
    door = Door()
    text = '{"event_id":"e1","timestamp":"2026-01-01","price":29.90,"big":12345678901234567890123}'
    door.post(text)
    assert door.sink.records[0][1] == text.encode() + b"\n"
    door.post('{"n":1}')
    assert door.sink.events[1] == {
        "event_id": "made-1",
        "timestamp": "2026-03-09T14:30:00Z",
        "n": 1,
    }
    door.post('{"event_id":null,"timestamp":"","n":2}')
    assert door.sink.records[2][1].count(b"event_id") == 1
    assert door.sink.events[2]["event_id"] == "made-2"
    door.post("{}")
    assert set(door.sink.events[3]) == {"event_id", "timestamp"}


def test_one_bad_line_harms_no_other_and_is_named(door):
    answer = door.post(b'{"n":1}\n{"n":\n[1]\n"text"\n{"n":5}\n\xff\xfe\n')
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 2
    assert [(f["index"], f["code"], f["retry"]) for f in answer.json()["failed"]] == [
        (1, "not_json", False),
        (2, "not_an_object", False),
        (3, "not_an_object", False),
        (5, "not_json", False),
    ]
    assert [event["n"] for event in door.sink.events] == [1, 5]


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (b'{"n":NaN}', "not_json"),
        (b'{"n":undefined}', "not_json"),
        (b'{"n":[1}}', "not_json"),
        (b'{"a":"two\nlines"}', "not_json"),
        (b'{"\xff":1}', "not_json"),
        (rb'{"a":"\ud83d","n":NaN}', "not_json"),
        (rb'{"a":"\ud83d, [\"}","n":' + b"[" * 900 + b"]" * 900 + b"}", "not_json"),
        (b"", "not_json"),
        (rb'["\ud83d"]', "not_an_object"),
        (rb'"\ud83d, [ and \" {"', "not_an_object"),
    ],
)
def test_one_bad_element_harms_no_other_and_is_named(door, odd, code):
    answer = door.post(b'[{"n":0},' + odd + b', {"a":[{"b":"],["}],"n":2}\n]')
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)
    assert [(f["index"], f["code"], f["retry"]) for f in answer.json()["failed"]] == [
        (1, code, False)
    ]
    assert [event["n"] for event in door.sink.events] == [0, 2]


HALF = "hi \ud83d"  # an emoji cut by .slice(), as JSON.stringify writes it


@pytest.mark.parametrize(
    "body",
    [
        rb'[{"n":1},{"n":2,"title":"hi \ud83d"},{"n":3}]',
        b'{"n":1}\n' + rb'{"n":2,"title":"hi \ud83d"}' + b'\n{"n":3}',
        rb'[{"n":1},{"n":2,"title":"hi \uD83D","event_id":null,"timestamp":""},{"n":3}]',
    ],
    ids=["array", "lines", "array, completed"],
)
def test_half_an_emoji_is_taken_and_harms_no_neighbour(door, body):
    answer = door.post(body)
    assert answer.json() == {"success": True, "accepted": 3, "failed": []}
    assert [event["n"] for event in door.sink.events] == [1, 2, 3]
    assert door.sink.events[1] == {
        "event_id": "made-1",
        "timestamp": "2026-03-09T14:30:00Z",
        "n": 2,
        "title": HALF,
    }


def test_half_an_emoji_alone_keeps_every_digit_beside_it(door):
    text = rb'{"event_id":"e1","timestamp":"2026","price":29.90,"f":1e400,"t":"\ud83d"}'
    door.post(text)
    assert door.sink.records[0][1] == text + b"\n"
    door.post(b'{\n  "n": 1,\n' + rb'  "t": "\ud83d", "\udc00": [1,' + b"\n 2]\n}")
    assert (door.sink.events[1]["n"], door.sink.events[1]["\udc00"]) == (1, [1, 2])
    assert all(record.count(b"\n") == 1 for _, record in door.sink.records)
    big = b'{"t":"' + rb"\ud83d" + b"x" * 1_024_000 + b'"}'
    assert door.post(big).json()["failed"][0]["code"] == "too_large"


@pytest.mark.parametrize(
    "body", [b"", b"  \n ", b"[1,", b'[{"n":1}', b'[{"n":1}}', b'[{"n":1}]]', b'[{"n":"1}]']
)
def test_a_body_that_says_nothing_is_400(door, body):
    answer = door.post(body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "collector.body_unreadable"


def test_where_no_event_was_readable_the_answer_is_400(door):
    assert door.post(b"nonsense").status_code == 400
    assert door.post(b"[" * 100_000).status_code == 400
    assert door.sink.records == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" + b",".join([b"1"] * 20_001) + b"]", 413),
        (b"[" + b",".join([b"1"] * 20_000) + rb',"\ud83d"]', 400),
        (b"1\n" * 20_001, 413),
    ],
    ids=["array", "odd", "lines"],
)
def test_more_events_than_a_request_may_hold_are_none(door, body, status):
    answer = door.post(body)
    assert answer.status_code == status
    assert "20,000" in answer.json()["message"]


def test_as_many_events_as_a_request_may_hold_are_taken(door):
    answer = door.post(b'{"event_id":"a","timestamp":"2026"}\n' * 20_000)
    assert answer.json()["accepted"] == 20_000


def test_an_event_over_a_record_is_refused_alone():
    door = Door(body_bytes_max=4_000_000)
    answer = door.post([{"pad": "x" * 1_024_000}, {"n": 1}])
    assert [f["code"] for f in answer.json()["failed"]] == ["too_large"]
    assert answer.json()["accepted"] == 1


def test_what_the_stream_does_not_take_is_503_with_its_index(door):
    door.sink.failing = b'"n": 2'
    answer = door.post([{"n": 1}, {"n": 2}, {"n": 3}])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {
        "success": False,
        "accepted": 2,
        "failed": [
            {
                "index": 1,
                "code": "ServiceUnavailableException",
                "message": "Slow down.",
                "retry": True,
            }
        ],
    }


def test_a_stream_out_of_reach_is_503_with_its_index(door):
    door.sink.raising = StorageFull("no space left", hint="Free some.")
    answer = door.post({"n": 1})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert [f["retry"] for f in answer.json()["failed"]] == [True]


@pytest.mark.parametrize("kind", [StorageFull, LakeletError], ids=["passing", "wrong setup"])
def test_what_ails_the_node_is_told_its_log_and_no_stranger(door, kind, caplog):
    door.sink.raising = kind("no app-events", hint="Known: api, clickstream.")
    for path in ("/v1/events", "/v1/track"):
        answer = door.post({"event": "x"}, path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert not any(told in answer.text for told in ("app-events", "api", "clickstream"))
    assert "no app-events" in caplog.text
    assert "Known: api, clickstream." in caplog.text
    pixel = door.call("GET", "/v1/pixel.gif?event_type=x")
    assert (pixel.status_code, pixel.content) == (503, PIXEL)


def test_the_sink_is_called_with_batches_it_can_take(door):
    door.post([{"n": n} for n in range(1201)])
    assert door.sink.batch_sizes == [500, 500, 201]
    assert [len(batch) for batch in batches([b"x" * 1_000_000] * 9)] == [4, 4, 1]
    assert batches([]) == []


# --- bodies -----------------------------------------------------------------------


def test_gzip_is_accepted_members_and_all(door):
    body = gzip.compress(b'{"n":1}\n') + gzip.compress(b'{"n":2}')
    assert door.post(body, headers={"content-encoding": "gzip"}).json()["accepted"] == 2


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"not gzip", "gzip", 400),
        (gzip.compress(b"{}" * 100)[:-12], "gzip", 400),
        (gzip.compress(b"{}") + b"trailing", "gzip", 400),
        (b"{}", "br", 415),
        (gzip.compress(b" " * 60_000_000), "gzip", 413),
        (gzip.compress(b" " * 5_000_000) * 4, "gzip", 413),
    ],
    ids=["no gzip", "cut off", "more behind", "brotli", "bomb", "bomb of members"],
)
def test_bad_and_exploding_compression_is_refused(door, body, encoding, status):
    assert len(body) < 200_000
    assert door.post(body, headers={"content-encoding": encoding}).status_code == status


def test_a_bomb_is_not_inflated_beyond_the_bound(monkeypatch):
    from lakelet.collector import http

    made = []
    real = zlib.decompressobj

    class Watched:
        def __init__(self, **options):
            self._real = real(**options)

        def decompress(self, data, max_length):
            made.append(self._real.decompress(data, max_length))
            return made[-1]

        def __getattr__(self, name):
            return getattr(self._real, name)

    monkeypatch.setattr(http.zlib, "decompressobj", Watched)
    with pytest.raises(LakeletError, match="inflates to more"):
        http.decode_body(gzip.compress(b"0" * 50_000_000), "gzip", bytes_max=1000)
    assert sum(map(len, made)) == 1001


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_413_and_not_read_on(door, declared):
    reads = []

    async def stream():
        for _ in range(100):
            reads.append(1)
            yield b" " * 100_000

    headers = {"content-length": "10000000"} if declared else {}

    async def main():
        transport = httpx.ASGITransport(door.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://collect") as client:
            return await client.post("/v1/events", content=stream(), headers=headers)

    answer = asyncio.run(main())
    assert (answer.status_code, answer.json()["code"]) == (413, "collector.body_too_large")
    assert len(reads) <= (1 if declared else 11)


# --- enrichment -------------------------------------------------------------------


def test_nothing_of_the_visitor_is_added_unless_declared(door):
    door.post({"n": 1}, headers={"user-agent": CHROME})
    assert set(door.sink.events[0]) == {"event_id", "timestamp", "n"}


def test_declared_enrichment_never_overrules_the_event():
    door = Door(enrichment=Enrichment(ip_field="ip_address", device_fields=True))
    door.post([{"n": 1}, {"n": 2, "browser": "Own"}], headers={"user-agent": CHROME})
    first, second = door.sink.events
    assert (first["ip_address"], first["browser"], first["device_type"]) == (
        "203.0.113.9",
        "Chrome",
        "desktop",
    )
    assert second["browser"] == "Own"


FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:127.0) Gecko/20100101 Firefox/127.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
PIXEL_PHONE = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)
GALAXY_TAB = (
    "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) "
    "SamsungBrowser/25.0 Chrome/121.0.0.0 Safari/537.36"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@pytest.mark.parametrize(
    ("agent", "device", "browser"),
    [
        (CHROME, "desktop", "Chrome"),
        (CHROME + " Edg/126.0", "desktop", "Edge"),
        (CHROME + " OPR/111.0", "desktop", "Opera"),
        (FIREFOX, "desktop", "Firefox"),
        (IPHONE, "mobile", "Safari"),
        (PIXEL_PHONE, "mobile", "Chrome"),
        (GALAXY_TAB, "tablet", "Samsung Internet"),
        (GOOGLEBOT, "bot", None),
        ("curl/8.5", None, None),
    ],
)
def test_devices_are_told_apart_coarsely(agent, device, browser):
    from lakelet.collector.events import device_of

    found = device_of(agent)
    assert (found.get("device_type"), found.get("browser")) == (device, browser)


# --- pixel, tracker, the rest -----------------------------------------------------


def test_the_pixel_is_an_event_and_an_image():
    door = Door(write_keys={"wk_shop": ""})
    answer = door.call(
        "GET", "/v1/pixel.gif?write_key=wk_shop&event_type=mail_open&campaign=spring+%C3%BC&empty="
    )
    assert (answer.status_code, answer.content) == (200, PIXEL)
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (
        "image/gif",
        "no-store",
    )
    event = door.sink.events[0]
    assert (event["event_type"], event["campaign"]) == ("mail_open", "spring ü")
    assert "write_key" not in event


@pytest.mark.parametrize("signal", ["dnt", "sec-gpc"])
def test_the_pixel_honours_the_browsers_wish(signal):
    door = Door()
    answer = door.call("GET", "/v1/pixel.gif?event_type=x", headers={signal: "1"})
    assert (answer.content, door.sink.records) == (PIXEL, [])
    deaf = Door(pixel_honours_signals=False)
    deaf.call("GET", "/v1/pixel.gif?event_type=x", headers={signal: "1"})
    assert len(deaf.sink.records) == 1


def test_a_pixel_that_fails_is_still_an_image(door):
    door.sink.failing = b"event"
    answer = door.call("GET", "/v1/pixel.gif?event_type=x")
    assert (answer.status_code, answer.content) == (503, PIXEL)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("event_type=x", {}, 401),
        ("write_key=wk_shop&" + "a=1&" * 200, {}, 400),
        ("write_key=wk_shop", {"origin": "https://evil.example"}, 403),
    ],
    ids=["no key", "too many fields", "foreign page"],
)
def test_a_pixel_that_is_refused_is_still_an_image(query, headers, status):
    door = Door(write_keys={"wk_shop": ""})
    answer = door.call("GET", f"/v1/pixel.gif?{query}", headers=headers)
    assert (answer.status_code, answer.content) == (status, PIXEL)
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (
        "image/gif",
        "no-store",
    )
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert door.sink.records == []
    assert door.post({}, "/v1/pixel.gif").headers["content-type"] == "application/json"


def test_a_pixel_over_a_rate_limit_is_an_image_that_says_when():
    door = Door(per_address=RateLimit(1, 1))
    door.call("GET", "/v1/pixel.gif?n=1")
    answer = door.call("GET", "/v1/pixel.gif?n=2")
    assert (answer.status_code, answer.content) == (429, PIXEL)
    assert answer.headers["retry-after"] == "1"


def test_to_look_at_the_pixel_is_no_event():
    door = Door(write_keys={"wk_shop": ""})
    path = "/v1/pixel.gif?write_key=wk_shop&event_type=mail_open"
    looked = door.call("HEAD", path)
    assert (looked.status_code, looked.content, door.sink.records) == (200, b"", [])
    assert looked.headers["content-length"] == str(len(PIXEL))
    assert looked.headers["content-type"] == "image/gif"
    door.call("GET", path)
    assert len(door.sink.records) == 1
    assert door.call("HEAD", "/v1/pixel.gif").status_code == 401


def test_the_tracker_is_served_once_and_then_known(door):
    first = door.call("GET", "/v1/lakelet.js")
    assert first.status_code == 200
    assert first.headers["content-type"].startswith("text/javascript")
    assert "max-age=3600" in first.headers["cache-control"]
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = door.call("GET", "/v1/lakelet.js", headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
    other = door.call("GET", "/v1/lakelet.js", headers={"if-none-match": '"other"'})
    assert other.status_code == 200
    head = door.call("HEAD", "/v1/lakelet.js")
    assert (head.content, int(head.headers["content-length"])) == (b"", len(first.content))


def test_unknown_paths_and_methods_say_so(door):
    assert door.call("GET", "/v1/nothing").status_code == 404
    assert door.call("GET", "/v1/events").status_code == 405
    assert door.call("POST", "/v1/lakelet.js").status_code == 405
    assert door.call("PUT", "/v1/events").json()["hint"] == "Use POST."


# --- declaration ------------------------------------------------------------------


def test_settings_are_read_from_a_declaration():
    text = """
origins = ["https://shop.example"]
trusted_proxies = ["10.0.0.0/8"]
ip_field = "ip_address"
device_fields = true
per_key = { per_second = 500, burst = 1000 }
[write_keys]
wk_shop = "clicks"
wk_app = ""
[segment.events]
"Order Completed" = "sale"
"""
    settings = read_collector(load(text, "lakelet.toml"), stream="main")
    assert settings.write_keys == {"wk_shop": "clicks", "wk_app": ""}
    assert settings.per_key == RateLimit(500, 1000)
    assert settings.enrichment == Enrichment(ip_field="ip_address", device_fields=True)
    assert settings.segment.event_types["Order Completed"] == "sale"
    assert settings.segment.event_types["Product Added"] == "add_to_cart"
    assert read_collector(load("", "x"), stream="main") == CollectorSettings("main")


@pytest.mark.parametrize(
    "text",
    [
        'trusted_proxies = ["ten"]',
        "orgins = []",
        "per_key = { burst = 1 }",
        'body_bytes_max = "1"',
        "per_key = {x = 1}",
    ],
)
def test_a_misspelt_setting_is_an_error_with_its_line(text):
    with pytest.raises(DeclarationError, match=r"lakelet\.toml, line 1"):
        read_collector(load(text, "lakelet.toml"), stream="main")
