"""What analysts find ready: views and saved queries over the contract's default table.

Each is offered only where the table has the columns it reads: another contract than the
shipped one gets those that fit, and none that would fail. Where the table's events have a key,
all of them read its `_once` view, so that no number counts an event twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from lakelet.model.contract import TableContract
from lakelet.model.schema import glue_type

# `{table}` is filled in. The windows name partitions, so that Athena reads those days only.
_LAST_DAYS = "date(concat(year, '-', month, '-', day)) >= current_date - INTERVAL '{days}' DAY"


# The rank's own name: with a hyphen, which no column of a contract can have.
_RANK = "nth-row"


@dataclass(frozen=True, slots=True)
class View:
    name: str
    description: str
    sql: str
    columns: tuple[tuple[str, str], ...]  # name, Hive type
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class SavedQuery:
    name: str
    description: str
    sql: str
    needs: frozenset[str]


Offered = TypeVar("Offered", View, SavedQuery)

VIEWS = (
    View(
        "daily_traffic",
        "A row a day: events, people, sessions, purchases, revenue.",
        "SELECT event_date, count(*) AS events, count(DISTINCT user_id) AS users, "
        "count(DISTINCT session_id) AS sessions, "
        "count_if(event_type = 'purchase') AS purchases, sum(revenue) AS revenue "
        "FROM {table} GROUP BY event_date",
        (
            ("event_date", "date"),
            ("events", "bigint"),
            ("users", "bigint"),
            ("sessions", "bigint"),
            ("purchases", "bigint"),
            ("revenue", "double"),
        ),
        frozenset({"event_date", "user_id", "session_id", "event_type", "revenue"}),
    ),
    View(
        "sessions",
        "A row a session: when, how long, how many events, what it was worth.",
        "SELECT session_id, min(user_id) AS user_id, min(event_timestamp) AS started_at, "
        "date_diff('second', min(event_timestamp), max(event_timestamp)) AS seconds, "
        "count(*) AS events, sum(revenue) AS revenue "
        "FROM {table} WHERE session_id IS NOT NULL GROUP BY session_id",
        (
            ("session_id", "string"),
            ("user_id", "string"),
            ("started_at", "timestamp"),
            ("seconds", "bigint"),
            ("events", "bigint"),
            ("revenue", "double"),
        ),
        frozenset({"session_id", "user_id", "event_timestamp", "revenue"}),
    ),
)

SAVED_QUERIES = (
    SavedQuery(
        "funnel, last 7 days",
        "How many sessions viewed, added to the cart and bought.",
        "SELECT count(DISTINCT if(event_type = 'page_view', session_id)) AS viewed,\n"
        "  count(DISTINCT if(event_type = 'add_to_cart', session_id)) AS added,\n"
        "  count(DISTINCT if(event_type = 'purchase', session_id)) AS bought\n"
        "FROM {table}\nWHERE " + _LAST_DAYS.format(days=7),
        frozenset({"event_type", "session_id"}),
    ),
    SavedQuery(
        "best products, last 30 days",
        "By revenue.",
        "SELECT product_id, min(product_name) AS product, count(*) AS purchases, "
        "sum(revenue) AS revenue\n"
        "FROM {table}\nWHERE event_type = 'purchase' AND "
        + _LAST_DAYS.format(days=30)
        + "\nGROUP BY product_id ORDER BY revenue DESC LIMIT 50",
        frozenset({"event_type", "product_id", "product_name", "revenue"}),
    ),
    SavedQuery(
        "searches without results, last 7 days",
        "What people looked for and did not find.",
        "SELECT search_query, count(*) AS searches\nFROM {table}\n"
        "WHERE event_type = 'search' AND search_results_count = 0 AND "
        + _LAST_DAYS.format(days=7)
        + "\nGROUP BY search_query ORDER BY searches DESC LIMIT 100",
        frozenset({"event_type", "search_query", "search_results_count"}),
    ),
    SavedQuery(
        "arrival to event, today",
        "How late events come: for late partitions and clocks gone wrong.",
        "SELECT approx_percentile(date_diff('second', event_timestamp, received_at), "
        "ARRAY[0.5, 0.9, 0.99]) AS seconds_late, count(*) AS events\n"
        "FROM {table}\nWHERE " + _LAST_DAYS.format(days=0),
        frozenset({"event_timestamp", "received_at"}),
    ),
)


def once_name(table: TableContract) -> str:
    """What to read for each event once: the table's view, or the table if it has no key."""
    return f"{table.name}_once" if table.deduplicate else table.name


def once_view(table: TableContract) -> View | None:
    """Each event key's first row of a day, as the job's compaction will leave it; None
    without a key.

    A day is part of what is ranked within: WHERE on year, month and day then reaches the
    partitions through the window, and the same key on two days stays two rows, here as there.
    A row without a key is nobody's duplicate.
    """
    if table.deduplicate is None:
        return None
    key = _quoted(table.deduplicate.column)
    days = ", ".join(map(_quoted, table.partition_keys))
    columns = (
        *((column.name, glue_type(column.type)) for column in table.schema),
        *((name, "string") for name in table.partition_keys),
    )
    names = ", ".join(_quoted(name) for name, _ in columns)
    rank = _quoted(_RANK)
    keyless = "" if table.field_of(table.deduplicate.column).required else f" OR {key} IS NULL"
    return View(
        once_name(table),
        f"{table.name}, each {table.deduplicate.column} once a day: the first that arrived.",
        f"SELECT {names} FROM (SELECT *, row_number() OVER (PARTITION BY {days}, {key} "
        f'ORDER BY "received_at") AS {rank} FROM {{table}}) WHERE {rank} = 1{keyless}',
        columns,
        frozenset(),
    )


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def views_for(schema: pa.Schema) -> list[View]:
    return _fitting(VIEWS, schema)


def saved_queries_for(schema: pa.Schema) -> list[SavedQuery]:
    return _fitting(SAVED_QUERIES, schema)


def _fitting(offered: Iterable[Offered], schema: pa.Schema) -> list[Offered]:
    columns = set(schema.names)
    return [one for one in offered if one.needs <= columns]
