"""The browser's door: JSON over HTTP, a pixel, the tracker script, Segment's shapes.

`create_app(sink, settings, clock)` is an ASGI application; all its paths begin with `/v1/`.
"""

from lakelet.collector.app import create_app
from lakelet.collector.segment import SegmentMapping
from lakelet.collector.settings import CollectorSettings, Enrichment, RateLimit, read_collector
from lakelet.collector.sink import Put, RecordSink

__all__ = [
    "CollectorSettings",
    "Enrichment",
    "Put",
    "RateLimit",
    "RecordSink",
    "SegmentMapping",
    "create_app",
    "read_collector",
]
