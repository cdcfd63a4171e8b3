"""A node under more load than its event loop should carry alone."""

import base64
import http.client
import json
import os
import threading
import time
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lakelet.node.connect import connect
from lakelet.testing.node import RunningNode, node_process
from tests.e2e.test_survives import event

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not hasattr(os, "memfd_create") or (os.cpu_count() or 1) < 2,
        reason="the event loop does it all on one core, and where memory can't be shared so",
    ),
]


class Sender(threading.Thread):
    """Sends one signed batch, again and again."""

    def __init__(self, node: RunningNode, name: str) -> None:
        super().__init__(daemon=True)
        keys = node.environment
        entries = [{"Data": base64.b64encode(event(f"{name}-{i}")).decode()} for i in range(500)]
        self.request = AWSRequest(
            "POST",
            node.endpoint + "/",
            headers={
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "Firehose_20150804.PutRecordBatch",
            },
            data=json.dumps({"DeliveryStreamName": "clickstream", "Records": entries}),
        )
        credentials = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
        SigV4Auth(credentials, "firehose", keys["AWS_REGION"]).add_auth(self.request)
        self.address = node.endpoint.removeprefix("http://")
        self.may_stop = threading.Event()
        self.acknowledged = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        while not self.may_stop.is_set():
            connection.request("POST", "/", self.request.body, dict(self.request.headers))
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.status == 200, body
            assert body["FailedPutCount"] == 0
            self.acknowledged += len({each["RecordId"] for each in body["RequestResponses"]})
        connection.close()


def readers(pid: int) -> list[int]:
    """Children of a process that read bodies for it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"body_process" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except FileNotFoundError:  # it has ended meanwhile
            pass
    return found


def test_a_process_reads_large_batches_under_load_and_every_record_is_counted(tmp_path):
    with node_process(tmp_path / "lake") as node:
        assert readers(node.process.pid) == []
        senders = [Sender(node, str(number)) for number in range(3)]
        for sender in senders:
            sender.start()
        deadline = time.monotonic() + 60
        while not (found := readers(node.process.pid)):
            assert time.monotonic() < deadline, "the load never was enough"
            time.sleep(0.02)
        counts = [sender.acknowledged for sender in senders]
        for sender, count in zip(senders, counts, strict=True):
            while sender.acknowledged < count + 50_000:
                assert sender.is_alive()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            sender.may_stop.set()
        for sender in senders:
            sender.join(30)
    assert not Path(f"/proc/{found[0]}").exists()

    with connect(tmp_path / "lake") as lake:
        report = lake.audit()
    assert report["balanced"], report
    assert report["accepted"] == sum(sender.acknowledged for sender in senders)
