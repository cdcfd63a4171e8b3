"""The delivery streams' own ledgers, as the audit takes them."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from lakelet.ingest.ledger import Delivery, DoneCut
from lakelet.ingest.streams import DeliveryStream
from lakelet.lake.ledger import CutAccount, Delivered, StreamLedger

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

_Objects = dict[tuple[bytes, int], list[Delivery]]  # by the cut's incarnation and first position


def stream_ledgers(node: "Node") -> list[StreamLedger]:
    """One for each life of the pipeline's own stream, and of any that delivers, or did, into
    the raw zone.

    A stream made through the API may deliver into any bucket: what becomes of its
    objects is its maker's business, and no part of the lake's ledger.
    """
    own, raw = node.pipeline.name, node.pipeline.raw_bucket
    current = {stream.incarnation: stream for stream in node.ingestion.streams}
    # The cuts first: an object of a cut that ends in between is then later news.
    lives = {
        incarnation: list(cuts)
        for incarnation, cuts in groupby(node.ingestion.cuts(), lambda done: done.cut.incarnation)
    }
    objects: _Objects = defaultdict(list)
    for entry in node.ingestion.deliveries():
        if not entry.is_backup:
            objects[entry.incarnation, entry.first_position].append(entry)
    ledgers = []
    for incarnation in {**dict.fromkeys(current), **dict.fromkeys(lives)}:
        stream, cuts = current.get(incarnation), lives.get(incarnation, [])
        buckets = {entry.bucket for done in cuts for entry in objects[_key(done)]}
        if stream:
            buckets.add(stream.destination.bucket)
        name = stream.name if stream else cuts[0].cut.stream
        if name == own or raw in buckets:
            ledgers.append(_ledger(node, stream, cuts, objects))
    return ledgers


def _ledger(
    node: "Node", stream: DeliveryStream | None, cuts: Sequence[DoneCut], objects: _Objects
) -> StreamLedger:
    raw = node.pipeline.raw_bucket
    return StreamLedger(
        stream.name if stream else cuts[0].cut.stream,
        node.ingestion.position_next(stream.name) if stream else cuts[-1].cut.end_position,
        [_delivered(each) for done in cuts for each in objects[_key(done)] if each.bucket == raw],
        [_account(node, stream, done, objects[_key(done)]) for done in cuts],
    )


def _account(
    node: "Node", stream: DeliveryStream | None, done: DoneCut, objects: Sequence[Delivery]
) -> CutAccount:
    parted = done.parted_records
    if parted is None and stream:
        # Nobody counted then; but what only delimits records has parted none.
        destination = node.ingestion.streams.destination_at(stream, done.cut.version)
        parted = 0 if destination.processing.only_delimiter is not None else None
    return CutAccount(
        done.cut.first_position,
        done.cut.end_position,
        done.dropped_records,
        parted,
        done.damaged_records,
        sum(each.records for each in objects if each.bucket != node.pipeline.raw_bucket),
        done.cut.arrived_at.date(),
    )


def _key(done: DoneCut) -> tuple[bytes, int]:
    return done.cut.incarnation, done.cut.first_position


def _delivered(entry: Delivery) -> Delivered:
    return Delivered(
        entry.first_position,
        entry.end_position,
        entry.records,
        entry.blank_records,
        entry.key,
        entry.etag,
    )
