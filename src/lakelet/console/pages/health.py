"""Alarms, the ledger day by day, quarantine, dead letters, crawls, storage, settings."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from fastapi import Request
from nicegui import ui

from lakelet.console import shell
from lakelet.console.facts import health as facts
from lakelet.console.html import Html, ago, empty, join, number, size, state, table, tag
from lakelet.console.widgets import button, problem
from lakelet.model.errors import LakeletError
from lakelet.node.operations import run_operation
from lakelet.node.report import deleted

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Facts = dict[str, Any]
REFRESH_SECONDS = 5.0
STREAMS_SHOWN = 50
_STATES = {"OK": "ok", "ALARM": "bad", "INSUFFICIENT_DATA": "idle"}
_SAID = {"OK": "quiet", "ALARM": "alarm", "INSUFFICIENT_DATA": "no data yet"}


def register(node: "Node") -> None:
    @ui.page("/health")
    async def page(request: Request) -> None:
        known = await asyncio.to_thread(facts.health, node)
        with shell.page(node, request, "Health", "What watches over the lake, and what to do."):
            shell.live(REFRESH_SECONDS, lambda: _vital(facts.health(node), node)).classes(
                "lk-section lk-stack"
            )
            with shell.section("Quarantine", "Events that could not become rows, kept as sent."):
                _quarantine(node, known)
            with shell.section("Dead letters", "Raw objects given up after their retries."):
                _dead_letters(node, known)
            with shell.section("Audit"):
                _audit(node)
            shell.show(_settings(known))


def _vital(known: Facts, node: "Node") -> Html:
    return join(
        tag("section", tag("h2", "Alarms"), _alarms(known, node), cls="lk-section"),
        tag("section", tag("h2", "Delivery streams"), _streams(known, node), cls="lk-section"),
        tag("section", tag("h2", "The ledger, by day of arrival"), _days(known), cls="lk-section"),
        tag(
            "div",
            tag("section", tag("h2", "Crawls"), _crawl(known, node), cls="lk-section"),
            tag("section", tag("h2", "Storage"), _storage(known), cls="lk-section"),
            cls="lk-columns",
        ),
    )


def _alarms(known: Facts, node: "Node") -> Html:
    now = node.clock.now()
    rows = [
        (
            state(_STATES[alarm["state"]], _SAID[alarm["state"]]),
            tag("strong", alarm["name"]),
            alarm["description"] if alarm["state"] != "ALARM" else alarm["reason"],
            ago(alarm["since"], now),
        )
        for alarm in sorted(known["alarms"], key=lambda a: (a["state"] != "ALARM", a["name"]))
    ]
    past = known["alarm_history"]
    last = f"Last change: {past[0]['alarm']}, {past[0]['summary']}." if past else ""
    shown = table(("State", "Alarm", "What it watches", "Since"), rows)
    return join(shown, tag("p", last, cls="lk-muted lk-small"))


def _streams(known: Facts, node: "Node") -> Html:
    """Those that fail first, then those that hold most."""
    now = node.clock.now()
    ordered = sorted(
        known["streams"], key=lambda s: (not s["last_error"], -s["buffered_records"], s["name"])
    )
    rows = [
        (
            _stream_state(stream),
            tag("strong", stream["name"]),
            number(stream["accepted_records"]),
            number(stream["buffered_records"]),
            stream["last_error"] or deleted(stream),
            ago(stream["failing_since"], now) if stream["last_error"] else "",
        )
        for stream in ordered[:STREAMS_SHOWN]
    ]
    head = ("State", "Stream", "Accepted", "Buffered", "Last error", "Since")
    return table(head, rows, right=(2, 3))


def _stream_state(stream: Facts) -> Html:
    if stream["last_error"]:
        return state("bad", "fails")
    if stream["status"] == "ACTIVE":
        return state("ok", "delivers")
    return state("warn", stream["status"].lower())


def _days(known: Facts) -> Html:
    days = known["days"]
    if not days:
        return empty("Nothing has been transformed yet.", "Rows appear here with the first object.")
    rows = [
        (
            day["day"],
            number(day["events"]),
            number(day["rows"]),
            number(day["duplicates"]),
            number(day["quarantined"]),
            number(day["dropped"]),
            state("ok", "balances")
            if day["imbalance"] == 0
            else state("bad", f"{day['imbalance']:,} unaccounted for"),
        )
        for day in days
    ]
    head = ("Day", "Events", "Rows", "Duplicates", "Quarantined", "Dropped", "Balance")
    return table(head, rows, right=(1, 2, 3, 4, 5))


def _crawl(known: Facts, node: "Node") -> Html:
    crawl, now = known["crawl"], node.clock.now()
    if crawl["last_error"]:
        first: Html = problem(crawl["last_error"], "The next crawl tries again: lakelet crawl")
    else:
        first = tag(
            "p", state("ok", f"{crawl['runs']:,} crawls, last {ago(crawl['last_at'], now)}")
        )
    lines = (tag("li", line) for line in crawl["last_lines"][:12])
    rows = [(one["what"], one["when"], _in(one["next_at"], now)) for one in known["schedules"]]
    return join(first, tag("ul", *lines, cls="lk-small"), table(("What", "When", "Next"), rows))


def _in(instant: str | None, now: Any) -> str:
    from datetime import datetime

    if instant is None:
        return "–"
    minutes = (datetime.fromisoformat(instant) - now).total_seconds() / 60
    return f"in {minutes:.0f} min" if minutes < 120 else f"in {minutes / 60:.0f} h"


def _storage(known: Facts) -> Html:
    storage = known["storage"]
    used = storage["disk_used_percent"]
    disk = "" if used is None else state("ok" if used < 90 else "bad", f"Disk {used:.0f} % full")
    if not storage["buckets"]:
        return join(
            tag("p", disk), empty("Not weighed yet.", "Buckets are weighed soon after the start.")
        )
    rows = [
        (
            one["bucket"],
            size(one["bytes"]),
            "–" if one["bytes_in_a_month"] is None else size(one["bytes_in_a_month"]),
        )
        for one in storage["buckets"]
    ]
    return join(tag("p", disk), table(("Bucket", "Now", "In 30 days"), rows, right=(1, 2)))


def _quarantine(node: "Node", known: Facts) -> None:
    reasons = known["quarantine"]
    if not reasons:
        shell.show(tag("p", state("ok", "Nothing is quarantined")))
        return
    most = max(reasons.values())
    holder = ui.element("div").classes("lk-section")
    with ui.element("div").classes("lk-section"):
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
            with ui.element("div").classes("lk-row"):
                bar = tag("span", cls="lk-bar", style=f"width: {round(160 * count / most)}px")
                shell.show(tag("span", tag("code", reason), f" {count:,} ", bar))
                button("Samples", lambda r=reason: _samples(node, r, holder))
                button("Replay …", lambda r=reason: _wizard(node, r, holder))
    holder.move(target_index=-1)


async def _samples(node: "Node", reason: str, holder: ui.element) -> None:
    """Originals hold personal data: they are shown on this click, and nowhere else."""
    try:
        found = await asyncio.to_thread(facts.samples, node, reason)
    except LakeletError as error:
        shown = problem(error.message, error.hint)
    else:
        shown = join(
            tag("h3", f"The newest with reason {reason}"),
            *(
                join(
                    tag("p", f"{one.get('message', '')} {one.get('field', '')}", cls="lk-small"),
                    tag("pre", one["raw"], tabindex=0),
                )
                for one in found
            ),
        )
    holder.clear()
    with holder:
        shell.show(shown)


async def _wizard(node: "Node", reason: str, holder: ui.element) -> None:
    """First a dry run; what it says decides."""
    holder.clear()
    with holder:
        shell.show(tag("h3", f"Replay what was quarantined for {reason}"))
        told = shell.show(state("busy", "Trying, nothing is changed …"))
    report = await _replay(node, reason, dry_run=True)
    told.set_content(report)

    async def carry_out() -> None:
        told.set_content(state("busy", "Replaying …"))
        told.set_content(await _replay(node, reason, dry_run=False))

    with holder:
        button("Replay for good", carry_out, primary=True)


async def _replay(node: "Node", reason: str, *, dry_run: bool) -> Html:
    quoted = reason.replace("'", "''")
    arguments = {"where": f"reason = '{quoted}'", "dry_run": dry_run}
    try:
        report = await asyncio.to_thread(run_operation, node, "replay", arguments)
    except LakeletError as error:
        return problem(error.message, error.hint)
    return tag("pre", json.dumps(report, indent=1, default=str), tabindex=0)


def _dead_letters(node: "Node", known: Facts) -> None:
    letters = known["dead_letters"]
    if not letters:
        shell.show(tag("p", state("ok", "None")))
        return
    now = node.clock.now()
    rows = [
        (tag("code", one["key"]), number(one["attempts"]), ago(one["since"], now), one["error"])
        for one in letters[:50]
    ]
    shown = shell.show(table(("Raw object", "Attempts", "Since", "Last error"), rows, right=(1,)))

    async def redrive() -> None:
        count = await asyncio.to_thread(node.queue.redrive)
        shown.set_content(tag("p", state("busy", f"{count:,} are tried again")))

    button("Try them again", redrive)


def _audit(node: "Node") -> None:
    shell.show(tag("p", "Reads every manifest and adds the whole ledger up.", cls="lk-muted"))
    holder = ui.element("div").classes("lk-section")

    async def run() -> None:
        holder.clear()
        with holder:
            told = shell.show(state("busy", "Adding up …"))
        try:
            report = await asyncio.to_thread(run_operation, node, "audit", {})
        except LakeletError as error:
            told.set_content(problem(error.message, error.hint))
            return
        verdict = (
            state("ok", "balances") if report["balanced"] else state("bad", "does not balance")
        )
        lines = (tag("p", line) for line in report["problems"][:20])
        told.set_content(join(tag("p", verdict), tag("p", report["line"]), *lines))

    button("Audit now", run)


def _settings(known: Facts) -> Html:
    shown = tag("pre", json.dumps(known["settings"], indent=1, default=str), tabindex=0)
    summary = tag("summary", "Settings in force")
    return tag("details", summary, shown)
