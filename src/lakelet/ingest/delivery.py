"""From a stretch of the log to objects in a bucket, repeatable at every step.

Order matters: the objects' keys are written to the ledger, then the objects to the
bucket, then whoever waits for objects is told, and only then is the cut done. A crash
between any two repeats from the start, with the same keys.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lakelet.ingest import naming
from lakelet.ingest.assemble import Assembled, Toolbox, assemble
from lakelet.ingest.compression import compress, extension
from lakelet.ingest.destination import Destination
from lakelet.ingest.frame import Frame
from lakelet.ingest.ledger import Cut, Delivery, Ledger, PlannedObject
from lakelet.ingest.prefix import Context, Prefix, parse_prefix
from lakelet.ingest.segment import Damage
from lakelet.model.ports import Clock, ObjectInfo, ObjectStore

OnDelivered = Callable[[Delivery, ObjectInfo], None]


@dataclass(slots=True)
class Deliverer:
    """What a delivery needs of the world."""

    ledger: Ledger
    store: ObjectStore
    clock: Clock
    on_delivered: OnDelivered
    toolbox: Toolbox

    def deliver(
        self,
        cut: Cut,
        destination: Destination,
        log: Iterable[Frame | Damage],
        *,
        stream_arn: str = "arn:aws:firehose:us-east-1:000000000000:deliverystream/-",
        planned: Mapping[str, PlannedObject] | None = None,
    ) -> list[Delivery]:
        """Deliver one cut; on return it is done for good.

        Args:
            log: the cut's frames, as `Log.read` gives them.
            planned: what an interrupted delivery of the same cut had planned.
        Raises:
            LakeletError, OSError: not done; call again with what the ledger has pending.
        """
        frames, damaged = _split(log)
        leftovers = dict(planned or {})
        objects: list[PlannedObject] = []
        written: list[tuple[Delivery, ObjectInfo]] = []
        dropped = parted = 0
        for assembly in assemble(
            frames,
            destination,
            self.toolbox,
            stream_arn=stream_arn,
            ended_ms=round(self.clock.now().timestamp() * 1000),
            fault_of=lambda each: self.toolbox.key_fault(plan_object(cut, destination, each).key),
        ):
            plans = [
                leftovers.pop(each.group)
                if each.group in leftovers
                else plan_object(cut, destination, each)
                for each in assembly.objects
            ]
            objects += plans
            self.ledger.begin(cut, [*objects, *leftovers.values()])
            written += [
                self._put(cut, _target(destination, each), plan, each)
                for plan, each in zip(plans, assembly.objects, strict=True)
            ]
            dropped += assembly.dropped_records
            parted += assembly.parted_records
        if not written:
            self.ledger.begin(cut, list(leftovers.values()))
        for gone in leftovers.values():
            # A function may answer otherwise the second time (see docs/durability.md).
            self.store.delete(gone.bucket, gone.key)
        for delivery, info in written:
            self.on_delivered(delivery, info)
        if leftovers:
            self.ledger.begin(cut, objects)
        deliveries = [delivery for delivery, _ in written]
        self.ledger.finish(cut, deliveries, damaged, dropped, parted)
        return deliveries

    def _put(
        self, cut: Cut, destination: Destination, plan: PlannedObject, each: Assembled
    ) -> tuple[Delivery, ObjectInfo]:
        compression = each.compression(destination)
        info = self.store.put(
            plan.bucket,
            plan.key,
            compress(each.pieces, compression),
            content_type="application/octet-stream",
            content_encoding="gzip" if compression == "GZIP" else None,
            metadata={
                "lakelet-stream": cut.stream,
                "lakelet-first-position": str(cut.first_position),
                "lakelet-records": str(each.records),
                "lakelet-arrived-at": cut.arrived_at.isoformat(),
            },
        )
        delivery = Delivery(
            stream=cut.stream,
            incarnation=cut.incarnation,
            first_position=cut.first_position,
            end_position=cut.end_position,
            arrived_at=cut.arrived_at,
            bucket=plan.bucket,
            key=plan.key,
            is_error=plan.is_error,
            etag=info.etag,
            size_bytes=info.size_bytes,
            records=each.records,
            blank_records=each.blank_records,
            delivered_at=self.clock.now(),
            group=plan.group,
        )
        return delivery, info


def plan_object(cut: Cut, destination: Destination, each: Assembled) -> PlannedObject:
    """Where a group of a cut's records goes. Pure: the same cut, the same key."""
    target = _target(destination, each)
    prefix = _prefix_of(target, each)
    context = Context(
        arrived_at=cut.arrived_at,
        time_zone=destination.time_zone,
        random_strings=naming.random_strings(
            cut.incarnation, cut.first_position, prefix.random_string_count
        ),
        error_type=each.error_type,
        partition_keys=each.partition_keys,
    )
    name = naming.object_name(
        cut.stream,
        cut.version,
        cut.arrived_at.astimezone(destination.time_zone),
        naming.object_id(cut.incarnation, cut.first_position, each.group),
        _extension(target, each),
    )
    return PlannedObject(
        each.group, target.bucket, prefix.evaluate(context) + name, bool(each.error_type)
    )


def _target(destination: Destination, each: Assembled) -> Destination:
    return destination.backup if each.is_backup and destination.backup else destination


def _extension(destination: Destination, each: Assembled) -> str:
    """`FileExtension` is the data's; error records are plain text, compressed or not."""
    if each.is_parquet or not each.error_type:
        return destination.extension
    return extension(destination.compression)


def _prefix_of(destination: Destination, each: Assembled) -> Prefix:
    if not each.error_type:
        return destination.prefix
    return destination.error_prefix or parse_prefix(destination.prefix.text, is_error=True)


def _split(log: Iterable[Frame | Damage]) -> tuple[list[Frame], int]:
    frames: list[Frame] = []
    damaged = 0
    for item in log:
        if isinstance(item, Frame):
            frames.append(item)
        else:
            damaged += item.end_position - item.first_position
    return frames, damaged
