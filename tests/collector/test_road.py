"""From a page, from Segment's library and from a Producer to rows in SQL, on a real node."""

import re

import boto3
import httpx
import pytest

from lakelet.producer import Producer, ProducerSettings
from lakelet.testing.node import running_node
from tests.collector.fakes import SITE, serve, with_site

pytestmark = pytest.mark.e2e

DECLARATION = """
version = 1
[collector]
origins = ["*"]
device_fields = true
ip_field = "ip_address"
[collector.write_keys]
wk_shop = ""
wk_app = "app-events"
"""
PATIENCE_SECONDS = 20
EVENTS = re.compile(r"/v1/events\?")


@pytest.fixture
def node(tmp_path):
    config = tmp_path / "lakelet.toml"
    config.write_text(DECLARATION)
    with running_node(tmp_path / "lake", config=config) as node:
        yield node


def rows(node, columns):
    node.lake.flush()
    return node.lake.query(f"SELECT {columns} FROM events ORDER BY event_timestamp").to_pylist()


@pytest.mark.browser
def test_from_a_page_to_a_row(node, browser):
    html = (SITE / "shop.html").read_text("utf-8")
    html = html.replace("COLLECTOR", node.endpoint).replace("CONSENT", 'data-consent="granted"')
    pages = {"/shop.html": html.encode(), "/away.html": b"<!doctype html><title>Away</title>"}

    async def no_collector(scope, receive, send):
        raise AssertionError("the site serves no /v1/")

    with serve(with_site(no_collector, pages)) as site:
        page = browser.new_page()
        with page.expect_response(EVENTS, timeout=10_000) as answered:
            page.goto(f"{site}/shop.html")
        with page.expect_response(EVENTS, timeout=10_000) as answered_click:
            page.click("#add")
        assert [answered.value.status, answered_click.value.status] == [200, 200]
        page.close()
    found = rows(
        node, "event_type, product_id, product_price, user_id, page_url, browser, properties"
    )
    assert [row["event_type"] for row in found] == ["page_view", "before_consent", "add_to_cart"]
    add = found[2]
    assert (add["product_id"], add["product_price"], add["browser"]) == ("p1", 29.9, "Chrome")
    assert add["page_url"] == f"{site}/shop.html"
    assert "127.0.0.1" not in add["properties"], "the address stops at the raw zone"


def test_half_an_emoji_and_huge_numbers_come_as_rows_as_through_firehose(node):
    body = rb"""[{"event_type":"a","n":1},
        {"event_type":"b","page_title":"hi \ud83d","n":123456789012345678901234567890},
        {"event_type":"c","n":NaN}]"""
    answer = httpx.post(f"{node.endpoint}/v1/events?write_key=wk_shop", content=body).json()
    assert (answer["accepted"], [f["index"] for f in answer["failed"]]) == (2, [2])
    message = rb'{"type":"track","event":"d","properties":{"t":"\ud83d","f":1e400}}'
    segment = httpx.post(
        f"{node.endpoint}/v1/batch?write_key=wk_shop",
        content=rb'{"batch":[{"type":"track","event":"e"},' + message + b"]}",
    )
    assert segment.json()["accepted"] == 2
    found = {row["event_type"]: row["properties"] for row in rows(node, "event_type, properties")}
    assert sorted(found) == ["a", "b", "d", "e"]
    assert rb'"page_title":"hi \ud83d"'.decode() in found["b"]
    assert '"n":123456789012345678901234567890' in found["b"]
    assert '"f":1e400' in found["d"]


def test_a_key_whose_stream_is_not_there_is_told_nothing_of_the_others(node):
    address = f"{node.endpoint}/v1/events?write_key=wk_app"
    refused = httpx.post(address, content=b'{"n":1}')
    assert (refused.status_code, refused.json()["code"]) == (503, "collector.not_ready")
    assert "clickstream" not in refused.text
    destination = {
        "RoleARN": "arn:aws:iam::000000000000:role/any",
        "BucketARN": "arn:aws:s3:::clickstream-raw",
    }
    node.client("firehose").create_delivery_stream(
        DeliveryStreamName="app-events", ExtendedS3DestinationConfiguration=destination
    )
    assert httpx.post(address, content=b'{"n":1}').status_code == 200, "kept events arrive then"


def test_from_segments_library_to_rows_that_add_up(node):
    from segment.analytics.client import Client

    client = Client("wk_shop", host=node.endpoint, gzip=True, upload_interval=0.01)
    products = [{"product_id": "p1", "price": 20, "quantity": 2}, {"product_id": "p2", "price": 5}]
    client.identify("u1", {"email": "secret@shop.example", "plan": "pro"})
    client.track("u1", "Order Completed", {"order_id": "o1", "total": 45, "products": products})
    client.flush()
    client.join()
    found = rows(node, "event_type, user_id, product_id, revenue, properties")
    assert sorted((row["event_type"], row["revenue"]) for row in found) == [
        ("identify", 0.0),
        ("purchase", 5.0),
        ("purchase", 40.0),
    ]
    assert not any("secret@" in row["properties"] for row in found)


def test_what_a_producer_sends_twice_is_counted_once(node, tmp_path):
    session = boto3.session.Session(
        node.environment["AWS_ACCESS_KEY_ID"],
        node.environment["AWS_SECRET_ACCESS_KEY"],
        region_name=node.environment["AWS_REGION"],
    )
    settings = ProducerSettings(spool_folder=tmp_path / "spool", pack_bytes=5120)
    options = {"session": session, "endpoint_url": node.endpoint}
    events = [{"event_id": f"e{n}", "event_type": "page_view"} for n in range(1000)]
    for _ in range(2):
        with Producer("clickstream", settings, **options) as producer:
            producer.send_many(events)
            producer.flush(PATIENCE_SECONDS)
            assert producer.stats.acknowledged == 1000
    (counted,) = rows_counted(node)
    assert counted == {"n": 1000, "ids": 1000}


def rows_counted(node):
    node.lake.flush()
    return node.lake.query(
        "SELECT count(*) n, count(DISTINCT event_id) ids FROM events"
    ).to_pylist()
