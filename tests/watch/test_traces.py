"""Traces: off unless asked for, and without payloads."""

import pytest

from lakelet.watch.traces import NoTraces, OtelTraces, open_traces

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="the otel extra is not installed")


def test_off_by_default():
    assert isinstance(open_traces(None), NoTraces)
    with open_traces(None).span("transform", raw_key="a.gz"):
        pass


def test_a_road_is_a_tree_of_spans_without_payload():
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces = OtelTraces(provider)
    with (
        pytest.raises(ValueError),
        traces.span("deliver", stream="clicks"),
        traces.span("transform", raw_key="a.gz", payload="Ada Lovelace"),
    ):
        raise ValueError("Ada Lovelace")
    inner, outer = exporter.get_finished_spans()
    assert inner.parent.span_id == outer.context.span_id
    assert dict(inner.attributes) == {"lakelet.raw_key": "a.gz", "error.type": "ValueError"}
    assert "Ada" not in inner.to_json() + outer.to_json()
