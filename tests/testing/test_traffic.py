"""The generator: exact counts, repeatable, believable."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from lakelet.testing.traffic import TrafficMix, generate

UNTIL = datetime(2026, 3, 9, 12, tzinfo=UTC)


@pytest.mark.parametrize("count", [0, 1, 7, 1_999, 2_000, 2_001, 9_000])
def test_exactly_as_many_as_asked_for(count: int):
    assert len(list(generate(count, until=UNTIL))) == count


def test_the_same_seed_gives_the_same_bytes():
    assert list(generate(500, seed=3, until=UNTIL)) == list(generate(500, seed=3, until=UNTIL))
    assert list(generate(500, seed=3, until=UNTIL)) != list(generate(500, seed=4, until=UNTIL))


def test_clean_traffic_is_clean():
    mix = TrafficMix(late=0, duplicate=0, broken=0, undeclared=0)
    events = [json.loads(record) for record in generate(5_000, until=UNTIL, mix=mix)]
    assert len({event["event_id"] for event in events}) == 5_000
    instants = [datetime.fromisoformat(event["timestamp"]) for event in events]
    assert instants == sorted(instants)
    assert UNTIL - timedelta(days=3) <= instants[0]
    assert instants[-1] <= UNTIL
    assert instants[-1] > UNTIL - timedelta(hours=3)  # noon UTC is a quiet time
    types = Counter(event["event_type"] for event in events)
    assert types["page_view"] > types["add_to_cart"] > types["purchase"] > 0
    bought = {e["session_id"] for e in events if e["event_type"] == "purchase"}
    logged_in = {e["session_id"] for e in events if e["event_type"] == "login"}
    assert bought <= logged_in


def test_life_is_in_it():
    mix = TrafficMix(late=0.05, duplicate=0.05, broken=0.05, undeclared=0.2)
    readable, broken = [], 0
    for record in generate(5_000, until=UNTIL, mix=mix):
        try:
            event = json.loads(record)
            datetime.fromisoformat(event["timestamp"])
            readable.append((event["event_id"], event["timestamp"], "app" in event))
        except (ValueError, KeyError):
            broken += 1
    ids = Counter(event_id for event_id, _, _ in readable)
    assert 100 < sum(count - 1 for count in ids.values()) < 500  # duplicates
    assert 100 < broken < 400
    assert any(a[1] > b[1] for a, b in pairwise(readable))  # late
    assert 0.1 < sum(undeclared for *_, undeclared in readable) / len(readable) < 0.3
