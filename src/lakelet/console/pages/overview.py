"""The pipeline drawn as it is: a river with eight stations."""

from typing import TYPE_CHECKING, Any

from fastapi import Request
from nicegui import ui

from lakelet.console import shell
from lakelet.console.facts.overview import overview
from lakelet.console.html import (
    Html,
    dollars,
    empty,
    figures,
    join,
    number,
    sparkline,
    state,
    table,
    tag,
)

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

REFRESH_SECONDS = 2.0
ENDS = (("rows", "water"), ("duplicates", "muted"), ("quarantined", "warn"), ("dropped", "line"))


def register(node: "Node") -> None:
    @ui.page("/")
    def page(request: Request) -> None:
        with shell.page(node, request, "Overview"):
            shell.live(REFRESH_SECONDS, lambda: draw(overview(node))).style("display: contents")


def draw(facts: dict[str, Any]) -> Html:
    return join(
        _summary(facts),
        tag("ol", *(_stage(stage) for stage in facts["stages"]), cls="lk-river"),
        tag("div", _ledger(facts), _bill(facts["bill"]), cls="lk-columns"),
    )


def _summary(facts: dict[str, Any]) -> Html:
    alarms = facts["alarms"]
    if not alarms:
        calm = state("ok", f"All {facts['alarms_watched']} alarms are quiet")
        return tag("p", calm, role="status")
    lines = (
        tag("p", tag("strong", alarm["name"]), f": {alarm['description'] or alarm['reason']}")
        for alarm in alarms
    )
    return tag("div", *lines, cls="lk-alert", role="alert")


def _stage(stage: dict[str, Any]) -> Html:
    flows = " flows" if stage["flow"] else ""
    tone = stage["state"] if stage["state"] in ("warn", "bad") else ""
    width = 2 + round(8 * stage["flow"])
    label = f"{stage['title']}: the last hour, minute by minute"
    return tag(
        "li",
        tag(
            "a",
            tag("h3", stage["title"]),
            tag("div", number(stage["value"]), cls="lk-value"),
            tag("span", stage["unit"], cls="lk-unit"),
            sparkline(stage["spark"], label),
            tag("span", stage["note"], cls=f"lk-note {tone}"),
            href=stage["href"],
        ),
        cls=f"lk-stage {stage['state']}{flows}",
        style=f"--flow: {width}px",
    )


def _ledger(facts: dict[str, Any]) -> Html:
    ledger = facts["ledger"]
    title = tag("h2", "The ledger")
    if not ledger["events"]:
        nothing = empty(
            "No event has arrived yet.",
            "Point any AWS SDK here with ",
            tag("code", 'eval "$(lakelet env)"'),
            ", or send a file: ",
            tag("code", "lakelet send events.ndjson"),
        )
        return tag("section", title, nothing, cls="lk-section")
    balanced = (
        state("ok", "Every event is accounted for")
        if ledger["imbalance"] == 0
        else state("bad", f"{ledger['imbalance']:,} events are unaccounted for: lakelet audit")
    )
    bars = (
        tag("span", style=f"flex: {ledger[name]}; background: var(--{colour})")
        for name, colour in ENDS
        if ledger[name]
    )
    shown = figures(
        ("Events read", number(ledger["events"]), ""),
        *((name.capitalize(), number(ledger[name]), "") for name, _ in ENDS),
    )
    strip = tag("div", *bars, cls="lk-ledger", role="img", aria_label="Where events ended")
    return tag("section", title, balanced, strip, shown, cls="lk-section")


def _bill(bill: dict[str, Any] | None) -> Html:
    title = tag("h2", "The same month on AWS")
    if bill is None:
        return tag(
            "section",
            title,
            empty("No traffic to price yet.", "An hour of it gives a first estimate."),
            cls="lk-section",
        )
    rows = [
        (line["component"], dollars(line["dollars"]))
        for line in bill["lines"]
        if line["dollars"] >= 0.005
    ]
    thin = bill["observed_days"] < 1
    remark = f"{bill['region']}, list prices of {bill['prices_date']}" + (
        f"; from {bill['observed_days'] * 24:.0f} h of traffic, so a guess" if thin else ""
    )
    growth = ", ".join(f"× {g['factor']:g}: {dollars(g['dollars'])}" for g in bill["growth"][1:])
    advice = (
        tag("p", tag("strong", a["title"]), f" ({dollars(a['dollars_saved'])} a month)")
        for a in bill["advice"][:2]
    )
    return tag(
        "section",
        title,
        figures(("A month", dollars(bill["dollars"]), remark)),
        table(("Component", "Dollars"), rows[:6], right=(1,)),
        tag("p", f"With more traffic {growth}", cls="lk-muted lk-small"),
        *advice,
        cls="lk-section",
    )
