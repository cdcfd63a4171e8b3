"""`check` finds the query that would fail before anybody asks it."""

import pyarrow as pa
import pytest

from lakelet.contract.check import (
    FileState,
    PartitionState,
    Severity,
    TableState,
    check,
    footer_columns,
    passed,
    readable,
)
from lakelet.model.contract import Contract
from tests.transform.contracts import DEFAULT, contract_of

COLUMNS = footer_columns(DEFAULT.default_table.schema)
KEYS = ("year", "month", "day")
DAY = ("2026", "03", "09")

CHANGED = """
version = 2
table = "events"
event_time = { field = "timestamp" }
[fields]
timestamp = { type = "timestamp", column = "event_timestamp" }
quantity = { type = "string" }
"""


def state(columns: dict[str, str] | None = None, **other: object) -> TableState:
    return TableState("events", COLUMNS if columns is None else columns, KEYS, **other)  # type: ignore[arg-type]


def test_a_table_of_the_contract_passes() -> None:
    files = [FileState("k", DAY, COLUMNS)]
    assert check(DEFAULT, [state(partitions=[PartitionState(DAY, COLUMNS)], files=files)]) == []


def test_a_new_column_rewrites_nothing() -> None:
    old = {name: kind for name, kind in COLUMNS.items() if name != "city"}
    assert check(DEFAULT, [state(old, files=[FileState("k", DAY, old)])]) == []


def test_a_changed_type_names_the_query_that_fails() -> None:
    contract = contract_of(CHANGED)
    files = [
        FileState("b", ("2026", "03", "10"), {"quantity": "int"}),
        FileState("a", DAY, {"quantity": "int"}),
    ]
    findings = [f for f in check(contract, [state({}, files=files)]) if f.column == "quantity"]
    (finding,) = findings
    assert finding.error == "HIVE_BAD_DATA"
    assert finding.query == (
        "SELECT \"quantity\" FROM events WHERE year = '2026' AND month = '03' AND day = '09'"
    )
    assert finding.objects == ("b", "a")
    assert "declare the change" in finding.remedy
    assert not passed(findings)


def test_a_declared_migration_passes_and_says_what_to_run() -> None:
    contract = contract_of(
        CHANGED + '[migrations]\nquantity = { version = 2, from = "int", to = "string" }\n'
    )
    files = [FileState("a", DAY, {"quantity": "int"})]
    findings = check(contract, [state({"quantity": "int"}, files=files)])
    assert {f.severity for f in findings} == {Severity.MIGRATION}
    assert all("lakelet reprocess" in f.remedy for f in findings)
    assert passed(findings)


def test_a_partition_of_another_type_is_a_schema_mismatch() -> None:
    partition = PartitionState(DAY, {**COLUMNS, "quantity": "bigint"})
    (finding,) = check(DEFAULT, [state(partitions=[partition])])
    assert finding.error == "HIVE_PARTITION_SCHEMA_MISMATCH"
    assert finding.objects == ("events/year=2026/month=03/day=09",)


def test_an_unpadded_month_is_somebody_elses() -> None:
    partition = PartitionState(("2026", "3", "9"), COLUMNS)
    (finding,) = check(DEFAULT, [state(partitions=[partition])])
    assert finding.severity is Severity.ERROR
    assert "month=3" in finding.problem


def test_a_column_that_went_is_a_note() -> None:
    findings = check(DEFAULT, [state({**COLUMNS, "old": "string"})])
    assert [f.severity for f in findings] == [Severity.NOTE]
    assert passed(findings)


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ("int", "bigint", True),
        ("bigint", "int", False),
        ("float", "double", True),
        ("double", "decimal(10,2)", False),
        ("decimal(8,2)", "decimal(10,2)", True),
        ("decimal(10,2)", "decimal(10,3)", False),
        ("array<int>", "array<bigint>", True),
        ("string", "timestamp", False),
    ],
)
def test_what_athena_reads(found: str, wanted: str, expected: bool) -> None:
    assert readable(found, wanted) is expected


def test_footers_speak_the_catalogs_language() -> None:
    schema = pa.schema(
        [("A", pa.list_(pa.int64())), ("m", pa.map_(pa.string(), pa.decimal128(5, 1)))]
    )
    assert footer_columns(schema) == {"a": "array<bigint>", "m": "map<string,decimal(5,1)>"}


def test_every_table_of_a_contract_is_its_own() -> None:
    contract: Contract = contract_of(
        CHANGED + "[tables.vitals]\nwhere = \"quantity = 'v'\"\nfields = { name = {} }\n"
    )
    states = [TableState("vitals", {"name": "int"}, KEYS), TableState("others", {"x": "int"})]
    assert {f.table for f in check(contract, states)} == {"vitals"}
