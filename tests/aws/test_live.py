"""The whole pipeline, deployed by us into an AWS that enforces IAM and TLS.

What this AWS cannot show stands in docs/aws.md, "What is proved, and what is not".
"""

import io
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from lakelet.aws.home import AwsHome
from lakelet.aws.queries import once_view
from lakelet.aws.site import load_site
from lakelet.aws.stack import Effect, StackFailed
from lakelet.aws.template_storage import ZONES
from lakelet.producer import Producer
from tests.aws.live import POLL_SECONDS, Live, deployed, event, ndjson, raw_key, until

pytestmark = pytest.mark.e2e


def home(live: Live) -> AwsHome:
    return AwsHome(live.session, live.deployment.site, live.outputs, pause=lambda _: None)


def add_partition(live: Live, day: str) -> None:
    """What the crawler does on AWS; the emulator's is a timer that finds nothing."""
    glue = live.session.client("glue")
    table = glue.get_table(DatabaseName="clickstream", Name="events")["Table"]
    year, month, dom = day.split("-")
    folder = f"year={year}/month={month}/day={dom}/"
    storage = table["StorageDescriptor"]
    location = f"{storage['Location']}{folder}"
    glue.batch_create_partition(
        DatabaseName="clickstream",
        TableName="events",
        PartitionInputList=[
            {
                "Values": [year, month, dom],
                "StorageDescriptor": {**storage, "Location": location},
            }
        ],
    )


def test_events_become_rows_exactly(live: Live) -> None:
    """Producer → our delivery stream → the emulator's S3 → the function → Parquet → SQL."""
    add_partition(live, "2026-11-20")
    counted = "SELECT count(*) AS n FROM events"
    (earlier,) = home(live).query(counted)["n"].to_pylist()  # rows of other tests
    session = live.emulator.session(firehose=live.front.url)
    with Producer("clickstream", client=session.client("firehose")) as producer:
        for number in range(5_000):
            producer.send(event(number))
        producer.flush()
    before = set(live.keys(live.raw, "year="))
    live.front.flush()
    (key,) = set(live.keys(live.raw, "year=")) - before
    manifest = live.manifest(key)
    assert (manifest.events, manifest.rows) == (5_000, 5_000)
    table = live.rows(manifest)
    assert table.num_rows == 5_000
    assert {"email", "ip_address"}.isdisjoint(table.column_names)
    assert len(set(table["event_id"].to_pylist())) == 5_000

    assert home(live).query(counted)["n"].to_pylist() == [earlier + 5_000]


def test_a_duplicate_event_changes_nothing(live: Live) -> None:
    key = live.put_raw(ndjson(event(n) for n in range(10)))
    manifest = live.manifest(key)
    outputs = [(one.bucket, one.key) for one in manifest.outputs]
    before = [live.s3.head_object(Bucket=b, Key=k)["LastModified"] for b, k in outputs]
    count = len(live.keys(live.transformed))
    answer = live.invoke(live.s3_event(key))
    assert answer["Payload"] == {"done": 0, "done_before": 1}
    assert [live.s3.head_object(Bucket=b, Key=k)["LastModified"] for b, k in outputs] == before
    assert len(live.keys(live.transformed)) == count


def test_an_event_of_two_objects_is_once_in_the_view(live: Live) -> None:
    """Functions share no memory: the table has it twice, the view has it once."""
    add_partition(live, "2026-11-20")
    twice = event(1, event_id="in two objects")
    for _ in range(2):
        assert live.manifest(live.put_raw(ndjson([twice]))).rows == 1
    view = once_view(live.deployment.site.contract.default_table)
    assert view
    named = live.session.client("glue").get_table(DatabaseName="clickstream", Name=view.name)
    assert named["Table"]["TableType"] == "VIRTUAL_VIEW"
    where = "event_id = 'in two objects' AND year = '2026'"
    counted = f"SELECT count(*) AS n FROM events WHERE {where}"
    assert home(live).query(counted)["n"].to_pylist() == [2]
    # The emulator's Athena knows no views: it is asked the view's own text.
    once = f"SELECT count(*) AS n FROM ({view.sql.format(table='events')}) WHERE {where}"
    assert home(live).query(once)["n"].to_pylist() == [1]


def test_what_cannot_be_read_is_set_aside_alone(live: Live) -> None:
    key = live.put_raw(ndjson([event(1), event(2)]) + b'{"event_id": \n')
    manifest = live.manifest(key)
    assert (manifest.events, manifest.rows) == (3, 2)
    assert manifest.quarantined_count == 1
    report = home(live).call("quarantine", {"where": f"source_key = '{key}'"})
    assert report["count"] == 1
    assert report["reasons"][0]["reason"] in manifest.quarantined
    # Nothing has been mended: a rehearsal says that nothing would change.
    receipt = home(live).call("replay", {"where": f"source_key = '{key}'", "dry_run": True})
    assert (receipt["objects"], receipt["changed"], receipt["dry_run"]) == (1, 0, True)


def test_the_books_balance(live: Live) -> None:
    live.manifest(live.put_raw(ndjson([event(1)])))
    report = home(live).audit(lambda _: None, deep=True)
    assert report["problems"] == []
    assert report["balanced"]
    assert report["rows"] > 0


def test_status_says_where_things_stand(live: Live) -> None:
    status = home(live).status(lambda _: None)
    assert status["stream"] == {"name": "clickstream", "status": "ACTIVE"}
    assert "clickstream-dead-letters" in status["alarms"]


# --- watching -------------------------------------------------------------------------


def test_an_alarm_fires(live: Live) -> None:
    """On AWS the metric comes out of the function's log (EMF); here we put it ourselves."""
    cloudwatch = live.session.client("cloudwatch")
    name = "clickstream-quarantine-rate"

    def state() -> str:
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return str(alarm["StateValue"])

    cloudwatch.put_metric_data(
        Namespace="Lakelet",
        MetricData=[
            {
                "MetricName": "QuarantineRate",
                "Dimensions": [{"Name": "Pipeline", "Value": "clickstream"}],
                "Value": 50,
                "Unit": "Percent",
            }
        ],
    )
    until(lambda: state() == "ALARM" or None, "the alarm")


def test_what_the_function_gives_up_is_kept_and_sent_again(live: Live) -> None:
    """This AWS fills the on-failure destination and leaves the dead-letter queue empty."""
    key = raw_key()
    with live.function_without("ReadRawEvents"):
        live.put_raw(ndjson([event(1)]), key=key)
        waiting = until(lambda: _waiting(live, "FailuresUrl"), "the failure")
    assert waiting == 1
    assert live.keys(live.transformed, f"_manifests/{key}") == []
    (letter,) = home(live).call("dead_letters", {})
    assert letter["key"] == key
    assert "HeadObject" in letter["error"]
    assert home(live).call("redrive", {}) == 1
    assert live.manifest(key).rows == 1
    assert _waiting(live, "FailuresUrl") is None


def _waiting(live: Live, queue: str) -> int | None:
    answer = live.session.client("sqs").get_queue_attributes(
        QueueUrl=live.outputs[queue], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(answer["Attributes"]["ApproximateNumberOfMessages"]) or None


# --- a pipeline's life ----------------------------------------------------------------

STRICT = """
[contract]
version = 1
[contract.fields]
event_id = { type = "string", required = true }
event_type = { type = "string", required = true }
timestamp = { type = "timestamp", required = true, column = "event_timestamp" }
level = { type = "int" }
"""
LENIENT = (
    STRICT.replace('level = { type = "int" }', 'level = { type = "string" }').replace(
        "version = 1", "version = 2"
    )
    + '[contract.migrations]\nlevel = { version = 2, from = "int", to = "string" }\n'
)


def test_a_contract_changes_and_data_outlives_the_stack(live: Live, tmp_path: Path) -> None:
    declaration = tmp_path / "lakelet.toml"
    declaration.write_text(STRICT)
    with deployed(live.emulator, tmp_path, load_site(declaration, stage="next")) as first:
        key = first.put_raw(ndjson([event(1, level=7), event(2, level="high")]))
        assert first.manifest(key).quarantined_count == 1
        quarantined = first.keys(first.raw, "quarantine/")

        declaration.write_text(LENIENT)
        site = load_site(declaration, stage="next")
        with deployed(live.emulator, tmp_path / "again", site) as second:
            glue = second.session.client("glue")
            table = glue.get_table(DatabaseName="clickstream_next", Name="events")["Table"]
            columns = {c["Name"]: c["Type"] for c in table["StorageDescriptor"]["Columns"]}
            assert columns["level"] == "string"
            receipt = home(second).call("replay", {"where": "field = 'level'"})
            assert (receipt["objects"], receipt["changed"], receipt["rescued"]) == (1, 1, 1)
            manifest = second.manifest(key)
            assert (manifest.rows, manifest.quarantined_count) == (2, 0)
            assert second.rows(manifest)["level"].to_pylist() == ["7", "high"]
            # The same raw object, made anew: what was set aside before is gone.
            assert quarantined
            assert second.keys(second.raw, "quarantine/") == []

            before = {bucket: second.keys(bucket) for bucket in second.deployment.kept_buckets()}
            kept = second.deployment.destroy()
            assert len(kept) == 4
            assert {bucket: second.keys(bucket) for bucket in kept} == before
            assert second.deployment.state().status in ("", "DELETE_COMPLETE")
            again = second.deployment.plan()
            found = {one.logical_id for one in again.changes if one.effect is Effect.KEPT}
            assert found == {f"{zone.capitalize()}Bucket" for zone in ZONES}
            # The emulator imports nothing: it is told what to do, and nothing is lost.
            with pytest.raises(StackFailed, match="already exists") as refused:
                second.deployment.apply(again)
            assert "aws s3 sync" in refused.value.hint
            assert {bucket: second.keys(bucket) for bucket in kept} == before
            for _ in second.deployment.delete_data():
                pass
            assert second.deployment.kept_buckets() == []


HASHED = STRICT.replace(
    "[contract.fields]", '[contract.fields]\nuser = { type = "string", personal = "hash" }'
)


def test_pseudonyms_are_made_with_the_secrets_key(live: Live, tmp_path: Path) -> None:
    """The same on both sides, with the same key; and the secret outlives its stack."""
    from lakelet.aws.keyring import secret_name
    from lakelet.aws.runner import read_keyring
    from lakelet.testing.objects import MemoryObjectStore
    from lakelet.transform import process, raw_object

    declaration = tmp_path / "lakelet.toml"
    declaration.write_text(HASHED)
    site = load_site(declaration, stage="hash")
    body = ndjson([event(1, user="ada")])
    with deployed(live.emulator, tmp_path, site) as hashed:
        key = raw_key()
        with hashed.unheard():
            hashed.put_raw(body, key=key)
        with hashed.function_without("ReadTheKeyring"):
            assert hashed.invoke(hashed.s3_event(key)).get("FunctionError")
        assert hashed.invoke(hashed.s3_event(key))["Payload"]["done"] == 1
        (pseudonym,) = hashed.rows(hashed.manifest(key))["user"].to_pylist()
        assert "ada" not in pseudonym

        keyring = read_keyring(live.session, secret_name(site))
        store = MemoryObjectStore()
        for bucket in site.pipeline.buckets:
            store.create_bucket(bucket)
        store.put(site.pipeline.raw_bucket, key, body)
        raw = raw_object(store, site.pipeline.raw_bucket, key)
        (output,) = process(store, site.pipeline, site.contract, raw, keyring=keyring).outputs
        table = pq.read_table(io.BytesIO(store.get(output.bucket, output.key)))
        assert table["user"].to_pylist() == [pseudonym]

        hashed.deployment.destroy()
        assert read_keyring(live.session, secret_name(site)) == keyring


def test_deploying_twice_changes_nothing(live: Live) -> None:
    plan = live.deployment.plan()
    assert (plan.changes, plan.change_set) == ((), "")
    assert live.deployment.apply(plan) == live.outputs


def test_a_plan_names_what_would_be_replaced(live: Live) -> None:
    from tests.aws.live import deployment_of

    site = live.deployment.site
    settings = replace(site.settings, function=replace(site.settings.function, memory_mb=3008))
    other = deployment_of(live.emulator, replace(site, settings=settings))
    plan = other.plan()
    try:
        assert [change.sentence() for change in plan.changes] == [
            "changed Lambda Function TransformFunction (MemorySize)"
        ]
        assert plan.losses == ()
    finally:
        other.discard(plan)


def test_history_moves_with_a_plain_sync(live: Live, tmp_path: Path) -> None:
    """A local lake's transformed bucket, copied by `aws s3 sync`, is rows on AWS."""
    import os
    import subprocess
    import sys

    from lakelet.model.layout import transformed_key
    from lakelet.store.disk import DiskObjectStore
    from lakelet.transform import process, raw_object

    site = live.deployment.site
    store = DiskObjectStore(tmp_path / "buckets")
    for bucket in site.pipeline.buckets:
        store.create_bucket(bucket)
    key = raw_key()
    store.put(site.pipeline.raw_bucket, key, ndjson([event(1), event(2)]))
    raw = raw_object(store, site.pipeline.raw_bucket, key)
    process(store, site.pipeline, site.contract, raw)
    source = tmp_path / "buckets" / site.pipeline.transformed_bucket
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": "123456789012",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CA_BUNDLE": str(live.emulator.ca_file),
        "AWS_ENDPOINT_URL": live.emulator.endpoint_url,
    }
    command = [sys.executable, "-m", "awscli", "s3", "sync", "--no-progress"]
    subprocess.run([*command, str(source), f"s3://{live.transformed}"], env=environment, check=True)
    from datetime import date

    assert transformed_key("events", date(2026, 11, 20), key) in live.keys(live.transformed)
    assert live.manifest(key).rows == 2


class _NoCrawler(AwsHome):
    """Its crawler is a timer here: what it would have found is entered by hand."""

    day = ""
    live: Live

    def crawl(self, tell: Any) -> list[str]:
        add_partition(self.live, self.day)
        return []


def test_verify_follows_its_events_and_leaves_no_trace(live: Live) -> None:
    from datetime import UTC, datetime

    from lakelet.aws.verify import marked_day, verify

    contract = live.deployment.site.contract
    session = live.emulator.session(firehose=live.front.url)
    checked = _NoCrawler(session, live.deployment.site, live.outputs, pause=lambda _: None)
    today = datetime.now(UTC).date()
    checked.day, checked.live = marked_day(contract.default_table, today).isoformat(), live

    def pause(_: float) -> None:
        live.front.flush()
        time.sleep(POLL_SECONDS)

    stages = [stage.name for stage in verify(checked, contract, today=today, pause=pause)]
    assert stages == ["accepted", "raw", "transformed", "crawled", "SQL", "cleaned up"]
    year, month, day = checked.day.split("-")
    assert live.keys(live.transformed, f"events/year={year}/month={month}/day={day}/") == []
    report = checked.audit(lambda _: None, day=today.isoformat())
    assert report["problems"] == []
    assert report["dropped"]["lakelet_verify"] == 1_000


def test_the_deployers_policy_is_enough(live: Live, tmp_path: Path) -> None:
    """And what it does not name is refused. CloudFormation's own calls on the deployer's
    behalf are not judged by this AWS: they follow the services' documentation."""
    from lakelet.aws.deploy import Deployment
    from lakelet.aws.deployer import POLICY_SIZE_MAX, deployer_policies
    from lakelet.aws.emulator import ACCOUNT, REGION

    site = load_site(None, stage="mine")
    policies = deployer_policies(site, ACCOUNT, REGION)
    together = {
        "Version": "2012-10-17",
        "Statement": [one for policy in policies for one in policy["Statement"]],
    }
    assert all(len("".join(str(p).split())) <= POLICY_SIZE_MAX for p in policies)
    deployer = live.session_with(together)
    as_root = live.deployment
    from tests.aws.live import deployment_of

    deployment = Deployment(
        deployer, site, template=deployment_of(live.emulator, site).template, poll_seconds=0.2
    )
    assert deployment.apply(deployment.plan())["DeliveryStreamName"] == "clickstream-mine"
    deployment.destroy()
    for _ in deployment.delete_data():
        pass
    others = [
        lambda: deployer.client("s3").list_objects_v2(Bucket=live.raw),
        lambda: deployer.client("lambda").delete_function(FunctionName="clickstream-transform"),
        lambda: deployer.client("cloudformation").delete_stack(StackName=as_root.stack_name),
        lambda: deployer.client("iam").create_user(UserName="me-too"),
    ]
    for other in others:
        with pytest.raises(ClientError, match=r"(not authorized|Access ?Denied|403)"):
            other()


@pytest.fixture
def shell(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line in an empty folder, with the emulator for AWS; answers its output."""
    from typer.testing import CliRunner

    from lakelet.cli.main import app

    monkeypatch.chdir(tmp_path)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "123456789012",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CA_BUNDLE": str(live.emulator.ca_file),
        # By address: boto3 then names buckets in the path.
        "AWS_ENDPOINT_URL": f"https://127.0.0.1:{live.emulator.port}",
        "AWS_ENDPOINT_URL_FIREHOSE": live.front.url,
    }.items():
        monkeypatch.setenv(name, value)

    def run(*words: str, typed: str | None = None, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(words), input=typed, env={"COLUMNS": "200"})
        assert result.exit_code == code, result.output + repr(result.exception)
        return result.output

    return run


def test_deploy_and_destroy_on_the_command_line(
    live: Live, shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_FIREHOSE")
    (tmp_path / "lakelet.toml").write_text(
        '[aws]\nstage = "cli"\nsaved_queries = false\nglue_encryption = false\n'
    )
    dry = shell("deploy", "--dry-run")
    assert "created" in dry
    assert "calculator.aws" in dry
    stacks = live.session.client("cloudformation").list_stacks()["StackSummaries"]
    assert "lakelet-clickstream-cli" not in [one["StackName"] for one in stacks]

    shell("deploy", typed="n\n", code=1)
    assert "Deployed." in shell("deploy", "--yes")
    assert "Nothing to change." in shell("deploy")
    kept = shell("destroy", typed="y\n")
    assert "clickstream-cli-raw-123456789012-us-east-1" in kept
    shell("destroy", "--delete-data", typed="clickstream\n", code=1)  # not its name
    bucket = "clickstream-cli-raw-123456789012-us-east-1"
    live.s3.head_bucket(Bucket=bucket)
    shell("destroy", "--delete-data", typed="clickstream-cli\n")
    with pytest.raises(ClientError, match="404"):
        live.s3.head_bucket(Bucket=bucket)


def test_the_same_words_on_the_command_line(live: Live, shell: Any, tmp_path: Path) -> None:
    live.manifest(live.put_raw(ndjson([event(1)]) + b"{broken\n"))
    add_partition(live, "2026-11-20")
    events = tmp_path / "events.ndjson"
    events.write_bytes(ndjson(event(n) for n in range(20)))

    assert "20 records acknowledged" in shell("send", str(events), "--on", "aws")
    assert "dead letters" in shell("status", "--on", "aws")
    assert "ledger balances" in shell("audit", "--on", "aws")
    assert "event_id" in shell("query", "SELECT event_id FROM events LIMIT 1", "--on", "aws")
    assert "events" in shell("quarantine", "--on", "aws")
    assert "0 of" in shell("replay", "--dry-run", "--on", "aws")
    assert "0 tried again" in shell("redrive", "--on", "aws")
    assert "The Spark job runs: " in shell("backfill", "--from", "2026-11-20", "--on", "aws")
    assert "export LAKELET_RAW_BUCKET_NAME=" in shell("outputs")
    assert "transformed" in shell("logs", "--minutes", "60")
    assert shell("status", "--on", "aws:other", code=1) == ""
