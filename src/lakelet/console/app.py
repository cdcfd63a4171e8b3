"""The NiceGUI application: pages registered once, a FastAPI around them."""

from importlib import resources
from typing import TYPE_CHECKING

from fastapi import FastAPI
from nicegui import ui

from lakelet.console.pages import overview

if TYPE_CHECKING:
    from lakelet.node.runtime import Node


def build_app(node: "Node") -> FastAPI:
    """Once a process: NiceGUI keeps one application for all."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for page in (overview,):
        page.register(node)
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
