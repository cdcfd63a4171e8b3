"""The command as its user meets it: real processes, real output, exit statuses."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from botocore.config import Config

from lakelet.testing.node import RunningNode, running_node


def lakelet(
    *arguments: str, cwd: Path, stdin: bytes = b"", status: int = 0, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "lakelet.cli.main", *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **environment},
        check=False,
    )
    assert done.returncode == status, done.stderr.decode() + done.stdout.decode()
    return done


def test_help_lists_every_command_and_imports_no_engine(tmp_path):
    done = lakelet("--help", cwd=tmp_path)
    for name in ("up", "init", "send", "query", "crawl", "status", "audit", "generate",
                 "transform", "env", "demo", "flush"):  # fmt: skip
        assert f" {name} " in done.stdout.decode()
    code = (
        "import sys\nfrom lakelet.cli import main\n"
        "heavy = {'pyarrow', 'duckdb', 'botocore', 'sqlglot', 'uvicorn', 'nicegui', 'rich.table'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_init_writes_a_declaration_that_up_would_take(tmp_path):
    lakelet("init", cwd=tmp_path)
    text = (tmp_path / "lakelet.toml").read_text()
    assert "buffer_interval_seconds = 60" in text
    refused = lakelet("init", cwd=tmp_path, status=1)
    assert "exists already" in refused.stderr.decode()
    assert "--force" in refused.stderr.decode()
    lakelet("init", "--force", cwd=tmp_path)
    lakelet("init", str(tmp_path / "new" / "mine.toml"), cwd=tmp_path)
    assert (tmp_path / "new" / "mine.toml").read_text() == text


def test_a_lake_without_a_node_send_query_audit(tmp_path):
    lakelet("generate", "300", "-o", "events.ndjson.gz", cwd=tmp_path)
    assert len(gzip.decompress((tmp_path / "events.ndjson.gz").read_bytes()).splitlines()) == 300
    nothing = lakelet("query", "SELECT 1", cwd=tmp_path, status=1)
    assert "there is no lake" in nothing.stderr.decode()
    assert "lakelet up" in nothing.stderr.decode()

    subprocess.run(
        [sys.executable, "-c", "import lakelet; lakelet.open('lake').close()"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    sent = lakelet("send", "events.ndjson.gz", cwd=tmp_path)
    assert "300 records acknowledged" in sent.stderr.decode()
    rows = lakelet("query", "SELECT count(*) AS n FROM events", "-f", "json", cwd=tmp_path)
    count = json.loads(rows.stdout)["n"]
    assert 250 < count <= 300
    refused = lakelet("send", "events.ndjson.gz", "--stream", "nope", cwd=tmp_path, status=1)
    assert "Firehose nope under account" in refused.stderr.decode()
    report = json.loads(lakelet("audit", "--json", cwd=tmp_path).stdout)
    assert report["balanced"]
    assert report["accepted"] == 300
    assert report["rows"] == count


def test_every_format_and_standard_input(lakelet_node: RunningNode, tmp_path):
    data = ("--data", str(lakelet_node.folder))
    event = {"event_id": "e", "event_type": "login", "timestamp": "2026-03-09T01:02:03Z"}
    lakelet("send", "-", *data, cwd=tmp_path, stdin=json.dumps(event).encode() + b"\n\n")
    lakelet("flush", *data, cwd=tmp_path)
    sql = "SELECT event_id, hour FROM events"
    table = lakelet("query", sql, *data, cwd=tmp_path).stdout.decode()
    assert "event_id" in table
    assert "1 row in" in table
    csv = lakelet("query", *data, "-f", "csv", cwd=tmp_path, stdin=sql.encode()).stdout
    assert csv == b'"event_id","hour"\n"e",1\n'
    rows = lakelet("query", "-", *data, "-f", "json", cwd=tmp_path, stdin=sql.encode()).stdout
    assert json.loads(rows) == {"event_id": "e", "hour": 1}
    lakelet("query", sql, *data, "-o", "out.parquet", cwd=tmp_path)
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [{"event_id": "e", "hour": 1}]


def test_status_crawl_and_env_with_a_node(lakelet_node: RunningNode, tmp_path):
    data = ("--data", str(lakelet_node.folder))
    status = json.loads(lakelet("status", "--json", *data, cwd=tmp_path).stdout)
    assert status["node"]["endpoint"] == lakelet_node.endpoint
    assert "accepted" in lakelet("status", *data, cwd=tmp_path).stdout.decode()
    assert "no changes" in lakelet("crawl", *data, cwd=tmp_path).stdout.decode()
    lines = lakelet("env", *data, cwd=tmp_path).stdout.decode().splitlines()
    names = {line.removeprefix("export ").split("=")[0] for line in lines}
    assert names == {
        "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION", "AWS_REGION",
    }  # fmt: skip


def test_a_delivery_that_fails_is_named_by_status_and_doctor(lakelet_node: RunningNode, tmp_path):
    data = ("--data", str(lakelet_node.folder))
    firehose = lakelet_node.client("firehose")
    role = {"RoleARN": "arn:aws:iam::000000000000:role/any"}
    firehose.create_delivery_stream(
        DeliveryStreamName="orders",
        ExtendedS3DestinationConfiguration={**role, "BucketARN": "arn:aws:s3:::clickstream-raw"},
    )
    described = firehose.describe_delivery_stream(DeliveryStreamName="clickstream")
    firehose.update_destination(
        DeliveryStreamName="clickstream",
        CurrentDeliveryStreamVersionId=described["DeliveryStreamDescription"]["VersionId"],
        DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"BucketARN": "arn:aws:s3:::not-made-yet"},
    )
    firehose.put_record(DeliveryStreamName="clickstream", Record={"Data": b"{}"})
    refused = lakelet("flush", *data, cwd=tmp_path, status=1).stderr.decode()
    assert "not-made-yet" in refused
    firehose.put_record(DeliveryStreamName="orders", Record={"Data": b"{}"})

    report = json.loads(lakelet("status", "--json", *data, cwd=tmp_path).stdout)
    streams = {each["name"]: each for each in report["streams"]}
    assert "not-made-yet" in streams["clickstream"]["last_error"]
    assert streams["clickstream"]["failing_since"]
    assert streams["clickstream"] == report["stream"]
    assert (streams["orders"]["buffered_records"], streams["orders"]["last_error"]) == (1, "")
    text = " ".join(lakelet("status", *data, cwd=tmp_path).stdout.decode().split())
    assert "failing no delivery since" in text and "not-made-yet" in text
    assert "orders: 1 records accepted, buffer 1 records, 2 B" in text
    found = json.loads(lakelet("doctor", "--json", *data, cwd=tmp_path, status=1).stdout)
    (check,) = (each for each in found if each["name"] == "deliveries")
    assert check["verdict"] == "bad" and "not-made-yet" in check["found"]
    assert "orders: 1 records" in check["found"]

    lakelet_node.client("s3").create_bucket(Bucket="not-made-yet")
    lakelet("flush", *data, cwd=tmp_path)
    text = lakelet("status", *data, cwd=tmp_path).stdout.decode()
    assert "failing" not in text and "1 other holds nothing" in text
    found = json.loads(lakelet("doctor", "--json", *data, cwd=tmp_path).stdout)
    assert {each["name"]: each["verdict"] for each in found}["deliveries"] == "ok"


def test_every_command_lives_without_the_pipelines_own_stream(lakelet_node: RunningNode, tmp_path):
    data = ("--data", str(lakelet_node.folder))
    event = json.dumps(
        {"event_id": "e", "event_type": "login", "timestamp": "2026-03-09T01:02:03Z"}
    )
    lakelet("send", "-", *data, cwd=tmp_path, stdin=event.encode())
    firehose = lakelet_node.client("firehose")
    firehose.delete_delivery_stream(DeliveryStreamName="clickstream")
    while firehose.list_delivery_streams()["DeliveryStreamNames"]:
        pass

    report = json.loads(lakelet("status", "--json", *data, cwd=tmp_path).stdout)
    assert (report["stream"]["status"], report["stream"]["accepted_records"]) == ("DELETED", 0)
    text = " ".join(lakelet("status", *data, cwd=tmp_path).stdout.decode().split())
    assert "clickstream: deleted through the API" in text and "Start the node again" in text
    found = json.loads(lakelet("doctor", "--json", *data, cwd=tmp_path, status=1).stdout)
    (check,) = (each for each in found if each["name"] == "deliveries")
    assert (check["verdict"], "clickstream: deleted" in check["found"]) == ("bad", True)
    lakelet("flush", *data, cwd=tmp_path)
    audit = json.loads(lakelet("audit", "--json", *data, cwd=tmp_path).stdout)
    assert (audit["accepted"], audit["rows"]) == (1, 1)
    refused = lakelet("send", "-", *data, cwd=tmp_path, stdin=event.encode(), status=1)
    assert "clickstream under account 000000000000 not found" in refused.stderr.decode()

    firehose.create_delivery_stream(
        DeliveryStreamName="clickstream",
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::000000000000:role/any",
            "BucketARN": "arn:aws:s3:::clickstream-raw",
        },
    )
    report = json.loads(lakelet("status", "--json", *data, cwd=tmp_path).stdout)
    assert report["stream"]["status"] == "ACTIVE"


def test_quotas_outlive_faults_and_hold_for_every_stream(tmp_path):
    (tmp_path / "lakelet.toml").write_text('[ingest]\nquotas = "small"\n')
    with running_node(tmp_path / "lake", config=tmp_path / "lakelet.toml") as node:
        data = ("--data", str(node.folder))
        small = {"bytes_per_second": 2**20, "requests_per_second": 1e3, "records_per_second": 1e5}
        firehose = node.client("firehose", config=Config(retries={"max_attempts": 0}))
        role = {"RoleARN": "arn:aws:iam::000000000000:role/any"}
        firehose.create_delivery_stream(
            DeliveryStreamName="orders",
            ExtendedS3DestinationConfiguration={
                **role,
                "BucketARN": "arn:aws:s3:::clickstream-raw",
            },
        )
        for given in (("--fail", "1/10"), ("--off",)):
            found = json.loads(lakelet("faults", *given, *data, cwd=tmp_path).stdout)
            assert found["quotas"] == small
        for stream in ("clickstream", "orders"):
            answer = firehose.put_record_batch(
                DeliveryStreamName=stream, Records=[{"Data": b" " * 400_000}] * 6
            )
            assert answer["FailedPutCount"] == 4


def test_transform_needs_no_node(tmp_path):
    lakelet("generate", "200", "-o", "in/a.json", cwd=tmp_path, status=1)  # no such folder
    (tmp_path / "in").mkdir()
    lakelet("generate", "200", "-o", "in/a.json.gz", cwd=tmp_path)
    done = lakelet("transform", "in", "out", cwd=tmp_path)
    assert "200 events in 1 files" in done.stdout.decode()
    files = sorted((tmp_path / "out" / "events").rglob("*.parquet"))
    assert files
    first = [path.read_bytes() for path in files]
    lakelet("transform", "in", "out", cwd=tmp_path)
    assert sorted((tmp_path / "out" / "events").rglob("*.parquet")) == files
    assert [path.read_bytes() for path in files] == first
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["a.json.gz"]


@pytest.mark.parametrize(
    ("arguments", "says", "remedy"),
    [
        (("transform", "nowhere", "out"), "nowhere is no file", "Name a file"),
        (("send", "nowhere.json"), "nowhere.json cannot be read", "NDJSON"),
        (("up", "--config", "nowhere.toml"), "nowhere.toml does not exist", "lakelet init"),
        (("up", "--data", "/proc/nowhere", "--port", "0"), "cannot be used", "--data"),
        (("env",), "no node is running", "lakelet up"),
    ],
)
def test_errors_say_what_and_what_next(tmp_path, arguments, says: str, remedy: str):
    told = lakelet(*arguments, cwd=tmp_path, status=1).stderr.decode()
    assert says in told
    assert remedy in told
    assert "Traceback" not in told


def test_a_bad_declaration_names_line_and_key(tmp_path):
    (tmp_path / "lakelet.toml").write_text("[stream]\nbuffer_size_mb = 500\n")
    told = lakelet("up", "--port", "0", cwd=tmp_path, status=1).stderr.decode()
    assert "lakelet.toml, line 2" in told
    assert "stream.buffer_size_mb" in told
    assert "1 to 128" in told


def test_a_port_in_use_and_a_folder_in_use(lakelet_node: RunningNode, tmp_path):
    port = lakelet_node.endpoint.rsplit(":", 1)[1]
    told = lakelet("up", "--data", "other", "--port", port, cwd=tmp_path, status=1)
    assert f"Port {port}" in told.stderr.decode()
    assert not (tmp_path / "other").exists()
    told = lakelet("up", "--data", str(lakelet_node.folder), "--port", "0", cwd=tmp_path, status=1)
    assert f"process {os.getpid()} at {lakelet_node.endpoint}" in told.stderr.decode()


def test_send_tells_which_lines_failed_and_sends_the_rest(lakelet_node: RunningNode, tmp_path):
    good = json.dumps({"event_id": "e", "event_type": "x", "timestamp": 1772980000}).encode()
    lines = b"\n".join([good, b'{"a": "' + b"x" * 1_100_000 + b'"}', good])
    done = lakelet(
        "send", "-", "--data", str(lakelet_node.folder), cwd=tmp_path, stdin=lines, status=1
    )
    told = done.stderr.decode()
    assert "line 2" in told
    assert "2 records acknowledged, 1 failed" in told


def test_lines_stay_lines_whoever_ends_them(lakelet_node: RunningNode, tmp_path):
    """Firehose joins records verbatim, and appends a newline where it is told to."""
    firehose, s3 = lakelet_node.client("firehose"), lakelet_node.client("s3")
    s3.create_bucket(Bucket="lines")
    for name, processors in (("plain", []), ("ending", [{"Type": "AppendDelimiterToRecord"}])):
        firehose.create_delivery_stream(
            DeliveryStreamName=name,
            ExtendedS3DestinationConfiguration={
                "RoleARN": "arn:aws:iam::000000000000:role/any",
                "BucketARN": "arn:aws:s3:::lines",
                "Prefix": f"{name}/",
                "ProcessingConfiguration": {"Enabled": bool(processors), "Processors": processors},
            },
        )
    held = (("--data", str(lakelet_node.folder)), {})
    told = (("--endpoint-url", lakelet_node.endpoint), lakelet_node.environment)
    for stream in ("plain", "ending"):
        for options, environment in (held, told):
            done = lakelet(
                "send", "-", "--stream", stream, *options,
                cwd=tmp_path, stdin=b'{"i":1}\n\n{"i":2}\r\n{"i":3}', **environment,
            )  # fmt: skip
            assert "3 records acknowledged" in done.stderr.decode()
    lakelet_node.lake.flush()
    for stream in ("plain", "ending"):
        found = s3.list_objects_v2(Bucket="lines", Prefix=f"{stream}/")["Contents"]
        bodies = [s3.get_object(Bucket="lines", Key=o["Key"])["Body"].read() for o in found]
        assert b"".join(bodies) == b'{"i":1}\n{"i":2}\n{"i":3}\n' * 2, stream


def test_an_unknown_table_is_a_clear_error(lakelet_node: RunningNode, tmp_path):
    told = lakelet(
        "query", "SELECT * FROM evnts", "--data", str(lakelet_node.folder), cwd=tmp_path, status=1
    ).stderr.decode()
    assert "evnts" in told
    assert "Traceback" not in told
