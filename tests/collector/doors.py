"""The collector without a socket."""

import asyncio
import itertools
import json
from datetime import UTC, datetime

import httpx

from lakelet.collector import CollectorSettings, create_app
from lakelet.testing.clock import ManualClock
from tests.collector.fakes import FakeSink


class Door:
    """A collector with a fake sink, called without a network."""

    def __init__(self, **settings):
        self.sink = FakeSink()
        self.clock = ManualClock(datetime(2026, 3, 9, 14, 30, tzinfo=UTC))
        self.settings = CollectorSettings(**{"stream": "clicks", **settings})
        ids = (f"made-{n}" for n in itertools.count())
        self.app = create_app(self.sink, self.settings, self.clock, new_event_id=lambda: next(ids))

    def call(self, method, path, *, peer="203.0.113.9", **options):
        async def main():
            transport = httpx.ASGITransport(self.app, client=(peer, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://collect") as client:
                return await client.request(method, path, **options)

        return asyncio.run(main())

    def post(self, content, path="/v1/events", **options):
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        return self.call("POST", path, content=content, **options)
