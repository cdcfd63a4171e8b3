"""Faults at run time: `lakelet faults`, or the node's control door by the name `faults`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lakelet.ingest.gate import parse_faults
from lakelet.node.operations import Tell, operation

if TYPE_CHECKING:
    from lakelet.node.runtime import Node


@operation
def faults(
    node: "Node", _: Tell, *, stream: str | None = None, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A stream's faults as they stand, after setting them where some are given, and the quotas in
    force: `{}` ends all faults, and leaves the quotas that are declared. Raises InvalidArgument,
    ResourceNotFound."""
    name = stream or node.pipeline.name
    if given is not None:
        node.ingestion.set_faults(name, parse_faults(given))
    return {
        "stream": name,
        **asdict(node.ingestion.faults(name)),
        "quotas": asdict(node.ingestion.quotas(name)),
    }
