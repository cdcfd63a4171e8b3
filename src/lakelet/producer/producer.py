"""The two faces of the sending side: for threads and for event loops."""

import asyncio
import atexit
import contextlib
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from lakelet.model.ports import Clock
from lakelet.producer.engine import Engine
from lakelet.producer.errors import BufferFull, ProducerClosed, ProducerError
from lakelet.producer.firehose import FirehoseClient, FirehoseTransport, make_client
from lakelet.producer.records import encode_event
from lakelet.producer.settings import OnError, ProducerSettings, ProducerStats
from lakelet.store.clock import SystemClock

Event = Mapping[str, Any] | str | bytes

_STREAM_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def _new_event_id() -> str:
    return str(uuid.uuid4())


class _Face:
    """What both producers do alike: make the engine, turn an event into bytes."""

    def __init__(
        self,
        stream: str,
        settings: ProducerSettings | None = None,
        *,
        client: FirehoseClient | None = None,
        session: Any = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        on_error: OnError | None = None,
        clock: Clock | None = None,
        new_event_id: Callable[[], str] = _new_event_id,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        if not _STREAM_NAME.fullmatch(stream):
            raise ProducerError(
                f"{stream!r} is no delivery stream's name",
                hint="1 to 64 letters, digits, `_`, `.` or `-`.",
            )
        self._settings = settings or ProducerSettings()
        self._clock = clock or SystemClock()
        self._new_event_id = new_event_id
        self._pid = os.getpid()
        client = client or make_client(
            session=session, region_name=region_name, endpoint_url=endpoint_url
        )
        self._engine = Engine(
            stream,
            FirehoseTransport(client, stream),
            self._settings,
            self._clock,
            on_error=on_error,
            wait=wait,
        )
        self._engine.start()
        atexit.register(self._close_at_exit)

    @property
    def stats(self) -> ProducerStats:
        """Counts so far; a snapshot."""
        return self._engine.stats

    def _encode(self, event: Event) -> bytes:
        if os.getpid() != self._pid:
            # Threads and the spool's lock stay with the parent.
            raise ProducerClosed(
                f"this producer was made in process {self._pid}, before a fork",
                hint="Make producers in the process that uses them: with gunicorn, in post_fork.",
            )
        return encode_event(
            event,
            self._settings.encoding,
            new_event_id=self._new_event_id,
            now=self._clock.now,
        )

    def _close_at_exit(self) -> None:
        if os.getpid() == self._pid:
            self._engine.close(self._settings.close_seconds)

    def _close(self, timeout_seconds: float | None) -> None:
        atexit.unregister(self._close_at_exit)
        if os.getpid() == self._pid:
            seconds = self._settings.close_seconds if timeout_seconds is None else timeout_seconds
            self._engine.close(seconds)


class Producer(_Face):
    """Sends events to a delivery stream: batched, resent, spooled to disk in need.

        with lakelet.Producer("clickstream", endpoint_url="http://127.0.0.1:4566") as producer:
            producer.send({"event_type": "page_view", "page_url": "/"})

    Delivery is at least once. `send` returning means *accepted*, held in memory;
    `flush` (or leaving the `with`) returning means acknowledged by the stream, on
    disk in the spool, or told to `on_error`. Resends carry the same event_id, by
    which Lakelet counts an event once. Order is kept but for records that the
    service fails singly. Safe between threads; not across a fork.

    Args:
        stream: the delivery stream's name.
        client: a botocore or boto3 firehose client; otherwise one is made from
            `session`, `region_name`, `endpoint_url` as botocore does, with
            botocore's own retries off.
        on_error: called with a `Failure` from a background thread.
        wait: how seconds between attempts pass (for tests).
    """

    def send(self, event: Event) -> None:
        """Accept one event.

        Raises:
            EventInvalid: no JSON form, or too large.
            BufferFull: no room within `block_seconds`.
            ProducerClosed
        """
        self._engine.offer(self._encode(event), self._settings.block_seconds)

    def send_many(self, events: Iterable[Event]) -> int:
        """`send` each; how many. An exception leaves the earlier ones accepted."""
        count = 0
        for event in events:
            self.send(event)
            count += 1
        return count

    def flush(self, timeout_seconds: float | None = None) -> None:
        """Wait until everything accepted so far is settled. Raises FlushTimeout."""
        self._engine.flush(timeout_seconds)

    def close(self, timeout_seconds: float | None = None) -> None:
        """Flush within the time (default `close_seconds`); what is left goes to disk."""
        self._close(timeout_seconds)

    def __enter__(self) -> "Producer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncProducer(_Face):
    """`Producer` for an event loop: the same promises, `await` where that one blocks.

    The requests run in the engine's own thread (see `firehose.py` for why not in
    the loop), so a slow stream never holds the loop up.
    """

    async def send(self, event: Event) -> None:
        """Accept one event, waiting for room if need be. Raises as `Producer.send`."""
        data = self._encode(event)
        room = self._offer(data)
        if room is None:
            return
        block_seconds = self._settings.block_seconds
        try:
            async with asyncio.timeout(block_seconds):
                while room:
                    await room.wait()
                    room = self._offer(data)
        except TimeoutError:
            raise BufferFull(
                f"the buffer did not drain within {block_seconds:g} s",
                hint="Send slower, raise buffer_bytes_max, or set a spool_folder.",
            ) from None

    def _offer(self, data: bytes) -> asyncio.Event | None:
        """None once accepted, else what is set when it is worth trying again."""
        loop = asyncio.get_running_loop()
        room = asyncio.Event()

        def on_room() -> None:
            with contextlib.suppress(RuntimeError):  # the loop ended meanwhile
                loop.call_soon_threadsafe(room.set)

        return None if self._engine.offer_nowait(data, on_room) else room

    async def flush(self, timeout_seconds: float | None = None) -> None:
        await asyncio.to_thread(self._engine.flush, timeout_seconds)

    async def close(self, timeout_seconds: float | None = None) -> None:
        await asyncio.to_thread(self._close, timeout_seconds)

    async def __aenter__(self) -> "AsyncProducer":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
