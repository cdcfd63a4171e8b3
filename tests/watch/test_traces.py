"""Traces: off unless asked for, and without payloads."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk import trace as sdk

from lakelet.watch.traces import NoTraces, OtelTraces, open_traces


def test_off_by_default():
    assert isinstance(open_traces(None), NoTraces)
    with open_traces(None).span("transform", raw_key="a.gz"):
        pass


def collected():
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter, OtelTraces(provider)


def test_the_stretches_of_one_raw_objects_road_are_one_trace():
    exporter, traces = collected()
    at = datetime(2026, 3, 9, 14, 30, tzinfo=UTC)
    for key in ("a.gz", "b.gz"):
        traces.road(key, "deliver", at, at + timedelta(seconds=60))
        traces.road(key, "transform", at, at + timedelta(milliseconds=5), rows=3, raw="Ada")
    deliver, transform, other, _ = exporter.get_finished_spans()
    assert deliver.context.trace_id == transform.context.trace_id != other.context.trace_id
    assert deliver.end_time - deliver.start_time == 60 * 10**9
    assert dict(transform.attributes) == {"lakelet.raw_key": "a.gz", "lakelet.rows": 3}


def test_a_node_traces_its_road_end_to_end(tmp_path):
    from lakelet.node.folder import DataFolder
    from lakelet.node.runtime import Node

    exporter, traces = collected()
    node = Node(DataFolder(tmp_path / "lake"), worker_processes=0)
    node.watch = dataclasses.replace(node.watch, traces=traces)
    node.start(doors=False)
    try:
        node.put([b'{"event_id": "1", "event_type": "x", "email": "ada@example.com"}'])
        node.flush()
    finally:
        node.stop()
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans][:2] == ["deliver", "transform"]
    assert len({span.context.trace_id for span in spans}) == 1
    assert "ada@" not in "".join(span.to_json() for span in spans)


def test_spans_nest_and_hold_no_payload():
    exporter, traces = collected()
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
