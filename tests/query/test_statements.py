"""DDL, views, CTAS, INSERT and UNLOAD: what they do to the catalog and the lake."""
# ruff: noqa: ISC004 - statements read as they are sent

import gzip
import io

import msgspec
import pyarrow.parquet as pq
import pytest

from tests.catalog.lake import BUCKET


def keys(lake, bucket, prefix=""):
    return [info.key for info in lake.store.list(bucket, prefix)]


# --- looking ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SHOW DATABASES", ["shop"]),
        ("show schemas like 's*'", ["shop"]),
        ("SHOW DATABASES LIKE 'x*'", []),
        ("SHOW TABLES", ["events"]),
        ("SHOW TABLES IN shop 'ev*'", ["events"]),
        ("SHOW TABLES IN `shop` LIKE 'x|y'", []),
        ("SHOW COLUMNS IN events", ["event_id", "price", "n", "user", "year", "month", "day"]),
        ("SHOW COLUMNS FROM events IN shop", None),
        ("SHOW PARTITIONS events", [f"year=2026/month=03/day={d}" for d in ("08", "09", "10")]),
        ("SHOW TBLPROPERTIES events('classification')", ["parquet"]),
        ("SHOW VIEWS", []),
    ],
)
def test_show_answers_a_line_each(lake, sql, rows):
    found = [row[0] for row in lake.rows(sql)]
    assert found == rows if rows is not None else found
    execution = lake.run(sql)
    assert execution["StatementType"] == "UTILITY"
    assert execution["ResultConfiguration"]["OutputLocation"].endswith(".txt")
    assert execution["Statistics"]["DataScannedInBytes"] == 0


def test_describe_lists_columns_then_partition_keys(lake):
    rows = [row[0] for row in lake.rows("DESCRIBE shop.events")]
    assert [line.split()[:2] for line in rows[:2]] == [["event_id", "string"], ["price", "double"]]
    assert rows[8].startswith("# Partition Information")
    assert [line.split()[0] for line in rows[-3:]] == ["year", "month", "day"]
    assert lake.rows("DESC events price")[0][0].split() == ["price", "double"]


def test_show_create_table_makes_the_table_again(lake):
    made = "\n".join(row[0] for row in lake.rows("SHOW CREATE TABLE events"))
    before = lake.catalog.get_table("shop", "events")
    assert "`event_id` string" in made
    lake.rows(made.replace("`shop.events`", "shop.again"))
    after = lake.catalog.get_table("shop", "again")
    for part in ("Columns", "InputFormat", "OutputFormat", "SerdeInfo"):
        assert after["StorageDescriptor"][part] == before["StorageDescriptor"][part]
    assert after["PartitionKeys"] == before["PartitionKeys"]
    lake.rows("MSCK REPAIR TABLE again")
    assert lake.rows("SELECT count(*) FROM again") == [("12",)]


def test_information_schema_tells_of_the_catalog(lake):
    sql = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'shop'"
    assert lake.rows(sql) == [("events", "BASE TABLE")]
    sql = (
        "SELECT column_name, data_type, extra_info FROM information_schema.columns"
        " WHERE table_name = 'events' AND ordinal_position IN (2, 5) ORDER BY ordinal_position"
    )
    assert lake.rows(sql) == [("price", "double", None), ("year", "varchar", "partition key")]
    assert ("shop",) in lake.rows("SELECT schema_name FROM information_schema.schemata")
    assert lake.reason("SELECT * FROM information_schema.nope").startswith("TABLE_NOT_FOUND")


def test_explain_says_what_would_be_read(lake):
    rows = lake.rows("EXPLAIN SELECT price FROM events WHERE day = '09'")
    assert rows[0][0].startswith("scan shop.events: 1 partitions, 1 files, ")
    assert lake.run("EXPLAIN SELECT 1")["SubstatementType"] == "EXPLAIN"
    assert lake.reason("EXPLAIN SELECT nope FROM events").startswith("COLUMN_NOT_FOUND")


# --- databases and tables ---------------------------------------------------------------


def test_databases_are_made_altered_and_dropped(lake):
    lake.rows("CREATE DATABASE IF NOT EXISTS extra COMMENT 'c' LOCATION 's3://other/'")
    lake.rows("ALTER DATABASE extra SET DBPROPERTIES ('a'='b')")
    found = lake.catalog.get_database("extra")
    assert (found["Description"], found["Parameters"]) == ("c", {"a": "b"})
    assert lake.reason("CREATE SCHEMA extra").startswith("SCHEMA_ALREADY_EXISTS")
    assert "not empty" in lake.reason("DROP DATABASE shop")
    lake.rows("DROP DATABASE extra")
    lake.rows("DROP DATABASE IF EXISTS extra")
    lake.rows("DROP DATABASE shop CASCADE")
    assert keys(lake, BUCKET)  # the data stays


def test_a_table_over_json_reads_by_name(lake):
    lake.rows(
        "CREATE EXTERNAL TABLE j (`id` int COMMENT 'the id', tags array<string>,"
        " who struct<name:string,age:int>, price decimal(10,2)) COMMENT 'json'"
        " PARTITIONED BY (d date) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'"
        " WITH SERDEPROPERTIES ('mapping.price'='Cost') LOCATION 's3://other/j/'"
    )
    lines = b'{"id": 1, "tags": ["a", "b"], "who": {"name": "x", "age": 3}, "Cost": 1.5}{"id": 2}'
    lake.store.put("other", "j/d=2026-03-09/a.json", lines)
    lake.store.put("other", "j/d=2026-03-10/b.gz", gzip.compress(b'{"id": 3}\n'))
    lake.rows("MSCK REPAIR TABLE j")
    assert lake.rows("SELECT id, tags, who, price, d FROM j ORDER BY id") == [
        ("1", "[a, b]", "{name=x, age=3}", "1.50", "2026-03-09"),
        ("2", None, None, None, "2026-03-09"),
        ("3", None, None, None, "2026-03-10"),
    ]
    assert lake.rows("SELECT who.name FROM j WHERE d = date '2026-03-09' AND id = 1") == [("x",)]
    assert lake.scanned("SELECT id FROM j WHERE d = date '2026-03-09'") == len(lines)
    lake.store.put("other", "j/d=2026-03-10/c.json", b'{"id": "many"}')
    assert lake.reason("SELECT * FROM j").startswith("HIVE_BAD_DATA: ")


def test_tables_over_csv_read_by_position(lake):
    lake.store.put("other", "c/a.csv", b'id,name,n\n1,"a, b",5\n2,c,many\n3\n4,d,6,surplus\n')
    columns = "(id string, name string, n int)"
    skip = "LOCATION 's3://other/c/' TBLPROPERTIES ('skip.header.line.count'='1')"
    lake.rows(
        f"CREATE EXTERNAL TABLE q {columns} ROW FORMAT SERDE"
        f" 'org.apache.hadoop.hive.serde2.OpenCSVSerde' {skip}"
    )
    lake.rows(
        f"CREATE EXTERNAL TABLE p {columns} ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' {skip}"
    )
    assert lake.rows("SELECT * FROM q ORDER BY id") == [
        *(("1", "a, b", "5"), ("2", "c", None), ("3", None, None), ("4", "d", "6")),
    ]
    assert lake.rows("SELECT * FROM p ORDER BY id") == [
        *(("1", '"a', None), ("2", "c", None), ("3", None, None), ("4", "d", "6")),
    ]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE EXTERNAL TABLE t (a int)", "SYNTAX_ERROR: CREATE EXTERNAL TABLE needs a LOCATION"),
        ("CREATE EXTERNAL TABLE t (a money) LOCATION 's3://x/'", "SYNTAX_ERROR: Column type"),
        ("CREATE EXTERNAL TABLE t (a int) STORED AS ORC LOCATION 's3://x/'", "NOT_SUPPORTED"),
        ("CREATE EXTERNAL TABLE events (a int) LOCATION 's3://x/'", "TABLE_ALREADY_EXISTS"),
        ("ALTER TABLE events DROP PARTITION (day = '99')", "SYNTAX_ERROR: no partition"),
        ("ALTER TABLE events ADD PARTITION (day = '99')", "SYNTAX_ERROR: partition keys"),
        ("ALTER TABLE events FLY", "SYNTAX_ERROR: line 1:20: mismatched input 'FLY'"),
        ("SHOW PARTITIONS nope", "TABLE_NOT_FOUND"),
        ("DROP VIEW events", "TABLE_NOT_FOUND: View"),
        ("DESCRIBE events nope", "COLUMN_NOT_FOUND"),
        ("MSCK REPAIR TABLE events, b", "SYNTAX_ERROR: line 1:25"),
    ],
)
def test_ddl_that_cannot_be_says_why(lake, sql, reason):
    assert lake.reason(sql).startswith(reason)


def test_alter_table_changes_columns_properties_and_partitions(lake):
    lake.rows("ALTER TABLE events ADD COLUMNS (extra string, more array<int>)")
    lake.rows("ALTER TABLE events CHANGE extra other bigint COMMENT 'c'")
    lake.rows("ALTER TABLE events SET TBLPROPERTIES ('k'='v')")
    found = lake.catalog.get_table("shop", "events")
    assert [c["Name"] for c in found["StorageDescriptor"]["Columns"]][-2:] == ["other", "more"]
    assert found["Parameters"]["k"] == "v"
    assert lake.rows("SELECT other FROM events LIMIT 1") == [(None,)]
    lake.rows("ALTER TABLE events REPLACE COLUMNS (event_id string)")
    assert lake.rows("SELECT * FROM events WHERE day = '09' LIMIT 1")[0] == (
        "1-0",
        "2026",
        "03",
        "09",
    )
    spec = "(year='2026', month='03', day='{}')".format
    lake.rows(f"ALTER TABLE events DROP PARTITION {spec('08')}, PARTITION (day > '09')")
    assert len(lake.rows("SHOW PARTITIONS events")) == 1
    location = "s3://lake/events/year=2026/month=03/day=08/"
    lake.rows(
        f"ALTER TABLE events ADD IF NOT EXISTS PARTITION {spec('09')} PARTITION {spec('08')}"
        f" LOCATION '{location}'"
    )
    lake.rows(f"ALTER TABLE events PARTITION {spec('08')} RENAME TO PARTITION {spec('01')}")
    assert lake.rows("SELECT count(*) FROM events WHERE day = '01'") == [("4",)]


# --- views ------------------------------------------------------------------------------


def test_a_view_is_its_query_wherever_it_is_read(lake):
    lake.rows("CREATE DATABASE extra")
    lake.rows("CREATE VIEW v AS SELECT day, sum(price) AS total FROM events GROUP BY day")
    lake.rows("CREATE OR REPLACE VIEW extra.w AS SELECT * FROM shop.v WHERE total > 1")
    assert lake.rows("SELECT total FROM extra.w WHERE day = '09'", database="extra") == [("8.0",)]
    # A view's own names mean its own database.
    assert lake.rows("SELECT count(*) FROM shop.v", database="extra") == [("3",)]
    assert lake.rows("SHOW VIEWS") == [("v",)]
    assert lake.rows("DESCRIBE v")[1][0].split() == ["total", "double"]
    assert lake.reason("CREATE VIEW v AS SELECT 1").startswith("TABLE_ALREADY_EXISTS")
    assert lake.reason("CREATE OR REPLACE VIEW events AS SELECT 1").startswith("TABLE_ALREADY")
    assert lake.reason("DROP TABLE v").startswith("SYNTAX_ERROR")
    lake.rows("DROP VIEW v")
    assert lake.reason("SELECT * FROM extra.w").startswith("TABLE_NOT_FOUND")


def test_a_view_of_itself_is_an_error_not_a_hang(lake):
    lake.rows("CREATE VIEW v AS SELECT 1 AS a")
    lake.rows("CREATE VIEW w AS SELECT * FROM v")
    lake.rows("CREATE OR REPLACE VIEW v AS SELECT * FROM w")
    assert "refers to itself" in lake.reason("SELECT * FROM v")


# --- writing ----------------------------------------------------------------------------


def manifest(lake, execution):
    location = execution["Statistics"]["DataManifestLocation"]
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return lake.store.get(bucket, key).decode().splitlines()


def test_create_table_as_writes_partitions_and_a_manifest(lake):
    execution = lake.run(
        "CREATE TABLE copy WITH (format = 'PARQUET', write_compression = 'SNAPPY',"
        " partitioned_by = ARRAY['day'], external_location = 's3://other/copy/')"
        " AS SELECT event_id, sum(n) OVER () AS total, day FROM events"
    )
    assert execution["SubstatementType"] == "CREATE_TABLE_AS_SELECT"
    assert lake.rows("SELECT day, count(*), max(total) FROM copy GROUP BY day ORDER BY day") == [
        (day, "4", "18") for day in ("08", "09", "10")
    ]
    written = manifest(lake, execution)
    assert written == [f"s3://other/{key}" for key in keys(lake, "other", "copy/")]
    assert all("/day=" in key for key in written)
    columns = lake.catalog.get_table("shop", "copy")["StorageDescriptor"]["Columns"]
    assert columns[1] == {"Name": "total", "Type": "bigint"}
    body = lake.store.get("other", keys(lake, "other", "copy/")[0])
    metadata = pq.read_metadata(io.BytesIO(body))
    assert metadata.row_group(0).column(0).compression == "SNAPPY"
    page = lake.engine.results(execution["QueryExecutionId"])
    assert (page["UpdateCount"], page["ResultSet"]["Rows"]) == (12, [])


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE events AS SELECT 1 AS a", "TABLE_ALREADY_EXISTS"),
        ("CREATE TABLE t WITH (format = 'ORC') AS SELECT 1 AS a", "INVALID_TABLE_PROPERTY"),
        # dbt-athena asks for these two with `table_type: iceberg`.
        (
            "CREATE TABLE t WITH (table_type = 'iceberg', is_external = false) AS SELECT 1 AS a",
            "NOT_SUPPORTED: table_type ICEBERG",
        ),
        (
            "CREATE TABLE t WITH (location = 's3://other/t/') AS SELECT 1 AS a",
            "INVALID_TABLE_PROPERTY: Table properties ['location'] are not supported",
        ),
        (
            "CREATE TABLE t WITH (partitioned_by = ARRAY['a']) AS SELECT 1 AS a, 2 AS b",
            "INVALID_TABLE_PROPERTY: Partition columns",
        ),
        (
            "CREATE TABLE t WITH (external_location = 's3://lake/events/') AS SELECT 1 AS a",
            "HIVE_PATH_ALREADY_EXISTS",
        ),
        (
            "CREATE TABLE t WITH (partitioned_by = ARRAY['p']) AS"
            " SELECT x, x AS p FROM UNNEST(SEQUENCE(1, 101)) AS s (x)",
            "HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100",
        ),
    ],
)
def test_a_create_table_as_that_cannot_be_leaves_nothing(lake, sql, reason):
    before = keys(lake, "results")
    assert lake.reason(sql).startswith(reason)
    assert lake.catalog.find_table("shop", "t") is None
    assert keys(lake, "results") == before


def test_insert_adds_rows_and_partitions_by_position(lake):
    lake.rows("INSERT INTO events VALUES ('new', 9.5, 7, 'zoe', '2026', '03', '11')")
    lake.rows("INSERT INTO events (day, month, year, event_id) SELECT '11', '03', '2026', 'x'")
    rows = lake.rows("SELECT event_id, price, n FROM events WHERE day = '11' ORDER BY 1")
    assert rows == [("new", "9.5", "7"), ("x", None, None)]
    assert ("year=2026/month=03/day=11",) in lake.rows("SHOW PARTITIONS events")
    assert lake.reason("INSERT INTO events SELECT 1").startswith("TYPE_MISMATCH: Insert query has")
    assert lake.reason("INSERT INTO nope SELECT 1").startswith("TABLE_NOT_FOUND")
    assert lake.reason("INSERT INTO events (nope) SELECT 1").startswith("COLUMN_NOT_FOUND")


@pytest.mark.parametrize("kind", ["PARQUET", "JSON", "TEXTFILE"])
def test_what_is_written_can_be_read_again(lake, kind):
    lake.rows(
        f"CREATE TABLE t WITH (format = '{kind}') AS SELECT event_id, price, n, user,"
        " timestamp '2026-03-09 01:02:03' AS at FROM events WHERE day = '09'"
    )
    assert lake.rows("SELECT * FROM t ORDER BY event_id") == [
        ("1-0", "0.5", "0", "ann", "2026-03-09 01:02:03.000"),
        ("1-1", "1.5", "1", "bob", "2026-03-09 01:02:03.000"),
        ("1-2", "2.5", "2", None, "2026-03-09 01:02:03.000"),
        ("1-3", "3.5", "3", "ann", "2026-03-09 01:02:03.000"),
    ]


def test_unload_writes_files_and_no_table(lake):
    execution = lake.run(
        "UNLOAD (SELECT event_id, n FROM events WHERE day = '09') TO 's3://other/out/'"
        " WITH (format = 'JSON')"
    )
    assert execution["SubstatementType"] == "UNLOAD"
    (location,) = manifest(lake, execution)
    key = location.removeprefix("s3://other/")
    lines = gzip.decompress(lake.store.get("other", key)).splitlines()
    assert msgspec.json.decode(lines[0]) == {"event_id": "1-0", "n": 0}
    assert len(lines) == 4
    again = "UNLOAD (SELECT 1 AS a) TO 's3://other/out/' WITH (format = 'PARQUET')"
    assert lake.reason(again).startswith("HIVE_PATH_ALREADY_EXISTS")
