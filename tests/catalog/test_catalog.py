"""The Data Catalog's promises, each under Glue's own words."""

import threading

import pytest

from lakelet.catalog import Catalog
from lakelet.catalog.errors import (
    AlreadyExists,
    CrawlerNotRunning,
    CrawlerRunning,
    CrawlerStopping,
    EntityNotFound,
    InvalidInput,
    VersionMismatch,
)
from lakelet.testing.clock import ManualClock

COLUMNS = [{"Name": "Id", "Type": "bigint"}, {"Name": "name", "Type": "string"}]
KEYS = [{"Name": "year", "Type": "string"}, {"Name": "month", "Type": "string"}]


def table(name="events", keys=KEYS, columns=COLUMNS):
    return {
        "Name": name,
        "StorageDescriptor": {"Columns": columns, "Location": "s3://lake/events/"},
        "PartitionKeys": keys,
        "TableType": "EXTERNAL_TABLE",
    }


@pytest.fixture
def catalog():
    with Catalog(":memory:", ManualClock()) as found:
        found.create_database({"Name": "Shop"})
        found.create_table("shop", table())
        yield found


def add(catalog, *values):
    catalog.create_partition("shop", "events", {"Values": list(values)})


# --- databases and tables -------------------------------------------------------------


def test_names_are_lower_cased_wherever_they_come_in(catalog):
    assert catalog.get_database("SHOP")["Name"] == "shop"
    found = catalog.get_table("Shop", "EVENTS")
    assert [column["Name"] for column in found["StorageDescriptor"]["Columns"]] == ["id", "name"]


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda c: c.create_database({"Name": "shop"}), AlreadyExists),
        (lambda c: c.get_database("nope"), EntityNotFound),
        (lambda c: c.create_table("nope", table()), EntityNotFound),
        (lambda c: c.create_table("shop", table()), AlreadyExists),
        (lambda c: c.get_table("shop", "nope"), EntityNotFound),
        (lambda c: c.get_table("nope", "events"), EntityNotFound),
        (lambda c: c.delete_table("shop", "nope"), EntityNotFound),
        (lambda c: c.create_database({"Name": ""}), InvalidInput),
        (lambda c: c.create_database({"Name": "a/b"}), InvalidInput),
        (lambda c: c.create_table("shop", table("t", columns=COLUMNS * 2)), InvalidInput),
        (lambda c: c.create_table("shop", table("t", keys=COLUMNS)), InvalidInput),
        (
            lambda c: c.create_table("shop", table("t", columns=[{"Name": "a", "Type": "money"}])),
            InvalidInput,
        ),
        (lambda c: c.get_databases("forged"), InvalidInput),
    ],
)
def test_what_cannot_be_is_refused_under_glues_code(catalog, act, error):
    with pytest.raises(error) as caught:
        act(catalog)
    assert caught.value.aws_code.endswith("Exception")
    assert caught.value.http_status == 400


def test_a_database_goes_with_all_that_is_in_it(catalog):
    add(catalog, "2026", "03")
    catalog.delete_database("shop")
    catalog.create_database({"Name": "shop"})
    catalog.create_table("shop", table())
    assert catalog.partition_places("shop", "events") == []


def test_an_update_archives_the_former_version(catalog):
    catalog.update_table("shop", {**table(), "Description": "new"})
    versions, _ = catalog.get_table_versions("shop", "events")
    assert [version["VersionId"] for version in versions] == ["1", "0"]
    assert "Description" not in catalog.get_table_version("shop", "events", "0")["Table"]
    catalog.update_table("shop", table(), skip_archive=True)
    assert [v["VersionId"] for v in catalog.get_table_versions("shop", "events")[0]] == ["2", "0"]
    catalog.delete_table_version("shop", "events", "0")
    with pytest.raises(EntityNotFound):
        catalog.get_table_version("shop", "events", "0")
    with pytest.raises(InvalidInput):
        catalog.delete_table_version("shop", "events", "2")


def test_an_update_of_another_version_than_the_newest_is_refused(catalog):
    catalog.update_table("shop", table(), version_id="0")
    with pytest.raises(VersionMismatch):
        catalog.update_table("shop", table(), version_id="0")


def test_partition_keys_stay_while_there_are_partitions(catalog):
    catalog.update_table("shop", table(keys=KEYS[:1]))
    catalog.update_table("shop", table())
    add(catalog, "2026", "03")
    with pytest.raises(InvalidInput):
        catalog.update_table("shop", table(keys=KEYS[:1]))


def test_get_tables_takes_patterns_and_pages(catalog):
    for index in range(5):
        catalog.create_table("shop", table(f"other_{index}"))
    names = lambda found: [item["Name"] for item in found]  # noqa: E731
    assert names(catalog.get_tables("shop", "other_[13]")[0]) == ["other_1", "other_3"]
    assert len(catalog.get_tables("shop", "other*")[0]) == 5
    first, token = catalog.get_tables("shop", max_results=4)
    rest, end = catalog.get_tables("shop", token=token, max_results=4)
    assert names(first + rest) == ["events", *(f"other_{i}" for i in range(5))]
    assert end is None


def test_search_looks_at_names_columns_and_filters(catalog):
    catalog.create_table("shop", table("orders", columns=[{"Name": "total", "Type": "double"}]))
    found = lambda *args: [item["Name"] for item in catalog.search_tables(*args)[0]]  # noqa: E731
    assert found("TOTAL") == ["orders"]
    assert found('"orders"') == ["orders"]
    assert found('"order"') == []
    assert found(None, [{"Key": "name", "Value": "event"}]) == ["events"]


def test_the_catalog_outlives_its_process(tmp_path):
    path = tmp_path / "catalog.sqlite"
    with Catalog(path, ManualClock()) as first:
        first.create_database({"Name": "d"})
        first.create_table("d", table())
    with Catalog(path, ManualClock()) as second:
        assert second.get_table("d", "events")["VersionId"] == "0"


def test_threads_meet_without_losing_a_partition(catalog):
    def write(month):
        for year in range(2000, 2020):
            add(catalog, str(year), month)

    threads = [threading.Thread(target=write, args=(f"{month:02}",)) for month in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalog.count_partitions("shop", "events") == 160


# --- partitions -------------------------------------------------------------------------


def test_a_partition_without_a_location_lies_under_its_table(catalog):
    add(catalog, "2026", "03")
    found = catalog.get_partition("shop", "events", ["2026", "03"])
    assert found["StorageDescriptor"]["Location"] == "s3://lake/events/year=2026/month=03/"


def test_a_batch_answers_each_item_by_itself(catalog):
    add(catalog, "2026", "01")
    inputs = [{"Values": ["2026", month]} for month in ("01", "02")] + [{"Values": ["2026"]}]
    failures = catalog.batch_create_partition("shop", "events", inputs)
    assert [(f["PartitionValues"], f["ErrorDetail"]["ErrorCode"]) for f in failures] == [
        (["2026", "01"], "AlreadyExistsException"),
        (["2026"], "InvalidInputException"),
    ]
    assert catalog.count_partitions("shop", "events") == 2
    failures = catalog.batch_delete_partition(
        "shop", "events", [{"Values": ["2026", "02"]}, {"Values": ["2026", "09"]}]
    )
    assert [f["PartitionValues"] for f in failures] == [["2026", "09"]]


@pytest.mark.parametrize(
    ("operation", "most"),
    [
        ("batch_create_partition", 100),
        ("batch_update_partition", 100),
        ("batch_delete_partition", 25),
    ],
)
def test_a_batch_over_its_limit_is_refused_whole(catalog, operation, most):
    items = [{"Values": ["2026", str(index)]} for index in range(most + 1)]
    with pytest.raises(InvalidInput):
        getattr(catalog, operation)("shop", "events", items)
    assert catalog.count_partitions("shop", "events") == 0


def test_update_may_rename_a_partition_but_not_onto_another(catalog):
    add(catalog, "2026", "01")
    add(catalog, "2026", "02")
    catalog.update_partition("shop", "events", ["2026", "01"], {"Values": ["2026", "03"]})
    with pytest.raises(AlreadyExists):
        catalog.update_partition("shop", "events", ["2026", "03"], {"Values": ["2026", "02"]})
    found = [place.values for place in catalog.partition_places("shop", "events")]
    assert found == [("2026", "02"), ("2026", "03")]


@pytest.mark.parametrize(
    ("expression", "months"),
    [
        ("month = '02'", ["02"]),
        ("month > '02' AND year = '2026'", ["03", "10"]),
        ("month IN ('01', '10')", ["01", "10"]),
        ("NOT month IN ('01', '10')", ["02", "03"]),
        ("month BETWEEN '02' AND '03'", ["02", "03"]),
        ("month LIKE '0_'", ["01", "02", "03"]),
        ("month = '01' OR month = '03'", ["01", "03"]),
        ("(year = '2025')", []),
        ("month <> '01'", ["02", "03", "10"]),
        ("month IS NULL", []),
        ("", ["01", "02", "03", "10"]),
    ],
)
def test_get_partitions_filters_by_expression(catalog, expression, months):
    for month in ("01", "02", "03", "10"):
        add(catalog, "2026", month)
    found, _ = catalog.get_partitions("shop", "events", expression)
    assert [item["Values"][1] for item in found] == months


def test_number_and_date_keys_compare_as_such():
    with Catalog(":memory:", ManualClock()) as catalog:
        catalog.create_database({"Name": "shop"})
        keys = [{"Name": "n", "Type": "int"}, {"Name": "d", "Type": "date"}]
        catalog.create_table("shop", table(keys=keys))
        for values in (
            ("9", "2026-01-09"),
            ("10", "2026-01-10"),
            ("11", "__HIVE_DEFAULT_PARTITION__"),
        ):
            add(catalog, *values)

        def ask(text):
            found, _ = catalog.get_partitions("shop", "events", text)
            return [partition["Values"][0] for partition in found]

        assert sorted(ask("n > 9")) == ["10", "11"]
        assert ask("d < DATE '2026-01-10'") == ["9"]
        assert ask("d IS NULL") == ["11"]
        # NULL is neither equal nor unequal.
        assert ask("NOT (d = '2026-01-09')") == ["10"]


@pytest.mark.parametrize(
    "text", ["nope = '1'", "month ==== 3", "upper(month) = 'A'", "1 = 1", "; drop"]
)
def test_an_expression_that_cannot_be_read_says_so(catalog, text):
    with pytest.raises(InvalidInput, match="cannot be read"):
        catalog.get_partitions("shop", "events", text)


def test_leading_values_select_a_range_and_nothing_beside_it(catalog):
    for year in ("202", "2026", "20260"):
        add(catalog, year, "01")
        add(catalog, year, "02")
    places = catalog.partition_places("shop", "events", ["2026"])
    assert [place.values for place in places] == [("2026", "01"), ("2026", "02")]
    places = catalog.partition_places("shop", "events", ["2026", "02"])
    assert [place.values for place in places] == [("2026", "02")]


def test_segments_are_disjoint_and_complete(catalog):
    for month in range(1, 13):
        add(catalog, "2026", f"{month:02}")
    parts = [
        [p["Values"][1] for p in catalog.get_partitions("shop", "events", segment=(n, 5))[0]]
        for n in range(5)
    ]
    months = sorted(month for part in parts for month in part)
    assert months == [f"{month:02}" for month in range(1, 13)]


# --- crawlers ---------------------------------------------------------------------------


def crawler(**extra):
    return {
        "Name": "c",
        "Role": "r",
        "DatabaseName": "shop",
        "Targets": {"S3Targets": [{"Path": "s3://lake/"}]},
        **extra,
    }


def test_a_crawlers_states_and_what_each_refuses(catalog):
    catalog.create_crawler(crawler())
    with pytest.raises(AlreadyExists):
        catalog.create_crawler(crawler())
    with pytest.raises(CrawlerNotRunning):
        catalog.stop_crawler("c")
    catalog.start_crawler("c")
    for act in (catalog.start_crawler, catalog.delete_crawler):
        with pytest.raises(CrawlerRunning):
            act("c")
    with pytest.raises(CrawlerRunning):
        catalog.update_crawler(crawler())
    catalog.stop_crawler("c")
    assert catalog.get_crawler("c")["State"] == "STOPPING"
    with pytest.raises(CrawlerStopping):
        catalog.stop_crawler("c")
    catalog.finish_crawler("c", "CANCELLED")
    found = catalog.get_crawler("c")
    assert (found["State"], found["LastCrawl"]["Status"]) == ("READY", "CANCELLED")
    catalog.delete_crawler("c")
    with pytest.raises(EntityNotFound):
        catalog.get_crawler("c")


def test_a_crawl_that_its_process_left_behind_is_failed(catalog):
    catalog.create_crawler(crawler())
    catalog.start_crawler("c")
    assert catalog.recover_crawlers() == ["c"]
    assert catalog.get_crawler("c")["LastCrawl"]["Status"] == "FAILED"


def test_metrics_count_over_runs(catalog):
    catalog.create_crawler(crawler())
    for created in (1, 2):
        catalog.start_crawler("c")
        catalog.finish_crawler("c", "SUCCEEDED", metrics={"TablesCreated": created})
    (metrics,), _ = catalog.get_crawler_metrics(["c"])
    assert (metrics["TablesCreated"], metrics["StillEstimating"]) == (3, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"Targets": {"S3Targets": []}},
        {"Targets": {"S3Targets": [{"Path": "s3://"}]}},
        {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}},
    ],
)
def test_a_crawler_that_cannot_crawl_is_refused(catalog, wrong):
    with pytest.raises(InvalidInput):
        catalog.create_crawler(crawler(**wrong))
