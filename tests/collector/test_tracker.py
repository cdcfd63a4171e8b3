"""The committed tracker is small and is built from its source."""

from tests.collector.build_tracker import MINIFIED, build

BYTES_MAX = 3_000


def test_the_minified_tracker_is_the_source_minified():
    assert MINIFIED.read_text("utf-8") == build(), (
        "lakelet.js changed: run `python -m tests.collector.build_tracker`"
    )


def test_it_stays_under_3_kb():
    assert MINIFIED.stat().st_size < BYTES_MAX
