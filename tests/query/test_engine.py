"""Executions: their states, statistics, errors, limits and answers."""

import json
import threading

import pytest

from lakelet.catalog.errors import InvalidInput
from lakelet.query import InvalidRequest, QueryEngine, QueryFailed
from lakelet.query.errors import ResourceNotFound
from tests.query.conftest import Lake

WHERE = "WHERE day = '09'"


# --- states and statistics ------------------------------------------------------------


def test_a_query_goes_from_queued_to_succeeded(lake):
    execution_id = lake.engine.start("SELECT 1 AS one", database="shop")
    assert lake.engine.get(execution_id)["Status"]["State"] == "QUEUED"
    lake.clock.advance(2)
    assert lake.engine.run(execution_id) == "SUCCEEDED"
    found = lake.engine.get(execution_id)
    assert (found["StatementType"], found["SubstatementType"]) == ("DML", "SELECT")
    assert found["QueryExecutionContext"] == {"Database": "shop", "Catalog": "awsdatacatalog"}
    statistics = found["Statistics"]
    assert statistics["QueryQueueTimeInMillis"] == 2_000
    assert statistics["TotalExecutionTimeInMillis"] >= 2_000
    assert statistics["QueryPlanningTimeInMillis"] <= statistics["EngineExecutionTimeInMillis"]
    assert found["Status"]["CompletionDateTime"] >= found["Status"]["SubmissionDateTime"]


def test_running_twice_changes_nothing(lake):
    execution_id = lake.engine.start("SELECT 1")
    lake.engine.run(execution_id)
    before = lake.engine.get(execution_id)
    assert lake.engine.run(execution_id) == "SUCCEEDED"
    assert lake.engine.get(execution_id) == before


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELEC 1", "SYNTAX_ERROR: line 1:1: mismatched input 'SELEC'"),
        ("SELECT 1 FRM events", "SYNTAX_ERROR: line 1:14: mismatched input 'events'"),
        ("SELECT\n  nope FROM events", "COLUMN_NOT_FOUND: line 2:3: Column 'nope' cannot be"),
        ("SELECT e.nope FROM events e", "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be"),
        ("SELECT * FROM nope", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.shop.nope'"),
        ("SELECT * FROM no.pe", "SCHEMA_NOT_FOUND: line 1:15: Schema 'no' does not exist"),
        ("SELECT * FROM hive.shop.events", "CATALOG_NOT_FOUND: line 1:15: Catalog 'hive'"),
        ("SELECT nope(1)", "FUNCTION_NOT_FOUND: line 1:8: Function 'nope' not registered"),
        ("SELECT price FROM events GROUP BY n", "EXPRESSION_NOT_AGGREGATE: line 1:8: 'price' must"),
        ("SELECT n FROM events a, events b", "AMBIGUOUS_NAME: line 1:8: Column 'n' is ambiguous"),
        ("SELECT 1 FROM events WHERE day = 9", "TYPE_MISMATCH: line 1:28: Cannot apply operator"),
        ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT: "),
        ("SELECT 1 / 0", "DIVISION_BY_ZERO: Division by zero"),
        ("SELECT 5 / n FROM events", "DIVISION_BY_ZERO: Division by zero"),
        (
            "SELECT sum('x')",
            "TYPE_MISMATCH: Unexpected parameters (VARCHAR) for function sum",
        ),
        ("SELECT 1; SELECT 2", "SYNTAX_ERROR: only one SQL statement is allowed"),
        ("DROP TABLE nope", "TABLE_NOT_FOUND: Table shop.nope does not exist"),
    ],
)
def test_a_failure_is_told_in_athenas_words(lake, sql, reason):
    execution = lake.run(sql)
    assert execution["Status"]["State"] == "FAILED"
    assert execution["Status"]["StateChangeReason"].startswith(reason)
    error = execution["Status"]["AthenaError"]
    assert error["ErrorCategory"] == 2
    assert error["Retryable"] is False
    with pytest.raises(InvalidRequest, match="Final query state: FAILED"):
        lake.engine.results(execution["QueryExecutionId"])


def test_an_error_in_the_midst_of_the_rows_is_told_too(lake):
    sql = "SELECT CAST(event_id AS integer) FROM events"
    assert lake.reason(sql).startswith("INVALID_CAST_ARGUMENT: Could not convert string")


def test_a_database_a_query_does_not_name_is_its_contexts(lake):
    assert lake.run("SELECT * FROM events", database="other")["Status"]["State"] == "FAILED"
    assert lake.rows("SELECT count(*) FROM shop.events", database="other") == [("12",)]
    assert lake.rows("SELECT count(*) FROM awsdatacatalog.shop.events") == [("12",)]
    assert lake.rows("SELECT max(shop.events.day) FROM shop.events") == [("10",)]
    assert lake.rows('SELECT count(*) FROM "SHOP"."Events"') == [("12",)]


def test_unknown_ids_and_empty_or_huge_texts_are_refused(lake):
    for act in (lake.engine.get, lake.engine.results, lake.engine.cancel, lake.engine.run):
        with pytest.raises(InvalidRequest, match="was not found"):
            act("11111111-1111-1111-1111-111111111111")
    with pytest.raises(InvalidRequest, match="empty"):
        lake.engine.start("  ")
    with pytest.raises(InvalidRequest, match="262144"):
        lake.engine.start("SELECT '" + "x" * 262_144 + "'")


def test_a_token_makes_start_idempotent(lake):
    token = "t" * 32
    first = lake.engine.start("SELECT 1", token=token)
    assert lake.engine.start("SELECT 1", token=token) == first
    with pytest.raises(InvalidRequest, match="Idempotent"):
        lake.engine.start("SELECT 2", token=token)


def test_what_was_queued_is_run_after_a_restart_and_what_ran_is_failed(tmp_path):
    lake = Lake(tmp_path)
    path = tmp_path / "queries.sqlite"
    options = {"results_bucket": "results"}
    first = QueryEngine(lake.catalog, lake.store, path, lake.clock, **options)
    queued, running = first.start("SELECT 1"), first.start("SELECT 2")
    first._executions.begin(running)
    first.close()
    second = QueryEngine(lake.catalog, lake.store, path, lake.clock, **options)
    assert second.recover() == [queued]
    assert second.get(running)["Status"]["State"] == "FAILED"
    assert second.run(queued) == "SUCCEEDED"


def test_executions_are_listed_newest_first_by_workgroup(lake):
    ids = []
    for index in range(3):
        ids.append(lake.engine.start(f"SELECT {index}"))
        lake.clock.advance(1)
    first, token = lake.engine.list_executions(max_results=2)
    rest, _ = lake.engine.list_executions(token=token)
    assert first + rest == ids[::-1]
    lake.clock.advance(46 * 86_400)
    lake.engine.recover()
    assert lake.engine.list_executions() == ([], None)


# --- stopping -------------------------------------------------------------------------


def test_a_queued_query_is_cancelled_at_once(lake):
    execution_id = lake.engine.start("SELECT 1")
    lake.engine.cancel(execution_id)
    assert lake.engine.run(execution_id) == "CANCELLED"
    lake.engine.cancel(execution_id)


def test_a_running_query_stops_when_told(lake):
    numbers = "UNNEST(SEQUENCE(1, 10000))"
    endless = f"SELECT count(*) FROM {numbers} a (x), {numbers} b (y), {numbers} c (z)"
    execution_id = lake.engine.start(f"{endless} WHERE sqrt(x * y + z) < 0")
    thread = threading.Thread(target=lake.engine.run, args=(execution_id,))
    thread.start()
    while execution_id not in lake.engine._runs or not lake.engine._runs[execution_id].cursor:
        assert thread.is_alive()
        thread.join(0.01)
    lake.engine.cancel(execution_id)
    thread.join(30)
    status = lake.engine.get(execution_id)["Status"]
    assert (status["State"], status["StateChangeReason"]) == (
        "CANCELLED",
        "Query cancelled by user",
    )


# --- answers --------------------------------------------------------------------------


def test_the_file_is_quoted_as_athena_quotes(lake):
    execution = lake.run(
        "SELECT * FROM (VALUES ('a \"b\", c', 1, CAST(NULL AS varchar)), ('', 2, 'x'))"
        ' AS t (text, "n", nothing)'
    )
    location = execution["ResultConfiguration"]["OutputLocation"]
    identity = execution["QueryExecutionId"]
    assert location == f"s3://results/primary/{identity}.csv"
    body = lake.store.get("results", f"primary/{identity}.csv")
    assert body == b'"text","n","nothing"\n"a ""b"", c","1",\n"","2","x"\n'
    assert lake.store.head("results", f"primary/{identity}.csv.metadata").size_bytes > 0
    rows = lake.engine.results(identity)["ResultSet"]["Rows"]
    assert rows[1]["Data"] == [{"VarCharValue": 'a "b", c'}, {"VarCharValue": "1"}, {}]
    assert rows[2]["Data"][0] == {"VarCharValue": ""}


def test_columns_are_typed_and_named_as_athena_does(lake):
    execution = lake.run(
        "SELECT 1, CAST(1 AS bigint) AS b, 1.50, 1e0 AS d, 'x' AS s, true AS t, date '2026-03-09',"
        " timestamp '2026-03-09 01:02:03.004', ARRAY[1], MAP(ARRAY['a'], ARRAY[1]),"
        " CAST(ROW(1) AS ROW(a integer)), sum(n), count(*), to_utf8('x'), current_timestamp"
        " FROM events"
    )
    page = lake.engine.results(execution["QueryExecutionId"])
    columns = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert [(column["Name"], column["Type"]) for column in columns] == [
        *(("_col0", "integer"), ("b", "bigint"), ("_col2", "decimal"), ("d", "double")),
        *(("s", "varchar"), ("t", "boolean"), ("_col6", "date"), ("_col7", "timestamp")),
        *(("_col8", "array"), ("_col9", "map"), ("_col10", "row"), ("_col11", "bigint")),
        *(("_col12", "bigint"), ("_col13", "varbinary"), ("_col14", "timestamp with time zone")),
    ]
    assert (columns[2]["Precision"], columns[2]["Scale"]) == (3, 2)
    values = [datum["VarCharValue"] for datum in page["ResultSet"]["Rows"][1]["Data"]]
    assert values[2:14] == [
        *("1.50", "1.0", "x", "true", "2026-03-09", "2026-03-09 01:02:03.004", "[1]", "{a=1}"),
        *("{a=1}", "18", "12", "78"),
    ]


def test_pages_join_to_the_whole_answer(lake):
    lines = "SELECT CAST(x AS varchar) || chr(10) || '\"' FROM UNNEST(SEQUENCE(1, 2500)) AS t (x)"
    identity = lake.run(lines)["QueryExecutionId"]
    found, token, sizes = [], None, []
    while True:
        page = lake.engine.results(identity, token)
        rows = [row["Data"][0]["VarCharValue"] for row in page["ResultSet"]["Rows"]]
        found += rows
        sizes.append(len(rows))
        token = page["NextToken"]
        if token is None:
            break
    assert sizes == [1_000, 1_000, 501]
    assert found == ["_col0", *(f'{number}\n"' for number in range(1, 2_501))]
    assert len(lake.engine.results(identity, None, 10)["ResultSet"]["Rows"]) == 10
    with pytest.raises(InvalidInput, match="NextToken"):
        lake.engine.results(identity, "forged")


def test_an_empty_answer_still_has_its_header(lake):
    identity = lake.run("SELECT n FROM events WHERE day = '99'")["QueryExecutionId"]
    page = lake.engine.results(identity)
    assert [row["Data"] for row in page["ResultSet"]["Rows"]] == [[{"VarCharValue": "n"}]]
    columns = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert columns[0]["Type"] == "integer"


def test_results_that_expired_are_told_as_such(lake):
    execution = lake.run("SELECT 1")
    identity = execution["QueryExecutionId"]
    lake.store.delete("results", f"primary/{identity}.csv")
    with pytest.raises(InvalidRequest, match="Could not find results"):
        lake.engine.results(identity)


def test_arrow_comes_without_files_or_executions(lake):
    table = lake.engine.query_arrow(
        f"SELECT n, price FROM events {WHERE} ORDER BY n", database="shop"
    )
    assert table.to_pydict() == {"n": [0, 1, 2, 3], "price": [0.5, 1.5, 2.5, 3.5]}
    assert lake.engine.list_executions() == ([], None)
    assert list(lake.store.list("results")) == []
    assert lake.engine.query_arrow("SHOW TABLES", database="shop").to_pydict() == {
        "tab_name": ["events"]
    }
    with pytest.raises(QueryFailed, match="COLUMN_NOT_FOUND"):
        lake.engine.query_arrow("SELECT nope FROM events", database="shop")


def test_an_answer_may_be_reused_within_its_age(lake):
    sql = f"SELECT count(*) FROM events {WHERE}"
    first = lake.run(sql)
    lake.clock.advance(300)
    again = lake.run(sql, reuse_max_age_minutes=10)
    assert again["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": True}
    assert again["Statistics"]["DataScannedInBytes"] == 0
    assert again["ResultConfiguration"] == first["ResultConfiguration"]
    assert lake.rows(sql, reuse_max_age_minutes=10) == [("4",)]
    lake.clock.advance(600)
    for options in ({"reuse_max_age_minutes": 10}, {}):
        fresh = lake.run(sql, **options)
        assert fresh["Statistics"]["ResultReuseInformation"] == {"ReusedPreviousResult": False}
        lake.store.delete("results", f"primary/{fresh['QueryExecutionId']}.csv")
    assert lake.rows(sql, reuse_max_age_minutes=10) == [("4",)]


# --- workgroups -----------------------------------------------------------------------


def workgroup(lake, **configuration):
    lake.engine.workgroups.create({"Name": "team", "Configuration": configuration})


def location(lake, **options):
    execution = lake.run("SELECT 1", workgroup="team", **options)
    identity = execution["QueryExecutionId"]
    return execution["ResultConfiguration"]["OutputLocation"].removesuffix(f"{identity}.csv")


def test_an_enforcing_workgroups_location_wins(lake):
    workgroup(
        lake,
        EnforceWorkGroupConfiguration=True,
        ResultConfiguration={"OutputLocation": "s3://results/team"},
    )
    assert location(lake, output_location="s3://other/mine/") == "s3://results/team/"
    lake.engine.workgroups.update(
        {"WorkGroup": "team", "ConfigurationUpdates": {"EnforceWorkGroupConfiguration": False}}
    )
    assert location(lake, output_location="s3://other/mine/") == "s3://other/mine/"
    assert location(lake) == "s3://results/team/"


def test_a_query_over_its_workgroups_cutoff_is_cancelled_unread(lake):
    workgroup(lake, BytesScannedCutoffPerQuery=10_000_000)
    assert lake.run("SELECT * FROM events", workgroup="team")["Status"]["State"] == "SUCCEEDED"
    with pytest.raises(InvalidRequest, match="10000000"):
        lake.engine.workgroups.update(
            {"WorkGroup": "team", "ConfigurationUpdates": {"BytesScannedCutoffPerQuery": 1}}
        )
    lake.engine.workgroups.ensure("team", {})
    lake.engine.workgroups._db.run(
        "UPDATE workgroups SET body = ? WHERE name = 'team'",
        json.dumps(
            {
                "Name": "team",
                "State": "ENABLED",
                "Configuration": {"BytesScannedCutoffPerQuery": 100},
            }
        ).encode(),
    )
    execution = lake.run("SELECT * FROM events", workgroup="team")
    assert execution["Status"]["State"] == "CANCELLED"
    assert "Bytes scanned limit was exceeded" in execution["Status"]["StateChangeReason"]
    assert execution["Statistics"]["DataScannedInBytes"] == 0


def test_workgroups_come_and_go(lake):
    workgroup(lake)
    with pytest.raises(InvalidRequest, match="already created"):
        workgroup(lake)
    names = [summary["Name"] for summary in lake.engine.workgroups.summaries()[0]]
    assert names == ["primary", "team"]
    lake.engine.workgroups.update({"WorkGroup": "team", "State": "DISABLED"})
    with pytest.raises(InvalidRequest, match="disabled"):
        lake.engine.start("SELECT 1", workgroup="team")
    lake.engine.workgroups.update({"WorkGroup": "team", "State": "ENABLED"})
    lake.engine.start("SELECT 1", workgroup="team")
    with pytest.raises(InvalidRequest, match="not empty"):
        lake.engine.workgroups.delete("team")
    lake.engine.workgroups.delete("team", recursive=True)
    with pytest.raises(InvalidRequest, match="not found"):
        lake.engine.start("SELECT 1", workgroup="team")
    with pytest.raises(InvalidRequest, match="primary"):
        lake.engine.workgroups.delete("primary")


# --- parameters and prepared statements -----------------------------------------------


@pytest.mark.parametrize(
    ("sql", "parameters", "rows"),
    [
        ("SELECT count(*) FROM events WHERE day = ? AND n > ?", ["'09'", "1"], [("2",)]),
        ("SELECT ? || '?', ?", ["'a?'", "-3"], [("a??", "-3")]),
        ("WITH t AS (SELECT ? AS a) SELECT a, ? FROM t LIMIT ?", ["1", "'b'", "5"], [("1", "b")]),
        ("SELECT ?", ["DATE '2026-03-09'"], [("2026-03-09",)]),
        ("SELECT ?", ["NULL"], [(None,)]),
        # A comment in it swallows nothing.
        ("SELECT ?, 2", ["1 --"], [("1", "2")]),
    ],
)
def test_parameters_stand_in_the_order_of_the_text(lake, sql, parameters, rows):
    assert lake.rows(sql, parameters=parameters) == rows


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT ?", []),
        ("SELECT 1", ["1"]),
        ("SELECT ?", ["1, 2"]),
        ("SELECT ?", ["(SELECT 1)"]),
        ("SELECT ?", ["1 FROM events"]),
        ("SELECT ?", ["nope"]),
    ],
)
def test_a_parameter_is_a_constant_and_nothing_else(lake, sql, parameters):
    reason = lake.reason(sql, parameters=parameters)
    assert reason.startswith(("INVALID_PARAMETER_USAGE", "SYNTAX_ERROR"))


def test_prepared_statements_live_in_their_workgroup(lake):
    workgroup(lake)
    lake.rows("PREPARE q FROM SELECT count(*) FROM events WHERE day = ?", workgroup="team")
    assert lake.rows("EXECUTE q USING '09'", workgroup="team") == [("4",)]
    assert lake.rows("EXECUTE q", workgroup="team", parameters=["'09'"]) == [("4",)]
    assert "not found" in lake.reason("EXECUTE q USING '09'")
    lake.rows("DEALLOCATE PREPARE q", workgroup="team")
    with pytest.raises(ResourceNotFound):
        lake.engine.saved.prepared("team", "q")


# --- the sandbox ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        'SELECT * FROM "/etc/passwd"',
        "SELECT * FROM glob('/*')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pg_catalog.pg_tables",
        "SELECT content FROM TABLE(read_text('/etc/passwd'))",
        "COPY (SELECT 1) TO '/tmp/lakelet-escape.csv'",
        "COPY events FROM '/etc/passwd'",
        "ATTACH '/tmp/lakelet-escape.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "EXPORT DATABASE '/tmp/lakelet-escape'",
        "CREATE MACRO f(x) AS x",
        "CREATE TABLE t AS SELECT * FROM read_parquet('/etc/passwd')",
        "INSERT INTO events SELECT * FROM read_csv('/etc/passwd')",
        "CREATE VIEW v AS SELECT * FROM read_text('/etc/passwd')",
    ],
)
def test_no_statement_leaves_the_buckets(lake, sql):
    assert lake.run(sql)["Status"]["State"] == "FAILED"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/lakelet-escape.csv'",
        "ATTACH '/tmp/lakelet-escape.db' AS x",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "RESET allowed_directories",
    ],
)
def test_the_inner_wall_holds_without_the_outer_ones(lake, sql):
    """The same through DuckDB itself, as if a planner's check had been passed."""
    cursor = lake.engine._sandbox.cursor()
    with pytest.raises(Exception, match=r"disabled|locked|Cannot|cannot"):
        cursor.execute(sql).fetchall()


def test_a_table_that_points_outside_the_buckets_reads_nothing(lake):
    lake.rows(
        "CREATE EXTERNAL TABLE evil (line string) ROW FORMAT DELIMITED"
        " LOCATION 's3://lake/../../../../etc/'"
    )
    assert (
        lake.run("SELECT * FROM evil")["Status"]["State"] == "FAILED"
        or lake.rows("SELECT * FROM evil") == []
    )
