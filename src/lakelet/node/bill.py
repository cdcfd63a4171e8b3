"""What this pipeline would cost on AWS, from what the node measured."""

from datetime import datetime, timedelta
from typing import Any

from lakelet.model.pipeline import Pipeline
from lakelet.node.schedule import parse_schedule
from lakelet.watch.cost import MONTH_DAYS, Usage, advise, estimate, ranges
from lakelet.watch.history import MetricHistory
from lakelet.watch.prices import Prices
from lakelet.watch.usage import Measured, measure

GROWTH_FACTORS = (1.0, 10.0, 100.0)
_SAMPLE_DAYS = 7


def measured_usage(history: MetricHistory, pipeline: Pipeline, now: datetime) -> Measured:
    """A month of this node's work as AWS would see it.

    Crawls are those of the declared schedule: here a crawl after each new object is free,
    and deployed there are none of those.
    """
    crawls = crawls_a_month(pipeline.crawler.schedule, now)
    return measure(history, pipeline, now, crawls_a_month=crawls)


def crawls_a_month(schedule: str, now: datetime) -> float:
    """How often a schedule fires, counted over a week."""
    parsed = parse_schedule(schedule)
    if parsed is None:
        return 0.0
    count, at, end = 0, now, now + timedelta(days=_SAMPLE_DAYS)
    while (following := parsed.next_after(at)) is not None and following <= end:
        count, at = count + 1, following
    return count * MONTH_DAYS / _SAMPLE_DAYS


def bill_report(
    usage: Usage,
    prices: Prices,
    *,
    observed_days: float = 0.0,
    growth: tuple[float, ...] = GROWTH_FACTORS,
) -> dict[str, Any]:
    """Plain data, dollars a month.

    Returns:
        dollars, lines (dearest first), growth (factor and dollars), advice; region,
        prices_date and prices_source; observed_days, 0 where the usage was not measured.
    """
    bill = estimate(usage, prices)
    return {
        "dollars": bill.dollars,
        "region": bill.region,
        "prices_date": bill.prices_date,
        "prices_source": bill.prices_source,
        "observed_days": observed_days,
        "events": usage.events,
        "event_bytes": usage.event_bytes,
        "lines": [
            {
                "component": line.component,
                "dollars": line.dollars,
                "quantity": line.quantity,
                "unit": line.unit,
                "note": line.note,
            }
            for line in bill.lines
        ],
        "growth": [
            {"factor": factor, "dollars": grown.dollars}
            for factor, grown in ranges(usage, prices, growth)
        ],
        "advice": [
            {"title": a.title, "dollars_saved": a.dollars_saved, "detail": a.detail}
            for a in advise(usage, prices)
        ],
    }
