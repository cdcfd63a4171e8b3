"""What a crawl finds, leaves alone, and need not look at again."""

import gzip

import pyarrow as pa
import pytest

from lakelet.catalog import Catalog, TableSpec
from lakelet.catalog.crawl import apply_crawl, plan_crawl, run_crawl
from lakelet.catalog.errors import InvalidInput
from lakelet.testing.clock import ManualClock
from tests.catalog.lake import BUCKET, LATER_NS, open_store, parquet, put_day


class Zone:
    """A store, a catalog, and crawls over the one into the other."""

    def __init__(self, root):
        self.clock = ManualClock()
        self.store = open_store(root, self.clock)
        self.catalog = Catalog(":memory:", self.clock)

    def crawler(self, **extra):
        self.catalog.create_crawler(
            {
                "Name": "c",
                "Role": "r",
                "DatabaseName": "shop",
                "Targets": {"S3Targets": [{"Path": f"s3://{BUCKET}/"}]},
                **extra,
            }
        )

    def plan(self):
        return plan_crawl(self.store, self.catalog, "c", now_ns=LATER_NS)

    def crawl(self):
        plan = self.plan()
        return plan, apply_crawl(plan, self.catalog)

    def columns(self, table="events"):
        found = self.catalog.get_table("shop", table)["StorageDescriptor"]["Columns"]
        return {column["Name"]: column["Type"] for column in found}

    def days(self, table="events"):
        return ["-".join(p.values) for p in self.catalog.partition_places("shop", table)]


@pytest.fixture
def zone(tmp_path):
    return Zone(tmp_path)


def test_the_first_crawl_makes_database_table_and_partitions(zone):
    zone.crawler()
    for day in ("2026-03-08", "2026-03-09"):
        put_day(zone.store, day, parquet(Event_Id=["a"], price=[1.5], n=[1]))
    zone.store.put(BUCKET, "_manifests/year=2026/x.json", b"{}")
    zone.store.put(BUCKET, "events/.hidden", b"x")
    plan, result = zone.crawl()
    assert (result.tables_created, result.partitions_added) == (1, 2)
    assert zone.columns() == {"event_id": "string", "price": "double", "n": "bigint"}
    assert zone.days() == ["2026-03-08", "2026-03-09"]
    assert [t["Name"] for t in zone.catalog.all_tables("shop")] == ["events"]
    assert any("new table of 3 columns" in line for line in plan.explain())


def test_nothing_new_means_nothing_listed_opened_or_changed(zone):
    zone.crawler()
    put_day(zone.store, "2026-03-09", parquet(a=[1]))
    zone.crawl()
    plan, _ = zone.crawl()
    (seen,) = plan.surveys
    assert (plan.changes, seen.listed_count, seen.footer_count) == (0, 0, 0)


def test_one_new_day_costs_its_own_folder_and_those_above_it(zone):
    zone.crawler()
    for day in range(1, 21):
        for name in "abc":
            put_day(zone.store, f"2026-03-{day:02}", parquet(a=[1]), name=name)
    zone.crawl()
    put_day(zone.store, "2026-03-21", parquet(a=[1]))
    plan, result = zone.crawl()
    (seen,) = plan.surveys
    # The month got a child and the day is new; no other folder's names were read.
    assert (seen.listed_count, seen.footer_count) == (2, 1)
    assert result.partitions_added == 1
    assert len(zone.days()) == 21


def test_a_new_file_in_an_old_day_opens_that_file_alone(zone):
    zone.crawler()
    put_day(zone.store, "2026-03-09", parquet(a=[1]))
    zone.crawl()
    put_day(zone.store, "2026-03-09", parquet(a=[1], b=["x"]), name="b")
    plan, _ = zone.crawl()
    assert plan.surveys[0].footer_count == 1
    assert zone.columns() == {"a": "bigint", "b": "string"}
    assert zone.catalog.get_table("shop", "events")["VersionId"] == "1"


def test_a_folder_seen_in_the_moment_it_changed_is_looked_at_again(zone):
    zone.crawler()
    put_day(zone.store, "2026-03-09", parquet(a=[1]))
    stamp = zone.store.folder_changed_at_ns(BUCKET, "events/year=2026/month=03/day=09/")
    plan = plan_crawl(zone.store, zone.catalog, "c", now_ns=stamp)
    apply_crawl(plan, zone.catalog)
    plan = zone.plan()
    assert plan.surveys[0].listed_count > 0
    assert plan.surveys[0].footer_count == 0


@pytest.mark.parametrize(
    ("before", "after", "merged"),
    [
        ([1], [1.5], "double"),
        (pa.array([1], pa.int32()), pa.array([1], pa.int64()), "bigint"),
        (["x"], [1], "string"),
        (pa.array([None], pa.null()), ["x"], "string"),
    ],
)
def test_types_that_differ_are_widened(zone, before, after, merged):
    zone.crawler()
    put_day(zone.store, "2026-03-08", parquet(a=before))
    put_day(zone.store, "2026-03-09", parquet(a=after))
    plan, _ = zone.crawl()
    assert zone.columns() == {"a": merged}
    if merged == "string" and before == ["x"]:
        assert any("string holds both" in line for line in plan.explain())


def test_the_contracts_table_gets_partitions_and_keeps_its_definition(zone):
    """Trap k: a writer and a crawler that both own a table fight over its types."""
    zone.crawler(TablePrefix="x_")
    zone.catalog.create_database({"Name": "shop"})
    schema = pa.schema([("a", pa.int32()), ("b", pa.string()), ("day", pa.string())])
    spec = TableSpec.from_arrow("clicks", schema, ("year", "month", "day"))
    assert zone.catalog.ensure_table("shop", spec, f"s3://{BUCKET}/events") == "created"
    put_day(zone.store, "2026-03-09", parquet(a=["other"], c=[1]))
    plan, result = zone.crawl()
    # Found by its location, though the folder is called otherwise.
    assert (result.tables_created, result.partitions_added) == (0, 1)
    assert zone.columns("clicks") == {"a": "int", "b": "string"}
    assert any("belongs to the contract" in line for line in plan.explain())
    assert zone.catalog.ensure_table("shop", spec, f"s3://{BUCKET}/events/") == "unchanged"
    wider = TableSpec.from_arrow("clicks", schema.append(pa.field("c", pa.int64())), spec_keys())
    assert zone.catalog.ensure_table("shop", wider, f"s3://{BUCKET}/events/") == "updated"
    assert zone.days("clicks") == ["2026-03-09"]


def spec_keys():
    return ("year", "month", "day")


@pytest.mark.parametrize(
    ("behavior", "days", "deleted"),
    [("LOG", 2, 0), ("DEPRECATE_IN_DATABASE", 2, 0), ("DELETE_FROM_DATABASE", 1, 1)],
)
def test_a_day_that_is_gone_follows_the_delete_behaviour(zone, behavior, days, deleted):
    zone.crawler(SchemaChangePolicy={"DeleteBehavior": behavior})
    put_day(zone.store, "2026-03-08", parquet(a=[1]))
    key = put_day(zone.store, "2026-03-09", parquet(a=[1]))
    zone.crawl()
    zone.store.delete(BUCKET, key)
    _, result = zone.crawl()
    assert (len(zone.days()), result.partitions_deleted) == (days, deleted)


def test_a_table_whose_files_are_all_gone_is_deprecated_or_deleted(zone):
    zone.crawler()
    key = put_day(zone.store, "2026-03-09", parquet(a=[1]))
    zone.crawl()
    zone.store.delete(BUCKET, key)
    zone.crawl()
    assert "DEPRECATED_BY_CRAWLER" in zone.catalog.get_table("shop", "events")["Parameters"]
    put_day(zone.store, "2026-03-09", parquet(a=[1]))
    zone.crawl()
    assert "DEPRECATED_BY_CRAWLER" not in zone.catalog.get_table("shop", "events")["Parameters"]


@pytest.mark.parametrize(
    ("policy", "configuration", "wanted"),
    [
        ({"UpdateBehavior": "LOG"}, None, {"a": "bigint"}),
        ({}, None, {"b": "bigint"}),
        (
            {},
            '{"CrawlerOutput": {"Tables": {"AddOrUpdateBehavior": "MergeNewColumns"}}}',
            {"a": "bigint", "b": "bigint"},
        ),
    ],
)
def test_the_update_behaviour_says_what_becomes_of_columns(zone, policy, configuration, wanted):
    zone.crawler(SchemaChangePolicy=policy, Configuration=configuration)
    put_day(zone.store, "2026-03-09", parquet(a=[1]))
    zone.crawl()
    put_day(zone.store, "2026-03-09", parquet(b=[1]))
    zone.crawl()
    assert zone.columns() == wanted


def test_unlike_folders_are_tables_of_their_own_and_like_ones_partitions(zone):
    zone.crawler()
    zone.store.put(BUCKET, "zone/orders/a.parquet", parquet(total=[1.0], customer=["x"]))
    zone.store.put(BUCKET, "zone/users/a.parquet", parquet(email=["x"], since=[1]))
    zone.store.put("other", "logs/2026/a.parquet", parquet(line=["x"]))
    zone.store.put("other", "logs/2027/a.parquet", parquet(line=["x"]))
    zone.crawl()
    assert [t["Name"] for t in zone.catalog.all_tables("shop")] == ["orders", "users"]
    zone.catalog.update_crawler(
        {"Name": "c", "Targets": {"S3Targets": [{"Path": "s3://other/logs"}]}}
    )
    zone.crawl()
    places = zone.catalog.partition_places("shop", "logs")
    assert [place.values for place in places] == [("2026",), ("2027",)]
    keys = zone.catalog.get_table("shop", "logs")["PartitionKeys"]
    assert keys == [{"Name": "partition_0", "Type": "string"}]


def test_json_and_csv_are_read_too(zone):
    zone.crawler()
    line = b'{"id": 1, "name": "x", "tags": ["a"]}\n'
    zone.store.put(BUCKET, "j/a.json.gz", gzip.compress(line * 3))
    zone.store.put(BUCKET, "c/a.csv", b"id,price\n1,2.5\n")
    zone.crawl()
    assert zone.columns("j") == {"id": "bigint", "name": "string", "tags": "array<string>"}
    assert zone.columns("c") == {"id": "bigint", "price": "double"}
    assert zone.catalog.get_table("shop", "j")["Parameters"]["classification"] == "json"


def test_a_file_that_is_nothing_is_named_and_passed_over(zone):
    zone.crawler()
    put_day(zone.store, "2026-03-09", parquet(a=[1]))
    put_day(zone.store, "2026-03-09", b"PAR1 torn", name="torn")
    plan, _ = zone.crawl()
    assert zone.columns() == {"a": "bigint"}
    assert any("day=09/torn.parquet" in line for line in plan.explain())


def test_exclusions_and_sample_size_bound_what_is_opened(zone):
    target = {"Path": f"s3://{BUCKET}/", "Exclusions": ["skip/**"], "SampleSize": 1}
    zone.crawler(Targets={"S3Targets": [target]})
    zone.store.put(BUCKET, "skip/a.parquet", parquet(a=[1]))
    for name in "abc":
        put_day(zone.store, "2026-03-09", parquet(a=[1]), name=name)
    plan, _ = zone.crawl()
    assert plan.surveys[0].footer_count == 1
    assert zone.plan().surveys[0].footer_count == 0
    assert [t["Name"] for t in zone.catalog.all_tables("shop")] == ["events"]


def test_two_folders_of_one_name_do_not_share_a_table(zone):
    zone.crawler()
    zone.store.put(BUCKET, "x/events/a.parquet", parquet(a=[1]))
    zone.store.put(BUCKET, "y/events/a.parquet", parquet(b=["x"]))
    zone.crawl()
    names = [t["Name"] for t in zone.catalog.all_tables("shop")]
    assert len(names) == 2
    assert names[1].startswith("events_")
    plan, _ = zone.crawl()
    assert plan.changes == 0


def test_a_crawl_that_is_stopped_changes_nothing(zone):
    zone.crawler()
    put_day(zone.store, "2026-03-09", parquet(a=[1]))
    zone.catalog.start_crawler("c")
    zone.catalog.stop_crawler("c")
    result = run_crawl(zone.store, zone.catalog, "c", now_ns=LATER_NS)
    assert result.cancelled
    assert zone.catalog.find_database("shop") is None
    assert zone.catalog.get_crawler("c")["LastCrawl"]["Status"] == "CANCELLED"


def test_a_crawl_that_fails_says_so_and_can_run_again(zone):
    zone.crawler(Configuration="not json")
    with pytest.raises(InvalidInput):
        run_crawl(zone.store, zone.catalog, "c", now_ns=LATER_NS)
    found = zone.catalog.get_crawler("c")
    assert (found["State"], found["LastCrawl"]["Status"]) == ("READY", "FAILED")
    assert "not JSON" in found["LastCrawl"]["ErrorMessage"]
    zone.catalog.update_crawler({"Name": "c", "Configuration": "{}"})
    run_crawl(zone.store, zone.catalog, "c", now_ns=LATER_NS)


class ListOnly:
    """A store that can't tell about folders, as S3 can't."""

    def __init__(self, store):
        self._store = store
        self.get, self.head, self.open = store.get, store.head, store.open

    def list(self, bucket, prefix="", **options):
        return self._store.list(bucket, prefix, **options)


def test_a_store_without_folders_gives_the_same_tables(zone, tmp_path):
    for day in ("2026-03-08", "2026-03-09"):
        put_day(zone.store, day, parquet(a=[1]))
    zone.crawler()
    zone.crawl()
    other = Catalog(":memory:", zone.clock)
    other.create_crawler(
        {key: zone.catalog.get_crawler("c")[key] for key in ("Name", "DatabaseName", "Targets")}
    )
    store = ListOnly(zone.store)
    apply_crawl(plan_crawl(store, other, "c", now_ns=LATER_NS), other)
    assert other.partition_places("shop", "events") == zone.catalog.partition_places(
        "shop", "events"
    )
    again = plan_crawl(store, other, "c", now_ns=LATER_NS)
    # It has to list all names again, but opens nothing twice.
    assert (again.changes, again.surveys[0].footer_count) == (0, 0)
