"""The harness's short form. The long one: python -m tests.crash --rounds 200."""

import gzip
from pathlib import Path

import pytest

from tests.crash.harness import audit, run_episode
from tests.crash.server import PIPELINE, open_ingestion

SEED = 4121


@pytest.mark.e2e
def test_a_node_that_is_killed_loses_and_doubles_nothing(tmp_path) -> None:
    findings = run_episode(tmp_path / "lake", seed=SEED, kills=4)
    assert findings.is_sound, f"seed {SEED}: {findings}"
    assert findings.acknowledged > 1000
    assert findings.delivered >= findings.acknowledged


@pytest.fixture
def lake(tmp_path) -> Path:
    """One with three acknowledged records, two of them delivered."""
    ingestion, store = open_ingestion(tmp_path / "lake")
    ingestion.put_blocking(PIPELINE.name, [b'{"event_id":"p0-0"}', b'{"event_id":"p0-1"}'])
    ingestion.flush()
    ingestion.put_blocking(PIPELINE.name, [b'{"event_id":"p0-2"}'])
    ingestion.close(drain=False)
    store.close()
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "p0.acknowledged").write_text("p0-0\np0-1\np0-2\n")
    return tmp_path / "lake"


def look(lake: Path):
    return audit(lake, lake.parent / "notes", 0)


def test_the_audit_passes_a_sound_lake(lake) -> None:
    assert look(lake).is_sound


def test_the_audit_sees_a_lost_record(lake) -> None:
    (lake.parent / "notes" / "p1.acknowledged").write_text("p1-0\n")
    assert look(lake).lost == ["p1-0"]


def test_the_audit_sees_a_doubled_object(lake) -> None:
    (raw,) = (lake / "buckets" / PIPELINE.raw_bucket).rglob("clickstream-*.gz")
    raw.with_name("again.gz").write_bytes(raw.read_bytes())
    assert sorted(look(lake).doubled) == ["p0-0", "p0-1"]


def test_the_audit_sees_a_changed_object(lake) -> None:
    (raw,) = (lake / "buckets" / PIPELINE.raw_bucket).rglob("clickstream-*.gz")
    raw.write_bytes(gzip.compress(b'{"event_id":"p0-0"}\n'))
    findings = look(lake)
    assert findings.lost == ["p0-1"]
    assert len(findings.imbalances) == 2
