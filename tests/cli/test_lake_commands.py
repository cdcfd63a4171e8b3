"""quarantine, replay, reprocess, backfill …: as their user meets them."""

import gzip
import json
import shutil

from tests.cli.test_commands import lakelet
from tests.node.test_lake_operations import DAY, NEW_CONTRACT, event, old_lake


def test_from_quarantine_to_rows(tmp_path):
    folder = old_lake(tmp_path / "lake")
    shown = lakelet("quarantine", cwd=tmp_path).stdout.decode()
    assert "event_time" in shown
    assert "2031" in shown, "a sample of each reason"
    (folder / "lakelet.toml").write_text(NEW_CONTRACT)
    planned = lakelet("replay", "--where", "reason = 'event_time'", "--dry-run", cwd=tmp_path)
    assert "1 of 1 raw objects would change" in planned.stdout.decode()
    told = lakelet("replay", "--where", "reasn = 'x'", cwd=tmp_path, status=1).stderr.decode()
    assert "no column 'reasn'" in told
    assert "offset_bytes" in told
    done = lakelet("replay", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["rescued"] == 1


def test_days_the_wrong_way_round_are_refused(tmp_path):
    days = ("--from", DAY, "--to", "2026-03-01")
    told = lakelet("reprocess", *days, cwd=tmp_path, status=2).stderr.decode()
    assert "before" in told


def test_backfill_takes_up_what_was_copied_in(tmp_path):
    folder = old_lake(tmp_path / "lake")
    raw = folder / "buckets" / "clickstream-raw"
    [first, *_] = sorted(raw.rglob("*.gz"))
    shutil.copy(first, raw / "copied.gz")
    (raw / "by-hand.json").write_bytes(
        gzip.compress(b"\n".join(json.dumps(event(n)).encode() for n in range(50, 60)))
    )
    done = lakelet("backfill", cwd=tmp_path).stdout.decode()
    assert "2 raw objects: 12 events = 11 rows" in done
    assert "0 raw objects" in lakelet("backfill", cwd=tmp_path).stdout.decode()
    lakelet("backfill", "--engine", "hadoop", cwd=tmp_path, status=2)
