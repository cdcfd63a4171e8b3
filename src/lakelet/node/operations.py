"""What a node can be asked by name, from the command line, the library or the console.

Each takes the node, JSON-able arguments and a place to tell progress; each answers
something JSON-able. The work is done in the rooms.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lakelet.model.errors import LakeletError
from lakelet.node.arguments import check_arguments

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Tell = Callable[[dict[str, Any]], None]
Operation = Callable[..., Any]

OPERATIONS: dict[str, Operation] = {}


class UnknownOperation(LakeletError):
    code = "node.unknown_operation"
    http_status = 404


def operation(function: Operation) -> Operation:
    OPERATIONS[function.__name__] = function
    return function


def run_operation(
    node: "Node", name: str, arguments: Mapping[str, Any], tell: Tell | None = None
) -> Any:
    """Raises UnknownOperation, WrongArguments, and what the operation raises."""
    if name not in OPERATIONS:
        raise UnknownOperation(
            f"the node knows no operation {name!r}",
            hint=f"It knows {', '.join(sorted(OPERATIONS))}; are command and node of one version?",
        )
    check_arguments(name, OPERATIONS[name], arguments)
    return OPERATIONS[name](node, tell or (lambda _: None), **arguments)


@operation
def status(node: "Node", _: Tell) -> dict[str, Any]:
    from lakelet.node.report import status_report

    return status_report(node)


@operation
def flush(node: "Node", _: Tell) -> dict[str, Any]:
    node.flush()
    return {}


@operation
def crawl(node: "Node", _: Tell) -> list[str]:
    return node.crawls.run_now()


@operation
def audit(node: "Node", _: Tell, *, day: str | None = None, deep: bool = False) -> dict[str, Any]:
    from lakelet.node.report import audit_report

    return audit_report(node, day=day, deep=deep)


@operation
def query_cost(node: "Node", _: Tell, *, sql: str, database: str | None = None) -> dict[str, Any]:
    """What a query would scan and cost on Athena; it is planned, not run. DDL is free."""
    from lakelet.watch.cost import billed_scan_bytes
    from lakelet.watch.cost import query_cost as price
    from lakelet.watch.prices import load_prices

    prices = load_prices()
    scanned = node.engine.estimate(sql, database=database or node.pipeline.database)
    return {
        "scanned_bytes": scanned or 0,
        "billed_bytes": 0 if scanned is None else billed_scan_bytes(scanned),
        "dollars": 0.0 if scanned is None else price(scanned, prices),
        "region": prices.region,
        "prices_date": prices.date,
    }
