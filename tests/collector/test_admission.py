"""Who may send, from where, how often."""

import pytest

from lakelet.collector import Enrichment, RateLimit
from tests.collector.doors import Door

SHOP = "https://shop.example"


# --- keys -------------------------------------------------------------------------

KEYED = {"write_keys": {"wk_shop": "", "wk_app": "app-stream"}}


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"x-write-key": "wk_app"}},
        {"params": {"write_key": "wk_app"}},
        {"auth": ("wk_app", "")},
    ],
)
def test_a_write_key_may_come_three_ways_and_names_the_stream(options):
    door = Door(**KEYED)
    assert door.post({"n": 1}, **options).status_code == 200
    assert door.sink.records[0][0] == "app-stream"
    assert door.post({"n": 2}, headers={"x-write-key": "wk_shop"}).status_code == 200
    assert door.sink.records[1][0] == "clicks"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"headers": {"x-write-key": "wk_other"}},
        {"params": {"write_key": ""}},
        {"auth": ("", "wk_shop")},
        {"headers": {"authorization": "Basic %%%"}},
        {"headers": {"authorization": "Bearer wk_shop"}},
    ],
)
def test_without_a_known_key_nothing_is_taken(options):
    door = Door(**KEYED)
    answer = door.post({"n": 1}, **options)
    assert answer.status_code == 401
    assert "basic" not in answer.headers["www-authenticate"].lower(), "no password box"
    assert door.sink.records == []
    assert "wk_" not in answer.text.replace("write_key", "")


# --- origins ----------------------------------------------------------------------


def test_preflight_and_answer_name_the_page_that_asked():
    door = Door(origins=(SHOP,))
    ask = {"origin": SHOP, "access-control-request-method": "POST"}
    preflight = door.call("OPTIONS", "/v1/events", headers=ask)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == SHOP
    assert "content-encoding" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["vary"] == "origin"
    answer = door.post({"n": 1}, headers={"origin": SHOP})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, SHOP)
    # An error must be readable too, or the page cannot know to stop.
    wrong = door.post(b"", headers={"origin": SHOP})
    assert (wrong.status_code, wrong.headers["access-control-allow-origin"]) == (400, SHOP)


def test_pages_of_other_origins_are_not_counted():
    door = Door(origins=(SHOP,))
    for origin in ("https://evil.example", "null", SHOP + ":444", "http://shop.example"):
        answer = door.post({"n": 1}, headers={"origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert door.sink.records == []
    assert door.post({"n": 1}, headers={"origin": "http://collect"}).status_code == 200
    assert door.post({"n": 1}).status_code == 200, "no browser, no origin"
    assert Door(origins=("*",)).post({}, headers={"origin": "https://any.example"}).is_success


# --- rates ------------------------------------------------------------------------


def test_an_address_that_asks_too_much_is_told_when_to_come_again():
    door = Door(per_address=RateLimit(per_second=0.5, burst=3))
    assert [door.post({}).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert door.post({}).headers["retry-after"] == "2"
    assert door.post({}, peer="203.0.113.10").status_code == 200
    door.clock.advance(1.9)
    assert door.post({}).status_code == 429
    door.clock.advance(0.2)
    assert [door.post({}).status_code for _ in range(2)] == [200, 429]
    door.clock.advance(1e6)
    assert [door.post({}).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_an_ipv6_home_is_one_address():
    door = Door(per_address=RateLimit(1, 1))
    assert door.post({}, peer="2001:db8::1").status_code == 200
    assert door.post({}, peer="2001:db8::ffff:2").status_code == 429
    assert door.post({}, peer="2001:db8:0:1::1").status_code == 200
    assert door.post({}, peer="::ffff:198.51.100.1").status_code == 200
    assert door.post({}, peer="198.51.100.1").status_code == 429


def test_a_key_has_its_own_limit_whatever_the_address():
    door = Door(**KEYED, per_key=RateLimit(1, 2))
    statuses = [
        door.post({}, peer=f"203.0.113.{n}", headers={"x-write-key": "wk_app"}).status_code
        for n in range(3)
    ]
    assert statuses == [200, 200, 429]
    assert door.post({}, headers={"x-write-key": "wk_shop"}).status_code == 200


def test_memory_for_addresses_is_bounded():
    door = Door(per_address=RateLimit(1, 1), buckets_max=10)
    for number in range(100):
        door.post({}, peer=f"203.0.113.{number}")
    assert door.app._addresses.count == 10
    assert door.post({}, peer="203.0.113.99").status_code == 429, "the newest are remembered"


def test_guessing_keys_is_slowed_down():
    door = Door(**KEYED, per_address=RateLimit(1, 2))
    guesses = [door.post({}, params={"write_key": str(n)}).status_code for n in range(4)]
    assert guesses == [401, 401, 429, 429]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # a stranger's word counts for nothing
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("::1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_forwarded_addresses_are_believed_from_trusted_proxies_only(peer, forwarded, address):
    door = Door(trusted_proxies=("10.0.0.0/8", "::1"), enrichment=Enrichment(ip_field="ip_address"))
    door.post({}, peer=peer, headers={"x-forwarded-for": forwarded})
    assert door.sink.events[0]["ip_address"] == address


def test_a_trusted_proxy_that_is_no_network_is_an_error_at_start():
    with pytest.raises(ValueError, match="nonsense"):
        Door(trusted_proxies=("nonsense",))


def test_asking_for_settings_is_no_way_to_guess_keys_unhindered():
    door = Door(**KEYED, per_address=RateLimit(1, 2))
    guesses = [door.call("GET", f"/v1/projects/{n}/settings").status_code for n in range(3)]
    assert guesses == [401, 401, 429]
