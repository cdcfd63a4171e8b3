"""Events as they are accepted: pause, filter; rejects beside them."""

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any

from fastapi import Request
from nicegui import ui

from lakelet.console import shell
from lakelet.console.facts.live import live, rejects
from lakelet.console.html import Html, ago, empty, join, state, table, tag
from lakelet.console.widgets import button
from lakelet.model.errors import LakeletError

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

REFRESH_SECONDS = 1.0
REJECTS_SECONDS = 8.0
KEPT = 400
SHOWN = 60
_FIRST = ("event_type", "timestamp", "user_id", "page_url", "product_name")


def register(node: "Node") -> None:
    @ui.page("/live")
    async def page(request: Request) -> None:
        subtitle = "As they are accepted; personal fields are hidden."
        with shell.page(node, request, "Live", subtitle):
            tail = Tail(node)
            with ui.element("div").classes("lk-row"):
                field = ui.input("Find").props("outlined dense clearable").classes("lk-filter")
                field.on_value_change(lambda event: tail.find(event.value or ""))
                tail.pause_button = button("Pause", tail.toggle)
            tail.shown = shell.show(Html("")).classes("lk-tail")
            with shell.section("Rejects", "The newest events that could not become rows."):
                tail.rejects = shell.show(Html(""))
            await tail.step()
            ui.timer(REFRESH_SECONDS, tail.step)
            ui.timer(0.2, tail.look_at_rejects, once=True)
            ui.timer(REJECTS_SECONDS, tail.look_at_rejects, immediate=False)


class Tail:
    """One open page's window on the stream."""

    shown: ui.html
    rejects: ui.html
    pause_button: ui.button

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._position = -1
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._wanted = ""
        self._paused = False
        self._skipped = 0

    async def step(self) -> None:
        if self._paused:
            return
        facts = await asyncio.to_thread(live, self._node, self._position)
        if facts["position"] == self._position:
            return
        self._position = facts["position"]
        self._skipped = facts["skipped"]
        self._kept.extend(facts["events"])
        self._draw()

    def toggle(self) -> None:
        self._paused = not self._paused
        self.pause_button.set_text("Go on" if self._paused else "Pause")
        self._draw()

    def find(self, text: str) -> None:
        self._wanted = text.lower()
        self._draw()

    async def look_at_rejects(self) -> None:
        try:
            found = await asyncio.to_thread(rejects, self._node)
        except LakeletError:
            found = []  # no quarantine table yet
        self.rejects.set_content(_rejects(found, self._node))

    def _draw(self) -> None:
        matching = [
            one
            for one in reversed(self._kept)
            if self._wanted in json.dumps(one["event"], ensure_ascii=False).lower()
        ]
        self.shown.set_content(self._drawn(matching))

    def _drawn(self, matching: list[dict[str, Any]]) -> Html:
        if not self._kept:
            return empty(
                "Nothing lies in the log.",
                "Events show here from their acceptance until their delivery. Send some: ",
                tag("code", "lakelet send events.ndjson"),
            )
        if not matching:
            return empty("None of the newest events matches.", "Find something else.")
        told = "paused" if self._paused else f"record {self._position:,}"
        if self._skipped:
            told += f"; {self._skipped:,} passed by unseen"
        rows = [(f"{one['position']:,}", *_cells(one["event"])) for one in matching[:SHOWN]]
        head = ("Record", *(name.replace("_", " ") for name in _FIRST), "More")
        status = state("idle" if self._paused else "busy", told)
        return join(tag("p", status), table(head, rows, right=(0,)))


def _cells(event: Any) -> list[str]:
    if not isinstance(event, dict):
        return [tag("em", str(event)), *[""] * len(_FIRST)]
    rest = {key: value for key, value in event.items() if key not in _FIRST and value is not None}
    details = tag("summary", f"{len(rest)} more")
    whole = tag("pre", json.dumps(rest, ensure_ascii=False, indent=1))
    first = [str(event.get(name) or "")[:60] for name in _FIRST]
    return [*first, tag("details", details, whole)]


def _rejects(found: list[dict[str, Any]], node: "Node") -> Html:
    if not found:
        return tag("p", state("ok", "None so far"))
    now = node.clock.now()
    rows = [
        (
            ago(one["received_at"] + "+00:00", now),
            tag("code", one["reason"]),
            one["field"] or "",
            one["message"],
        )
        for one in found
    ]
    more = tag("a", "Originals and replay: Health", href="/health")
    return join(table(("When", "Reason", "Field", "Why"), rows), tag("p", more))
