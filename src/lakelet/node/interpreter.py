"""What a node asks of Python itself. Each is for a whole process, so only for one of our own."""

import gc
import sys
from importlib.machinery import ModuleSpec

# Python's own is 5 ms. Whenever the event loop has let go of the interpreter, and it does at
# every read and write, a thread that computes in Python kept it waiting for as long: single
# records came through 7 % slower beside their own delivery (bench/ingest.py, in turns).
SWITCH_SECONDS = 0.0005


def serve_first() -> None:
    """Threads that compute give the interpreter back to the event loop sooner."""
    sys.setswitchinterval(SWITCH_SECONDS)


def calm_collector() -> None:
    """Let Python look for reference cycles seldom, and never among what the start made.

    A node makes few cycles and many short-lived objects: at full load the collector's
    default pace took a fifteenth of the event loop's time (bench/ingest.py, PutRecord).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def give_memory_back() -> None:
    """What the allocator keeps of what was freed goes to the system. Milliseconds; the memory is
    faulted in again where it is needed."""
    import pyarrow as pa

    pa.system_memory_pool().release_unused()  # malloc_trim, which Python has no name for


class _Hidden:
    """A finder that says that there is no pandas."""

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def do_without_pandas() -> None:
    """pyarrow looks for pandas when it is first given a value, and imports it where there is
    one. Let it look now, and find none. Nothing happens where it is loaded already.

    Nothing here needs it, but each process took 46 MB and a third of a second for it, the node
    in the middle of its first delivery. `to_pandas` looks again, and works; but
    `pyarrow.array` takes a Series for any other sequence until then.
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
