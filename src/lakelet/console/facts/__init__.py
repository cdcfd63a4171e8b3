"""What the pages show, as plain data: `/<name>.json` answers exactly this."""

from collections.abc import Callable, Mapping
from typing import Any

from lakelet.console.facts.overview import overview

FACTS: Mapping[str, Callable[..., Any]] = {
    "overview": overview,
}
