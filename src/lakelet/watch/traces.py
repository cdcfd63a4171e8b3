"""An event's road as OpenTelemetry spans. Off by default, and then it costs nothing.

Events travel in raw objects, so a road is a raw object's: its trace id is made from its
key, and delivery, transform and crawl find one another without carrying anything along.
Attributes go through the same net as log fields: no payload can ride along.
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any, Protocol

from lakelet.model.errors import LakeletError
from lakelet.watch.redaction import clean_fields


class TracesMissing(LakeletError):
    """Traces were asked for, and the library is not installed."""

    code = "watch.otel_missing"


class Traces(Protocol):
    def span(self, name: str, **fields: Any) -> AbstractContextManager[None]:
        """Something that happens while the block runs."""
        ...

    def road(
        self, raw_key: str, name: str, started_at: datetime, ended_at: datetime, **fields: Any
    ) -> None:
        """A stretch of a raw object's road, once it is behind."""
        ...

    def close(self) -> None:
        """Send what is still held."""
        ...


class NoTraces:
    """What holds unless somebody asks."""

    def span(self, name: str, **fields: Any) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def road(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class OtelTraces:
    """Over any OpenTelemetry tracer provider."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("lakelet")

    def close(self) -> None:
        self._provider.shutdown()

    def road(
        self, raw_key: str, name: str, started_at: datetime, ended_at: datetime, **fields: Any
    ) -> None:
        from opentelemetry import trace

        digest = hashlib.sha256(raw_key.encode()).digest()
        origin = trace.SpanContext(
            trace_id=int.from_bytes(digest[:16]),
            span_id=int.from_bytes(digest[16:24]),
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
        )
        span = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(trace.NonRecordingSpan(origin)),
            attributes=_attributes({"raw_key": raw_key, **fields}),
            start_time=_nanoseconds(started_at),
        )
        span.end(end_time=_nanoseconds(ended_at))

    @contextmanager
    def _span(self, name: str, fields: dict[str, Any]) -> Iterator[None]:
        # The SDK would write an exception's message into the span; ours says its type only.
        with self._tracer.start_as_current_span(
            name,
            attributes=_attributes(fields),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                raise

    def span(self, name: str, **fields: Any) -> AbstractContextManager[None]:
        return self._span(name, fields)


def open_traces(endpoint: str | None) -> Traces:
    """Export to an OTLP/HTTP collector at `endpoint`; None: no traces.

    Raises:
        TracesMissing where the `otel` extra is not installed.
    """
    if endpoint is None:
        return NoTraces()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracesMissing(
            "Traces need OpenTelemetry, which is not installed.",
            hint="pip install 'lakelet[otel]'",
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "lakelet"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return OtelTraces(provider)


def _attributes(fields: dict[str, Any]) -> dict[str, Any]:
    return {f"lakelet.{key}": value for key, value in clean_fields(fields).items()}


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1e9)
