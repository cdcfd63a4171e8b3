"""Segment's shapes: the mapping by itself, then Segment's own libraries against a server."""

import logging
import subprocess

import pytest

from lakelet.collector import CollectorSettings
from lakelet.collector.rejected import NOT_AN_OBJECT
from lakelet.collector.segment import ROUTES, SegmentMapping, map_message, messages_of
from tests.collector.doors import Door
from tests.collector.fakes import collector_server

MAPPING = SegmentMapping()
PATIENCE_SECONDS = 20


def track(event, properties=None, **more):
    return {"type": "track", "event": event, "properties": properties or {}, **more}


def one(message):
    (event,) = map_message(message, MAPPING)
    return event


# --- the mapping ------------------------------------------------------------------


def test_a_track_call_becomes_an_event_of_the_contract():
    message = track(
        "Product Added",
        {
            "product_id": "p1",
            "name": "Shoe",
            "category": "Shoes",
            "price": 29.9,
            "quantity": 2,
            "coupon": "SPRING",
        },
        messageId="m1",
        timestamp="2026-03-09T14:30:00Z",
        userId="u1",
        anonymousId="a1",
        context={
            "page": {"url": "https://shop.example/p/1", "title": "Shoe"},
            "ip": "203.0.113.9",
            "library": {"name": "analytics.js"},
            "traits": {"email": "a@b.example"},
        },
    )
    assert one(message) == {
        "event_type": "add_to_cart",
        "event_id": "m1",
        "timestamp": "2026-03-09T14:30:00Z",
        "user_id": "u1",
        "anonymous_id": "a1",
        "page_url": "https://shop.example/p/1",
        "page_title": "Shoe",
        "product_id": "p1",
        "product_name": "Shoe",
        "product_category": "Shoes",
        "product_price": 29.9,
        "quantity": 2,
        "coupon": "SPRING",
        "ip_address": "203.0.113.9",
        "email": "a@b.example",
        "segment_type": "track",
        "segment_event": "Product Added",
        "library": {"name": "analytics.js"},
    }


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("Product Removed", "remove_from_cart"),
        ("Products Searched", "search"),
        ("Order Completed", "purchase"),
        ("Signed In", "login"),
        ("Coupon  Applied", "coupon_applied"),
    ],
)
def test_event_names_follow_the_e_commerce_specification(name, event_type):
    assert one(track(name))["event_type"] == event_type


def test_a_search_keeps_its_words():
    event = one(track("Products Searched", {"query": "red shoes", "results_count": 7}))
    assert (event["search_query"], event["search_results_count"]) == ("red shoes", 7)


def test_an_order_is_one_event_a_product_with_ids_that_stay_the_same():
    message = track(
        "Order Completed",
        {
            "order_id": "o1",
            "total": 70,
            "products": [
                {"product_id": "p1", "name": "Shoe", "price": 20, "quantity": 3, "brand": "X"},
                {"sku": "s2", "price": 10},
            ],
        },
        messageId="m1",
    )
    first, second = map_message(message, MAPPING)
    assert (first["event_id"], second["event_id"]) == ("m1-1", "m1-2")
    assert (first["product_price"], first["quantity"], first["product"]) == (20, 3, {"brand": "X"})
    assert (second["product_id"], second["product_price"], second["quantity"]) == ("s2", 10, 1)
    assert all(event["order_id"] == "o1" and "products" not in event for event in (first, second))
    revenue = sum(event["product_price"] * event["quantity"] for event in (first, second))
    assert revenue == 70
    assert map_message(message, MAPPING) == [first, second]


def test_an_order_without_products_still_counts_its_total():
    event = one(track("Order Completed", {"order_id": "o1", "revenue": 12.5}, messageId="m1"))
    assert (event["event_id"], event["product_price"], event["quantity"]) == ("m1", 12.5, 1)
    assert one(track("Order Completed", {"products": "odd"}))["products"] == "odd"


def test_other_kinds_keep_what_they_say():
    page = one(
        {"type": "page", "name": "Home", "properties": {"url": "https://x/", "name": "Home"}}
    )
    assert (page["event_type"], page["page_name"], page["page_url"]) == (
        "page_view",
        "Home",
        "https://x/",
    )
    who = one({"type": "identify", "userId": "u1", "traits": {"plan": "pro", "email": "a@b"}})
    assert (who["event_type"], who["traits"], who["email"]) == ("identify", {"plan": "pro"}, "a@b")
    group = one({"type": "group", "groupId": "g1", "traits": {"name": "ACME"}})
    assert (group["group_id"], group["traits"]) == ("g1", {"name": "ACME"})
    alias = one({"type": "alias", "userId": "u2", "previousId": "u1"})
    assert (alias["user_id"], alias["previous_id"]) == ("u2", "u1")
    assert one({"type": "screen", "name": "Cart"})["screen_name"] == "Cart"


@pytest.mark.parametrize("message", [{}, {"type": "nothing"}, {"type": None}])
def test_what_is_no_message_is_no_event(message):
    assert map_message(message, MAPPING) == []


@pytest.mark.parametrize("odd", [None, 1, "text", [1]])
def test_odd_shapes_do_not_break_the_mapping(odd):
    message = track("X", messageId="m1") | {"properties": odd, "context": odd, "traits": odd}
    assert one(message)["event_id"] == "m1"


def test_a_batchs_context_stands_behind_each_message():
    body = {
        "batch": [{"type": "track", "context": {"page": {"url": "own"}}}, 5, {"type": "page"}],
        "context": {"page": {"url": "common"}, "ip": "1.2.3.4"},
        "sentAt": "2026-03-09T14:30:00Z",
    }
    first, odd, last = messages_of("batch", body)
    assert first["context"] == {"page": {"url": "own"}, "ip": "1.2.3.4"}
    assert odd == NOT_AN_OBJECT
    assert one(last)["timestamp"] == "2026-03-09T14:30:00Z"


# --- over HTTP, by hand -----------------------------------------------------------


@pytest.mark.parametrize("path", sorted(ROUTES))
def test_each_route_takes_its_kind(path):
    door = Door()
    message = {"type": "page", "event": "X", "userId": "u1", "messageId": "m1"}
    body = {"batch": [message]} if ROUTES[path] == "batch" else message
    answer = door.post(body, f"/v1/{path}")
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    expected = "page" if ROUTES[path] == "batch" else ROUTES[path]
    assert door.sink.events[0]["segment_type"] == expected


def test_a_batch_tells_which_messages_failed():
    door = Door()
    answer = door.post({"batch": [track("A"), {"type": "odd"}, 7, track("B")]}, "/v1/batch")
    assert answer.status_code == 200
    assert [(f["index"], f["code"]) for f in answer.json()["failed"]] == [
        (1, "not_segment"),
        (2, "not_an_object"),
    ]
    assert len(door.sink.records) == 2
    for body in (b"[]", b"nonsense", b"{}", b'{"batch":[]}'):
        assert door.post(body, "/v1/batch").status_code == 400


ODD = rb'{"type":"track","event":"A","properties":{"n":123456789012345678901234567890,"f":1e400}}'
HALF = rb'{"type":"track","event":"B","properties":{"t":"hi \ud83d","query":"x"}}'
ORDER = (
    rb'{"type":"track","event":"Order Completed","messageId":"m","properties":'
    rb'{"t":"\ud83d","products":[{"product_id":"p1","price":2.50},{"product_id":"p2","price":1}]}}'
)


def test_one_odd_message_of_a_batch_harms_no_other():
    door = Door()
    deep = b'{"type":"track","event":"D","properties":' + b'{"a":' * 900 + b"1" + b"}" * 901
    messages = [ODD, HALF, b'{"type":"page","n":NaN}', b"7", deep, b'{"type":"page"}', ORDER]
    body = b'{"context":{"locale":"\\udc00"},"batch":[' + b",".join(messages) + b"]}"
    answer = door.post(body, "/v1/batch")
    assert (answer.status_code, answer.json()["accepted"]) == (200, 4)
    assert [(f["index"], f["code"]) for f in answer.json()["failed"]] == [
        (2, "not_json"),
        (3, "not_an_object"),
        (4, "not_json"),
    ]
    big, half, page, first, second = door.sink.events
    assert b'"n":123456789012345678901234567890,"f":1e400' in door.sink.records[0][1]
    assert (half["t"], half["search_query"], half["locale"]) == ("hi \ud83d", "x", "\udc00")
    assert (big["event_type"], page["event_type"]) == ("a", "page_view")
    assert [(e["event_id"], e["product_price"], e["quantity"]) for e in (first, second)] == [
        ("m-1", 2.5, 1),
        ("m-2", 1, 1),
    ]


def test_one_odd_message_alone_is_taken_and_a_torn_batch_is_not():
    door = Door()
    assert door.post(HALF, "/v1/track").status_code == 200
    assert door.sink.events[0]["t"] == "hi \ud83d"
    for body in (rb'["\ud83d"]', rb'{"a":"\ud83d","batch":[{}', rb'{"a":"\ud83d","batch":[] }'):
        assert door.post(body, "/v1/batch").status_code == 400


def test_an_order_is_not_answered_as_taken_while_half_of_it_failed():
    door = Door()
    door.sink.failing = b'"p2"'
    products = [{"product_id": "p1", "price": 1}, {"product_id": "p2", "price": 1}]
    answer = door.post(track("Order Completed", {"products": products}), "/v1/track")
    assert (answer.status_code, answer.json()["accepted"]) == (503, 0)
    assert [f["index"] for f in answer.json()["failed"]] == [0]


def test_the_browser_library_finds_its_settings_here():
    door = Door(write_keys={"wk": ""})
    answer = door.call("GET", "/v1/projects/wk/settings")
    destination = answer.json()["integrations"]["Segment.io"]
    assert destination == {"apiKey": "wk", "apiHost": "collect/v1", "protocol": "http"}
    assert door.call("GET", "/v1/projects/other/settings").status_code == 401


# --- Segment's own libraries ------------------------------------------------------

KEYED = CollectorSettings("clicks", write_keys={"wk_shop": ""})


def test_segments_python_library_needs_only_another_host():
    from segment.analytics.client import Client

    errors = []
    with collector_server(KEYED) as (url, sink):
        client = Client(
            "wk_shop",
            host=url,
            gzip=True,
            on_error=lambda error, batch: errors.append(error),
            upload_interval=0.01,
        )
        order = {"order_id": "o1", "products": [{"product_id": "p1", "price": 5, "quantity": 2}]}
        client.track("u1", "Order Completed", order)
        client.page("u1", name="Home", properties={"url": "https://shop.example/"})
        client.identify("u1", {"plan": "pro", "email": "a@b.example"})
        client.screen("u1", name="Cart")
        client.group("u1", "g1", {"name": "ACME"})
        client.alias("u1", "u2")
        client.flush()
        client.join()
        events = sink.wait_for(6, PATIENCE_SECONDS)
    assert errors == []
    assert [event["event_type"] for event in events] == [
        "purchase",
        "page_view",
        "identify",
        "screen_view",
        "group",
        "alias",
    ]
    assert (events[0]["product_price"], events[0]["quantity"]) == (5, 2)
    assert all(event["event_id"] and event["timestamp"] for event in events)
    assert events[0]["library"]["name"] == "analytics-python"


def test_segments_python_library_is_told_of_a_wrong_key():
    from segment.analytics.client import Client

    errors = []
    logging.getLogger("segment").setLevel(logging.CRITICAL)
    with collector_server(KEYED) as (url, sink):
        client = Client(
            "wk_wrong", host=url, on_error=lambda error, batch: errors.append(error), max_retries=0
        )
        client.track("u1", "X")
        client.flush()
        client.join()
    assert [error.status for error in errors] == [401]
    assert errors[0].code == "collector.write_key_invalid"
    assert sink.records == []


NODE_PROGRAM = """
const { Analytics } = require("@segment/analytics-node");
const analytics = new Analytics({ writeKey: "wk_shop", host: process.argv[2], flushAt: 3 });
analytics.on("error", (error) => { console.error(error); process.exitCode = 1; });
analytics.track({ userId: "u1", event: "Product Added", properties: { price: 5 } });
analytics.page({ anonymousId: "a1", name: "Home", properties: { url: "https://shop.example/" } });
analytics.identify({ userId: "u1", traits: { plan: "pro" } });
analytics.track({ userId: "u1", event: "Signed In" });
analytics.closeAndFlush();
"""


@pytest.mark.e2e
def test_segments_node_library_needs_only_another_host(segment_packages):
    program = segment_packages / "program.js"
    program.write_text(NODE_PROGRAM)
    with collector_server(KEYED) as (url, sink):
        done = subprocess.run(
            ["node", program.name, url],
            cwd=segment_packages,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        events = sink.wait_for(4, PATIENCE_SECONDS)
    assert sorted(event["event_type"] for event in events) == [
        "add_to_cart",
        "identify",
        "login",
        "page_view",
    ]
    assert len({event["event_id"] for event in events}) == 4
