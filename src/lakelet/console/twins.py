"""The pages' JSON twins: `/<name>.json` answers exactly what the page draws."""

from collections.abc import Callable, Mapping
from typing import Any

from lakelet.console.facts.data import data
from lakelet.console.facts.health import health
from lakelet.console.facts.insights import insights
from lakelet.console.facts.live import live
from lakelet.console.facts.overview import overview
from lakelet.console.facts.query import query

FACTS: Mapping[str, Callable[..., Any]] = {
    "overview": overview,
    "data": data,
    "health": health,
    "insights": insights,
    "live": live,
    "query": query,
}
