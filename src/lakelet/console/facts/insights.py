"""Questions a shop asks of its clickstream, as SQL over the default contract.

Each insight is a query and how to draw it: the page shows both. The SQL is Athena's, so it
runs unchanged on AWS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from lakelet.model.errors import LakeletError

if TYPE_CHECKING:
    from lakelet.node.runtime import Node

Facts = dict[str, Any]
SEGMENTS = ("device_type", "country", "product_category")
ROWS_MAX = 500


@dataclass(frozen=True, slots=True)
class Insight:
    """`kind` names a chart of `charts`, or figures, sankey, triangle."""

    id: str
    title: str
    kind: str
    sql: str  # {where} stands for the range and segment


INSIGHTS = (
    Insight(
        "totals",
        "In this range",
        "figures",
        "SELECT count(DISTINCT user_id) AS visitors, count(DISTINCT session_id) AS sessions,\n"
        "  count_if(event_type = 'page_view') AS page_views,\n"
        "  count_if(event_type = 'purchase') AS purchases, sum(revenue) AS revenue,\n"
        "  1.0 * count(DISTINCT CASE WHEN event_type = 'purchase' THEN session_id END)\n"
        "    / nullif(count(DISTINCT session_id), 0) AS conversion\n"
        "FROM events WHERE {where}",
    ),
    Insight(
        "visitors",
        "Visitors and sessions",
        "line",
        "SELECT event_date AS day, count(DISTINCT user_id) AS visitors,\n"
        "  count(DISTINCT session_id) AS sessions\n"
        "FROM events WHERE {where} GROUP BY 1 ORDER BY 1",
    ),
    Insight(
        "funnel",
        "From a view to a purchase",
        "funnel",
        "SELECT step, sessions FROM (\n"
        "  SELECT 1 AS n, 'viewed' AS step,\n"
        "    count(DISTINCT CASE WHEN event_type = 'page_view' THEN session_id END) AS sessions\n"
        "  FROM events WHERE {where}\n"
        "  UNION ALL SELECT 2, 'added to cart',\n"
        "    count(DISTINCT CASE WHEN event_type = 'add_to_cart' THEN session_id END)\n"
        "  FROM events WHERE {where}\n"
        "  UNION ALL SELECT 3, 'purchased',\n"
        "    count(DISTINCT CASE WHEN event_type = 'purchase' THEN session_id END)\n"
        "  FROM events WHERE {where}\n"
        ") steps ORDER BY n",
    ),
    Insight(
        "revenue",
        "Revenue",
        "bar",
        "SELECT event_date AS day, round(sum(revenue), 2) AS revenue\n"
        "FROM events WHERE {where} GROUP BY 1 ORDER BY 1",
    ),
    Insight(
        "products",
        "Products by revenue",
        "table",
        "SELECT product_name AS product, sum(quantity) AS sold, round(sum(revenue), 2) AS revenue\n"
        "FROM events WHERE {where} AND event_type = 'purchase' AND product_name IS NOT NULL\n"
        "GROUP BY 1 ORDER BY 3 DESC LIMIT 10",
    ),
    Insight(
        "pages",
        "Pages",
        "table",
        "SELECT regexp_replace(page_url, '[?#].*$', '') AS page, count(*) AS views,\n"
        "  count(DISTINCT session_id) AS sessions\n"
        "FROM events WHERE {where} AND event_type = 'page_view' AND page_url IS NOT NULL\n"
        "GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
    ),
    Insight(
        "retention",
        "Who comes back",
        "triangle",
        "WITH days AS (\n"
        "  SELECT DISTINCT user_id, event_date AS day FROM events\n"
        "  WHERE {where} AND user_id IS NOT NULL\n"
        "), firsts AS (SELECT user_id, min(day) AS first_day FROM days GROUP BY 1)\n"
        "SELECT date_trunc('week', first_day) AS cohort,\n"
        "  date_diff('week', date_trunc('week', first_day), date_trunc('week', day)) AS week,\n"
        "  count(DISTINCT days.user_id) AS users\n"
        "FROM days JOIN firsts ON days.user_id = firsts.user_id GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    Insight(
        "paths",
        "First steps of a session",
        "sankey",
        "WITH steps AS (\n"
        "  SELECT session_id, event_type,\n"
        "    row_number() OVER (PARTITION BY session_id ORDER BY event_timestamp) AS n\n"
        "  FROM events WHERE {where} AND session_id IS NOT NULL\n"
        ")\n"
        "SELECT a.n AS step, a.event_type AS origin, b.event_type AS target, count(*) AS sessions\n"
        "FROM steps a JOIN steps b ON a.session_id = b.session_id AND b.n = a.n + 1\n"
        "WHERE a.n <= 3 GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 40",
    ),
    Insight(
        "countries",
        "Where they are",
        "bar",
        "SELECT coalesce(country, 'unknown') AS country, count(DISTINCT session_id) AS sessions\n"
        "FROM events WHERE {where} GROUP BY 1 ORDER BY 2 DESC LIMIT 12",
    ),
    Insight(
        "devices",
        "What they hold",
        "pie",
        "SELECT coalesce(device_type, 'unknown') AS device,\n"
        "  count(DISTINCT session_id) AS sessions\n"
        "FROM events WHERE {where} GROUP BY 1 ORDER BY 2 DESC",
    ),
    Insight(
        "hours",
        "When they come",
        "heat map",
        "SELECT hour, day_of_week, count(*) AS events FROM events WHERE {where}\n"
        "GROUP BY 1, 2 ORDER BY min(CASE day_of_week WHEN 'Monday' THEN 1 WHEN 'Tuesday' THEN 2\n"
        "  WHEN 'Wednesday' THEN 3 WHEN 'Thursday' THEN 4 WHEN 'Friday' THEN 5\n"
        "  WHEN 'Saturday' THEN 6 ELSE 7 END), 1",
    ),
)
BY_ID: Mapping[str, Insight] = {insight.id: insight for insight in INSIGHTS}
COLUMNS_NEEDED = frozenset(
    {"event_type", "event_timestamp", "user_id", "session_id", "revenue", "event_date", "hour"}
)


def fits(node: "Node") -> bool:
    """Whether the lake has the default contract's table."""
    return any(
        table.name == "events" and set(table.schema.names) >= COLUMNS_NEEDED
        for table in node.contract.tables
    )


def where(first: date, last: date, segment: str = "", value: str = "") -> str:
    """The range as Athena prunes it: by the partition keys, both days included."""
    clause = f"year || month || day BETWEEN '{first:%Y%m%d}' AND '{last:%Y%m%d}'"
    if segment in SEGMENTS and value:
        quoted = value.replace("'", "''")
        clause += f" AND {segment} = '{quoted}'"
    return clause


def sql_of(insight: Insight, clause: str) -> str:
    return insight.sql.replace("{where}", clause)


def newest_day(node: "Node") -> date | None:
    """The last partition: where the default range ends."""
    try:
        places = node.catalog.partition_places(node.pipeline.database, "events")
    except LakeletError:
        return None
    return date(*(int(v) for v in places[-1].values)) if places else None


def ask(node: "Node", insight: Insight, clause: str) -> Any:
    """The answer as Arrow. Raises QueryFailed."""
    return node.query_arrow(sql_of(insight, clause)).slice(0, ROWS_MAX)


def values_of(node: "Node", segment: str, clause: str) -> list[str]:
    sql = (
        f"SELECT {segment} AS v, count(*) AS n FROM events WHERE {clause}"
        f" AND {segment} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC LIMIT 40"
    )
    return [str(row["v"]) for row in node.query_arrow(sql).to_pylist()]


def insights(
    node: "Node", since: str = "", until: str = "", segment: str = "", value: str = ""
) -> Facts:
    """Every insight's rows and SQL, by id. Days are ISO; by default the last four weeks."""
    last = date.fromisoformat(until) if until else newest_day(node)
    if last is None or not fits(node):
        return {"insights": {}, "since": None, "until": None}
    first = date.fromisoformat(since) if since else last - timedelta(days=27)
    clause = where(first, last, segment, value)
    return {
        "since": first.isoformat(),
        "until": last.isoformat(),
        "insights": {
            insight.id: {
                "title": insight.title,
                "sql": sql_of(insight, clause),
                "rows": ask(node, insight, clause).to_pylist(),
            }
            for insight in INSIGHTS
        },
    }
