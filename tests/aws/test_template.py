"""Every line of the architecture, read back from the template."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from lakelet.aws.cfn import REASONS, compact, references, subset
from lakelet.aws.queries import once_view
from lakelet.aws.settings import (
    AwsSettings,
    FunctionSettings,
    JobSettings,
    Names,
    VpcSettings,
    read_aws,
)
from lakelet.aws.site import Site
from lakelet.aws.template import FOUNDATION, build_template, render
from lakelet.aws.template_catalog import crawler_schedule
from lakelet.aws.template_storage import ZONES
from lakelet.model.contract import Contract, Deduplicate, Field, TableContract
from lakelet.model.errors import DeclarationError
from lakelet.model.pipeline import Pipeline
from lakelet.model.toml import load
from lakelet.watch.names import Lakelet
from tests.aws.declared import default_site, events_table

KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
EVERYTHING = AwsSettings(
    stage="dev",
    kms_key_arn=KEY,
    permissions_boundary_arn="arn:aws:iam::123456789012:policy/boundary",
    access_logs_bucket="logs-123",
    notify_email="watch@example.com",
    monthly_budget_usd=100,
    partitions="projection",
    analysts=("arn:aws:iam::123456789012:role/team",),
    tags={"team": "data"},
    function=FunctionSettings(reserved_concurrency=10),
    job=JobSettings(schedule="cron(0 3 * * ? *)"),
    vpc=VpcSettings("vpc-12345678", ("subnet-12345678", "subnet-87654321"), ("rtb-12345678",)),
)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return build_template(default_site())


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    return {key: value["Properties"] for key, value in template["Resources"].items()}


def of_type(template: dict[str, Any], name: str) -> dict[str, Any]:
    found = template["Resources"].items()
    return {key: value for key, value in found if value["Type"] == name}


def statements(template: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (role, statement)
        for role, made in of_type(template, "AWS::IAM::Role").items()
        for policy in made["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def test_the_stream_buffers_a_minute_or_five_megabytes_and_compresses(resources: Any) -> None:
    stream = resources["DeliveryStream"]
    target = stream["ExtendedS3DestinationConfiguration"]
    assert stream["DeliveryStreamType"] == "DirectPut"
    assert target["BufferingHints"] == {"IntervalInSeconds": 60, "SizeInMBs": 5}
    assert target["CompressionFormat"] == "GZIP"
    assert target["Prefix"].startswith("year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=")
    assert "!{firehose:error-output-type}" in target["ErrorOutputPrefix"]
    (processor,) = target["ProcessingConfiguration"]["Processors"]
    assert processor["Type"] == "AppendDelimiterToRecord"
    assert stream["DeliveryStreamEncryptionConfigurationInput"] == {"KeyType": "AWS_OWNED_CMK"}
    assert target["CloudWatchLoggingOptions"]["Enabled"]
    assert target["RoleARN"] == {"Fn::GetAtt": ["StreamRole", "Arn"]}


def test_raw_lives_thirty_days_and_results_seven(resources: Any) -> None:
    def expiry(bucket: str) -> list[int]:
        rules = resources[bucket]["LifecycleConfiguration"]["Rules"]
        return [rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule]

    assert expiry("RawBucket") == [30]
    assert expiry("ResultsBucket") == [7]
    assert expiry("TransformedBucket") == expiry("ScriptsBucket") == []


@pytest.mark.parametrize("zone", ZONES)
def test_every_bucket_is_closed_encrypted_and_kept(template: dict[str, Any], zone: str) -> None:
    made = template["Resources"][f"{zone.capitalize()}Bucket"]
    bucket, policy = (
        made["Properties"],
        template["Resources"][f"{zone.capitalize()}BucketPolicy"]["Properties"],
    )
    assert made["DeletionPolicy"] == "RetainExceptOnCreate"
    assert made["UpdateReplacePolicy"] == "Retain"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "AES256" in json.dumps(bucket["BucketEncryption"])
    assert "BucketOwnerEnforced" in json.dumps(bucket["OwnershipControls"])
    assert "AbortIncompleteMultipartUpload" in json.dumps(bucket["LifecycleConfiguration"])
    denied = policy["PolicyDocument"]["Statement"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in [one["Condition"] for one in denied]
    assert {one["Effect"] for one in denied} == {"Deny"}


def test_raw_events_and_nothing_else_start_the_function(template: dict[str, Any]) -> None:
    raw = template["Resources"]["RawBucket"]
    (started,) = raw["Properties"]["NotificationConfiguration"]["LambdaConfigurations"]
    assert started["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "year="}]
    assert raw["DependsOn"] == ["TransformPermission"]
    permission = template["Resources"]["TransformPermission"]["Properties"]
    assert permission["Principal"] == "s3.amazonaws.com"
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}


def test_the_function_keeps_what_it_could_not_do(resources: Any) -> None:
    function, retries = resources["TransformFunction"], resources["TransformRetries"]
    assert function["Runtime"] == "python3.11"
    assert function["DeadLetterConfig"] == {"TargetArn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}
    assert retries["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["Failures", "Arn"]
    }
    assert retries["MaximumRetryAttempts"] == 2
    for queue in ("DeadLetters", "Failures"):
        assert resources[queue]["MessageRetentionPeriod"] == 14 * 86_400
        assert resources[queue]["SqsManagedSseEnabled"]
    assert "336392948345" in json.dumps(function["Layers"])


def test_the_table_is_the_contracts_and_the_crawler_only_adds_partitions(resources: Any) -> None:
    table = resources["TableEvents"]["TableInput"]
    columns = {one["Name"]: one["Type"] for one in table["StorageDescriptor"]["Columns"]}
    assert list(columns)[:3] == ["event_id", "event_type", "event_timestamp"]
    assert columns["event_timestamp"] == "timestamp"
    assert columns["product_price"] == columns["revenue"] == "double"
    assert columns["quantity"] == "int"
    assert columns["event_date"] == "date"
    assert {"ip_address", "email"}.isdisjoint(columns)
    assert [one["Name"] for one in table["PartitionKeys"]] == ["year", "month", "day"]
    assert {one["Type"] for one in table["PartitionKeys"]} == {"string"}
    assert "projection.enabled" not in table["Parameters"]

    crawler = resources["Crawler"]
    configuration = json.loads(crawler["Configuration"])
    assert crawler["SchemaChangePolicy"] == {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    assert configuration["CrawlerOutput"] == {
        "Tables": {"AddOrUpdateBehavior": "MergeNewColumns"},
        "Partitions": {"AddOrUpdateBehavior": "InheritFromTable"},
    }
    assert configuration["Grouping"]["TableGroupingPolicy"] == "CombineCompatibleSchemas"
    assert crawler["Schedule"] == {"ScheduleExpression": "cron(0 0/1 * * ? *)"}
    assert "CatalogTargets" in crawler["Targets"]


def test_projection_takes_the_crawlers_place() -> None:
    template = build_template(default_site(AwsSettings(partitions="projection")))
    assert not of_type(template, "AWS::Glue::Crawler")
    assert {"CrawlerRole", "CrawlerFailedRule", "AlarmCrawlerFailed"}.isdisjoint(
        template["Resources"]
    )
    parameters = template["Resources"]["TableEvents"]["Properties"]["TableInput"]["Parameters"]
    assert parameters["projection.month.digits"] == "2"
    where = parameters["storage.location.template"]["Fn::Sub"]
    assert where.endswith("/events/year=${!year}/month=${!month}/day=${!day}/")


def test_the_job_is_glue_5_without_bookmark(resources: Any) -> None:
    job = resources["Job"]
    assert job["GlueVersion"].startswith("5.")
    assert job["DefaultArguments"]["--job-bookmark-option"] == "job-bookmark-disable"
    assert job["SecurityConfiguration"] == {"Ref": "GlueEncryption"}
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}


def test_the_workgroup_is_enforced_and_encrypted() -> None:
    site = default_site()
    pipeline = Pipeline(workgroup=type(site.pipeline.workgroup)(bytes_scanned_cutoff=5))
    resources = build_template(Site(pipeline, site.contract))["Resources"]
    configuration = resources["Workgroup"]["Properties"]["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"]
    assert configuration["ResultConfiguration"]["EncryptionConfiguration"] == {
        "EncryptionOption": "SSE_S3"
    }
    assert configuration["BytesScannedCutoffPerQuery"] == 10_000_000  # Athena takes no less
    assert len(of_type({"Resources": resources}, "AWS::Athena::NamedQuery")) == 4


def test_a_contract_with_other_columns_gets_only_the_queries_that_work() -> None:
    table = events_table()
    slim = type(table)("clicks", table.fields[:3], table.event_time)
    template = build_template(Site(Pipeline(), Contract(1, (slim,))))
    views = [
        made
        for made in of_type(template, "AWS::Glue::Table").values()
        if made["Properties"]["TableInput"]["TableType"] == "VIRTUAL_VIEW"
    ]
    assert not views
    (query,) = of_type(template, "AWS::Athena::NamedQuery").values()
    assert "FROM clicks" in query["Properties"]["QueryString"]


def keyed(*, required: bool = True) -> TableContract:
    table = events_table()
    fields = tuple(replace(f, required=f.name == "event_id" and required) for f in table.fields)
    tags = Field("tags", "map<string,array<int>>", "tags", ("tags",))
    return replace(table, fields=(*fields, tags), deduplicate=Deduplicate("event_id"))


def view_of(template: dict[str, Any], logical_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The view as the catalog has it, and as Athena decodes it."""
    described = template["Resources"][logical_id]["Properties"]["TableInput"]
    coded = re.fullmatch(r"/\* Presto View: (\S+) \*/", described["ViewOriginalText"])
    assert coded
    return described, json.loads(base64.b64decode(coded[1]))


def test_a_view_has_each_event_once() -> None:
    table = keyed()
    template = build_template(Site(Pipeline(), Contract(1, (table,))))
    described, view = view_of(template, "ViewEventsOnce")
    assert described["Name"] == "events_once"
    types = {one["name"]: one["type"] for one in view["columns"]}
    assert list(types) == [*table.schema.names, *table.partition_keys]
    assert types["event_timestamp"] == "timestamp(3)"
    assert types["tags"] == "map(varchar,array(integer))"
    assert [one["Name"] for one in described["StorageDescriptor"]["Columns"]] == list(types)
    assert template["Resources"]["ViewEventsOnce"]["DependsOn"] == ["TableEvents"]
    # Nobody's numbers count an event twice.
    assert (
        "FROM clickstream.events_once " in view_of(template, "ViewDailyTraffic")[1]["originalSql"]
    )
    assert template["Resources"]["ViewSessions"]["DependsOn"] == ["ViewEventsOnce"]
    for query in of_type(template, "AWS::Athena::NamedQuery").values():
        assert "FROM events_once\n" in query["Properties"]["QueryString"]


@pytest.mark.parametrize("required", [True, False])
def test_once_means_a_keys_first_row_of_a_day(required: bool) -> None:
    view = once_view(keyed(required=required))
    assert view
    with duckdb.connect() as db:
        columns = dict.fromkeys([name for name, _ in view.columns], "VARCHAR")
        described = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        db.execute(f"CREATE TABLE events ({described})")
        for key, day, received, city in [
            ("a", "20", "10:00", "first"),
            ("a", "20", "10:05", "again"),
            ("b", "20", "10:05", "other"),
            ("a", "21", "10:05", "another day"),
            *([] if required else [(None, "20", "10:00", "no key"), (None, "20", "10:00", "nor")]),
        ]:
            db.execute(
                "INSERT INTO events (event_id, year, month, day, received_at, city) "
                "VALUES (?, '2026', '11', ?, ?, ?)",
                [key, day, received, city],
            )
        rows = db.sql(view.sql.format(table="events")).to_arrow_table()
    assert rows.column_names == list(columns)
    expected = {"first", "other", "another day"} | (set() if required else {"no key", "nor"})
    assert set(rows["city"].to_pylist()) == expected
    assert rows.num_rows == len(expected)


def test_without_a_key_there_is_no_such_view() -> None:
    template = build_template(default_site())
    assert "ViewEventsOnce" not in template["Resources"]
    assert "FROM clickstream.events " in view_of(template, "ViewSessions")[1]["originalSql"]


def test_no_statement_is_wider_than_it_must(template: dict[str, Any]) -> None:
    """Exact actions; `*` as a resource only where the service knows no other."""
    unbound = {"glue:GetSecurityConfiguration", "cloudwatch:PutMetricData"}
    for role, statement in statements(template):
        where = f"{role}.{statement['Sid']}"
        assert statement["Effect"] == "Allow", where
        assert not [action for action in statement["Action"] if "*" in action], where
        assert {"NotAction", "NotResource"}.isdisjoint(statement), where
        if "*" in statement["Resource"]:
            assert set(statement["Action"]) <= unbound, where
        for resource in statement["Resource"]:
            text = json.dumps(resource)
            assert not re.search(r":s3:::\*|:\*:\*", text), where
    assert not re.search(r"ManagedPolicyArns|arn:aws:iam::aws:policy", json.dumps(template))


def test_every_statement_has_its_reason(template: dict[str, Any]) -> None:
    text = render(template)
    for role, statement in statements(template):
        reason = template["Resources"][role]["Metadata"][REASONS][statement["Sid"]]
        assert len(reason) > 5
        assert f"# {reason}"[:60] in text


def test_each_actor_has_a_role_of_its_own(template: dict[str, Any]) -> None:
    assert set(of_type(template, "AWS::IAM::Role")) == {
        f"{actor}Role" for actor in ("Stream", "Transform", "Crawler", "Job", "Producer", "Analyst")
    }


def test_no_role_reads_what_is_not_its_business(template: dict[str, Any]) -> None:
    def reads(role: str, bucket: str) -> bool:
        return any(
            "s3:GetObject" in one["Action"] and f"-{bucket}-" in json.dumps(one["Resource"])
            for name, one in statements(template)
            if name == role
        )

    assert not reads("AnalystRole", "raw")
    assert not reads("CrawlerRole", "raw")
    assert not reads("StreamRole", "raw")
    assert reads("TransformRole", "raw")


def test_personal_data_is_not_in_any_name_or_log(template: dict[str, Any]) -> None:
    assert "ip_address" not in compact(template)


def test_alarms_measure_what_the_function_says(template: dict[str, Any]) -> None:
    alarms = {
        made["Properties"]["MetricName"]: made["Properties"]
        for made in of_type(template, "AWS::CloudWatch::Alarm").values()
    }
    for measure in (Lakelet.IMBALANCE, Lakelet.QUARANTINE_RATE):
        assert alarms[measure.name]["Namespace"] == measure.namespace
        (dimension,) = alarms[measure.name]["Dimensions"]
        assert (dimension["Name"],) == measure.dimension_names
    assert {
        "DeliveryToS3.DataFreshness",
        "ThrottledRecords",
        "Errors",
        "Throttles",
        "AsyncEventAge",
        "ApproximateNumberOfMessagesVisible",
        "ProcessedBytes",
        "MatchedEvents",
    } <= set(alarms)
    assert {alarm["TreatMissingData"] for alarm in alarms.values()} == {"notBreaching"}


def test_the_dashboard_shows_every_stage_and_every_alarm(template: dict[str, Any]) -> None:
    body = json.loads(template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    text = json.dumps(body)
    for namespace in ("AWS/Firehose", "AWS/Lambda", "AWS/SQS", "AWS/Athena", "Glue", "Lakelet"):
        assert namespace in text
    shown = body["widgets"][-1]["properties"]["alarms"]
    assert len(shown) == len(of_type(template, "AWS::CloudWatch::Alarm"))


def test_logs_end(template: dict[str, Any]) -> None:
    groups = of_type(template, "AWS::Logs::LogGroup")
    assert len(groups) == 4
    assert {made["Properties"]["RetentionInDays"] for made in groups.values()} == {30}


def test_everything_that_can_be_tagged_is() -> None:
    # The types of this template that take no tags.
    plain = re.compile(
        r"Policy$|LogStream|EventInvokeConfig|Permission|Glue::(Database|Table|Security)"
        r"|NamedQuery|Dashboard|Events::Rule|VPCEndpoint|Budget"
    )
    template = build_template(default_site(EVERYTHING))
    for logical_id, made in template["Resources"].items():
        if not plain.search(made["Type"]):
            assert "lakelet:pipeline" in json.dumps(made["Properties"]["Tags"]), logical_id


def test_everything_by_setting() -> None:
    template = build_template(default_site(EVERYTHING))
    resources = template["Resources"]
    text = json.dumps(template)
    for role in of_type(template, "AWS::IAM::Role").values():
        assert role["Properties"]["PermissionsBoundary"] == EVERYTHING.permissions_boundary_arn
    assert "AES256" not in text
    assert "AWS_OWNED_CMK" not in text
    assert resources["RawBucket"]["Properties"]["LoggingConfiguration"] == {
        "DestinationBucketName": "logs-123",
        "LogFilePrefix": "clickstream-dev/raw/",
    }
    assert len(of_type(template, "AWS::EC2::VPCEndpoint")) == 4
    assert resources["Budget"]["Properties"]["Budget"]["BudgetLimit"]["Amount"] == 100
    for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "Notifications"}]
    assert resources["TransformFunction"]["Properties"]["ReservedConcurrentExecutions"] == 10
    assert "JobTrigger" in resources


def test_off_unless_asked_for(template: dict[str, Any]) -> None:
    types = {made["Type"] for made in template["Resources"].values()}
    assert not [name for name in types if re.search("EC2|SNS|Budgets|Secrets|Trigger", name)]
    assert "PermissionsBoundary" not in json.dumps(template)


def test_a_budget_nobody_hears_of_is_refused() -> None:
    with pytest.raises(DeclarationError, match="nobody would be told"):
        build_template(default_site(AwsSettings(monthly_budget_usd=5)))


def test_every_reference_is_there() -> None:
    for settings in (AwsSettings(), EVERYTHING):
        template = build_template(default_site(settings))
        known = {*template["Resources"], *template["Parameters"]}
        used = references([template["Resources"], template["Outputs"]])
        assert {name for name in used if not name.startswith("AWS::")} <= known


def test_the_foundation_stands_alone(template: dict[str, Any]) -> None:
    foundation = subset(template, FOUNDATION)
    assert set(foundation["Resources"]) == set(FOUNDATION)
    assert set(foundation["Outputs"]) == {"ScriptsBucketName"}
    assert "Parameters" not in foundation


def test_the_same_declaration_is_the_same_text() -> None:
    assert render(build_template(default_site())) == render(build_template(default_site()))


def test_what_people_read_says_what_cloudformation_is_sent(template: dict[str, Any]) -> None:
    """The YAML's short tags stand for the JSON's functions, one by one."""

    class Loader(yaml.SafeLoader):
        pass

    def short(loader: yaml.Loader, suffix: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return {f"Fn::{suffix}": loader.construct_sequence(node, deep=True)}
        value = loader.construct_scalar(node)
        if suffix == "Ref":
            return {"Ref": value}
        return {f"Fn::{suffix}": value.split(".") if suffix == "GetAtt" else value}

    Loader.add_multi_constructor("!", short)
    read = yaml.load(render(template), Loader)
    sent = json.loads(compact(template))
    for resource in read["Resources"].values():
        resource.pop("Metadata", None)
    assert read == sent


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [
        ("rate(1 hour)", "cron(0 0/1 * * ? *)"),
        ("rate(15 minutes)", "cron(0/15 * * * ? *)"),
        ("rate(1 day)", "cron(0 0 * * ? *)"),
        ("cron(5 4 * * ? *)", "cron(5 4 * * ? *)"),
    ],
)
def test_schedules(schedule: str, cron: str) -> None:
    assert crawler_schedule(schedule) == cron


@pytest.mark.parametrize("schedule", ["rate(1 minute)", "rate(7 hours)", "hourly", "rate(0 days)"])
def test_schedules_glue_cannot_keep(schedule: str) -> None:
    with pytest.raises(DeclarationError, match="no schedule of a Glue crawler"):
        crawler_schedule(schedule)


def test_settings_are_read_and_misspelt_ones_refused() -> None:
    text = '[aws]\nstage = "dev"\n[aws.function]\nmemory_mb = 2048\n[aws.tags]\nteam = "data"'
    settings = read_aws(load(text, "x.toml").section("aws"))
    assert (settings.stage, settings.function.memory_mb) == ("dev", 2048)
    assert settings.tags == {"team": "data"}
    with pytest.raises(DeclarationError, match=r"x.toml, line 2: aws.function.memory"):
        read_aws(load("[aws.function]\nmemory = 1", "x.toml").section("aws"))
    with pytest.raises(DeclarationError, match="CloudWatch keeps no logs for 6 days"):
        read_aws(load("[aws]\nlog_retention_days = 6", "x.toml").section("aws"))


def test_a_bucket_name_too_long_says_by_how_much() -> None:
    names = Names(Pipeline("a-name-that-goes-on-and-on-and-on-and-on"))
    with pytest.raises(DeclarationError) as caught:
        names.resolved_bucket("transformed", "123456789012", "us-east-1")
    assert "by 12" in caught.value.hint
    assert Names(Pipeline("shop"), "dev").resolved_bucket("raw", "1" * 12, "eu-west-1") == (
        "shop-dev-raw-111111111111-eu-west-1"
    )


@pytest.mark.parametrize("settings", [AwsSettings(), EVERYTHING], ids=["default", "everything"])
def test_cfn_lint_finds_nothing(tmp_path: Path, settings: AwsSettings) -> None:
    from cfnlint.api import lint

    text = render(build_template(default_site(settings)))
    assert [str(match) for match in lint(text, regions=["us-east-1", "eu-central-1"])] == []


def test_the_page_shows_the_template_of_now() -> None:
    import importlib.util

    path = Path(__file__).parents[2] / "docs" / "make_aws.py"
    spec = importlib.util.spec_from_file_location("make_aws", path)
    assert spec
    assert spec.loader
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    text = maker.TARGET.read_text("utf-8")
    assert maker.filled(text) == text, "run: python docs/make_aws.py"


def test_the_picture_has_the_road_in_it(template: dict[str, Any]) -> None:
    from lakelet.aws.diagram import diagram

    drawn = diagram(template)
    for arrow in (
        "ProducerRole -->|writes| DeliveryStream",
        "DeliveryStream -->|writes| RawBucket",
        "RawBucket -->|starts| TransformFunction",
        "TransformFunction -->|writes| TransformedBucket",
        "Crawler -->|writes| Database",
        "AnalystRole -->|asks| Workgroup",
        "Workgroup -->|writes| ResultsBucket",
    ):
        assert arrow in drawn
    assert "RawBucket -->|read by| AnalystRole" not in drawn
