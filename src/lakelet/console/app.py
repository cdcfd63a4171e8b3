"""The NiceGUI application: pages registered once, a FastAPI around them."""

import asyncio
import io
from importlib import resources
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from nicegui import ui

from lakelet.console.memory import Memory
from lakelet.console.pages import data, health, insights, live, overview, query
from lakelet.console.results import Results
from lakelet.model.errors import LakeletError

if TYPE_CHECKING:
    from lakelet.node.runtime import Node


def build_app(node: "Node") -> FastAPI:
    """Once a process: NiceGUI keeps one application, so one console is all there can be."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    results, memory = Results(node), Memory(node.folder.state / "console.sqlite")
    _answer_rows(app, results)
    overview.register(node)
    live.register(node)
    data.register(node)
    insights.register(node)
    health.register(node)
    query.register(node, results, memory)
    ui.run_with(
        app,
        title="Lakelet",
        favicon=resources.files("lakelet.console").joinpath("assets/mark.svg").read_text("utf-8"),
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        # The door has logged us in; NiceGUI needs no storage of its own.
    )
    return app


def _answer_rows(app: FastAPI, results: Results) -> None:
    """What the grid scrolls through, and downloads."""

    @app.get("/rows.json")
    async def rows(execution_id: str, start: int, end: int) -> Any:
        try:
            return await asyncio.to_thread(results.page, execution_id, start, end)
        except LakeletError as error:
            return JSONResponse({"error": error.message}, error.http_status)

    @app.get("/download/{name}")
    async def download(name: str) -> Response:
        execution_id, _, kind = name.rpartition(".")
        try:
            body = await asyncio.to_thread(_file, results, execution_id, kind)
        except LakeletError as error:
            return JSONResponse({"error": error.message}, error.http_status)
        media = "text/csv; charset=utf-8" if kind == "csv" else "application/vnd.apache.parquet"
        disposition = f'attachment; filename="{name}"'
        return Response(body, media_type=media, headers={"content-disposition": disposition})


def _file(results: Results, execution_id: str, kind: str) -> bytes:
    import pyarrow.csv
    import pyarrow.parquet

    table, file = results.table(execution_id), io.BytesIO()
    if kind == "csv":
        pyarrow.csv.write_csv(table, file)
    else:
        pyarrow.parquet.write_table(table, file, compression="snappy")
    return file.getvalue()
