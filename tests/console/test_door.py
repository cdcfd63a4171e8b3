"""The console's door with a real node behind it: who may enter, and the JSON twins."""

import json
import threading
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from lakelet.console.facts.live import Masker, live
from lakelet.console.results import ResultGone, Results
from lakelet.console.twins import FACTS
from tests.console.lakes import TOKEN, link, served_console, small_lake
from tests.ingest.fakes import wait_until

BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    with small_lake(tmp_path_factory.mktemp("lakes") / "lake", events=3_000) as node:
        yield node


@pytest.fixture(scope="module")
def address(lake):
    with served_console(lake) as at:
        yield at


def get(url: str, **options) -> httpx.Response:
    return httpx.get(url, timeout=30, **options)


def test_a_stranger_sees_a_door_and_how_to_open_it(address):
    page = get(address + "/")
    assert page.status_code == 401 and "lakelet console" in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    twin = get(address + "/overview.json")
    assert (twin.status_code, twin.json()["error"]["code"]) == (401, "console.login")
    assert get(address + "/download/x.csv").status_code == 401
    assert get(address + "/_nicegui/none").status_code == 401


def test_a_link_becomes_a_cookie_and_is_used_up(lake, address):
    url = link(lake, address)
    with httpx.Client() as browser:
        entered = browser.get(url)
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert "HttpOnly" in entered.headers["set-cookie"]
        assert browser.get(address + "/overview.json").status_code == 200
    assert get(url).status_code == 401


def test_a_web_socket_of_another_site_is_refused(lake, address):
    with httpx.Client() as browser:
        browser.get(link(lake, address))
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    url = address.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    for headers in (
        {"Cookie": cookie, "Origin": "https://evil.example"},
        {"Origin": address},
    ):
        with pytest.raises(InvalidStatus), connect(url, additional_headers=headers):
            pass


def test_a_request_of_another_site_is_refused(lake, address):
    with httpx.Client() as browser:
        browser.get(link(lake, address))
        for path in ("/overview.json", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
            for origin in ("https://evil.example", "http://127.0.0.1:1", "null"):
                answer = browser.get(address + path, headers={"Origin": origin})
                assert answer.status_code == 403
        same = browser.get(address + "/overview.json", headers={"Origin": address})
        assert same.status_code == 200


class SlowPages:
    """Stands for the NiceGUI application: it is there once it may be."""

    def __init__(self) -> None:
        self.may_open = threading.Event()
        self.router = self

    def build(self, _node):
        self.may_open.wait()
        return self

    @asynccontextmanager
    async def lifespan_context(self, _app):
        yield

    async def __call__(self, _scope, _receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the page"})


def test_the_first_page_is_painted_while_the_console_opens(lake, monkeypatch):
    pages = SlowPages()
    monkeypatch.setattr("lakelet.console.door._build", pages.build)
    with served_console(lake) as fresh, httpx.Client(timeout=30) as browser:
        browser.get(link(lake, fresh))
        html = {"accept": "text/html"}
        first = browser.get(fresh + "/", headers=html)
        assert first.status_code == 200 and "Opening the console" in first.text
        assert browser.get(fresh + "/overview.json").status_code == 200  # twins need no pages
        pages.may_open.set()
        while "Opening the console" in first.text:
            first = browser.get(fresh + "/", headers=html)
        assert first.text == "the page"


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_page_has_its_twin(address, name):
    answer = get(f"{address}/{name}.json", headers=BEARER)
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.text)


def test_the_overview_adds_up(lake, address):
    facts = get(f"{address}/overview.json", headers=BEARER).json()
    assert [stage["id"] for stage in facts["stages"]] == [
        *("source", "stream", "raw", "transform", "transformed", "crawler", "catalog", "sql")
    ]
    ledger = facts["ledger"]
    assert ledger["imbalance"] == 0 and ledger["events"] == 3_000
    assert ledger["rows"] == lake.query_arrow("SELECT count(*) AS n FROM events")["n"][0].as_py()
    assert facts["bill"]["dollars"] > 0
    catalog = next(stage for stage in facts["stages"] if stage["id"] == "catalog")
    assert sum(catalog["spark"]) >= catalog["value"] > 0  # each partition was told once


def test_the_health_page_knows_the_days_and_the_reasons(lake, address):
    facts = get(f"{address}/health.json", headers=BEARER).json()
    assert {day["imbalance"] for day in facts["days"]} == {0}
    assert sum(day["events"] for day in facts["days"]) == 3_000
    assert sum(facts["quarantine"].values()) == sum(d["quarantined"] for d in facts["days"])
    assert len(facts["alarms"]) >= 7
    (stream,) = facts["streams"]
    assert (stream["name"], stream["last_error"]) == ("clickstream", "")


def test_the_pages_live_without_the_pipelines_own_stream(tmp_path):
    with small_lake(tmp_path / "lake", events=0) as node:
        node.ingestion.streams.delete("clickstream")
        wait_until(lambda: node.ingestion.streams.find("clickstream") is None)
        (stream,) = FACTS["health"](node)["streams"]
        assert (stream["name"], stream["status"]) == ("clickstream", "DELETED")
        stage = next(each for each in FACTS["overview"](node)["stages"] if each["id"] == "stream")
        assert (stage["state"], stage["note"]) == ("bad", "deleted")
        assert live(node, 7) == {"position": 0, "events": [], "skipped": 0}


def test_unknown_questions_are_answered_as_errors(address):
    wrong = get(f"{address}/data.json?bucket=none", headers=BEARER)
    assert wrong.status_code == 404 and wrong.json()["error"]["code"] == "store.no_such_bucket"
    for wrong_query in (
        "overview.json?nonsense=1",
        "insights.json?since=soon",
        "live.json?after=x",
    ):
        assert get(f"{address}/{wrong_query}", headers=BEARER).status_code == 400
    assert get(f"{address}/_console/none.js").status_code == 404


def test_personal_data_is_in_no_twin(lake, address):
    planted = {
        "event_id": "planted-1",
        "event_type": "page_view",
        "timestamp": lake.clock.now().isoformat(),
        "email": "ada@example.com",
        "ip_address": "203.0.113.77",
        "page_url": "https://shop.example/?mail=ada@example.com",
        "nested": {"email": "ada@example.com", "list": ["ada@example.com"]},
    }
    lake.put([json.dumps(planted).encode(), b"ada@example.com is no JSON"])
    text = get(f"{address}/live.json", headers=BEARER).text
    assert "planted-1" in text
    lake.flush()
    for name in FACTS:
        text += get(f"{address}/{name}.json", headers=BEARER).text
    for secret in ("ada@example.com", "203.0.113.77"):
        assert secret not in text


def test_the_tail_goes_on_where_it_ended(lake):
    position = live(lake)["position"]
    lake.put([b'{"n": 1}', b'{"n": 2}{"n": 3}'])
    facts = live(lake, position)
    assert [one["event"] for one in facts["events"]] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert live(lake, facts["position"])["events"] == []


def test_masking_reads_what_people_send(lake):
    masker = Masker(lake.contract)
    assert masker.events(b'\xef\xbb\xbf [{"EMAIL": "x"}]\n') == [[{"EMAIL": "•••"}]]
    assert masker.events(b'{"email": null}') == [{"email": None}]
    assert masker.events(b"\xff\xfe") == ["2 bytes that are no JSON"]
    assert masker.events(b"  ") == []


def executed(node, sql: str) -> str:
    identity = node.engine.start(
        sql, database=node.pipeline.database, workgroup=node.pipeline.workgroup_name
    )
    node.engine.run(identity)
    return identity


def test_a_large_answer_is_paged_by_row(lake):
    results = Results(lake)
    sql = (
        "SELECT a.event_id || 'x' AS id, 1.5 AS f, CAST(NULL AS varchar) AS n, '' AS e"
        " FROM events a CROSS JOIN (SELECT * FROM events LIMIT 20) b"
    )
    identity = executed(lake, sql)
    total = results.page(identity, 0, 1)["total"]
    assert total > 50_000
    page = results.page(identity, total - 2, total + 10)
    assert len(page["rows"]) == 2
    assert page["rows"][0]["c1"] == "1.5"
    assert (page["rows"][0]["c2"], page["rows"][0]["c3"]) == (None, "")
    assert len(results.page(identity, 0, 10**9)["rows"]) == 1_000


def test_an_answers_types_survive_its_csv(lake):
    sql = (
        "SELECT TIMESTAMP '2026-03-09 14:30:00.250' AS t, DATE '2026-03-09' AS d, true AS b,"
        " 0.1 AS n, 9007199254740993 AS i, 'a \"q\",\n2' AS s, CAST(NULL AS varchar) AS z,"
        " CAST(NULL AS bigint) AS y, ARRAY[1, 2] AS a, TIMESTAMP '2026-03-09 00:00:00' AS m"
    )
    page = Results(lake).page(executed(lake, sql), 0, 9)
    (row,) = page["rows"]
    assert list(row.values()) == [
        *("2026-03-09 14:30:00.250", "2026-03-09", "true", "0.1", "9007199254740993"),
        *('a "q",\n2', None, None, "[1, 2]", "2026-03-09 00:00:00.000"),
    ]


def test_a_failed_query_has_no_answer(lake):
    identity = executed(lake, "SELECT nothing FROM events")
    with pytest.raises(ResultGone):
        Results(lake).table(identity)
