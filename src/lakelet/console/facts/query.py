"""What can be queried, and what was: schema, executions, saved queries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakelet.model.errors import LakeletError
from lakelet.watch.cost import query_cost
from lakelet.watch.prices import load_prices

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Facts = dict[str, Any]
HISTORY_LENGTH = 30


def query(node: "Node") -> Facts:
    """
    Returns:
        tables: name, columns (name, type, is_partition). history: newest first. saved.
    """
    return {"tables": tables(node), "history": history(node), "saved": saved(node)}


def tables(node: "Node") -> list[Facts]:
    found = node.catalog.all_tables(node.pipeline.database)
    return [
        {
            "name": table["Name"],
            "kind": table.get("TableType", ""),
            "columns": [
                *(_column(c, partition=False) for c in table["StorageDescriptor"]["Columns"]),
                *(_column(c, partition=True) for c in table.get("PartitionKeys", [])),
            ],
        }
        for table in found
    ]


def _column(column: Mapping[str, Any], *, partition: bool) -> Facts:
    return {"name": column["Name"], "type": column.get("Type", ""), "is_partition": partition}


def history(node: "Node") -> list[Facts]:
    workgroup = node.pipeline.workgroup_name
    ids, _ = node.engine.list_executions(workgroup, max_results=HISTORY_LENGTH)
    return [execution(node, identity) for identity in ids]


def execution(node: "Node", identity: str) -> Facts:
    """One execution, with what it would cost on Athena. Raises InvalidRequest."""
    body = node.engine.get(identity)
    status, statistics = body["Status"], body.get("Statistics") or {}
    scanned = statistics.get("DataScannedInBytes", 0)
    free = status["State"] == "FAILED" or body.get("StatementType") == "DDL"
    return {
        "id": identity,
        "sql": body["Query"],
        "state": status["State"],
        "reason": status.get("StateChangeReason", ""),
        "submitted_at": status["SubmissionDateTime"].isoformat(),
        "scanned_bytes": scanned,
        "milliseconds": statistics.get("TotalExecutionTimeInMillis", 0),
        "dollars": 0.0 if free else query_cost(scanned, load_prices()),
    }


def saved(node: "Node") -> list[Facts]:
    ids, _ = node.engine.saved.named_ids(node.pipeline.workgroup_name)
    found = []
    for identity in ids:
        try:
            body = node.engine.saved.named(identity)
        except LakeletError:  # deleted in between
            continue
        found.append(
            {
                "id": identity,
                "name": body["Name"],
                "sql": body["QueryString"],
                "description": body.get("Description") or "",
            }
        )
    return sorted(found, key=lambda one: str(one["name"]))
