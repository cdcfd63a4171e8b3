"""The delivery streams' own ledgers, as the audit takes them."""

from itertools import groupby
from typing import TYPE_CHECKING

from lakelet.ingest.ledger import Delivery
from lakelet.lake.ledger import Delivered, StreamLedger

if TYPE_CHECKING:
    from lakelet.node.runtime import Node


def stream_ledgers(node: "Node") -> list[StreamLedger]:
    """One for each life of a stream that delivered into the raw zone, and only there.

    A stream made through the API may deliver into any bucket: what becomes of its
    objects is its maker's business, and no part of the lake's ledger.
    """
    current = {stream.incarnation: stream for stream in node.ingestion.streams}
    lives = {
        incarnation: list(entries)
        for incarnation, entries in groupby(
            node.ingestion.deliveries(), key=lambda entry: entry.incarnation
        )
    }
    ledgers = []
    for incarnation in {**dict.fromkeys(current), **dict.fromkeys(lives)}:
        stream, entries = current.get(incarnation), lives.get(incarnation, [])
        buckets = {entry.bucket for entry in entries}
        if stream:
            buckets.add(stream.destination.bucket)
        if buckets != {node.pipeline.raw_bucket}:
            continue
        name = stream.name if stream else entries[0].stream
        accepted = (
            node.ingestion.position_next(name) if stream else max(e.end_position for e in entries)
        )
        processed = bool(stream and stream.destination.processing.only_delimiter is None)
        ledgers.append(StreamLedger(name, accepted, [_delivered(e) for e in entries], processed))
    return ledgers


def _delivered(entry: Delivery) -> Delivered:
    return Delivered(
        entry.first_position,
        entry.end_position,
        entry.records,
        entry.blank_records,
        entry.key,
        entry.etag,
    )
