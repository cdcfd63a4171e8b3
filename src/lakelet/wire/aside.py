"""Work that would hold up an event loop, done beside it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, TypeVar

_log = logging.getLogger("lakelet.wire")

T = TypeVar("T")
_Job = tuple[Callable[[], Any], Callable[[Any], object], asyncio.AbstractEventLoop]


def aside(
    work: Callable[[], T], then: Callable[[T], object], loop: asyncio.AbstractEventLoop
) -> None:
    """`then(work())`: the work on a thread that the whole process shares, the rest in `loop`.

    Args:
        work: must not raise, or `then` is never called.
    """
    _queue().put((work, then, loop))


@lru_cache(maxsize=1)
def _queue() -> "SimpleQueue[_Job]":
    """One thread: what it does lets go of the GIL, and an event loop keeps another core busy."""
    queue: SimpleQueue[_Job] = SimpleQueue()
    threading.Thread(target=_run, args=(queue,), name="lakelet-aside", daemon=True).start()
    return queue


def _run(queue: "SimpleQueue[_Job]") -> None:
    while True:
        work, then, loop = queue.get()
        try:
            loop.call_soon_threadsafe(then, work())
        except RuntimeError:  # that loop is closed: nobody waits any more
            _log.debug("work done aside lost its event loop")
        except Exception:  # noqa: BLE001 - the thread must live
            _log.exception("work done aside failed")
        del work, then, loop  # a body may hang on them, and the next may be long in coming
