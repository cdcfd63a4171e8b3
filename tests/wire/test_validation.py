"""Constraints of the models: AWS's words, and two ways that must agree."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakelet.wire.decoders import native_decoder
from lakelet.wire.errors import ProtocolRefusal, Refusal
from lakelet.wire.models import service_model
from lakelet.wire.patterns import compiled, python_pattern
from lakelet.wire.protocol.json import parse_slowly


def shape_of(service: str, operation: str) -> Any:
    return service_model(service).operation_model(operation).input_shape


@pytest.mark.parametrize(
    ("service", "operation", "members", "sentence"),
    [
        ("firehose", "PutRecord", {"Record": {"Data": ""}},
         ("1 validation error detected: Value null at 'deliveryStreamName' failed to satisfy "
         "constraint: Member must not be null")),
        ("firehose", "PutRecord", {"DeliveryStreamName": "a b", "Record": {"Data": ""}},
         ("1 validation error detected: Value 'a b' at 'deliveryStreamName' failed to satisfy "
         "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+")),
        ("firehose", "PutRecordBatch", {"DeliveryStreamName": "a", "Records": []},
         ("1 validation error detected: Value at 'records' failed to satisfy constraint: "
         "Member must have length greater than or equal to 1")),
        ("firehose", "PutRecordBatch", {"DeliveryStreamName": "a", "Records": [{}]},
         ("1 validation error detected: Value null at 'records.1.member.data' failed to satisfy "
         "constraint: Member must not be null")),
        ("firehose", "DescribeDeliveryStream", {"DeliveryStreamName": "a", "Limit": 99_999},
         ("1 validation error detected: Value '99999' at 'limit' failed to satisfy constraint: "
         "Member must have value less than or equal to 10000")),
        ("glue", "CreateTable", {"DatabaseName": "", "TableInput": {"Name": ""}},
         ("2 validation errors detected: Value '' at 'databaseName' failed to satisfy constraint: "
         "Member must have length greater than or equal to 1; Value '' at 'tableInput.name' "
         "failed to satisfy constraint: Member must have length greater than or equal to 1")),
        ("glue", "SearchTables", {"SortCriteria": [{"Sort": "UP"}]},
         ("1 validation error detected: Value 'UP' at 'sortCriteria.1.member.sort' failed to "
         "satisfy constraint: Member must satisfy enum value set: [ASC, DESC]")),
    ],
)  # fmt: skip
def test_sentences(service: str, operation: str, members: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ProtocolRefusal) as caught:
        parse_slowly(shape_of(service, operation), json.dumps(members).encode())
    assert (caught.value.refusal, caught.value.message) == (Refusal.VALIDATION, sentence)


def test_long_values_are_not_said_back() -> None:
    members = {"DatabaseName": "d", "Name": "secret" * 100}
    with pytest.raises(ProtocolRefusal) as caught:
        parse_slowly(shape_of("glue", "GetTable"), json.dumps(members).encode())
    assert "secret" not in caught.value.message


FAST = [
    ("firehose", "PutRecordBatch"),
    ("firehose", "CreateDeliveryStream"),
    ("glue", "GetTable"),
    ("glue", "GetPartitions"),
    ("athena", "StartQueryExecution"),
    ("athena", "GetQueryResults"),
    ("logs", "PutLogEvents"),
]


def values_of(shape: Any, depth: int = 0) -> Any:
    """Requests of a shape, most of them nearly right."""
    kind = shape.type_name
    odd = st.sampled_from([None, "", "x", 0, -1, 2**40, 1.5, True, [], {}, "QQ==", "Q"])
    if kind == "structure":
        fields = {
            name: values_of(member, depth + 1)
            for name, member in list(shape.members.items())[: 6 if depth else 12]
        }
        required = {name: fields[name] for name in shape.required_members if name in fields}
        right: Any = st.fixed_dictionaries(
            required, optional={k: v for k, v in fields.items() if k not in required}
        )
    elif kind == "list":
        right = st.lists(values_of(shape.member, depth + 1), max_size=2)
    elif kind == "map":
        right = st.dictionaries(st.text(max_size=3), values_of(shape.value, depth + 1), max_size=2)
    elif kind == "blob":
        right = st.binary(max_size=5).map(lambda data: base64.b64encode(data).decode())
    elif kind == "string":
        enum = shape.metadata.get("enum")
        right = st.sampled_from(enum) if enum else st.text(max_size=40)
    elif kind == "boolean":
        right = st.booleans()
    else:
        right = st.integers(-5, 2000)
    return st.one_of(right, right, right, odd) if depth else right


@pytest.mark.parametrize(("service", "operation"), FAST)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_fast_way_takes_nothing_that_the_slow_way_refuses(
    service: str, operation: str, data: st.DataObject
) -> None:
    shape = shape_of(service, operation)
    decoder = native_decoder(shape)
    assert decoder is not None
    body = json.dumps(data.draw(values_of(shape))).encode()
    try:
        fast = decoder.decode(body)
    except msgspec.DecodeError:
        return
    assert fast == parse_slowly(shape, body)


def test_a_timestamp_goes_the_slow_way() -> None:
    shape = shape_of("glue", "GetPartitions")
    decoder = native_decoder(shape)
    assert decoder is not None
    members: dict[str, Any] = {"DatabaseName": "d", "TableName": "t"}
    assert decoder.decode(json.dumps(members)) == members
    body = json.dumps({**members, "QueryAsOfTime": 1.5}).encode()
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(body)
    assert parse_slowly(shape, body)["QueryAsOfTime"].timestamp() == 1.5


@pytest.mark.parametrize("service", ["firehose", "glue", "athena", "logs"])
def test_every_operation_has_a_decoder(service: str) -> None:
    model = service_model(service)
    shapes = [model.operation_model(name).input_shape for name in model.operation_names]
    assert all(native_decoder(shape) for shape in shapes if shape is not None)


@pytest.mark.parametrize(
    ("java", "fits", "unfit"),
    [
        ("[a-zA-Z0-9_.-]+", "a.b", "a b"),
        ("[a-z]+", "abc", "abc\n"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "ü 🦆\t", "a\n"),
        (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", "ü 1_:/=+-@", "a;b"),
        (r"\d+", "12", "१२"),
    ],
)
def test_java_patterns(java: str, fits: str, unfit: str) -> None:
    regex = compiled(java)
    assert regex is not None
    assert regex.search(fits)
    assert not regex.search(unfit)


def test_a_pattern_that_python_cannot_say_is_not_checked() -> None:
    assert python_pattern(r"[\p{P}]*") is None


@pytest.mark.parametrize("service", ["firehose", "glue", "athena", "logs"])
def test_nearly_every_pattern_can_be_said(service: str) -> None:
    model = service_model(service)
    patterns = {model.shape_for(name).metadata.get("pattern") for name in model.shape_names}
    unsaid = [p for p in patterns - {None} if python_pattern(p) is None]
    assert [p for p in unsaid if "\\p{" not in p] == []
