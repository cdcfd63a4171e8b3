"""Personal data planted in events, in broken input and in mistakes of a query's author:
none of it is in any log, metric, alarm or trace that a real node leaves behind."""

import json
import logging
import time

import pytest

from lakelet.node.folder import DataFolder
from lakelet.node.runtime import Node
from lakelet.query import QueryFailed
from lakelet.watch.exposition import render
from lakelet.watch.logs import configure

SECRETS = ("ada@example.com", "203.0.113.77", "Ada-Lovelace-1815", "+44 20 7946 0958")


def planted():
    event = {
        "event_id": "1",
        "event_type": "purchase",
        "timestamp": int(time.time()),
        "user_id": "Ada-Lovelace-1815",
        "email": "ada@example.com",
        "ip_address": "203.0.113.77",
        "page_url": "https://shop.example/?mail=ada@example.com&phone=+44 20 7946 0958",
        "phone": "+44 20 7946 0958",
    }
    yield json.dumps(event).encode()
    yield json.dumps(event | {"event_id": "2", "product_price": "ada@example.com"}).encode()
    yield json.dumps(event | {"event_id": "3", "timestamp": "Ada-Lovelace-1815"}).encode()
    yield b'{"user_id": "Ada-Lovelace-1815", "email": "ada@example.com"'
    yield b"\xff ada@example.com 203.0.113.77"


def test_nothing_that_watches_remembers_a_person(tmp_path):
    node = Node(DataFolder(tmp_path / "lake"), worker_processes=0)
    undo = configure(sink=node.watch.logs, level="DEBUG")
    try:
        node.start(doors=False)
        node.put(list(planted()))
        node.flush()
        for sql in (
            "SELECT CAST('Ada-Lovelace-1815' AS bigint) FROM events",
            'SELECT "ada@example.com" FROM events',
        ):
            with pytest.raises(QueryFailed):
                node.query_arrow(sql)
        node.store.put(node.pipeline.raw_bucket, "by-hand/x.gz", b"ada@example.com no gzip")
        node.flush()
        logging.getLogger("lakelet.node").info("written")
        node.watch.tick()
        scraped, _ = render(node.watch.metrics)
    finally:
        node.stop()
        undo()
    files = sorted((node.folder.state / "watch").iterdir())
    left = {path.name: path.read_bytes() for path in files} | {"/metrics": scraped}
    assert b"written" in b"".join(left.values())
    assert b"IncomingRecords" in b"".join(left.values())
    for name, content in left.items():
        for secret in SECRETS:
            assert secret.encode() not in content, (name, secret)
