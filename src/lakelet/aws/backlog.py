"""What a batch run has to do: raw objects that no manifest speaks for yet."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date

from lakelet.model.layout import (
    MANIFEST_PREFIX,
    is_raw_event_key,
    parse_delivered_name,
    raw_key_of_manifest,
)
from lakelet.model.pipeline import Pipeline
from lakelet.model.ports import ObjectInfo, ObjectStore


@dataclass(frozen=True, slots=True)
class Span:
    """Days of arrival, both included; None is open."""

    first: date | None = None
    last: date | None = None

    def holds(self, day: date) -> bool:
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


def backlog(
    store: ObjectStore, pipeline: Pipeline, span: Span, *, again: bool = False
) -> Iterator[ObjectInfo]:
    """Raw objects to transform, in key order.

    Two listings, no reading: an object with a manifest is done unless it was replaced since,
    which its time shows; `Runner.transform` then compares ETags before it does anything.

    Args:
        again: those that are done too.
    """
    done = {
        raw_key_of_manifest(info.key): info.modified_at
        for info in store.list(pipeline.transformed_bucket, MANIFEST_PREFIX)
    }
    for info in store.list(pipeline.raw_bucket):
        if not is_raw_event_key(info.key, error_prefix=pipeline.stream.error_prefix):
            continue
        if not span.holds(arrival_day(info)):
            continue
        made_at = done.get(info.key)
        if again or made_at is None or info.modified_at >= made_at:
            yield info


def arrival_day(info: ObjectInfo) -> date:
    name = parse_delivered_name(info.key)
    return name.arrived_at.date() if name else info.modified_at.astimezone(UTC).date()


def balanced(objects: list[ObjectInfo], parts: int) -> list[list[ObjectInfo]]:
    """Objects in so many parts of about the same size in bytes, largest objects first."""
    bins: list[list[ObjectInfo]] = [[] for _ in range(max(1, min(parts, len(objects))))]
    sizes = [0] * len(bins)
    for info in sorted(objects, key=lambda info: (-info.size_bytes, info.key)):
        least = sizes.index(min(sizes))
        bins[least].append(info)
        sizes[least] += info.size_bytes + _OBJECT_COST_BYTES
    return bins


# An object costs requests and a manifest however small it is. A guess.
_OBJECT_COST_BYTES = 64 * 1024
