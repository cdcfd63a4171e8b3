"""SQL at the desk: editor, grid, chart, history. Nothing here waits for a query."""

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from fastapi import Request
from nicegui import ui

from lakelet.console import charts, shell
from lakelet.console.facts import query as facts
from lakelet.console.html import Html, ago, dollars, empty, size, state, table, tag
from lakelet.console.memory import Memory
from lakelet.console.results import Results, is_numeric
from lakelet.console.widgets import button, problem, select
from lakelet.model.errors import LakeletError
from lakelet.node.operations import run_operation

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

POLL_SECONDS = 0.15
FIRST_SQL = "SELECT event_type, count(*) AS events\nFROM events\nGROUP BY 1\nORDER BY 2 DESC"
_WORDS = {"SUCCEEDED": "ok", "FAILED": "bad", "CANCELLED": "warn", "RUNNING": "busy"}


def register(node: "Node", results: Results, memory: Memory) -> None:
    @ui.page("/query")
    async def page(request: Request) -> None:
        with shell.page(node, request, "Query", "Athena's SQL. Ctrl Enter runs it."):
            desk = Desk(node, results, memory)
            await desk.build(request.query_params.get("sql") or memory.get("sql") or FIRST_SQL)


class Desk:
    """One open page: what it shows and the query it waits for."""

    def __init__(self, node: "Node", results: Results, memory: Memory) -> None:
        self._node, self._results, self._memory = node, results, memory
        self._execution = ""
        self._started = 0.0
        self._table: Any = None

    async def build(self, sql: str) -> None:
        known = await asyncio.to_thread(facts.query, self._node)
        with ui.element("div").classes("lk-desk"):
            with ui.element("div").classes("lk-section"):
                with ui.element("div").classes("lk-editor"):
                    self._editor = ui.codemirror(
                        sql, language="SQL", theme="eclipse", line_wrapping=True
                    )
                    self._editor.map_key("Mod-Enter", self._run)
                self._buttons()
                self._status = shell.show(Html("")).props("role=status aria-live=polite")
                self._answer = ui.element("div").classes("lk-section")
            with ui.element("aside").classes("lk-section lk-schema").props("aria-label=Tables"):
                self._schema(known["tables"])
        with shell.section("Saved and past queries"):
            self._past = ui.element("div").classes("lk-section")
            self._list_past(known)
        ui.timer(0.3, lambda: self._complete(known["tables"]), once=True)

    def _buttons(self) -> None:
        with ui.element("div").classes("lk-row"):
            self._run_button = button("Run", self._run, primary=True)
            self._stop_button = button("Cancel", self._cancel)
            self._stop_button.set_enabled(False)
            button("Plan", self._plan)
            button("Price", self._price)
            button("Save", self._save)
            button("Copy as Python", self._as_python)

    def _schema(self, known: list[dict[str, Any]]) -> None:
        if not known:
            shell.show(empty("No tables yet.", "The crawler finds them once events have landed."))
        for one in known:
            columns = [
                tag("li", tag("code", c["name"]), " ", tag("span", c["type"], cls="lk-muted"))
                for c in one["columns"]
            ]
            shown = tag("summary", tag("strong", one["name"]), f" {len(columns)} columns")
            opened = "" if one["name"] == "events" else None
            shell.show(tag("details", shown, tag("ul", *columns), open=opened))

    async def _complete(self, known: list[dict[str, Any]]) -> None:
        words = {one["name"]: [column["name"] for column in one["columns"]] for one in known}
        dark = await ui.run_javascript(
            f"lakelet.complete({self._editor.id}, {json.dumps(words)})", timeout=5.0
        )
        if dark:
            self._editor.set_theme("githubDark")

    # --- running ---

    async def _run(self) -> None:
        await self._start(self._editor.value)

    async def _plan(self) -> None:
        await self._start(f"EXPLAIN {self._editor.value}")

    async def _price(self) -> None:
        """Before it runs: planned only."""
        arguments = {"sql": self._editor.value}
        try:
            found = await asyncio.to_thread(run_operation, self._node, "query_cost", arguments)
        except LakeletError as error:
            self._status.set_content(problem(error.message, error.hint))
            return
        told = (
            f"It would scan {size(found['scanned_bytes'])}: {dollars(found['dollars'])} on Athena"
        )
        self._status.set_content(state("idle", told))

    async def _start(self, sql: str) -> None:
        if self._execution:
            return
        self._memory.put("sql", self._editor.value)
        try:
            self._execution = await asyncio.to_thread(
                lambda: self._node.engine.start(
                    sql,
                    database=self._node.pipeline.database,
                    workgroup=self._node.pipeline.workgroup_name,
                )
            )
        except LakeletError as error:
            self._status.set_content(problem(error.message, error.hint))
            return
        self._node.queries.submit(self._execution)
        self._started = time.monotonic()
        self._run_button.set_enabled(False)
        self._stop_button.set_enabled(True)
        self._timer = ui.timer(POLL_SECONDS, self._poll)

    async def _poll(self) -> None:
        if not self._execution:
            return
        one = await asyncio.to_thread(facts.execution, self._node, self._execution)
        if one["state"] in ("QUEUED", "RUNNING"):
            waited = time.monotonic() - self._started
            self._status.set_content(state("busy", f"{one['state'].lower()}, {waited:.1f} s"))
            return
        self._timer.cancel()
        self._run_button.set_enabled(True)
        self._stop_button.set_enabled(False)
        identity, self._execution = self._execution, ""
        await self._show(identity, one)
        known = await asyncio.to_thread(facts.query, self._node)
        self._list_past(known)

    async def _cancel(self) -> None:
        if self._execution:
            await asyncio.to_thread(self._node.engine.cancel, self._execution)

    async def _show(self, identity: str, one: dict[str, Any]) -> None:
        self._answer.clear()
        if one["state"] != "SUCCEEDED":
            self._status.set_content(problem(one["reason"] or one["state"], ""))
            return
        try:
            self._table = await asyncio.to_thread(self._results.table, identity)
        except LakeletError as error:
            self._status.set_content(problem(error.message, error.hint))
            return
        rows = self._table.num_rows
        told = (
            f"{rows:,} rows in {one['milliseconds']:,} ms, {size(one['scanned_bytes'])} scanned: "
            f"{dollars(one['dollars'])} on Athena"
        )
        self._status.set_content(state("ok", told))
        with self._answer:
            if self._table.column_names == ["result"]:
                lines = "\n".join(str(v) for v in self._table.column(0).to_pylist())
                shell.show(tag("pre", lines, tabindex=0))
                return
            with ui.element("div").classes("lk-row"):
                shell.show(_download(identity, "csv"))
                shell.show(_download(identity, "parquet"))
            if not rows:
                shell.show(empty("No row answers that.", "Look at the days and names in WHERE."))
                return
            self._grid(identity)
            self._chart()

    def _grid(self, identity: str) -> None:
        columns = [
            {
                "headerName": field.name,
                "field": f"c{index}",
                "type": "rightAligned" if is_numeric(field.type) else None,
                "minWidth": 110,
                "flex": 1 if self._table.num_columns <= 6 else None,
            }
            for index, field in enumerate(self._table.schema)
        ]
        grid = ui.aggrid(
            {
                "columnDefs": columns,
                "rowModelType": "infinite",
                "cacheBlockSize": 200,
                "maxBlocksInCache": 20,
                "infiniteInitialRowCount": min(200, self._table.num_rows),
                "rowHeight": 30,
                "headerHeight": 34,
                "suppressFieldDotNotation": True,
                "defaultColDef": {"sortable": False, "resizable": True},
                ":datasource": (
                    "{getRows(p) { fetch(`/rows.json?execution_id="
                    + identity
                    + "&start=${p.startRow}&end=${p.endRow}`).then(r => r.json())"
                    ".then(a => p.successCallback(a.rows, a.total))"
                    ".catch(() => p.failCallback()) }}"
                ),
            },
            auto_size_columns=False,
        ).classes("lk-grid")
        grid.style(f"height: {min(26, 4 + 1.9 * self._table.num_rows):.1f}rem")

    # --- chart ---

    def _chart(self) -> None:
        names = list(self._table.column_names)
        if len(set(names)) < len(names) or self._table.num_rows < 2:
            return
        kind, x, y = charts.suggest(self._table)
        remembered = self._memory.get(f"chart:{self._memory.get('sql')}")
        wanted = json.loads(remembered) if remembered else {}
        if y is None or not set(wanted.get("columns", [])) <= {*names, "—"}:
            wanted = {}
        if y is None:
            return
        kind = wanted.get("kind", kind)
        first = [x, y, "—"]
        across, height, by = wanted.get("columns", first)
        numbers = [field.name for field in self._table.schema if is_numeric(field.type)]
        with ui.element("div").classes("lk-row lk-chart-controls"):
            kinds = select("Chart", list(charts.KINDS), kind)
            xs = select("Across", names, across)
            ys = select("Height", numbers, height)
            bys = select("Split by", ["—", *names], by)
        holder = ui.element("div").style("width: 100%")

        def draw() -> None:
            holder.clear()
            by_name = None if bys.value == "—" else bys.value
            drawn = charts.option(kinds.value, self._table, xs.value, ys.value, by_name)
            with holder:
                ui.echart(drawn, renderer="svg").classes("lk-chart")

        def changed() -> None:
            choice = {"kind": kinds.value, "columns": [xs.value, ys.value, bys.value]}
            self._memory.put(f"chart:{self._memory.get('sql')}", json.dumps(choice))
            draw()

        for control in (kinds, xs, ys, bys):
            control.on_value_change(changed)
        draw()

    # --- keeping ---

    def _list_past(self, known: dict[str, Any]) -> None:
        self._past.clear()
        with self._past:
            with ui.element("div").classes("lk-row"):
                for one in known["saved"]:
                    button(one["name"], lambda sql=one["sql"]: self._editor.set_value(sql))
            if not known["history"]:
                shell.show(empty("Nothing has been asked yet.", "Run the query above."))
                return
            shell.show(_history(known["history"], self._node))

    async def _save(self) -> None:
        with ui.dialog() as dialog, ui.card():
            name = ui.input("Name of the query").props("outlined autofocus")
            with ui.element("div").classes("lk-row"):
                button("Save", lambda: dialog.submit(name.value), primary=True)
                button("Close", lambda: dialog.submit(None))
        chosen = await dialog
        if not chosen:
            return
        request = {
            "Name": chosen,
            "Database": self._node.pipeline.database,
            "QueryString": self._editor.value,
            "WorkGroup": self._node.pipeline.workgroup_name,
        }
        await asyncio.to_thread(self._node.engine.saved.create_named, request)
        self._list_past(await asyncio.to_thread(facts.query, self._node))

    def _as_python(self) -> None:
        code = as_python(self._node, self._editor.value)
        with ui.dialog(value=True), ui.card().style("max-width: 46rem; width: 100%"):
            shell.show(tag("h2", "The same in Python"))
            shell.show(tag("pre", code, tabindex=0))
            button("Copy", lambda: ui.clipboard.write(code), primary=True)


def as_python(node: "Node", sql: str) -> str:
    """With PyAthena, against whatever endpoint the environment names."""
    bucket, group = node.pipeline.results_bucket, node.pipeline.workgroup_name
    return (
        '# pip install "pyathena[pandas]"; eval "$(lakelet env)" points it at this node.\n'
        "import os\n\nfrom pyathena import connect\n"
        "from pyathena.pandas.cursor import PandasCursor\n\n"
        "connection = connect(\n"
        f'    schema_name="{node.pipeline.database}",\n'
        f'    work_group="{group}",\n'
        f'    s3_staging_dir="s3://{bucket}/{group}/",\n'
        '    endpoint_url=os.environ.get("AWS_ENDPOINT_URL"),\n'
        ")\n"
        f"sql = {json.dumps(sql) if chr(10) not in sql else chr(34) * 3 + sql + chr(34) * 3}\n"
        "frame = connection.cursor(PandasCursor).execute(sql).as_pandas()\nprint(frame)\n"
    )


def _history(past: list[dict[str, Any]], node: "Node") -> Html:
    now = node.clock.now()
    rows = [
        (
            state(_WORDS.get(one["state"], "idle"), one["state"].lower()),
            ago(one["submitted_at"], now),
            tag("a", tag("code", " ".join(one["sql"].split())[:90]), href=_again(one["sql"])),
            f"{one['milliseconds']:,} ms",
            size(one["scanned_bytes"]),
            dollars(one["dollars"]),
        )
        for one in past
    ]
    return table(("State", "When", "Query", "Took", "Scanned", "On Athena"), rows, right=(3, 4, 5))


def _again(sql: str) -> str:
    from urllib.parse import quote

    return f"/query?sql={quote(sql)}"


def _download(identity: str, kind: str) -> Html:
    href = f"/download/{identity}.{kind}"
    return tag("a", f"Download {kind.upper()}", cls="lk-button", href=href, download="")
