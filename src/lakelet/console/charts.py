"""Tables as ECharts options. Pure; the palette stands on light and dark ground alike."""

from collections.abc import Sequence
from typing import Any

from lakelet.console.results import is_numeric, shown

KINDS = ("line", "bar", "pie", "funnel", "heat map")
PALETTE = ("#22858b", "#c2763d", "#6b7fb8", "#8f9a3e", "#b0587f", "#5f8f6a", "#8a6fb0", "#b3923f")
POINTS_MAX = 2_000
_LINE = "#8a989b55"
_MUTED = "#74868b"

Option = dict[str, Any]


def suggest(table: Any) -> tuple[str, str | None, str | None]:
    """Kind, x and y for a table nobody has charted yet; y None where no number is."""
    numeric = [f.name for f in table.schema if is_numeric(f.type)]
    others = [f.name for f in table.schema if not is_numeric(f.type)]
    if not numeric:
        return "bar", others[0] if others else None, None
    x = others[0] if others else numeric[0]
    y = next((name for name in numeric if name != x), numeric[0])
    time_like = any(word in x.lower() for word in ("day", "date", "time", "hour", "month"))
    return ("line" if time_like else "bar"), x, y


def option(kind: str, table: Any, x: str, y: str, by: str | None = None) -> Option:
    """The chart of column `y` over column `x`, split by column `by` where given."""
    rows = table.slice(0, POINTS_MAX)
    xs = [shown(value) or "NULL" for value in rows.column(x).to_pylist()]
    ys = [_number(value) for value in rows.column(y).to_pylist()]
    if kind == "pie":
        return pie(xs, ys)
    if kind == "funnel":
        return funnel(xs, ys)
    bys = [shown(value) or "NULL" for value in rows.column(by).to_pylist()] if by else None
    if kind == "heat map" and bys is not None:
        return heat_map(xs, bys, ys)
    return series(kind if kind in ("line", "bar") else "bar", xs, ys, bys, name=y)


def series(
    kind: str, xs: Sequence[str], ys: Sequence[float], bys: Sequence[str] | None, *, name: str = ""
) -> Option:
    labels = list(dict.fromkeys(xs))
    groups = list(dict.fromkeys(bys)) if bys else [name]
    values: dict[tuple[str, str], float] = {}
    for i, x in enumerate(xs):
        values[bys[i] if bys else name, x] = ys[i]
    return {
        **_base(),
        "legend": _legend(groups) if len(groups) > 1 else {"show": False},
        "xAxis": _axis("category", data=labels),
        "yAxis": _axis("value"),
        "series": [
            {
                "type": kind,
                "name": group,
                "data": [values.get((group, label)) for label in labels],
                "showSymbol": len(labels) < 40,
                "symbolSize": 5,
                "barMaxWidth": 34,
                "stack": "all" if kind == "bar" and bys else None,
            }
            for group in groups[:12]
        ],
    }


def pie(xs: Sequence[str], ys: Sequence[float]) -> Option:
    return {
        **_base(),
        "legend": _legend(xs),
        "tooltip": {"trigger": "item"},
        "series": [
            {
                "type": "pie",
                "radius": ["42%", "72%"],
                "data": [{"name": x, "value": y} for x, y in zip(xs, ys, strict=True)],
                "label": {"color": _MUTED},
                "itemStyle": {"borderWidth": 1.5, "borderColor": "#f7f5ef22"},
            }
        ],
    }


def funnel(xs: Sequence[str], ys: Sequence[float]) -> Option:
    """Steps in the order given; each label says how many went on."""
    data: list[Option] = []
    before: float | None = None
    for x, y in zip(xs, ys, strict=True):
        share = f"  {y / before:.0%} went on" if before else ""
        ink = {"color": PALETTE[0], "opacity": max(0.45, 1 - 0.22 * len(data))}
        data.append({"name": f"{x}: {y:,.0f}{share}", "value": y, "itemStyle": ink})
        before = y
    return {
        **_base(),
        "tooltip": {"trigger": "item"},
        "series": [
            {
                "type": "funnel",
                "sort": "none",
                "left": "4%",
                "width": "52%",
                "top": 8,
                "bottom": 8,
                "gap": 3,
                "label": {"position": "right", "color": _MUTED},
                "labelLine": {"length": 12},
                "data": data,
            }
        ],
    }


def heat_map(xs: Sequence[str], ys: Sequence[str], values: Sequence[float]) -> Option:
    columns, rows = list(dict.fromkeys(xs)), list(dict.fromkeys(ys))
    data = [
        [columns.index(x), rows.index(y), value] for x, y, value in zip(xs, ys, values, strict=True)
    ]
    return {
        **_base(),
        "tooltip": {"position": "top"},
        "xAxis": _axis("category", data=columns),
        "yAxis": _axis("category", data=rows) | {"inverse": True},
        "visualMap": {
            "min": min(values, default=0),
            "max": max(values, default=1) or 1,
            "show": False,
            "inRange": {"color": ["#22858b18", "#22858b"]},
        },
        "series": [{"type": "heatmap", "data": data}],
    }


def sankey(steps: Sequence[tuple[str, str, float]]) -> Option:
    """(from, to, how many); names must not lead back to themselves."""
    names = list(dict.fromkeys(name for step in steps for name in step[:2]))
    return {
        **_base(),
        "tooltip": {"trigger": "item"},
        "series": [
            {
                "type": "sankey",
                "data": [{"name": name} for name in names],
                "links": [{"source": a, "target": b, "value": n} for a, b, n in steps],
                "label": {"color": _MUTED, "formatter": "{b}"},
                "lineStyle": {"color": "gradient", "opacity": 0.32},
                "nodeWidth": 10,
                "left": 4,
                "right": 120,
            }
        ],
    }


def _base() -> Option:
    return {
        "color": list(PALETTE),
        "grid": {"left": 8, "right": 16, "top": 28, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "animationDuration": 250,
        "aria": {"enabled": True},
    }


def _axis(kind: str, **more: Any) -> Option:
    return {
        "type": kind,
        "axisLine": {"lineStyle": {"color": _LINE}},
        "axisTick": {"show": False},
        "axisLabel": {"color": _MUTED, "hideOverlap": True},
        "splitLine": {"lineStyle": {"color": _LINE}, "show": kind == "value"},
        **more,
    }


def _legend(names: Sequence[str]) -> Option:
    return {
        "type": "scroll",
        "top": 0,
        "data": list(dict.fromkeys(names))[:12],
        "textStyle": {"color": _MUTED},
        "itemWidth": 12,
        "itemHeight": 8,
    }


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
