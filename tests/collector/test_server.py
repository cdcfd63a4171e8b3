"""Behind a real HTTP server: what only a socket shows."""

import gzip
import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from lakelet.collector import CollectorSettings, Enrichment
from tests.collector.fakes import collector_server


@pytest.fixture
def running():
    with collector_server(CollectorSettings("clicks")) as (url, sink):
        yield url, sink


def test_events_come_through_a_socket_compressed_and_kept_alive(running):
    url, sink = running
    body = gzip.compress(b"\n".join(json.dumps({"n": n}).encode() for n in range(1000)))
    with httpx.Client(base_url=url) as client:
        for _ in range(3):
            answer = client.post("/v1/events", content=body, headers={"content-encoding": "gzip"})
            assert answer.json()["accepted"] == 1000
    assert len(sink.records) == 3000


def test_an_oversized_body_is_answered_before_it_was_sent(running):
    url, sink = running
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n[{"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    assert sink.records == []


def test_a_client_that_breaks_off_leaves_nothing_behind(running):
    url, sink = running
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(
            b'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"n":1}'
        )
    assert httpx.post(f"{url}/v1/events", json={"n": 2}).status_code == 200
    assert [event["n"] for event in sink.events] == [2]


def test_no_content_means_none(running):
    url, _ = running
    with httpx.Client(base_url=url) as client:
        tag = client.get("/v1/lakelet.js").headers["etag"]
        assert client.get("/v1/lakelet.js", headers={"if-none-match": tag}).status_code == 304
        ask = {"origin": url, "access-control-request-method": "POST"}
        assert client.options("/v1/events", headers=ask).status_code == 204
        assert client.post("/v1/events", json={"n": 1}).status_code == 200


def test_nobody_on_this_machine_is_believed_about_who_they_are():
    settings = CollectorSettings("clicks", enrichment=Enrichment(ip_field="ip_address"))
    with collector_server(settings) as (url, sink):
        headers = {"x-forwarded-for": "198.51.100.7"}
        httpx.post(f"{url}/v1/events", json={"n": 1}, headers=headers)
    assert sink.events[0]["ip_address"] == "127.0.0.1"
