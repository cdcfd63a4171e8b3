"""An event's road as OpenTelemetry spans. Off by default, and then it costs nothing.

    with traces.span("transform", raw_key=key): ...

Attributes go through the same net as log fields: no payload can ride along.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from lakelet.model.errors import LakeletError
from lakelet.watch.redaction import clean_fields


class TracesMissing(LakeletError):
    """Traces were asked for, and the library is not installed."""

    code = "watch.otel_missing"


class Traces(Protocol):
    def span(self, name: str, **fields: Any) -> AbstractContextManager[None]: ...


class NoTraces:
    """What holds unless somebody asks."""

    def span(self, name: str, **fields: Any) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()


class OtelTraces:
    """Over any OpenTelemetry tracer provider."""

    def __init__(self, provider: Any) -> None:
        self._tracer = provider.get_tracer("lakelet")

    @contextmanager
    def _span(self, name: str, fields: dict[str, Any]) -> Iterator[None]:
        attributes = {f"lakelet.{key}": value for key, value in clean_fields(fields).items()}
        # The SDK would write an exception's message into the span; ours says its type only.
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
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
