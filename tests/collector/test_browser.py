"""The tracker in a real browser: pages of one origin, the collector on another."""

import re
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakelet.collector import CollectorSettings, RateLimit
from lakelet.model.errors import StorageFull
from tests.collector.fakes import SITE, FakeSink, collector_server, serve, with_site

pytestmark = pytest.mark.browser

GRANTED = 'data-consent="granted"'
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Shop:
    """A page in a browser context of its own, and what the collector received of it."""

    def __init__(self, context, url: str, sink: FakeSink) -> None:
        self.context = context
        self.url = url
        self.sink = sink
        self.sent = []
        context.on("request", lambda request: self._note(request))
        context.set_default_timeout(10_000)
        self.page = context.new_page()

    def _note(self, request):
        if "/v1/events" in request.url:
            self.sent.append(request)

    def open(self):
        self.page.goto(f"{self.url}/shop.html")
        self.page.wait_for_function("!!(window.lakelet && lakelet.track)")
        return self

    def stored(self):
        return self.page.evaluate("Object.keys(localStorage)")

    def wait_for_types(self, *types):
        events = self.sink.wait_for(len(types))
        assert [event["event_type"] for event in events] == list(types)
        return events


@pytest.fixture
def shop(browser):
    """Makes a Shop: `with shop(consent=GRANTED) as s`."""

    @contextmanager
    def make(consent=GRANTED, prepare=lambda context: None):
        pages: dict[str, bytes] = {"/away.html": b"<!doctype html><title>Away</title>"}

        async def no_collector(scope, receive, send):
            raise AssertionError("the site serves no /v1/")

        with serve(with_site(no_collector, pages)) as site:
            settings = CollectorSettings(
                "clicks",
                write_keys={"wk_shop": ""},
                origins=(site,),
                per_address=RateLimit(1000, 1000),
            )
            with collector_server(settings) as (collector, sink):
                html = (SITE / "shop.html").read_text("utf-8")
                html = html.replace("COLLECTOR", collector).replace("CONSENT", consent)
                pages["/shop.html"] = html.encode()
                context = browser.new_context()
                prepare(context)
                yield Shop(context, site, sink)
                context.close()

    return make


def test_an_emoji_cut_in_two_by_the_page_loses_no_event(shop):
    with shop() as s:
        s.open()
        s.page.evaluate("""() => {
            lakelet.track("cut", { title: "hi 😀".slice(0, 4) });
            lakelet.track("whole", { title: "hi 😀" });
        }""")
        events = s.wait_for_types("page_view", "before_consent", "cut", "whole")
        assert [event.get("title") for event in events[2:]] == ["hi \ud83d", "hi 😀"]


def test_page_views_clicks_and_events_arrive_with_the_contracts_fields(shop):
    with shop() as s:
        page = s.open().page
        page.click("#inner")
        page.click("#plain")
        page.evaluate("history.pushState({}, '', '/shop.html?color=red')")
        page.evaluate("history.replaceState({ again: 1 }, '')")
        page.evaluate("lakelet.identify('u1')")
        page.evaluate("lakelet.track('search', { search_query: 'shoes', depth: { a: 1 } })")
        s.sink.wait_for(5)
        page.go_back()
        events = s.sink.wait_for(6)
    by_type = [event["event_type"] for event in events]
    assert by_type == [
        "page_view",
        "before_consent",
        "add_to_cart",
        "page_view",
        "search",
        "page_view",
    ]
    add = events[2]
    assert (add["product_id"], add["product_price"]) == ("p1", "29.90")
    assert [event["page_url"] for event in events if event["event_type"] == "page_view"] == [
        f"{s.url}/shop.html",
        f"{s.url}/shop.html?color=red",
        f"{s.url}/shop.html",
    ]
    assert events[4]["user_id"] == "u1"
    assert (events[4]["search_query"], events[4]["depth"]) == ("shoes", {"a": 1})
    assert len({event["event_id"] for event in events}) == 6
    assert all(UUID.fullmatch(event["event_id"]) for event in events)
    assert len({event["session_id"] for event in events}) == 1
    assert len({event["anonymous_id"] for event in events}) == 1
    assert events[0]["page_title"] == "Shop"


def test_without_consent_nothing_is_stored_or_sent(shop):
    with shop(consent="") as s:
        page = s.open().page
        page.click("#add")
        page.evaluate("lakelet.identify('u1'); lakelet.track('x'); lakelet.page()")
        page.click("#away")
        page.wait_for_url("**/away.html")
        s.open()
        assert s.stored() == []
        assert s.context.cookies() == []
        assert s.sent == []
        page.evaluate("lakelet.consent(true)")
        (event,) = s.wait_for_types("page_view")
        assert "user_id" not in event
        assert {"lakelet.visitor", "lakelet.session"} <= set(s.stored())
        page.evaluate("lakelet.identify('u1'); lakelet.track('y'); lakelet.consent(false)")
        assert s.stored() == []
        page.evaluate("lakelet.track('z')")
        page.click("#away")
        page.wait_for_url("**/away.html")
        s.open()
        page.evaluate("lakelet.consent(true)")
        again = s.sink.wait_for(2)[1]
        assert again["event_type"] == "page_view"
        assert again["anonymous_id"] != event["anonymous_id"], "a new visitor, as promised"
        assert s.context.cookies() == []


@pytest.mark.parametrize(
    "signal", ["navigator.globalPrivacyControl = true", "navigator.doNotTrack = '1'"]
)
def test_the_browsers_own_no_overrules_any_consent(shop, signal):
    name, _, value = signal.removeprefix("navigator.").partition(" = ")
    script = f"Object.defineProperty(navigator, '{name}', {{ get: () => {value} }})"
    with shop(prepare=lambda context: context.add_init_script(script)) as s:
        page = s.open().page
        page.evaluate("lakelet.consent(true); lakelet.track('x')")
        page.click("#away")
        page.wait_for_url("**/away.html")
        assert (s.sent, s.sink.records) == ([], [])
        s.open()
        assert s.stored() == []


def test_a_click_that_leaves_the_page_still_arrives(shop):
    with shop() as s:
        s.page.clock.install()
        page = s.open().page
        page.clock.run_for(1000)
        s.sink.wait_for(2)
        page.clock.pause_at(FAR_AHEAD)  # no timer fires: only a beacon can bring the event
        page.click("#away")
        page.wait_for_url("**/away.html")
        event = s.sink.wait_for(3)[2]
        assert (event["event_type"], event["target"]) == ("click", "away")


def test_what_could_not_be_sent_offline_is_sent_later_once(shop):
    with shop() as s:
        page = s.open().page
        s.sink.wait_for(2)
        s.context.set_offline(True)
        page.evaluate("lakelet.track('offline_1')")
        with page.expect_event("requestfailed"):
            page.evaluate("lakelet.track('offline_2')")
        assert len(s.sink.records) == 2
        s.context.set_offline(False)
        events = s.sink.wait_for(4)
    assert [event["event_type"] for event in events[2:]] == ["offline_1", "offline_2"]


def test_a_page_that_ended_offline_leaves_its_events_to_the_next(shop):
    with shop() as s:
        page = s.open().page
        s.sink.wait_for(2)
        s.context.set_offline(True)
        page.evaluate("lakelet.track('offline')")
        page.close()
        s.context.set_offline(False)
        s.page = s.context.new_page()
        s.open()
        s.sink.wait_for(4)
        s.page.wait_for_function(
            "!Object.keys(localStorage).some((key) => key.startsWith('lakelet.queue'))"
        )
    later = s.sink.events[2:]
    assert later[0]["event_type"] == "offline", "older events first"
    # It may come twice, if the closing page saw the network return; as one event.
    assert len({event["event_id"] for event in later if event["event_type"] == "offline"}) == 1


def test_a_stream_out_of_reach_is_tried_again(shop):
    with shop() as s:
        s.sink.raising = StorageFull("no space left")
        page = s.open().page
        page.clock.install()
        page.reload()
        with page.expect_response(lambda response: response.status == 503):
            page.clock.run_for(500)
        s.sink.raising = None
        page.clock.run_for(6_000)  # Retry-After says 5
        events = s.sink.wait_for(2)
        assert len({event["event_id"] for event in events}) == len(events)


def test_half_an_hour_without_events_ends_a_session(shop):
    with shop() as s:
        s.page.clock.install()
        page = s.open().page
        for minutes in (29, 29, 31):
            page.clock.fast_forward(minutes * 60_000)
            page.evaluate("lakelet.track('tick')")
        page.clock.run_for(1000)
        events = s.sink.wait_for(5)
    ids = [event["session_id"] for event in events if event["event_type"] == "tick"]
    assert ids[0] == ids[1] != ids[2]
    assert len({event["anonymous_id"] for event in events}) == 1


# --- Segment's own library for browsers ------------------------------------------

SEGMENT_PAGE = b"""<!doctype html><title>Shop</title>
<script src="/index.js"></script>
<script>
  window.done = AnalyticsNext.AnalyticsBrowser.load(
    { writeKey: "wk_shop", cdnURL: location.origin },
    { disableClientPersistence: true }
  ).then(async ([analytics]) => {
    await analytics.page("Home");
    await analytics.identify("u1", { plan: "pro" });
    await analytics.track("Products Searched", { query: "shoes" });
    return true;
  });
</script>"""


def test_segments_browser_library_needs_only_another_host(segment_packages, browser):
    bundle = segment_packages / "node_modules/@segment/analytics-next/dist/umd"
    files: dict[str, Path | bytes] = {f"/{path.name}": path for path in bundle.glob("*.js")}
    files["/segment.html"] = SEGMENT_PAGE
    settings = CollectorSettings("clicks", write_keys={"wk_shop": ""}, per_key=RateLimit(100, 100))
    with collector_server(settings, files) as (url, sink):
        page = browser.new_page()
        page.goto(f"{url}/segment.html")
        page.wait_for_function("window.done")
        events = sink.wait_for(3, 10)
        page.close()
    kinds = {event["event_type"]: event for event in events}
    assert set(kinds) == {"page_view", "identify", "search"}
    assert kinds["search"]["search_query"] == "shoes"
    assert kinds["search"]["page_url"] == f"{url}/segment.html"
    assert kinds["page_view"]["page_name"] == "Home"
