"""The function as deployed: the real package under the real runtime client, over an S3."""

import gzip
import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lakelet.aws.handler import (
    EventNotUnderstood,
    Report,
    metrics,
    named_objects,
    transform_all,
)
from lakelet.aws.package import LAMBDA_UNZIPPED_BYTES_MAX, build_package
from lakelet.aws.runner import Runner
from lakelet.model.layout import manifest_key
from lakelet.model.manifest import Manifest
from lakelet.model.pipeline import Pipeline
from lakelet.testing.objects import MemoryObjectStore
from tests.runners.emulators import lambda_function, s3_client, s3_emulator
from tests.transform.contracts import DEFAULT
from tests.transform.events import KEY, line

EVENTS = Path(__file__).parent.parent / "events"
PIPELINE = Pipeline()
RAW, DATA = PIPELINE.raw_bucket, PIPELINE.transformed_bucket
OTHER_KEY = KEY.replace("000000000001.gz", "000000000002.gz")


def document(name):
    return json.loads((EVENTS / f"{name}.json").read_text())


def put_event(*keys):
    """A real notification, naming other objects."""
    [record] = document("s3_put")["Records"]
    return {
        "Records": [
            {**record, "s3": {**record["s3"], "object": {**record["s3"]["object"], "key": key}}}
            for key in keys
        ]
    }


# --- what an event names ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name, keys",
    [
        ("s3_put", [KEY]),
        ("s3_put_2_3_spaces_and_plus", ["by hand/bücher + more events.json"]),
        ("s3_test_event", []),
        ("s3_removed", []),
        ("eventbridge_object_created", ["year=2026/a b+c.gz"]),
    ],
)
def test_real_events_name_their_objects(name, keys):
    assert list(named_objects(document(name))) == [(RAW, key) for key in keys]


def test_dead_letters_can_be_sent_again_as_they_lie():
    event = document("s3_put")
    letter = {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(event)}]}
    failure = {"version": "1.0", "requestPayload": event, "responsePayload": {}}
    boxed = {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(failure)}]}
    for sent in (letter, failure, boxed):
        assert list(named_objects(sent)) == [(RAW, KEY)]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": None},
        {"Records": [{"eventSource": "aws:kinesis"}]},
        {"Records": [{"eventSource": "aws:s3", "eventVersion": "3.0"}]},
    ],
)
def test_other_events_are_refused(event):
    with pytest.raises(EventNotUnderstood):
        list(named_objects(event))


# --- decisions, without a process ----------------------------------------------------------


class Context:
    def __init__(self, *remaining_ms):
        self._remaining_ms = list(remaining_ms)

    def get_remaining_time_in_millis(self):
        if len(self._remaining_ms) > 1:
            return self._remaining_ms.pop(0)
        return self._remaining_ms[0]


@pytest.fixture
def runner():
    store = MemoryObjectStore()
    for bucket in PIPELINE.buckets:
        store.create_bucket(bucket)
    for key, number in ((KEY, 1), (OTHER_KEY, 2)):
        store.put(RAW, key, gzip.compress(line(number)))
    return Runner(store, PIPELINE, DEFAULT)


def test_it_stops_before_lambda_would_stop_it(runner):
    both = [(RAW, KEY), (RAW, OTHER_KEY)]
    report = transform_all(runner, both, Context(60_000, 60_000, 14_999))
    assert report.done == [KEY]
    assert report.failed[OTHER_KEY].startswith("aws.out_of_time")
    report = transform_all(runner, [(RAW, OTHER_KEY)], Context(60_000, 14_999))
    assert report.failed[OTHER_KEY].startswith("transform.stopped")
    assert not list(runner.store.list(DATA, manifest_key(OTHER_KEY)))
    assert transform_all(runner, both, Context(60_000)) == Report([OTHER_KEY], [KEY])


def test_a_replaced_object_is_not_done_before(runner):
    transform_all(runner, [(RAW, KEY)], Context(60_000))
    runner.store.put(RAW, KEY, gzip.compress(line(1) + b"\n" + line(2)))
    assert transform_all(runner, [(RAW, KEY)], Context(60_000)).done == [KEY]
    manifest = Manifest.decode(runner.store.get(DATA, manifest_key(KEY)))
    assert manifest.rows == 2


def test_what_is_not_raw_is_left_alone(runner):
    others = [("other-bucket", KEY), (RAW, "quarantine/reason=type/x.parquet"), (RAW, "errors/x")]
    report = transform_all(runner, others, Context(60_000))
    assert report.not_ours == [KEY, "quarantine/reason=type/x.parquet", "errors/x"]
    assert not report.failed


def test_a_strangers_error_message_is_not_repeated(runner, capsys, monkeypatch):
    def fail(*args, **options):
        raise ValueError("could not convert 'secret@example.com'")

    monkeypatch.setattr("lakelet.aws.runner.process", fail)
    report = transform_all(runner, [(RAW, KEY), (RAW, OTHER_KEY)], Context(60_000))
    assert set(report.failed) == {KEY, OTHER_KEY}
    assert "secret" not in capsys.readouterr().out + str(report.failed)


def test_metrics_are_the_embedded_format_and_the_dashboards_names(runner):
    from lakelet.watch.names import Lakelet

    manifest, _ = runner.transform(KEY)
    document = metrics(manifest, "shop", 1_773_066_600.5)
    [directive] = document["_aws"]["CloudWatchMetrics"]
    assert document["_aws"]["Timestamp"] == 1_773_066_600_500
    assert (directive["Namespace"], directive["Dimensions"]) == ("Lakelet", [["Pipeline"]])
    known = {m.name: m.unit for m in vars(Lakelet).values() if hasattr(m, "unit")}
    for metric in directive["Metrics"]:
        assert known[metric["Name"]] == metric["Unit"]
        assert isinstance(document[metric["Name"]], int | float)
    assert document["Rows"] == 1


# --- as deployed ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def endpoint():
    with s3_emulator() as url:
        yield url


@pytest.fixture(scope="module")
def s3(endpoint):
    client = s3_client(endpoint)
    for bucket in PIPELINE.buckets:
        client.create_bucket(Bucket=bucket)
    return client


def manifest_of(s3, key):
    body = s3.get_object(Bucket=DATA, Key=manifest_key(key))["Body"].read()
    return Manifest.decode(body)


@pytest.mark.e2e
def test_one_event_end_to_end(tmp_path, endpoint, s3):
    body = gzip.compress(
        line(1, email="bob@example.com", ip_address="192.0.2.7", quantity=None)
        + line(2)  # joined without a newline, as Firehose does
        + b"\nnot json bob@example.com\n"
        + line(1)
    )
    s3.put_object(Bucket=RAW, Key=KEY, Body=body)
    missing = KEY.replace("000000000001.gz", "00000000dead.gz")
    s3.put_object(Bucket=RAW, Key=OTHER_KEY, Body=gzip.compress(line(3)))
    with lambda_function(tmp_path, PIPELINE, DEFAULT, endpoint) as function:
        status, answer = function.invoke(document("s3_test_event"))
        assert (status, answer) == ("response", {"done": 0})
        status, answer = function.invoke(document("s3_put"))
        assert (status, answer) == ("response", {"done": 1, "done_before": 0})
        entry = manifest_of(s3, KEY)
        assert (entry.events, entry.rows, entry.duplicates) == (4, 2, 1)
        assert entry.quarantined_count == 1
        [rows, _] = sorted(entry.outputs, key=lambda output: output.reason)
        stored = s3.get_object(Bucket=DATA, Key=rows.key)
        parquet = stored["Body"].read()
        assert len(parquet) == rows.size_bytes
        metadata = pq.read_metadata(BytesIO(parquet))
        assert metadata.row_group(0).column(0).compression == "SNAPPY"
        assert b"bob@example.com" not in parquet

        # The same event again, and one whose first object is gone: the second is still done.
        assert function.invoke(document("s3_put")) == ("response", {"done": 0, "done_before": 1})
        again = s3.get_object(Bucket=DATA, Key=rows.key)
        assert again["LastModified"] == stored["LastModified"]
        status, error = function.invoke(put_event(missing, OTHER_KEY))
        assert (status, error["errorType"]) == ("error", "SomeFailed")
        assert "dead" in error["errorMessage"]
        assert manifest_of(s3, OTHER_KEY).rows == 1

        status, error = function.invoke({"surprise": 1})
        assert (status, error["errorType"]) == ("error", "EventNotUnderstood")

        log = function.log_lines()
    assert not [text for text in log if "example.com" in text or "192.0.2.7" in text]
    emitted = [json.loads(text) for text in log if text.startswith('{"_aws"')]
    assert [entry["Rows"] for entry in emitted] == [2, 1]


def test_package_and_layer_fit_lambda():
    """Lambda counts the unzipped files of the package and of its layers together."""
    package = build_package(PIPELINE, DEFAULT)
    assert package.unzipped_bytes < 2_000_000
    assert package.unzipped_bytes + 255_000_000 < LAMBDA_UNZIPPED_BYTES_MAX


def test_a_cold_start_imports_only_what_the_function_needs():
    program = "import lakelet.aws.handler, sys; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", program], text=True).split())
    heavy = {"awswrangler", "boto3", "botocore", "duckdb", "sqlglot", "lakelet.node"}
    assert not loaded & heavy  # pyarrow itself loads numpy and pandas where there are any
