"""Whether all is well, and what to do where it is not."""

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lakelet.console.facts.overview import alarm_facts, ledger
from lakelet.lake.lifecycle import rules
from lakelet.node.report import status_report
from lakelet.watch.names import S3, Lakelet
from lakelet.watch.registry import SeriesKey
from lakelet.watch.statistics import statistic

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Facts = dict[str, Any]
SAMPLES = 8
RAW_SHOWN = 400  # characters of an original
DAY_SECONDS = 86_400
FORECAST_DAYS = 30


def health(node: "Node") -> Facts:
    """
    Returns:
        alarms (all), alarm_history, streams, ledger, quarantine (reason and count),
        dead_letters, crawls, schedules, storage, settings.
    """
    status = status_report(node)
    now = node.clock.now()
    return {
        "alarms": [alarm_facts(alarm) for alarm in node.watch.alarms.statuses()],
        "alarm_history": [
            {"alarm": item.alarm, "at": item.at.isoformat(), "summary": item.summary}
            for item in node.watch.alarms.history(kind="StateUpdate", limit=20)
        ],
        "streams": status["streams"],
        "ledger": ledger(status),
        "days": node.ledger.by_day(),
        "quarantine": status["ledger"]["quarantined"],
        "dead_letters": [
            {
                "key": item.key,
                "attempts": item.attempts,
                "since": item.enqueued_at.isoformat(),
                "error": item.error,
            }
            for item in node.queue.dead_letters()
        ],
        "crawl": status["crawl"],
        "schedules": schedules(node),
        "storage": storage(node),
        "settings": settings(node),
        "at": now.isoformat(),
    }


def schedules(node: "Node") -> list[Facts]:
    from lakelet.node.schedule import parse_schedule

    now = node.clock.now()
    crawl = parse_schedule(node.pipeline.crawler.schedule)
    due = crawl.next_after(now) if crawl else None
    after = " and after new data" if node.pipeline.crawler.after_new_data else ""
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return [
        {
            "what": "Crawl",
            "when": f"{node.pipeline.crawler.schedule or 'never by the clock'}{after}",
            "next_at": due.isoformat() if due else None,
        },
        *(
            {
                "what": f"Expire {rule.bucket}",
                "when": f"{rule.days} days after an object was written",
                "next_at": midnight.isoformat(),
            }
            for rule in rules(node.pipeline)
        ),
    ]


def storage(node: "Node") -> Facts:
    """Each bucket now and in a month at the last week's pace; how full the disk is."""
    now_at = int(node.clock.now().timestamp())
    history = node.watch.history
    found = []
    for bucket in node.pipeline.buckets:
        dimensions = (("BucketName", bucket), ("StorageType", "StandardStorage"))
        key = SeriesKey(S3.BUCKET_SIZE.namespace, S3.BUCKET_SIZE.name, dimensions)
        points = history.read(key, now_at - 7 * DAY_SECONDS, now_at + 60, 3600)
        if not points:
            continue
        times = sorted(points)
        size_bytes = points[times[-1]].max
        days = (times[-1] - times[0]) / DAY_SECONDS
        pace = (size_bytes - points[times[0]].max) / days if days >= 1 else 0.0
        found.append(
            {
                "bucket": bucket,
                "bytes": size_bytes,
                "bytes_in_a_month": max(0.0, size_bytes + pace * FORECAST_DAYS)
                if days >= 1
                else None,
            }
        )
    disk = SeriesKey(
        Lakelet.DISK_USED.namespace, Lakelet.DISK_USED.name, (("Pipeline", node.pipeline.name),)
    )
    recent = history.read(disk, now_at - 600, now_at + 60, 600)
    used = statistic(recent[max(recent)], "Maximum") if recent else None
    return {"buckets": found, "disk_used_percent": used}


def settings(node: "Node") -> Facts:
    """The declaration in force, and where it stands."""
    contract = node.contract
    return {
        "data": str(node.folder.root),
        "endpoint": node.endpoint,
        "tables": [table.name for table in contract.tables],
        **dataclasses.asdict(node.pipeline),
    }


def samples(node: "Node", reason: str) -> list[Facts]:
    """The newest rejects of a reason, originals included: for who may see raw data."""
    table = f"{node.pipeline.database}_quarantine"
    quoted = reason.replace("'", "''")
    sql = (
        f"SELECT * FROM {table} WHERE reason = '{quoted}' ORDER BY received_at DESC LIMIT {SAMPLES}"
    )
    found = []
    for row in node.query_arrow(sql).to_pylist():
        raw = row.get("raw")
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw or "")
        cut = f"{text[:RAW_SHOWN]}…" if len(text) > RAW_SHOWN else text
        rest = {key: str(value) for key, value in row.items() if key not in ("raw", "reason")}
        found.append(rest | {"raw": cut})
    return found
