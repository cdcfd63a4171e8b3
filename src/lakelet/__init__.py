"""Lakelet: a clickstream pipeline that runs on a laptop and on AWS.

    import lakelet

    with lakelet.open("./lake") as lake:
        lake.put([{"event_type": "page_view", "page_url": "/", "user_id": "u1"}])
        print(lake.query("SELECT event_type, count(*) AS n FROM events GROUP BY 1"))

Names are imported on first use: the Lambda and the Spark workers import this
package with nothing but pyarrow beside it, and `lakelet --help` should not wait
for a database.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakelet.model.errors import LakeletError
    from lakelet.node.lake import Lake, open  # noqa: A004
    from lakelet.producer import AsyncProducer, Producer

__version__ = "0.1.0"

__all__ = ["AsyncProducer", "Lake", "LakeletError", "Producer", "__version__", "open"]

_HOMES = {
    "AsyncProducer": "lakelet.producer",
    "Lake": "lakelet.node.lake",
    "LakeletError": "lakelet.model.errors",
    "Producer": "lakelet.producer",
    "open": "lakelet.node.lake",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lakelet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
