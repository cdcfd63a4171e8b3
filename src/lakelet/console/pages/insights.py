"""What the visitors do: each chart shows its SQL, and none waits for another."""

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi import Request
from nicegui import ui

from lakelet.console import charts, shell
from lakelet.console.facts import insights as facts
from lakelet.console.html import Html, dollars, empty, figures, number, state, table, tag
from lakelet.console.results import is_numeric, shown
from lakelet.console.widgets import problem
from lakelet.model.errors import LakeletError

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

RANGES = (("7 days", 7), ("4 weeks", 28), ("3 months", 91), ("a year", 365))
_MONEY = ("revenue",)


def register(node: "Node") -> None:
    @ui.page("/insights")
    async def page(request: Request) -> None:
        with shell.page(node, request, "Insights"):
            last = await asyncio.to_thread(facts.newest_day, node)
            if not facts.fits(node):
                told = "These questions are asked of the shipped contract's table, events."
                shell.show(empty("This lake has another contract.", told, " Ask yours in Query."))
                return
            if last is None:
                shell.show(empty("No day has rows yet.", "They come with the first crawl."))
                return
            await Board(node, last, dict(request.query_params)).build()


class Board:
    """One open page: a range, a segment, and a panel an insight."""

    def __init__(self, node: "Node", last: date, query: dict[str, str]) -> None:
        self._node, self._last, self._query = node, last, query
        days = query.get("days", "28")
        self._days = int(days) if days.isdigit() and 0 < int(days) <= 3660 else 28
        self._segment, self._value = query.get("segment", ""), query.get("value", "")
        self._first = last - timedelta(days=self._days - 1)
        self._clause = facts.where(self._first, last, self._segment, self._value)

    async def build(self) -> None:
        shell.show(self._ranges())
        await self._segments()
        with ui.element("div").classes("lk-board"):
            for insight in facts.INSIGHTS:
                self._panel(insight)

    def _ranges(self) -> Html:
        links = (
            tag(
                "a",
                name,
                cls=f"lk-button{' lk-primary' * (days == self._days)}",
                href=self._at(days=str(days)),
                aria_current="true" if days == self._days else None,
            )
            for name, days in RANGES
        )
        told = f"{self._first:%d %b %Y} to {self._last:%d %b %Y}"
        return tag("div", *links, tag("span", told, cls="lk-muted"), cls="lk-row")

    async def _segments(self) -> None:
        names = [name.replace("_", " ") for name in facts.SEGMENTS]
        whole = facts.where(self._first, self._last)
        with ui.element("div").classes("lk-row"):
            labels = {"": "Everybody", **dict(zip(facts.SEGMENTS, names, strict=True))}
            ui.select(labels, label="Only those of a", value=self._segment or "").props(
                "outlined dense"
            ).classes("lk-choice").on_value_change(
                lambda event: ui.navigate.to(self._at(segment=event.value, value=""))
            )
            if self._segment in facts.SEGMENTS:
                values = await asyncio.to_thread(facts.values_of, self._node, self._segment, whole)
                chosen = self._value if self._value in values else None
                ui.select(values, label=labels[self._segment], value=chosen).props(
                    "outlined dense"
                ).classes("lk-choice").on_value_change(
                    lambda event: ui.navigate.to(self._at(value=event.value))
                )

    def _at(self, **changes: str) -> str:
        query = {"days": str(self._days), "segment": self._segment, "value": self._value}
        return "/insights?" + urlencode({k: v for k, v in {**query, **changes}.items() if v})

    def _panel(self, insight: facts.Insight) -> None:
        sql = facts.sql_of(insight, self._clause)
        wide = " lk-wide" if insight.kind in ("figures", "sankey", "heat map") else ""
        with ui.element("section").classes(f"lk-section{wide}"):
            again = tag("a", "Its SQL", href=f"/query?sql={quote(sql)}", cls="lk-small")
            shell.show(tag("div", tag("h2", insight.title), again, cls="lk-head"))
            holder = ui.element("div").classes("lk-panel")
            with holder:
                shell.show(state("busy", "asking …"))

        async def fill() -> None:
            try:
                answer = await asyncio.to_thread(facts.ask, self._node, insight, self._clause)
            except LakeletError as error:
                holder.clear()
                with holder:
                    shell.show(problem(error.message, error.hint))
                return
            holder.clear()
            with holder:
                draw(insight, answer)

        ui.timer(0.05, fill, once=True)


def draw(insight: facts.Insight, answer: Any) -> None:
    """An answer in the shape its insight asks for."""
    if not answer.num_rows:
        shell.show(empty("Nothing in this range.", "Choose a longer one."))
    elif insight.kind == "figures":
        shell.show(_figures(answer))
    elif insight.kind == "table":
        shell.show(_table(answer))
    elif insight.kind == "triangle":
        shell.show(_triangle(answer))
    else:
        ui.echart(_option(insight, answer), renderer="svg").classes("lk-chart")


def _option(insight: facts.Insight, answer: Any) -> dict[str, Any]:
    names = answer.column_names
    if insight.kind == "sankey":
        links = [
            (f"{row['step']} {row['origin']}", f"{row['step'] + 1} {row['target']}", n)
            for row in answer.to_pylist()
            if (n := row["sessions"])
        ]
        return charts.sankey(links)
    if insight.kind == "heat map":
        return charts.option("heat map", answer, names[0], names[2], names[1])
    if len(names) > 2:  # several measures over one column
        xs = [shown(value) or "" for value in answer.column(0).to_pylist()]
        long_xs, long_ys, long_names = [], [], []
        for name in names[1:]:
            long_xs += xs
            long_ys += [float(value or 0) for value in answer.column(name).to_pylist()]
            long_names += [name] * len(xs)
        return charts.series(insight.kind, long_xs, long_ys, long_names)
    return charts.option(insight.kind, answer, names[0], names[1])


def _figures(answer: Any) -> Html:
    (row,) = answer.slice(0, 1).to_pylist()
    words = ((name.replace("_", " ").capitalize(), _said(name, row[name]), "") for name in row)
    return figures(*words)


def _said(name: str, value: Any) -> str:
    if name in _MONEY:
        return dollars(float(value or 0))
    if name == "conversion":
        return f"{float(value or 0):.1%}"
    return number(float(value or 0))


def _table(answer: Any) -> Html:
    right = [i for i, field in enumerate(answer.schema) if is_numeric(field.type)]
    rows = [
        [
            dollars(value)
            if name in _MONEY and value is not None
            else number(value)
            if i in right
            else (shown(value) or "")
            for i, (name, value) in enumerate(row.items())
        ]
        for row in answer.to_pylist()
    ]
    return table([name.capitalize() for name in answer.column_names], rows, right=right)


def _triangle(answer: Any) -> Html:
    """Cohorts down, weeks across; the share of a cohort that came back."""
    cohorts: dict[str, dict[int, int]] = {}
    for row in answer.to_pylist():
        cohorts.setdefault(str(row["cohort"])[:10], {})[int(row["week"])] = int(row["users"])
    weeks = max((max(found) for found in cohorts.values()), default=0)
    rows = []
    for cohort, found in cohorts.items():
        size = found.get(0, 0)
        cells = [
            _share(found.get(week, 0) / size) if size and week in found else ""
            for week in range(1, weeks + 1)
        ]
        rows.append([cohort, number(size), *cells])
    head = ("First week", "Visitors", *(f"+{week}" for week in range(1, weeks + 1)))
    return table(head, rows, right=range(1, weeks + 2))


def _share(share: float) -> Html:
    mix = round(min(1.0, share) * 45)
    style = f"background: color-mix(in srgb, var(--water) {mix}%, transparent)"
    return tag("span", f"{share:.0%}", cls="lk-share", style=style)
