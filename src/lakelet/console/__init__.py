"""Web pages over the node. `door.ConsoleDoor` is the way in; importing this costs nothing.

`facts/` says what is shown, as plain data: the JSON twin of each page is exactly that.
`pages/` draws it. NiceGUI is imported on the first page, beside the event loop.
"""
