"""The library: a lake without any server."""

from datetime import UTC, datetime

import pytest

import lakelet
from lakelet.ingest.errors import DeliveryFailed
from lakelet.model.errors import DataFolderError, DeclarationError, LakeletError

PURCHASE = (
    b'{"event_id": "c", "event_type": "purchase", "timestamp": 1773066600000,'
    b'"product_price": "29.99", "quantity": 2}'
)


@pytest.fixture
def lake(tmp_path):
    with lakelet.open(tmp_path / "lake") as opened:
        yield opened


def test_what_was_put_is_seen_at_once(lake):
    before = datetime.now(UTC).replace(tzinfo=None)
    count = lake.put(
        [
            {"event_type": "page_view", "page_url": "/", "user_id": "u1"},
            '{"event_id": "b", "event_type": "login", "timestamp": 1772980000}',
            PURCHASE,
        ]
    )
    assert count == 3
    rows = lake.query(
        "SELECT event_id, event_type, event_timestamp, revenue FROM events ORDER BY event_type"
    ).to_pylist()
    assert [row["event_type"] for row in rows] == ["login", "page_view", "purchase"]
    assert rows[1]["event_timestamp"].replace(tzinfo=None) >= before, "an instant was filled in"
    assert len(rows[1]["event_id"]) == 36
    assert rows[2]["revenue"] == pytest.approx(59.98)
    lake.put({"event_type": "logout"})
    assert lake.query("SELECT count(*) AS n FROM events")["n"].to_pylist() == [4]


def test_an_answer_is_arrow_and_pandas(lake):
    lake.put([{"event_type": "login", "n": 1}])
    frame = lake.query("SELECT event_type, event_timestamp FROM events").to_pandas()
    assert list(frame["event_type"]) == ["login"]
    assert str(frame["event_timestamp"].dtype).startswith("datetime64")


def test_state_survives_and_two_cannot_hold_it(tmp_path):
    with lakelet.open(tmp_path / "lake") as lake:
        lake.put([{"event_type": "login"}])
        with pytest.raises(DataFolderError):
            lakelet.open(tmp_path / "lake")
    with lakelet.open(tmp_path / "lake") as lake:
        assert lake.query("SELECT count(*) AS n FROM events")["n"].to_pylist() == [1]
        assert lake.audit(deep=True)["balanced"]


def test_what_cannot_be_taken_is_refused_and_the_rest_goes_on(lake):
    with pytest.raises(LakeletError, match="1,024,000"):
        lake.put([{"event_type": "login", "page_url": "x" * 1_100_000}])
    with pytest.raises(LakeletError, match="no JSON form"):
        lake.put([{"event_type": object()}])
    lake.put([{"event_type": "login"}])
    assert lake.query("SELECT count(*) AS n FROM events")["n"].to_pylist() == [1]


@pytest.mark.parametrize("appends", ["true", "false"])
def test_each_record_is_a_line_of_the_raw_zone(tmp_path, appends):
    config = tmp_path / "lakelet.toml"
    config.write_text(f'[stream]\nappend_delimiter = {appends}\ncompression = "UNCOMPRESSED"\n')
    events = [b'{"event_id": "a"}', b'{"event_id": "b"}', PURCHASE]
    with lakelet.open(tmp_path / "lake", config=config) as lake:
        lake.put(events)
        lake.flush()
        assert lake.audit()["blank"] == 0
        assert lake.query("SELECT event_id FROM events")["event_id"].to_pylist() == ["c"]
    raw = tmp_path / "lake" / "buckets" / "clickstream-raw"
    (delivered,) = (path for path in raw.glob("year=*/**/*") if path.is_file())
    assert delivered.read_bytes() == b"".join(event + b"\n" for event in events)


def test_what_a_fault_refuses_is_no_success(tmp_path):
    config = tmp_path / "lakelet.toml"
    config.write_text("[ingest]\nfaults = { fail = [1, 1] }\n")
    with lakelet.open(tmp_path / "lake", config=config) as lake:
        with pytest.raises(LakeletError, match="1 of records 0 to 2 were refused, the first is 0"):
            lake.put([{"event_type": "login"}] * 3)
        assert lake.put([{"event_type": "login"}]) == 1
        lake.flush()
        assert lake.audit()["accepted"] == 3


def test_sql_that_is_wrong_says_where(lake):
    with pytest.raises(LakeletError, match="TABLE_NOT_FOUND"):
        lake.query("SELECT * FROM evnts")


def test_an_own_declaration(tmp_path):
    config = tmp_path / "shop.toml"
    config.write_text('[pipeline]\nname = "shop"\n[stream]\nbuffer_size_mb = 1\n')
    with lakelet.open(tmp_path / "lake", config=config) as lake:
        lake.put([{"event_type": "login"}])
        assert lake.query("SELECT count(*) AS n FROM shop.events")["n"].to_pylist() == [1]
    with lakelet.open(tmp_path / "lake") as lake:  # it is remembered
        assert lake.status()["stream"]["name"] == "shop"
    config.write_text("[stream]\nbuffer_size_mb = 0\n")
    with pytest.raises(DeclarationError, match="line 2"):
        lakelet.open(tmp_path / "lake", config=config)


def test_what_cannot_be_delivered_keeps_nothing_else_from_a_flush_or_a_stop(tmp_path):
    count = "SELECT count(*) AS n FROM events"
    lake = lakelet.open(tmp_path / "lake")
    node = lake._caller._node
    node.ingestion.streams.create(
        {
            "DeliveryStreamName": "astray",
            "ExtendedS3DestinationConfiguration": {
                "RoleARN": "arn:aws:iam::000000000000:role/x",
                "BucketARN": "arn:aws:s3:::not-there-yet",
            },
        }
    )
    lake.put(b"later", stream="astray")
    lake.put([{"event_id": "e1", "event_type": "login"}])
    with pytest.raises(DeliveryFailed, match="astray"):
        lake.flush()
    assert lake.query(count)["n"].to_pylist() == [1]
    lake.put([{"event_id": "e2", "event_type": "login"}])
    lake.close()
    with lakelet.open(tmp_path / "lake") as lake:  # it let go of the folder
        assert lake.query(count)["n"].to_pylist() == [2]
        lake._caller._node.store.create_bucket("not-there-yet")
        lake.flush()
        assert len(list(lake._caller._node.store.list("not-there-yet"))) == 1
