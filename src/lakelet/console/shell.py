"""What every page stands in: head, navigation, theme, keyboard help."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastapi import Request
from nicegui import ui

from lakelet.console.html import Html, tag

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

PAGES = (
    ("Overview", "/", "o"),
    ("Live", "/live", "l"),
    ("Data", "/data", "d"),
    ("Query", "/query", "q"),
    ("Insights", "/insights", "i"),
    ("Health", "/health", "h"),
)
_HEAD = (
    '<link rel="stylesheet" href="/_console/console.css">'
    '<script src="/_console/console.js" defer></script>'
)


@contextmanager
def page(node: "Node", request: Request, title: str, subtitle: str = "") -> Iterator[None]:
    """The shell of one page; what is built inside stands in its main column."""
    ui.add_head_html(_HEAD)
    ui.page_title(f"{title} · {node.pipeline.name}")
    dark = {"dark": True, "light": False}.get(request.cookies.get("lakelet_theme", ""))
    ui.dark_mode(dark)
    with ui.element("div").classes("lk-shell"):
        show(_navigation(node, title)).style("display: contents")
        with ui.element("div").classes("lk-main"):
            show(_head(title, subtitle))
            yield
    show(_help())


def show(content: Html) -> ui.html:
    """Our own HTML: every value in it went through `html.tag`, which escapes."""
    return ui.html(content, sanitize=False)


@contextmanager
def section(title: str, note: str = "") -> Iterator[None]:
    with ui.element("section").classes("lk-section"):
        remark = tag("p", note, cls="lk-muted lk-small") if note else ""
        show(tag("div", tag("h2", title), remark))
        yield


def live(seconds: float, draw: Callable[[], Html]) -> ui.html:
    """HTML that is drawn anew; `draw` runs in a thread, an error leaves what was there."""
    shown = show(draw())

    async def refresh() -> None:
        fresh = await asyncio.to_thread(draw)
        if fresh != shown.content:
            shown.set_content(fresh)

    ui.timer(seconds, refresh, immediate=False)
    return shown


def _navigation(node: "Node", current: str) -> Html:
    tabs = (
        tag(
            "a",
            name,
            cls="lk-tab",
            href=href,
            aria_current="page" if name == current else None,
            title=f"g {key}",
        )
        for name, href, key in PAGES
    )
    brand = tag(
        "a",
        tag("img", src="/_console/mark.svg", alt=""),
        node.pipeline.name,
        cls="lk-brand",
        href="/",
    )
    end = tag(
        "div",
        tag("button", "Light or dark", cls="lk-button", type="button", onclick="lakelet.theme()"),
        tag("span", "Keys: ?", cls="lk-muted lk-small"),
        cls="lk-end",
    )
    return tag("nav", brand, *tabs, end, cls="lk-nav", aria_label="Console")


def _head(title: str, subtitle: str) -> Html:
    return tag("header", tag("h1", title), tag("p", subtitle) if subtitle else "", cls="lk-head")


def _help() -> Html:
    rows = [(f"g {key}", name) for name, _, key in PAGES]
    rows += [("/", "Find"), ("Ctrl Enter", "Run the query"), ("Esc", "Close")]
    listed = (Html(tag("dt", tag("kbd", keys)) + tag("dd", name)) for keys, name in rows)
    return tag(
        "dialog",
        tag("h2", "Keys"),
        tag("dl", *listed),
        tag("form", tag("button", "Close", cls="lk-button"), method="dialog"),
        id="lk-help",
        aria_label="Keys",
    )
