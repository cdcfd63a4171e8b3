"""pyarrow looks for pandas when it is first given a value, and imports it where there is one.

Where a data engineer installs Lakelet there mostly is. Nothing here needs it, but each process
took 46 MB and a third of a second for it, the node in the middle of its first delivery.
"""

import sys
from importlib.machinery import ModuleSpec


class _Hidden:
    """A finder that says that there is no pandas."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def do_without_pandas() -> None:
    """Let pyarrow look for pandas now, and find none. Nothing happens where it is loaded already.

    `to_pandas` looks again, and works; but `pyarrow.array` takes a Series for any other
    sequence until then. So this is for processes in which no code but ours runs.
    """
    import pyarrow as pa

    if "pandas" in sys.modules:
        return
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(hidden)
