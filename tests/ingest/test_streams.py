"""Delivery streams as they lie in SQLite: what an earlier Lakelet took is opened."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from lakelet.ingest.database import Database
from lakelet.ingest.destination import DESTINATION_ID, declared_configuration
from lakelet.ingest.prefix import Context
from lakelet.ingest.streams import DeliveryStreams
from lakelet.model.pipeline import Pipeline
from lakelet.testing.clock import ManualClock

AT = datetime(2026, 3, 9, 14, 5, 7, tzinfo=UTC)
NAME = Pipeline().name


def reopened_with(**stored) -> DeliveryStreams:
    """As if the declared stream had been stored with members that are refused now."""
    database, clock = Database(None), ManualClock(AT)
    DeliveryStreams(database, clock).declare(Pipeline())
    config = {**declared_configuration(Pipeline()), **stored}
    with database.transaction() as db:
        db.execute("UPDATE versions SET config = ?", (json.dumps(config),))
    return DeliveryStreams(database, clock)


def test_a_stored_stream_opens_though_its_zone_would_be_refused_now() -> None:
    streams = reopened_with(CustomTimeZone="Factory")
    stored = streams.get(NAME)
    assert stored.destination.time_zone == ZoneInfo("Factory")

    changed = streams.update_destination(
        NAME, version="1", destination_id=DESTINATION_ID, update={"CustomTimeZone": ""}
    )
    assert changed.destination.time_zone == UTC
    assert streams.destination_at(changed, 1) == stored.destination  # what it began is ended


def test_a_stored_stream_opens_though_its_patterns_would_be_refused_now() -> None:
    prefixes = {"Prefix": "!{timestamp:DDDD}/", "ErrorOutputPrefix": "e/"}
    streams = reopened_with(
        **prefixes,
        S3BackupMode="Enabled",
        S3BackupConfiguration={"BucketARN": "arn:aws:s3:::vault", **prefixes},
    )
    destination = streams.get(NAME).destination
    assert destination.prefix.evaluate(Context(AT)) == "0068/"
    assert destination.backup.prefix == destination.prefix
