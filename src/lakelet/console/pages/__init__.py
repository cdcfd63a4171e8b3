"""One module a page; `register` adds each to NiceGUI."""
