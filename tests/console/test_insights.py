"""Each insight's SQL against a lake whose answers are counted independently."""

import json
from collections import Counter
from datetime import date, timedelta

import pytest

from lakelet.console.facts import insights as facts
from tests.console.lakes import small_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    root = tmp_path_factory.mktemp("lakes") / "lake"
    with small_lake(root, events=0) as node:
        day = node.clock.now().date() - timedelta(days=1)
        node.put([json.dumps(event).encode() for event in shop(day)])
        node.flush()
        yield node


def shop(day: date):
    """Three sessions: one looks, one fills a cart, one buys twice; one comes back."""
    visits = [
        ("s1", "u1", ["page_view"], "DE", "mobile"),
        ("s2", "u2", ["page_view", "add_to_cart"], "DE", "desktop"),
        ("s3", "u3", ["page_view", "add_to_cart", "purchase", "purchase"], "FR", "mobile"),
    ]
    for number, (session, user, steps, country, device) in enumerate(visits):
        for n, step in enumerate(steps):
            yield {
                "event_id": f"{session}-{n}",
                "event_type": step,
                "timestamp": f"{day}T1{number}:0{n}:00Z",
                "session_id": session,
                "user_id": user,
                "country": country,
                "device_type": device,
                "page_url": "https://shop.example/p?x=1",
                "product_name": "Lamp",
                "product_price": 10.0,
                "quantity": 2,
            }


def rows(node, name: str, **segment: str):
    last = facts.newest_day(node)
    clause = facts.where(last - timedelta(days=6), last, **segment)
    return facts.ask(node, facts.BY_ID[name], clause).to_pylist()


def test_totals(lake):
    (row,) = rows(lake, "totals")
    assert (row["visitors"], row["sessions"], row["page_views"], row["purchases"]) == (3, 3, 3, 2)
    assert row["revenue"] == pytest.approx(40)
    assert row["conversion"] == pytest.approx(1 / 3)


def test_the_funnel_counts_sessions_in_order(lake):
    steps = [(row["step"], row["sessions"]) for row in rows(lake, "funnel")]
    assert steps == [("viewed", 3), ("added to cart", 2), ("purchased", 1)]


def test_products_pages_countries_devices(lake):
    assert rows(lake, "products") == [{"product": "Lamp", "sold": 4, "revenue": 40.0}]
    assert [row["page"] for row in rows(lake, "pages")] == ["https://shop.example/p"]
    assert {row["country"]: row["sessions"] for row in rows(lake, "countries")} == {
        "DE": 2,
        "FR": 1,
    }
    assert {row["device"]: row["sessions"] for row in rows(lake, "devices")} == {
        "mobile": 2,
        "desktop": 1,
    }


def test_paths_start_at_the_first_event(lake):
    found = Counter()
    for row in rows(lake, "paths"):
        found[row["step"], row["origin"], row["target"]] += row["sessions"]
    assert found == {
        (1, "page_view", "add_to_cart"): 2,
        (2, "add_to_cart", "purchase"): 1,
        (3, "purchase", "purchase"): 1,
    }


def test_a_segment_narrows_everything(lake):
    (row,) = rows(lake, "totals", segment="country", value="FR")
    assert (row["sessions"], row["purchases"]) == (1, 2)
    assert facts.values_of(lake, "country", facts.where(*[facts.newest_day(lake)] * 2)) == [
        *("FR", "DE")
    ]


def test_a_segments_value_is_quoted(lake):
    (row,) = rows(lake, "totals", segment="country", value="' OR '1'='1")
    assert row["sessions"] == 0
    assert "drop" not in facts.where(date(2026, 1, 1), date(2026, 1, 2), "drop", "x")


def test_every_insight_answers_and_says_its_sql(lake):
    answer = facts.insights(lake)
    assert set(answer["insights"]) == set(facts.BY_ID)
    for one in answer["insights"].values():
        assert "{where}" not in one["sql"]
