"""What is due goes, by the clock; what was not transformed yet stays."""

import os

import pytest

from lakelet.node.folder import DataFolder
from lakelet.node.runtime import Node
from lakelet.store.disk import Headers
from lakelet.store.uploads import MultipartUploads
from lakelet.testing.clock import ManualClock

DAY = 86_400
EVENT = b'{"event_id": "e", "event_type": "login", "timestamp": 1773066600}'


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def node(tmp_path, clock):
    made = Node(DataFolder(tmp_path / "lake"), clock=clock, worker_processes=0)
    yield made
    made.close()


def keys(node: Node, bucket: str) -> list[str]:
    return [info.key for info in node.store.list(bucket)]


def put_days_ago(node: Node, clock: ManualClock, bucket: str, key: str, days: int) -> None:
    node.store.put(bucket, key, EVENT)
    at = clock.now().timestamp() - days * DAY
    os.utime(node.store.path(bucket, key), (at, at))


def test_raw_results_and_abandoned_uploads_go_when_they_are_due(node, clock):
    put_days_ago(node, clock, "clickstream-raw", "old.json", 31)
    put_days_ago(node, clock, "clickstream-raw", "young.json", 29)
    put_days_ago(node, clock, "clickstream-results", "old.csv", 8)
    put_days_ago(node, clock, "clickstream-results", "young.csv", 6)
    put_days_ago(node, clock, "clickstream-transformed", "events/kept.parquet", 400)
    uploads = MultipartUploads(node.store)
    uploads.create("clickstream-raw", "begun.gz", Headers())
    node._expire()
    assert keys(node, "clickstream-raw") == ["young.json"]
    assert keys(node, "clickstream-results") == ["young.csv"]
    assert keys(node, "clickstream-transformed") == ["events/kept.parquet"]
    assert len(uploads.of_bucket("clickstream-raw")) == 1
    clock.advance(DAY + 1)
    node._expire()
    assert uploads.of_bucket("clickstream-raw") == []


def test_a_raw_object_that_waits_for_its_transform_stays(node, clock):
    put_days_ago(node, clock, "clickstream-raw", "waits.json", 31)
    node.queue.enqueue("clickstream-raw", "waits.json", "etag")
    node._expire()
    assert keys(node, "clickstream-raw") == ["waits.json"]
