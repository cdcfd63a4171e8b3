"""Which files a query reads, what of them is counted, and what a reader never sees."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from lakelet.catalog.crawl import apply_crawl, plan_crawl
from lakelet.model.layout import aside_key
from lakelet.model.swap import Aside, Swap
from lakelet.query.parse import parse_query
from tests.catalog.lake import BUCKET, LATER_NS, parquet, put_day
from tests.query.conftest import a_day


def planned(lake, sql):
    """(partitions, files) of each scan."""
    plan = lake.engine._performer._runner._planner.plan(
        parse_query(sql), "shop", now=lake.clock.now()
    )
    return [(scan.partition_count, scan.file_count) for scan in plan.scans]


@pytest.mark.parametrize(
    ("where", "partitions"),
    [
        ("year = '2026' AND month = '03' AND day = '09'", 1),
        ("day IN ('08', '10')", 2),
        ("day BETWEEN '09' AND '10' AND price > 1", 2),
        ("day = '09' OR price > 1", 3),
        ("day = '09' OR day = '10'", 2),
        ("'09' = day", 1),
        ("day <> '09'", 2),
        ("NOT (day = '09')", 2),
        ("day LIKE '0%'", 2),
        ("CAST(day AS integer) >= 9", 2),
        ("date(year || '-' || month || '-' || day) = date '2026-03-10'", 1),
        ("concat(year, month, day) > '20260308'", 2),
        ("day = '11'", 0),
        ("year = '2025'", 0),
        ("price > 1", 3),
        ("coalesce(day, 'x') = '09'", 1),
    ],
)
def test_where_decides_which_partitions_are_read(lake, where, partitions):
    assert planned(lake, f"SELECT count(*) FROM events WHERE {where}") == [(partitions, partitions)]
    rows = lake.rows(f"SELECT count(*) FROM events WHERE {where}")
    everything = lake.rows(
        f"SELECT count(*) FROM (SELECT * FROM events OFFSET 0) AS e WHERE {where}"
    )
    assert rows == everything


@pytest.mark.parametrize(
    ("sql", "scans"),
    [
        ("WITH e AS (SELECT * FROM events) SELECT count(*) FROM e WHERE day = '09'", [1]),
        ("SELECT count(*) FROM (SELECT day FROM events) AS e WHERE e.day = '09'", [1]),
        ("SELECT 1 FROM events a JOIN events b ON a.n = b.n AND b.day = '09'", [3, 1]),
        ("SELECT 1 FROM events a JOIN events b ON a.n = b.n WHERE a.day = '09'", [1, 3]),
        # The rows of the left side stay, matched or not; those of the right may go.
        ("SELECT 1 FROM events a LEFT JOIN events b ON a.n = b.n AND a.day = '09'", [3, 3]),
        ("SELECT 1 FROM events a LEFT JOIN events b ON a.n = b.n AND b.day = '09'", [3, 1]),
        (
            "SELECT 1 FROM events a LEFT JOIN events b ON a.n = b.n WHERE coalesce(b.day, '') = ''",
            [3, 3],
        ),
        (
            "SELECT * FROM events WHERE day = '08' UNION ALL SELECT * FROM events WHERE day = '10'",
            [1, 1],
        ),
    ],
)
def test_conditions_reach_the_table_they_speak_of(lake, sql, scans):
    assert [partitions for partitions, _ in planned(lake, sql)] == scans


def test_a_left_join_keeps_rows_whose_partner_was_pruned(lake):
    sql = (
        "SELECT a.event_id, b.event_id FROM events a LEFT JOIN events b"
        " ON a.event_id = b.event_id AND b.day = '09' WHERE a.n = 0 ORDER BY 1"
    )
    assert lake.rows(sql) == [("0-0", None), ("1-0", "1-0"), ("2-0", None)]


def test_scanned_bytes_are_the_chunks_of_the_columns_that_are_used(lake):
    facts = lake.catalog.folders.files(BUCKET, "events/year=2026/month=03/day=09/")[0]
    names = [name for name, _ in lake.catalog.folders.schema(facts.schema_id).columns]
    size = dict(zip(names, facts.column_bytes, strict=True))
    day = "FROM events WHERE day = '09'"
    assert lake.scanned(f"SELECT sum(price) {day}") == size["price"]
    assert lake.scanned(f"SELECT sum(price) {day} AND n > 1") == size["price"] + size["n"]
    assert lake.scanned(f"SELECT * {day}") == sum(size.values())
    assert lake.scanned(f"SELECT count(*) {day}") == 0
    assert lake.scanned("SELECT sum(price) FROM events") > 2 * size["price"]
    # A column that only a CTE carries along is not read.
    assert lake.scanned(f"WITH e AS (SELECT * {day}) SELECT max(n) FROM e") == size["n"]


def test_columns_are_matched_by_name_and_missing_ones_are_null(lake):
    put_day(lake.store, "2026-03-11", parquet(extra=["e"], N=pa.array([7], pa.int16())))
    lake.crawl()
    rows = lake.rows("SELECT event_id, n, extra FROM events WHERE day IN ('10', '11') AND n > 2")
    assert sorted(rows, key=str) == [("2-3", "3", None), (None, "7", "e")]


def test_a_clash_of_types_fails_only_the_query_that_reads_it(lake):
    put_day(lake.store, "2026-03-09", parquet(event_id=["x"], price=["dear"]), name="b")
    count = "SELECT count(event_id) FROM events WHERE day = '09'"
    assert lake.rows(count) == [("5",)]
    reason = lake.reason("SELECT sum(price) FROM events WHERE day = '09'")
    assert reason.startswith("HIVE_BAD_DATA: Field price's type varchar in parquet file s3://lake/")
    assert reason.endswith("is incompatible with type double defined in table schema")


def test_a_torn_file_is_named_as_s3_names_it(lake):
    put_day(lake.store, "2026-03-09", b"PAR1 torn", name="torn")
    reason = lake.reason("SELECT * FROM events WHERE day = '09'")
    assert reason.startswith("HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split s3://lake/events/")
    assert lake.rows("SELECT count(*) FROM events WHERE day = '08'") == [("4",)]


def test_hidden_files_are_not_data(lake):
    lake.store.put(BUCKET, "events/year=2026/month=03/day=09/_SUCCESS", b"x")
    lake.store.put(BUCKET, "events/year=2026/month=03/day=09/.crc", b"x")
    assert lake.rows("SELECT count(*) FROM events WHERE day = '09'") == [("4",)]


def test_path_is_there_for_those_who_name_it(lake):
    sql = "SELECT DISTINCT \"$path\" FROM events WHERE day = '09'"
    assert lake.rows(sql) == [("s3://lake/events/year=2026/month=03/day=09/a.parquet",)]
    assert len(lake.rows('SELECT *, "$path" FROM events LIMIT 1')[0]) == 8
    assert len(lake.rows("SELECT * FROM events LIMIT 1")[0]) == 7


def test_names_that_are_patterns_to_duckdb_are_plain_names(lake):
    put_day(lake.store, "2026-03-09", a_day(7), name="[a-z]*?")
    assert lake.rows("SELECT count(*) FROM events WHERE day = '09'") == [("8",)]


def test_a_partition_elsewhere_is_read_where_the_catalog_says(lake):
    lake.store.put("other", "moved/b.parquet", a_day(9))
    location = "s3://other/moved/"
    partition = "PARTITION (year='2026', month='03', day='09')"
    sql = f"ALTER TABLE events {partition} SET LOCATION '{location}'"
    lake.rows(sql)
    rows = lake.rows("SELECT day, min(event_id) FROM events GROUP BY day ORDER BY day")
    assert rows == [("08", "0-0"), ("09", "9-0"), ("10", "2-0")]


def test_a_change_of_many_files_is_seen_whole_or_not_at_all(lake):
    """Compaction writes aside and then says so in one object."""
    folder = "events/year=2026/month=03/day=09/"
    put_day(lake.store, "2026-03-09", a_day(5), name="b")
    both = parquet(event_id=["merged"], n=pa.array([0], pa.int32()))
    aside = lake.store.put(BUCKET, aside_key("s1", f"{folder}c.parquet"), both)
    count = "SELECT count(*), max(event_id) FROM events WHERE day = '09'"
    assert lake.rows(count) == [("8", "5-3")]
    swap = Swap(
        "s1",
        datetime(2026, 3, 9, tzinfo=UTC),
        {(BUCKET, f"{folder}c.parquet"): Aside(aside.key, aside.size_bytes, aside.etag)},
        {(BUCKET, f"{folder}a.parquet"): (), (BUCKET, f"{folder}b.parquet"): ()},
    )
    lake.store.put(BUCKET, swap.key, swap.encode())
    assert lake.rows(count) == [("1", "merged")]
    assert lake.rows("SELECT \"$path\" FROM events WHERE day = '09'") == [
        (f"s3://{BUCKET}/{folder}c.parquet",)
    ]


def test_a_file_that_vanishes_after_planning_is_planned_around(lake, monkeypatch):
    """A compaction that settles between a query's listing and its reading."""
    planner = lake.engine._performer._runner._planner
    plan_once, calls = planner.plan, []

    def plan(*args, **options):
        made = plan_once(*args, **options)
        calls.append(1)
        if len(calls) == 1:
            put_day(lake.store, "2026-03-09", a_day(1), name="compacted")
            lake.store.delete(BUCKET, "events/year=2026/month=03/day=09/a.parquet")
        return made

    monkeypatch.setattr(planner, "plan", plan)
    assert lake.rows("SELECT count(*) FROM events WHERE day = '09'") == [("4",)]
    assert len(calls) == 2


def test_a_new_file_is_seen_by_the_next_query_without_a_crawl(lake):
    put_day(lake.store, "2026-03-09", a_day(5), name="b")
    assert lake.rows("SELECT count(*) FROM events WHERE day = '09'") == [("8",)]


def test_what_a_sampling_crawl_did_not_open_a_query_opens(lake):
    put_day(lake.store, "2026-03-11", a_day(3), name="a")
    put_day(lake.store, "2026-03-11", parquet(other=["x"], n=[5]), name="b")
    target = {"Path": f"s3://{BUCKET}/", "SampleSize": 1}
    crawler = {"Name": "c", "DatabaseName": "shop", "Targets": {"S3Targets": [target]}}
    apply_crawl(plan_crawl(lake.store, lake.catalog, crawler, now_ns=LATER_NS), lake.catalog)
    sql = "SELECT max(n), count(event_id) FROM events WHERE day = '11'"
    assert lake.reason(sql).startswith("HIVE_BAD_DATA: Field n's type bigint")
    assert lake.rows("SELECT count(*), count(price) FROM events WHERE day = '11'") == [("5", "4")]


# --- projection ---------------------------------------------------------------------------


def projected(lake, **properties):
    spelled = ", ".join(f"'projection.{key}'='{value}'" for key, value in properties.items())
    lake.rows("DROP TABLE IF EXISTS p")
    lake.rows(
        "CREATE EXTERNAL TABLE p (event_id string) PARTITIONED BY (year string, month string,"
        " day string) STORED AS PARQUET LOCATION 's3://lake/events/' TBLPROPERTIES ("
        f"'projection.enabled'='true', {spelled})"
    )


def test_projected_partitions_need_no_catalog(lake):
    projected(
        lake,
        **{
            "year.type": "integer",
            "year.range": "2020,2030",
            "month.type": "enum",
            "month.values": "01,02,03",
            "day.type": "integer",
            "day.range": "1,31",
            "day.digits": "2",
        },
    )
    assert lake.rows("SELECT count(*) FROM p WHERE year = '2026' AND day >= '09'") == [("8",)]
    assert lake.rows("SELECT count(*) FROM p WHERE year = '2031'") == [("0",)]


def test_a_projected_date_ranges_up_to_now(lake):
    lake.rows(
        "CREATE EXTERNAL TABLE d (event_id string) PARTITIONED BY (dt string) STORED AS PARQUET"
        " LOCATION 's3://lake/events/' TBLPROPERTIES ('projection.enabled'='true',"
        " 'projection.dt.type'='date', 'projection.dt.format'='yyyy-MM-dd',"
        " 'projection.dt.range'='NOW-1DAYS,NOW',"
        " 'storage.location.template'='s3://lake/by_date/${dt}')"
    )
    for day in ("2026-03-07", "2026-03-08", "2026-03-09", "2026-03-10"):
        lake.store.put(BUCKET, f"by_date/{day}/a.parquet", parquet(event_id=[day]))
    # The clock stands at 2026-03-09.
    assert lake.rows("SELECT dt FROM d ORDER BY 1") == [("2026-03-08",), ("2026-03-09",)]


def test_an_injected_key_must_be_given(lake):
    projected(
        lake,
        **{"year.type": "injected", "month.type": "injected", "day.type": "injected"},
    )
    where = "year = '2026' AND month = '03' AND day IN ('08', '09')"
    assert lake.rows(f"SELECT count(*) FROM p WHERE {where}") == [("8",)]
    assert lake.reason("SELECT count(*) FROM p").startswith("CONSTRAINT_VIOLATION: ")
