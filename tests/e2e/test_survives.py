"""kill -9 under load: what was acknowledged is there afterwards, once."""

import itertools
import json
import threading

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lakelet.node.connect import connect
from lakelet.testing.node import RunningNode, node_process

pytestmark = pytest.mark.e2e

FAST = """
[stream]
buffer_interval_seconds = 1
buffer_size_mb = 1
"""


def event(name: str) -> bytes:
    return json.dumps(
        {
            "event_id": name,
            "event_type": "page_view",
            "timestamp": "2026-03-09T14:30:00Z",
            "page_url": "https://shop.example/" + "x" * 400,
        }
    ).encode()


class Load(threading.Thread):
    """Sends batches one after another; remembers what was acknowledged, until refused."""

    def __init__(self, node: RunningNode, name: str) -> None:
        super().__init__(daemon=True)
        self.firehose = node.client(
            "firehose", config=Config(retries={"total_max_attempts": 1}, read_timeout=20)
        )
        self.name_of_load, self.acknowledged = name, []
        self.has_acknowledged = threading.Event()

    def run(self) -> None:
        for number in itertools.count():
            names = [f"{self.name_of_load}-{number}-{index}" for index in range(50)]
            try:
                answer = self.firehose.put_record_batch(
                    DeliveryStreamName="clickstream",
                    Records=[{"Data": event(name)} for name in names],
                )
            except (BotoCoreError, ClientError):
                return
            for name, outcome in zip(names, answer["RequestResponses"], strict=True):
                if "RecordId" in outcome:
                    self.acknowledged.append(name)
            if number >= 20:
                self.has_acknowledged.set()


def test_acknowledged_events_survive_a_kill(tmp_path):
    config = tmp_path / "lakelet.toml"
    config.write_text(FAST)
    acknowledged: list[str] = []
    for life in range(2):
        with node_process(tmp_path / "lake", config=config) as node:
            loads = [Load(node, f"{life}-{number}") for number in range(3)]
            for load in loads:
                load.start()
            for load in loads:
                assert load.has_acknowledged.wait(60)
            node.kill()
            for load in loads:
                load.join(60)
                assert not load.is_alive()
                acknowledged += load.acknowledged
    assert len(acknowledged) >= 2 * 3 * 1_000

    with connect(tmp_path / "lake") as lake:
        lake.flush()
        stored = lake.query("SELECT event_id FROM events")["event_id"].to_pylist()
        report = lake.audit(deep=True)
    assert report["balanced"], report
    assert not set(acknowledged) - set(stored), "an acknowledged event was lost"
    assert len(stored) == len(set(stored)), "an event was stored twice"
    # What was on disk but not yet acknowledged when the node died may be there as well.
    assert report["accepted"] >= len(acknowledged)


def test_a_stop_delivers_what_it_can_and_names_what_is_left(tmp_path):
    with node_process(tmp_path / "lake") as node:
        firehose = node.client("firehose")
        firehose.create_delivery_stream(
            DeliveryStreamName="astray",
            ExtendedS3DestinationConfiguration={
                "RoleARN": "arn:aws:iam::000000000000:role/x",
                "BucketARN": "arn:aws:s3:::not-there-yet",
            },
        )
        for stream in ("astray", "clickstream"):
            firehose.put_record(DeliveryStreamName=stream, Record={"Data": event("a")})
    assert node.process.returncode == 1
    said = (tmp_path / "lake" / "node.log").read_text()
    assert "error: What these streams hold could not be delivered: astray" in said
    assert said.endswith("is tried again.\n"), "nothing else is told on the way out"
    with connect(tmp_path / "lake") as lake:
        assert lake.query("SELECT event_id FROM events")["event_id"].to_pylist() == ["a"]
