"""The few controls that pages share."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from lakelet.console.html import Html, tag


def button(text: str, act: Callable[..., Any], *, primary: bool = False) -> ui.button:
    kind = "lk-button lk-primary" if primary else "lk-button"
    return ui.button(text, on_click=act, color=None).props("unelevated no-caps").classes(kind)


def select(label: str, options: list[str], value: str | None) -> ui.select:
    chosen = value if value in options else options[0]
    return ui.select(options, label=label, value=chosen).props("outlined dense options-dense")


def problem(message: str, hint: str = "") -> Html:
    """What went wrong, and what to do."""
    more = tag("p", hint, cls="lk-muted") if hint else ""
    return tag("div", tag("p", message), more, cls="lk-alert", role="alert")
