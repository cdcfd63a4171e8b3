"""The pipeline as it is now: eight stages, the ledger, the alarms, the bill."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from lakelet.console.facts.series import Minutes, is_flowing
from lakelet.node.bill import bill_report, measured_usage
from lakelet.node.report import status_report
from lakelet.watch.alarm_book import AlarmStatus
from lakelet.watch.names import Athena, Firehose, Glue, Lakelet, Lambda
from lakelet.watch.prices import load_prices

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Facts = dict[str, Any]
# Delivery may take its buffer's interval; beyond it, something waits.
LATE_SECONDS = 120


def overview(node: "Node") -> Facts:
    """
    Returns:
        stages: in the road's order: id, title, href, value, unit, note, state
            (ok, idle, warn, bad), flow (0 to 1), spark (60 minutes' values).
        ledger: events and where they ended. alarms: those that are not OK.
        bill: dollars a month on AWS, None while too little was seen.
    """
    status = status_report(node)
    minutes = Minutes(node.watch.history, node.clock.now())
    alarms = node.watch.alarms.statuses()
    return {
        "pipeline": node.pipeline.name,
        "endpoint": node.endpoint,
        "at": node.clock.now().isoformat(),
        "stages": stages(node, status, minutes),
        "ledger": ledger(status),
        "alarms": [alarm_facts(alarm) for alarm in alarms if alarm.state == "ALARM"],
        "alarms_watched": len(alarms),
        "bill": bill(node),
    }


def stages(node: "Node", status: Facts, minutes: Minutes) -> list[Facts]:
    stream, transform, crawl = status["stream"], status["transform"], status["crawl"]
    late = stream["oldest_seconds"] > node.pipeline.stream.buffer_interval_seconds + LATE_SECONDS
    partitions = sum(table["partitions"] for table in status["tables"])
    failed_queries = minutes.total(Athena.QUERY_FAILURES).sum
    planned_ms = minutes.percentile(Athena.TOTAL_TIME, "p50")
    return [
        _stage(
            *("source", "Sources", "/live", minutes.rate(Firehose.INCOMING_RECORDS), "records/s"),
            minutes.sums(Firehose.INCOMING_RECORDS),
            f"{minutes.total(Firehose.INCOMING_PUT_REQUESTS).sum:,.0f} put requests this hour",
        ),
        _stage(
            *("stream", "Stream", "/live", stream["buffered_records"], "records buffered"),
            minutes.sums(Firehose.INCOMING_BYTES),
            "deleted"
            if stream["status"] == "DELETED"
            else "the last delivery failed"
            if stream["last_error"]
            else f"oldest waits {stream['oldest_seconds']:.0f} s"
            if stream["oldest_seconds"]
            else "",
            state="bad" if late or stream["last_error"] or stream["status"] == "DELETED" else "",
        ),
        _stage(
            *("raw", "Raw zone", "/data"),
            *(minutes.total(Firehose.S3_OBJECTS).sum, "objects this hour"),
            minutes.sums(Firehose.S3_OBJECTS),
            f"kept {node.pipeline.retention.raw_days} days",
        ),
        _transform(transform, minutes),
        _stage(
            *("transformed", "Transformed", "/data", status["ledger"]["rows"], "rows in all"),
            minutes.sums(Lakelet.ROWS),
            _quarantined(status["ledger"]["quarantined"]),
        ),
        _stage(
            *("crawler", "Crawler", "/health", minutes.total(Glue.CRAWLS).sum, "crawls this hour"),
            minutes.sums(Glue.CRAWLS),
            "the last one failed" if crawl["last_error"] else _brief(crawl["last_lines"]),
            state="bad" if crawl["last_error"] else "",
        ),
        _stage(
            *("catalog", "Catalog", "/data", partitions, "partitions"),
            minutes.sums(Glue.PARTITIONS),
            ", ".join(table["name"] for table in status["tables"]),
        ),
        _stage(
            *("sql", "SQL", "/query", minutes.total(Athena.QUERIES).sum, "queries this hour"),
            minutes.sums(Athena.QUERIES),
            f"{failed_queries:,.0f} failed"
            if failed_queries
            else f"half within {planned_ms:,.0f} ms"
            if planned_ms is not None
            else "",
            state="warn" if failed_queries else "",
        ),
    ]


def _transform(transform: Facts, minutes: Minutes) -> Facts:
    waiting, dead = transform["waiting"], transform["dead"]
    p90_ms = minutes.percentile(Lambda.DURATION, "p90")
    notes = [
        f"{dead:,} given up" if dead else "",
        f"{waiting:,} waiting" if waiting else "",
        f"nine in ten within {p90_ms:,.0f} ms" if p90_ms is not None and not dead else "",
    ]
    return _stage(
        *("transform", "Transform", "/health", minutes.rate(Lakelet.EVENTS), "events/s"),
        minutes.sums(Lakelet.EVENTS),
        ", ".join(note for note in notes if note),
        state="bad" if dead else "",
    )


def _stage(
    name: str,
    title: str,
    href: str,
    value: float,
    unit: str,
    spark: Sequence[float],
    note: str = "",
    state: str = "",
) -> Facts:
    flowing = is_flowing(spark)
    return {
        "id": name,
        "title": title,
        "href": href,
        "value": value,
        "unit": unit,
        "note": note,
        "state": state or ("ok" if flowing else "idle"),
        # Widths by order of magnitude: a brook and a stream both show.
        "flow": min(1.0, math.log10(1 + max(spark[-2:])) / 6) if flowing else 0.0,
        "spark": list(spark),
    }


def ledger(status: Facts) -> Facts:
    """Where the events that were read ended; `imbalance` is 0 or there is trouble."""
    totals = status["ledger"]
    ends = {
        "rows": totals["rows"],
        "duplicates": totals["duplicates"],
        "quarantined": sum(totals["quarantined"].values()),
        "dropped": sum(totals["dropped"].values()),
    }
    imbalance = totals["events"] - sum(ends.values())
    return {"events": totals["events"], **ends, "imbalance": imbalance}


def alarm_facts(status: AlarmStatus) -> Facts:
    return {
        "name": status.alarm.name,
        "state": str(status.state),
        "since": status.state_at.isoformat(),
        "reason": status.reason,
        "description": status.alarm.description,
        "shipped": status.alarm.shipped,
    }


# A fortnight of metrics is added up for it: not at each redraw of each open page.
BILL_SECONDS = 30.0
_bills: "WeakKeyDictionary[Node, tuple[float, Facts]]" = WeakKeyDictionary()


def bill(node: "Node") -> Facts | None:
    """The month on AWS at this pace, half a minute old at most; None before the first event."""
    kept = _bills.get(node)
    if kept is not None and node.clock.monotonic() - kept[0] < BILL_SECONDS:
        return kept[1]
    made = _bill(node)
    if made is not None:
        _bills[node] = (node.clock.monotonic(), made)
    return made


def _bill(node: "Node") -> Facts | None:
    measured = measured_usage(node.watch.history, node.pipeline, node.clock.now())
    if not measured.usage.events:
        return None
    days = measured.observed_days
    return bill_report(measured.usage, load_prices(), observed_days=days)


def _quarantined(reasons: dict[str, int]) -> str:
    count = sum(reasons.values())
    return f"{count:,} quarantined" if count else ""


def _brief(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    return f"{lines[0][:60]}{more}"
