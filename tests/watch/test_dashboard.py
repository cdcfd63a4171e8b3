"""The Grafana dashboard asks only for what a node tells; the docs name only what is there."""

import json
import re
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lakelet.testing.clock import ManualClock
from lakelet.watch.alarms import shipped_alarms
from lakelet.watch.exposition import render
from lakelet.watch.names import KNOWN
from lakelet.watch.registry import Metrics

DOCS = Path(__file__).parents[2] / "docs"


def told() -> set[str]:
    """Every sample name a scrape may hold."""
    metrics = Metrics(ManualClock())
    for measure in KNOWN.values():
        metrics.record(measure, 1, *("x" for _ in measure.dimension_names))
    body, _ = render(metrics, "application/openmetrics-text")
    families = text_string_to_metric_families(body.decode())
    return {sample.name for family in families for sample in family.samples}


def test_each_panel_asks_for_metrics_that_are_told():
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    names, places = told(), set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            asked = set(re.findall(r"\b(?:aws|lakelet)_\w+", target["expr"]))
            assert asked and asked <= names, (panel["title"], asked - names)
        place = panel["gridPos"]
        places |= {(place["x"] + dx, place["y"]) for dx in range(place["w"])}
        assert place["x"] + place["w"] <= 24
    assert len(places) == sum(panel["gridPos"]["w"] for panel in dashboard["panels"])


def test_the_documentation_names_every_metric_and_every_alarm():
    text = (DOCS / "observability.md").read_text()
    for namespace, name in KNOWN:
        short = f"`.{name.split('.', 1)[-1]}`" if "." in name else ""
        family = f"`{name.split('.')[0]}.*`"
        assert f"`{name}`" in text or (short and short in text) or family in text, name
        assert f"`{namespace}`" in text
    for alarm in shipped_alarms("clickstream"):
        assert f"`{alarm.name}`" in text
