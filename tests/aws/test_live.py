"""The whole pipeline, deployed by us into an AWS that enforces IAM and TLS."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lakelet.producer import Producer
from tests.aws.live import Live, event, ndjson

pytestmark = pytest.mark.e2e


def test_events_become_rows_exactly(live: Live) -> None:
    """Producer → our delivery stream → the emulator's S3 → the function → Parquet."""
    session = live.emulator.session(firehose=live.front.url)
    with Producer("clickstream", client=session.client("firehose")) as producer:
        for number in range(5_000):
            producer.send(event(number))
        producer.flush()
    before = set(live.keys(live.raw, "year="))
    live.front.flush()
    (key,) = set(live.keys(live.raw, "year=")) - before
    manifest = live.manifest(key)
    assert (manifest.events, manifest.rows) == (5_000, 5_000)
    table = live.rows(manifest)
    assert table.num_rows == 5_000
    assert {"email", "ip_address"}.isdisjoint(table.column_names)
    assert len(set(table["event_id"].to_pylist())) == 5_000
