"""Processors, conversion, partitions: what lands where, byte for byte."""

import base64
import gzip
import io
import json
import sys
import threading
import tracemalloc
import zipfile

import cramjam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakelet.ingest import function, processors
from lakelet.ingest.assemble import Toolbox
from lakelet.ingest.error_records import decode_failure
from lakelet.ingest.errors import DeliveryFailed, InvalidArgument
from lakelet.ingest.processors import split_json
from lakelet.model.pipeline import Pipeline
from lakelet.node.ingestion import Ingestion
from lakelet.node.toolbox import key_fault
from lakelet.testing.clock import ManualClock
from lakelet.testing.files import FaultyFileSystem
from tests.ingest.fakes import FakeStore

FUNCTION_ARN = "arn:aws:lambda:us-east-1:000000000000:function:enrich"
ERRORS = "errors/!{firehose:error-output-type}/!{timestamp:yyyy}/"


def processor(kind: str, **parameters: str) -> dict:
    given = [{"ParameterName": k, "ParameterValue": v} for k, v in parameters.items()]
    return {"Type": kind, **({"Parameters": given} if given else {})}


JSON_PARTS = processor("RecordDeAggregation", SubRecordType="JSON")
LOG_LINES = processor("CloudWatchLogProcessing", DataMessageExtraction="true")
FUNCTION = processor("Lambda", LambdaArn=FUNCTION_ARN)


class Bench:
    """One stream over a bucket, delivered on demand."""

    def __init__(self, *processors: dict, toolbox: Toolbox | None = None, **config) -> None:
        self.store, self.clock = FakeStore(), ManualClock()
        self.ingestion = Ingestion(
            Pipeline(),
            files=FaultyFileSystem(),
            store=self.store,
            clock=self.clock,
            folder=None,
            toolbox=toolbox,
        )
        self.ingestion.start()
        self.ingestion.streams.create(
            {
                "DeliveryStreamName": "s",
                "ExtendedS3DestinationConfiguration": {
                    "RoleARN": "arn:aws:iam::000000000000:role/x",
                    "BucketARN": "arn:aws:s3:::lake",
                    "Prefix": "data/",
                    "ErrorOutputPrefix": ERRORS,
                    "ProcessingConfiguration": {
                        "Enabled": bool(processors),
                        "Processors": list(processors),
                    },
                    **config,
                },
            }
        )

    @property
    def described(self) -> dict:
        (destination,) = self.ingestion.streams.get("s").describe()["Destinations"]
        return destination

    def deliver(self, *records: bytes) -> dict[str, bytes]:
        """Bodies by key without the name's changing part."""
        self.ingestion.put_blocking("s", list(records))
        self.ingestion.flush("s")
        self.ingestion.close(drain=False)
        return {key.rsplit("/", 1)[0] + "/": body for (_, key), body in self.store.bodies.items()}

    def failures(self) -> list[dict]:
        return [
            json.loads(line)
            for (_, key), body in self.store.bodies.items()
            if key.startswith("errors/")
            for line in body.splitlines()
        ]


DATA = "data/2026/03/09/14/"
FAILED = "errors/processing-failed/2026/"


def test_without_processors_records_are_joined_verbatim() -> None:
    assert Bench().deliver(b'{"a":1}', b'{"a":2}', b"") == {DATA: b'{"a":1}{"a":2}'}


def test_the_delimiter_goes_after_each_record_even_if_it_has_one() -> None:
    bench = Bench(processor("AppendDelimiterToRecord"))
    assert bench.deliver(b"a", b"b\n") == {DATA: b"a\nb\n\n"}


@pytest.mark.parametrize(
    ("record", "parts"),
    [
        (b'{"a":1}{"a":2}', [b'{"a":1}', b'{"a":2}']),
        (b'{"a": 1}\n{"a":"}{"}\r\n', [b'{"a": 1}', b'{"a":"}{"}']),
        (b'[{"a":1}, {"a":[1,2]}]', [b'{"a":1}', b'{"a":[1,2]}']),
        (b'[{"a":1}] [{"a":2},3]\n4', [b'{"a":1}', b'{"a":2}', b"3", b"4"]),
        (b"\xef\xbb\xbf1 2", [b"1", b"2"]),
        (b"[]", []),
        (b"  ", []),
        (b'"\xc3\xa9" 5', ['"é"'.encode(), b"5"]),
    ],
)
def test_json_is_split_verbatim(record, parts) -> None:
    assert split_json(record) == parts


@pytest.mark.parametrize("record", [b'{"a":1}x', b"[1 2]", b"[1,,2]", b"\xff", b'{"a":'])
def test_what_is_no_json_is_not_split(record) -> None:
    with pytest.raises(ValueError, match=r".+"):
        split_json(record)


def test_de_aggregation_with_a_delimiter_after_each_part() -> None:
    bench = Bench(
        processor("AppendDelimiterToRecord"),
        processor("RecordDeAggregation", SubRecordType="JSON"),
    )
    delivered = bench.deliver(b'{"a":1}{"a":2}', b"broken", b'[{"a":3}]')
    assert delivered[DATA] == b'{"a":1}\n{"a":2}\n{"a":3}\n'
    assert decode_failure(delivered[FAILED]) == b"broken"


def test_delimited_parts() -> None:
    bench = Bench(
        processor("RecordDeAggregation", SubRecordType="DELIMITED", Delimiter="||"),
        processor("AppendDelimiterToRecord", Delimiter="\\n"),
    )
    assert bench.deliver(b"a||b||", b"c") == {DATA: b"a\nb\nc\n"}


def test_more_than_500_parts_fail_whole() -> None:
    bench = Bench(processor("RecordDeAggregation", SubRecordType="JSON"))
    bench.deliver(b"1 " * 501)
    (failure,) = bench.failures()
    assert failure["errorMessage"] == "501 sub-records: at most 500"


def test_decompression_and_what_is_not_compressed() -> None:
    bench = Bench(processor("Decompression", CompressionFormat="GZIP"))
    two_members = gzip.compress(b"one ") + gzip.compress(b"two")
    delivered = bench.deliver(two_members, b"plain", gzip.compress(b"cut")[:-4])
    assert delivered[DATA] == b"one two"
    assert [f["errorCode"] for f in bench.failures()] == ["Decompression.Failed"] * 2


def test_cloudwatch_messages() -> None:
    bench = Bench(
        processor("Decompression", CompressionFormat="GZIP"),
        processor("CloudWatchLogProcessing", DataMessageExtraction="true"),
        processor("AppendDelimiterToRecord"),
    )
    data = {"messageType": "DATA_MESSAGE", "logEvents": [{"message": "x"}, {"message": "y"}]}
    control = {"messageType": "CONTROL_MESSAGE", "logEvents": [{"message": "ping"}]}
    packed = [gzip.compress(json.dumps(each).encode()) for each in (data, control)]
    assert bench.deliver(*packed) == {DATA: b"x\ny\n"}


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("steps", "bad", "good"),
    [
        ([processor("RecordDeAggregation", SubRecordType="JSON")], DEEP, b'{"a":1}'),
        (
            [
                processor("Decompression", CompressionFormat="GZIP"),
                processor("CloudWatchLogProcessing", DataMessageExtraction="true"),
            ],
            gzip.compress(DEEP),
            gzip.compress(b'{"messageType": "DATA_MESSAGE", "logEvents": [{"message": "x"}]}'),
        ),
        ([processor("MetadataExtraction", MetadataExtractionQuery="{a: .a}")], DEEP, b'{"a":1}'),
    ],
    ids=["split", "inflated", "queried"],
)
def test_a_record_nested_without_end_harms_no_other(steps, bad, good) -> None:
    bench = Bench(*steps)
    delivered = bench.deliver(good, bad, good)
    assert delivered[DATA] in (b'{"a":1}' * 2, b"xx")
    assert [base64.b64decode(f["rawData"]) for f in bench.failures()] == [bad]


@pytest.mark.parametrize("record", [b"", b" ", b"[]", b"[ ]"])
def test_a_record_without_any_part_is_counted(record) -> None:
    bench = Bench(processor("RecordDeAggregation", SubRecordType="JSON"))
    bench.ingestion.put_blocking("s", [record, b"1"])
    bench.ingestion.flush("s")
    assert bench.ingestion._ledger.dropped_records("s") == 1


def test_a_bomb_fails_in_whichever_member_it_is(monkeypatch) -> None:
    monkeypatch.setattr(processors, "_INFLATED_SIZE_BYTES_MAX", 1000)
    bench = Bench(processor("Decompression", CompressionFormat="GZIP"))
    fits = [gzip.compress(bytes(1000)), gzip.compress(bytes(600)) + gzip.compress(bytes(400))]
    bombs = [gzip.compress(bytes(1001)), gzip.compress(b"x") + gzip.compress(bytes(1000))]
    assert bench.deliver(*fits, *bombs)[DATA] == bytes(2000)
    failures = bench.failures()
    assert [base64.b64decode(f["rawData"]) for f in failures] == bombs
    assert {f["errorMessage"] for f in failures} == {
        "ValueError: it inflates to more than 1000 bytes"
    }


def test_of_a_bomb_no_more_is_inflated_than_may_be() -> None:
    members = gzip.compress(b"x") + gzip.compress(bytes(200_000_000))
    bench = Bench(processor("Decompression", CompressionFormat="GZIP"))
    tracemalloc.start()
    bench.deliver(members)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(bench.failures()) == 1
    assert peak < 150_000_000


@pytest.fixture
def runs(monkeypatch) -> list[bytes]:
    """Records of which two inflate to more than may be in memory at once."""
    monkeypatch.setattr(processors, "_RUN_SIZE_BYTES", 1500)
    return [json.dumps({"name": f"{n}" * 1000, "count": n}).encode() for n in range(5)]


def test_what_inflates_to_much_is_delivered_in_several_objects(runs) -> None:
    bench = Bench(
        processor("Decompression", CompressionFormat="GZIP"), processor("AppendDelimiterToRecord")
    )
    bench.deliver(*map(gzip.compress, runs), b"no gzip")
    bodies = [bench.store.bodies["lake", key] for key in bench.store.puts[:-1]]
    assert [body.splitlines() for body in bodies] == [runs[:2], runs[2:4], runs[4:]]
    assert len(bench.failures()) == 1


def test_an_interrupted_delivery_of_several_objects_repeats_them(runs) -> None:
    bench = Bench(processor("Decompression", CompressionFormat="GZIP"))
    bench.store.fail_after = 2
    bench.ingestion.put_blocking("s", [gzip.compress(each) for each in runs])
    with pytest.raises(DeliveryFailed, match=r"s: .*No space"):
        bench.ingestion.flush("s")
    bench.store.fail_after = None
    bench.ingestion.flush("s")
    assert len(bench.store.bodies) == 3
    deliveries = list(bench.ingestion.deliveries("s"))
    assert {d.key for d in deliveries} == set(bench.store.names())
    assert sorted(d.records for d in deliveries) == [1, 2, 2]


def test_several_objects_of_parquet_and_of_partitions(runs) -> None:
    config = conversion()
    bench = Bench(
        processor("Decompression", CompressionFormat="GZIP"),
        processor("MetadataExtraction", MetadataExtractionQuery="{customer: (.count % 2)}"),
        toolbox=Toolbox(schema_of=lambda *_: SCHEMA),
        **{**config, **PARTITIONED},
    )
    bench.deliver(*map(gzip.compress, runs))
    rows = {
        key: [row["count"] for row in pq.read_table(io.BytesIO(body)).to_pylist()]
        for (_, key), body in bench.store.bodies.items()
    }
    assert sorted(rows.values()) == [[0], [1], [2], [3], [4]]
    assert {key[:3] for key, (count,) in rows.items() if count % 2} == {"c=1"}


PARTITIONED = {
    "Prefix": "c=!{partitionKeyFromQuery:customer}/d=!{timestamp:yyyy-MM-dd}/",
    "DynamicPartitioningConfiguration": {"Enabled": True},
}


def test_dynamic_partitioning_by_jq() -> None:
    bench = Bench(
        processor(
            "MetadataExtraction",
            MetadataExtractionQuery="{customer: .who.id}",
            JsonParsingEngine="JQ-1.6",
        ),
        processor("AppendDelimiterToRecord"),
        **PARTITIONED,
    )
    records = [b'{"who":{"id":"a"}}', b'{"who":{"id":7}}', b'{"who":{"id":"a"},"n":2}']
    delivered = bench.deliver(*records, b'{"who":{}}', b"[}")
    assert delivered["c=a/d=2026-03-09/"] == records[0] + b"\n" + records[2] + b"\n"
    assert delivered["c=7/d=2026-03-09/"] == records[1] + b"\n"
    failures = bench.failures()
    assert [base64.b64decode(f["rawData"]) for f in failures] == [b'{"who":{}}', b"[}"]
    assert {f["errorCode"] for f in failures} == {"DynamicPartitioning.MetadataExtractionFailed"}
    # Objects of one cut have names of their own: what they become downstream must not clash.
    names = [key.rsplit("/", 1)[1] for key in bench.store.names()]
    assert len(set(names)) == 3


@pytest.mark.parametrize("value", ["y" * 300, "x" * 1100, "\0" * 100])
def test_a_partition_whose_key_cannot_be_written_fails_its_own_records(value) -> None:
    bench = Bench(
        processor("MetadataExtraction", MetadataExtractionQuery="{customer: .c}"),
        toolbox=Toolbox(key_fault=key_fault),
        **PARTITIONED,
    )
    bad = [json.dumps({"c": value, "n": n}).encode() for n in range(2)]
    delivered = bench.deliver(bad[0], b'{"c":"a"}', bad[1])
    assert delivered["c=a/d=2026-03-09/"] == b'{"c":"a"}'
    failures = bench.failures()
    assert [base64.b64decode(f["rawData"]) for f in failures] == bad
    assert {f["errorCode"] for f in failures} == {"DynamicPartitioning.InvalidPartitionKey"}
    assert len(delivered) == 2


def test_partition_keys_from_a_function() -> None:
    def handler(event, _context):
        return {
            "records": [
                {
                    "recordId": each["recordId"],
                    "result": "Ok",
                    "data": each["data"],
                    "metadata": {
                        "partitionKeys": [{"customer": "z"}, {}, {"customer": None}][index]
                    },
                }
                for index, each in enumerate(event["records"])
            ]
        }

    bench = Bench(
        processor("Lambda", LambdaArn=FUNCTION_ARN),
        toolbox=Toolbox({"enrich": handler}),
        **{**PARTITIONED, "Prefix": "c=!{partitionKeyFromLambda:customer}/"},
    )
    delivered = bench.deliver(b"first", b"second", b"third")
    assert delivered["c=z/"] == b"first"
    codes = [failure["errorCode"] for failure in bench.failures()]
    assert codes == ["DynamicPartitioning.PartitionKeyNotFound"] * 2


@pytest.mark.parametrize(
    ("processors", "config", "says"),
    [
        (
            [processor("MetadataExtraction", MetadataExtractionQuery="{a: ")],
            {},
            "does not compile",
        ),
        ([processor("Lambda", LambdaArn="nope")], {}, "LambdaArn"),
        ([processor("Lambda", LambdaArn=FUNCTION_ARN, BufferSizeInMBs="9")], {}, "out of range"),
        ([processor("RecordDeAggregation", SubRecordType="XML")], {}, "SubRecordType"),
        ([processor("AppendDelimiterToRecord")] * 2, {}, "given twice"),
        ([], PARTITIONED, "no MetadataExtraction processor"),
        ([], {"DynamicPartitioningConfiguration": {"Enabled": True}}, "uses no partition key"),
    ],
)
def test_processors_that_cannot_be(processors, config, says) -> None:
    with pytest.raises(InvalidArgument, match=says):
        Bench(*processors, **config)


# --- functions ------------------------------------------------------------------------


def answer(event: dict, result) -> dict:
    return {"records": [{"recordId": r["recordId"], **result(r)} for r in event["records"]]}


def test_a_function_sees_the_real_event_and_is_honoured() -> None:
    events = []

    def handler(event, context):
        events.append(event)
        assert context.function_name == "enrich"

        def result(record):
            data = base64.b64decode(record["data"])
            if data == b"drop":
                return {"result": "Dropped", "data": record["data"]}
            if data == b"fail":
                return {"result": "ProcessingFailed", "data": record["data"]}
            return {"result": "Ok", "data": base64.b64encode(data.upper()).decode()}

        return answer(event, result)

    bench = Bench(
        processor("Lambda", LambdaArn=FUNCTION_ARN + ":$LATEST", NumberOfRetries="1"),
        toolbox=Toolbox({"enrich": handler}),
    )
    delivered = bench.deliver(b"keep", b"drop", b"fail")
    assert delivered[DATA] == b"KEEP"
    (event,) = events
    assert event["deliveryStreamArn"].endswith(":deliverystream/s")
    assert event["region"] == "us-east-1"
    assert event["invocationId"]
    assert event["records"][0]["approximateArrivalTimestamp"] == 1_773_066_600_000
    (failure,) = bench.failures()
    assert failure == {
        "attemptsMade": 1,
        "arrivalTimestamp": 1_773_066_600_000,
        "errorCode": "Lambda.ProcessingFailedStatus",
        "errorMessage": "ProcessingFailed status set for record",
        "attemptEndingTimestamp": 1_773_066_600_000,
        "rawData": base64.b64encode(b"fail").decode(),
        "lambdaArn": FUNCTION_ARN + ":$LATEST",
    }
    assert bench.ingestion._deliverer.toolbox.functions


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (lambda event: 1 / 0, "Lambda.FunctionError"),
        (lambda event: sys.exit(3), "Lambda.FunctionError"),
        (lambda event: None, "Lambda.JsonProcessingException"),
        (lambda event: {"records": []}, "Lambda.MissingRecordId"),
        (
            lambda event: {"records": answer(event, lambda r: {})["records"] * 2},
            "Lambda.DuplicatedRecordId",
        ),
        (lambda event: answer(event, lambda r: {"result": "Yes"}), "Lambda.InvalidResult"),
        (
            lambda event: answer(event, lambda r: {"result": "Ok", "data": "%%"}),
            "Lambda.JsonProcessingException",
        ),
    ],
)
def test_a_function_that_fails_is_retried_and_its_records_kept(broken, code) -> None:
    calls = []

    def handler(event, _context):
        calls.append(event)
        return broken(event)

    bench = Bench(
        processor("Lambda", LambdaArn=FUNCTION_ARN, NumberOfRetries="2"),
        toolbox=Toolbox({"enrich": handler}),
    )
    delivered = bench.deliver(b"a", b"b")
    assert len(calls) == 3
    assert list(delivered) == [FAILED]
    assert [(f["errorCode"], f["attemptsMade"]) for f in bench.failures()] == [(code, 3)] * 2
    assert [decode_failure(line) for line in delivered[FAILED].splitlines()] == [b"a", b"b"]


def drop_some(event, _context):
    def result(record):
        is_dropped = b"drop" in base64.b64decode(record["data"])
        return {"result": "Dropped" if is_dropped else "Ok", "data": record["data"]}

    return answer(event, result)


def messages(*texts: str, kind: str = "DATA_MESSAGE") -> bytes:
    events = [{"message": text} for text in texts]
    return gzip.compress(json.dumps({"messageType": kind, "logEvents": events}).encode())


@pytest.mark.parametrize(
    ("processors", "records", "dropped", "parted"),
    [
        ((), [b"a", b"", b"b"], 0, 0),
        ((JSON_PARTS, FUNCTION), [b'{"a":1}{"a":"drop"}', b'"drop"', b"[]", b"no JSON"], 3, 1),
        ((FUNCTION,), [b"drop", b"drop"], 2, 0),
        (
            (LOG_LINES, FUNCTION),
            [messages("a", "drop", "b"), messages(kind="CONTROL_MESSAGE"), b"no gzip"],
            *(2, 2),
        ),
    ],
)
def test_a_delivery_writes_down_what_was_dropped_and_parted(
    processors, records, dropped, parted
) -> None:
    bench = Bench(*processors, toolbox=Toolbox({"enrich": drop_some}))
    bench.ingestion.put_blocking("s", records)
    bench.ingestion.flush("s")
    (done,) = bench.ingestion.cuts()
    assert (done.dropped_records, done.parted_records) == (dropped, parted)
    in_objects = sum(each.records for each in bench.ingestion.deliveries())
    assert in_objects == len(records) - dropped + parted
    bench.ingestion.close(drain=False)


def test_a_function_that_recovers_loses_nothing() -> None:
    calls = []

    def handler(event, _context):
        calls.append(event)
        if len(calls) < 3:
            raise TimeoutError
        return answer(event, lambda r: {"result": "Ok", "data": r["data"]})

    bench = Bench(processor("Lambda", LambdaArn=FUNCTION_ARN), toolbox=Toolbox({"enrich": handler}))
    assert bench.deliver(b"a") == {DATA: b"a"}


def test_a_function_without_end_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(function, "FUNCTION_SECONDS_MAX", 0.05)
    may_end, left_ms = threading.Event(), []

    def handler(event, context):
        left_ms.append(context.get_remaining_time_in_millis())
        may_end.wait(60)

    bench = Bench(
        processor("Lambda", LambdaArn=FUNCTION_ARN, NumberOfRetries="1"),
        toolbox=Toolbox({"enrich": handler}),
    )
    bench.deliver(b"a")
    may_end.set()
    (failure,) = bench.failures()
    assert (failure["errorCode"], failure["attemptsMade"]) == ("Lambda.FunctionTimedOut", 2)
    assert all(0 <= left <= 50 for left in left_ms)


def test_a_function_that_nobody_declared() -> None:
    bench = Bench(processor("Lambda", LambdaArn=FUNCTION_ARN))
    bench.deliver(b"a")
    (failure,) = bench.failures()
    assert failure["errorCode"] == "Lambda.ResourceNotFound"
    assert "enrich" in failure["errorMessage"]


def test_invocations_keep_to_the_buffer() -> None:
    sizes = []

    def handler(event, _context):
        sizes.append(len(event["records"]))
        return answer(event, lambda r: {"result": "Ok", "data": r["data"]})

    bench = Bench(
        processor("Lambda", LambdaArn=FUNCTION_ARN, BufferSizeInMBs="0.2"),
        toolbox=Toolbox({"enrich": handler}),
    )
    bench.deliver(*[b"x" * 60_000] * 5)
    assert sizes == [2, 2, 1]


# --- conversion -----------------------------------------------------------------------

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("count", pa.int32()),
        ("price", pa.decimal128(10, 2)),
        ("at", pa.timestamp("ms")),
        ("day", pa.date32()),
        ("tags", pa.list_(pa.string())),
        ("nested", pa.struct([("x", pa.float64())])),
    ]
)


def conversion(**serde) -> dict:
    return {
        "DataFormatConversionConfiguration": {
            "Enabled": True,
            "SchemaConfiguration": {"DatabaseName": "db", "TableName": "t"},
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": serde}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
        }
    }


def test_json_becomes_parquet_and_what_does_not_fit_is_kept() -> None:
    config = conversion(ColumnToJsonKeyMappings={"count": "n"})
    bench = Bench(toolbox=Toolbox(schema_of=lambda *_: SCHEMA), **config)
    good = {
        "NAME": "é",
        "n": "5",
        "price": 1.25,
        "at": "2026-03-09T14:30:00+01:00",
        "day": "2026-03-09",
        "tags": ["a"],
        "nested": {"X": 1},
        "more": 1,
    }
    bad = [b"[1]", b"{", b'{"n": 3000000000}', b'{"n": 1.5}', b'{"tags": "a"}']
    delivered = bench.deliver(json.dumps(good).encode(), b'{"at": 1773066600}', *bad)
    rows = pq.read_table(io.BytesIO(delivered[DATA])).to_pylist()
    assert [str(row["at"]) for row in rows] == ["2026-03-09 13:30:00", "2026-03-09 14:30:00"]
    assert (rows[0]["name"], rows[0]["count"], str(rows[0]["price"])) == ("é", 5, "1.25")
    assert (rows[0]["tags"], rows[0]["nested"]) == (["a"], {"x": 1.0})
    assert rows[1]["name"] is None
    (data_key, error_key) = bench.store.names()
    assert data_key.endswith(".parquet")
    assert error_key.startswith("errors/format-conversion-failed/")
    failures = bench.failures()
    assert [base64.b64decode(f["rawData"]) for f in failures] == bad
    assert {f["lastErrorCode"] for f in failures} == {"DataFormatConversion.MalformedData"}
    assert failures[0]["dataCatalogTable"] == {"databaseName": "db", "tableName": "t"}


def test_conversion_harms_no_record_for_another() -> None:
    schema = pa.schema(
        [
            ("s", pa.string()),
            ("tags", pa.list_(pa.string())),
            ("m", pa.map_(pa.string(), pa.string())),
            ("odd", pa.time32("s")),
        ]
    )
    bench = Bench(toolbox=Toolbox(schema_of=lambda *_: schema), **conversion())
    deep = b'{"s":' + DEEP + b"]" * len(DEEP) + b"}"
    cut = b'{"s": "a \\ud83d", "tags": ["\\udc00"], "m": {"\\ud83d": "\\ud83dx"}}'
    delivered = bench.deliver(b'{"s": "good"}', deep, cut, b'{"odd": []}', b'{"s": "too"}')
    rows = pq.read_table(io.BytesIO(delivered[DATA])).to_pylist()
    assert [row["s"] for row in rows] == ["good", "a \ufffd", "too"]
    assert (rows[1]["tags"], rows[1]["m"]) == (["\ufffd"], [("\ufffd", "\ufffdx")])
    assert [base64.b64decode(f["rawData"]) for f in bench.failures()] == [deep, b'{"odd": []}']


def test_what_only_arrow_refuses_fails_alone(monkeypatch) -> None:
    monkeypatch.setattr("lakelet.ingest.parquet._coerce", lambda value, _kind: value)
    bench = Bench(
        toolbox=Toolbox(schema_of=lambda *_: pa.schema([("count", pa.int32())])), **conversion()
    )
    delivered = bench.deliver(b'{"count": 1}', b'{"count": "x"}', b'{"count": 3}')
    assert pq.read_table(io.BytesIO(delivered[DATA])).to_pylist() == [{"count": 1}, {"count": 3}]
    assert [base64.b64decode(f["rawData"]) for f in bench.failures()] == [b'{"count": "x"}']


def test_conversion_has_rules() -> None:
    with pytest.raises(InvalidArgument, match="must be UNCOMPRESSED"):
        Bench(CompressionFormat="GZIP", **conversion())
    with pytest.raises(InvalidArgument, match="too small"):
        Bench(BufferingHints={"SizeInMBs": 5}, **conversion())
    with pytest.raises(InvalidArgument, match="needs a schema"):
        Bench(DataFormatConversionConfiguration={"Enabled": True})


# --- bodies and names -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("compression", "suffix", "inflate"),
    [
        ("UNCOMPRESSED", "", bytes),
        ("GZIP", ".gz", gzip.decompress),
        ("ZIP", ".zip", lambda body: zipfile.ZipFile(io.BytesIO(body)).read("records")),
        ("Snappy", ".snappy", lambda body: bytes(cramjam.snappy.decompress(body))),
    ],
)
def test_compressions(compression, suffix, inflate) -> None:
    bench = Bench(CompressionFormat=compression)
    ((_, body),) = bench.deliver(b"hello " * 1000).items()
    assert inflate(body) == b"hello " * 1000
    (key,) = bench.store.names()
    assert key[-len(suffix) - 12 :].endswith(suffix)
    assert ("." in key[-8:]) == bool(suffix)


def test_hadoop_snappy_is_what_pyarrow_and_hadoop_read() -> None:
    bench = Bench(CompressionFormat="HADOOP_SNAPPY")
    data = bytes(range(256)) * 3000
    ((_, body),) = bench.deliver(data).items()
    restored, at = b"", 0
    while at < len(body):
        size, packed = (int.from_bytes(body[at + i : at + i + 4], "big") for i in (0, 4))
        restored += bytes(cramjam.snappy.decompress_raw(body[at + 8 : at + 8 + packed]))
        assert len(restored) % (256 * 1024) in (0, len(data) % (256 * 1024))
        assert size <= 256 * 1024
        at += 8 + packed
    assert restored == data


def test_file_extension_time_zone_and_random_strings() -> None:
    bench = Bench(
        FileExtension=".json",
        CustomTimeZone="Asia/Kolkata",
        Prefix="!{timestamp:yyyy-MM-dd'T'HHmm}/!{firehose:random-string}/!{firehose:random-string}/",
    )
    bench.deliver(b"x")
    (key,) = bench.store.names()
    local, first, second, name = key.split("/")
    assert local == "2026-03-09T2000"
    assert len(first) == len(second) == 11
    assert first != second
    assert "-2026-03-09-20-00-00-" in name
    assert name.endswith(".json")


def test_errors_without_an_error_prefix_stand_beside_the_data() -> None:
    bench = Bench(processor("Decompression"), ErrorOutputPrefix="", Prefix="plain/")
    assert list(bench.deliver(b"not gzip")) == ["plain/processing-failed/2026/03/09/14/"]


def test_a_backup_keeps_the_source_records() -> None:
    backup = {
        "RoleARN": "arn:aws:iam::000000000000:role/x",
        "BucketARN": "arn:aws:s3:::vault",
        "Prefix": "source/",
        "CompressionFormat": "GZIP",
    }
    bench = Bench(
        processor("AppendDelimiterToRecord"), S3BackupMode="Enabled", S3BackupConfiguration=backup
    )
    bench.deliver(b"a", b"b")
    described = bench.described["ExtendedS3DestinationDescription"]
    assert described["S3BackupDescription"]["BucketARN"] == "arn:aws:s3:::vault"
    assert "S3BackupConfiguration" not in described
    by_bucket = {bucket: body for (bucket, _), body in bench.store.bodies.items()}
    assert by_bucket["lake"] == b"a\nb\n"
    assert gzip.decompress(by_bucket["vault"]) == b"ab"


def test_a_function_that_answers_otherwise_the_second_time_leaves_nothing_twice() -> None:
    customers = iter(["first", "second"])

    def handler(event, _context):
        keys = {"partitionKeys": {"customer": next(customers)}}
        return answer(event, lambda r: {"result": "Ok", "data": r["data"], "metadata": keys})

    bench = Bench(
        processor("Lambda", LambdaArn=FUNCTION_ARN),
        toolbox=Toolbox({"enrich": handler}),
        **{**PARTITIONED, "Prefix": "c=!{partitionKeyFromLambda:customer}/"},
    )
    ledger = bench.ingestion._ledger
    real, ledger.finish = ledger.finish, lambda *_: 1 / 0
    bench.ingestion.put_blocking("s", [b"x"])
    with pytest.raises(DeliveryFailed, match="division by zero"):
        bench.ingestion.flush("s")
    assert [key.split("/")[0] for key in bench.store.names()] == ["c=first"]
    ledger.finish = real
    bench.ingestion.flush("s")
    assert [key.split("/")[0] for key in bench.store.names()] == ["c=second"]
    assert [each.key for each in bench.ingestion.deliveries("s")] == bench.store.names()
    bench.ingestion.close(drain=False)
