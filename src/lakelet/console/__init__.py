"""Web pages over the node. `door.ConsoleDoor` is the way in; importing this costs nothing.

`facts/` says what is shown, as plain data: the JSON twin of each page is exactly that.
`pages/` draws it. NiceGUI is imported on the first page, beside the event loop.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakelet.console.door import ConsoleDoor
    from lakelet.node.runtime import Node


def make_console(node: "Node", token: str) -> "ConsoleDoor":
    """The console's ASGI application, imported by the first request that is for it."""
    from lakelet.console.door import ConsoleDoor

    return ConsoleDoor(node, token)
