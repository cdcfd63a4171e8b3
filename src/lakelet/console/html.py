"""HTML as strings, escaped where values go in; and how numbers are shown."""

import html
import math
from collections.abc import Sequence
from datetime import datetime

VOID = frozenset({"br", "img", "input", "hr", "path"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, *children: str, cls: str = "", **attributes: str | int | float | None) -> Html:
    """An element. Children that are not Html are escaped; attributes of None are left out.

    A trailing `_` is dropped from attribute names and `_` inside becomes `-`.
    """
    named = {"class": cls or None, **attributes}
    text = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in named.items()
        if value is not None
    )
    if name in VOID:
        return Html(f"<{name}{text}>" if name != "path" else f"<{name}{text}/>")
    return Html(f"<{name}{text}>{join(*children)}</{name}>")


def join(*children: str) -> Html:
    return Html("".join(c if isinstance(c, Html) else html.escape(c) for c in children))


def number(value: float | None) -> str:
    """`1,234`, `12.4 M`, `0.35`; four characters or so of meaning."""
    if value is None:
        return "–"
    size = abs(value)
    for limit, unit in ((1e9, "G"), (1e6, "M")):
        if size >= limit:
            return f"{value / limit:.3g} {unit}"
    if size >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.2g}" if size < 10 else f"{value:.3g}"


def size(size_bytes: float) -> str:
    """`12.3 MB`, in powers of ten as AWS bills."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def dollars(value: float) -> str:
    return f"${value:,.2f}" if value >= 0.01 or value == 0 else "under 1¢"


def ago(instant: str | datetime | None, now: datetime) -> str:
    """`3 min ago`, in one piece."""
    if instant is None:
        return "never"
    at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    seconds = (now - at).total_seconds()
    for limit, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * limit or (unit == "min" and seconds >= limit):
            return f"{seconds / limit:.0f}\u00a0{unit}\u00a0ago"
    return f"{max(0, seconds):.0f}\u00a0s\u00a0ago"


def sparkline(values: Sequence[float], label: str) -> Html:
    """A line with its area, the last hour from left to right."""
    width, height = 100.0, 30.0
    most = max([*values, 0.0]) or 1.0
    step = width / max(1, len(values) - 1)
    points = [(i * step, height - 2 - (height - 5) * v / most) for i, v in enumerate(values)]
    line = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    area = f"{line} L{width:.1f} {height:.0f} L0 {height:.0f} Z"
    return tag(
        "svg",
        tag("path", cls="area", d=area),
        tag("path", cls="line", d=line),
        cls="lk-spark",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def figures(*pairs: tuple[str, str, str]) -> Html:
    """A row of name, number, remark."""
    cells = (
        tag("div", tag("dt", name), tag("dd", shown, tag("small", remark) if remark else ""))
        for name, shown, remark in pairs
    )
    return tag("dl", *cells, cls="lk-figures")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> Html:
    """`right`: which columns hold numbers."""

    def cell(name: str, index: int, text: str) -> Html:
        return tag(name, text, cls="n" if index in right else "")

    top = tag("tr", *(cell("th", i, text) for i, text in enumerate(head)))
    body = (tag("tr", *(cell("td", i, text) for i, text in enumerate(row))) for row in rows)
    made = tag("table", tag("thead", top), tag("tbody", *body), cls="lk-table")
    return tag("div", made, cls="lk-scroll", tabindex=0, role="region", aria_label=head[0])


def state(kind: str, word: str) -> Html:
    """ok, idle, busy, warn or bad: a shape, a colour and a word."""
    return tag("span", word, cls=f"lk-state {kind}")


def empty(title: str, *children: str) -> Html:
    """Nothing here, and what to do about it."""
    return tag("div", tag("strong", title), tag("span", *children), cls="lk-empty")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
