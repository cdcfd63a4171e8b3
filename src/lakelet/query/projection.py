"""Partition projection: partitions that a table's properties describe, and the catalog lacks."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlglot import exp

from lakelet.catalog.partitions import PartitionPlace


def project(
    table: Mapping[str, Any], keys: Mapping[str, str], conditions: Sequence[exp.Expr]
) -> list[PartitionPlace] | None:
    return None
