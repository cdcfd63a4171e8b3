"""Buckets, objects, tables and days."""

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui

from lakelet.console import shell
from lakelet.console.facts import data as facts
from lakelet.console.html import Html, ago, empty, join, number, size, state, table, tag
from lakelet.console.widgets import button, problem
from lakelet.model.errors import LakeletError

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Facts = dict[str, Any]


def register(node: "Node") -> None:
    @ui.page("/data")
    async def page(request: Request) -> None:
        query = request.query_params
        with shell.page(node, request, "Data", "What lies in the lake, day by day."):
            try:
                known = await asyncio.to_thread(
                    facts.data, node, query.get("bucket", ""), query.get("prefix", "")
                )
            except LakeletError as error:
                shell.show(problem(error.message, "Choose a bucket: /data"))
                return
            with shell.section("Tables"):
                if not known["tables"]:
                    shell.show(empty("No tables yet.", "The crawler finds them: lakelet crawl"))
                with ui.element("div").classes("lk-columns"):
                    for one in known["tables"]:
                        with ui.element("div").classes("lk-section"):
                            _table(node, one)
            with shell.section("Buckets"):
                shell.show(_buckets(known))
                shell.show(_listing(known["listing"], node))
                if query.get("key"):
                    await _preview(node, query["bucket"], query["key"])


def _table(node: "Node", one: Facts) -> None:
    days = {day["day"]: day for day in one["days"] if day["day"]}
    total_bytes = sum(day["bytes"] for day in one["days"])
    files = sum(day["files"] for day in one["days"])
    small = [day for day in one["days"] if day["small"]]
    counts = f"{one['partitions']:,} partitions, {files:,} files, {size(total_bytes)}"
    head = tag("div", tag("h3", one["name"]), tag("span", counts, cls="lk-muted"))
    shell.show(head)
    if small:
        told = f"Small files pile up on {len(small)} days: lakelet compact"
        shell.show(tag("p", state("warn", told)))
    if not days:
        return
    newest = date.fromisoformat(max(days))
    shown = shell.show(tag("div", _calendar(days, newest, {}), cls="lk-scroll", tabindex=0))
    details = ui.element("div").classes("lk-section")

    async def count() -> None:
        rows = await asyncio.to_thread(facts.day_rows, node, one["name"])
        calendar = _calendar(days, newest, rows)
        shown.set_content(tag("div", calendar, cls="lk-scroll", tabindex=0))

    async def look() -> None:
        details.clear()
        try:
            found = await asyncio.to_thread(facts.columns, node, one["name"])
        except LakeletError as error:
            with details:
                shell.show(problem(error.message, error.hint))
            return
        with details:
            shell.show(_columns(found))

    with ui.element("div").classes("lk-row"):
        button("Look at the columns", look)
    if "event_timestamp" in _column_names(node, one["name"]):
        ui.timer(0.4, count, once=True)


def _column_names(node: "Node", name: str) -> list[str]:
    known = node.catalog.get_table(node.pipeline.database, name)
    return [column["Name"] for column in known["StorageDescriptor"]["Columns"]]


def _calendar(days: dict[str, Facts], newest: date, rows: dict[str, tuple[int, int]]) -> Html:
    """A column a week, Monday on top; ink by bytes, a frame where small files pile up."""
    first = min(date.fromisoformat(min(days)), newest - timedelta(days=12 * 7))
    first -= timedelta(days=first.weekday())
    most = max((day["bytes"] for day in days.values()), default=0) or 1
    cells = []
    at = first
    while at <= newest:
        day = days.get(at.isoformat())
        ink = f"d{min(4, 1 + int(4 * day['bytes'] / most))}" if day and day["bytes"] else ""
        label = f"{at:%a %d %b %Y}: nothing"
        if day:
            counted, late = rows.get(at.isoformat(), (None, 0))
            label = f"{at:%a %d %b %Y}: {day['files']:,} files, {size(day['bytes'])}"
            if counted is not None:
                label += f", {counted:,} rows, {late / counted:.0%} a day late or more"
        small = " small" if day and day["small"] else ""
        cells.append(tag("i", cls=f"{ink}{small}", title=label))
        at += timedelta(days=1)
    told = f"Bytes by the day, {first:%d %b %Y} to {newest:%d %b %Y}"
    return tag("div", *cells, cls="lk-calendar", role="img", aria_label=told)


def _columns(found: list[Facts]) -> Html:
    rows = [
        (
            tag("code", one["name"]),
            one["type"],
            f"{one['null_share']:.0%}" if one["null_share"] else "none",
            number(one["distinct"]),
            (one["least"] or "")[:32],
            (one["greatest"] or "")[:32],
        )
        for one in found
    ]
    head = ("Column, last 7 days", "Type", "NULL", "Distinct, about", "Least", "Greatest")
    return table(head, rows, right=(2, 3))


def _buckets(known: Facts) -> Html:
    here = known["listing"]["bucket"]
    links = (
        tag(
            "a",
            name,
            cls="lk-button",
            href=_at(name, ""),
            aria_current="true" if name == here else None,
        )
        for name in known["buckets"]
    )
    return tag("div", *links, cls="lk-row")


def _listing(found: Facts, node: "Node") -> Html:
    bucket, prefix = found["bucket"], found["prefix"]
    crumbs = [tag("a", bucket, href=_at(bucket, ""))]
    parts = [part for part in prefix.split("/") if part]
    for i, part in enumerate(parts):
        crumbs += [Html(" / "), tag("a", part, href=_at(bucket, "/".join(parts[: i + 1]) + "/"))]
    now = node.clock.now()
    rows = [
        (tag("a", folder.removeprefix(prefix), href=_at(bucket, folder)), "", "")
        for folder in found["folders"]
    ] + [
        (
            tag("a", one["key"].removeprefix(prefix), href=_at(bucket, prefix, one["key"])),
            size(one["size_bytes"]),
            ago(one["modified_at"], now),
        )
        for one in found["objects"]
    ]
    listed = (
        table(("Name", "Size", "Written"), rows, right=(1, 2))
        if rows
        else empty("Nothing lies here.", "Objects appear as they are delivered.")
    )
    more = f"{found['left_out']:,} more are not shown." if found["left_out"] else ""
    return join(tag("p", *crumbs, cls="lk-mono"), listed, tag("p", more, cls="lk-muted"))


def _at(bucket: str, prefix: str, key: str = "") -> str:
    query = {"bucket": bucket, "prefix": prefix} | ({"key": key} if key else {})
    return f"/data?{urlencode(query)}#objects"


async def _preview(node: "Node", bucket: str, key: str) -> None:
    """Originals of the raw zone are shown only when asked for once more."""
    holder = ui.element("div").classes("lk-section").props("id=preview")

    async def look() -> None:
        try:
            found = await asyncio.to_thread(facts.preview, node, bucket, key)
        except (LakeletError, OSError, ValueError) as error:
            shown = problem(str(error), "The object may have expired.")
        else:
            shown = _object(found)
        holder.clear()
        with holder:
            shell.show(shown)

    if bucket == node.pipeline.raw_bucket:
        with holder:
            shell.show(tag("p", "Raw objects hold personal data as it was sent."))
            button("Show the original", look)
    else:
        await look()


def _object(found: Facts) -> Html:
    head = tag("h3", found["key"].rsplit("/", 1)[-1])
    if "text" in found:
        return join(head, tag("pre", found["text"], tabindex=0))
    groups = ", ".join(
        f"{g['rows']:,} rows in {size(g['bytes'])} ({g['compression']})"
        for g in found["row_groups"]
    )
    rows = found["first_rows"]
    names = [column["name"] for column in found["schema"]]
    first = table(names, [[row[name] or "" for name in names] for row in rows]) if rows else ""
    about = f"{found['rows']:,} rows, {size(found['size_bytes'])}; row groups: {groups}"
    return join(head, tag("p", about, cls="lk-muted"), first)
