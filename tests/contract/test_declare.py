"""A declaration that cannot be meant is refused: file, line, key and remedy in the message."""

import json
from pathlib import Path

import pytest

from lakelet.contract import SqlError, load_declaration
from lakelet.model.contract import Contract
from lakelet.model.errors import DeclarationError
from tests.transform.contracts import DEFAULT, WHOLE, contract_of

BASE = """\
[contract]
event_time = { field = "timestamp" }
[contract.fields]
timestamp = { type = "timestamp" }
event_id = { type = "string" }
price = { type = "double" }
"""


def refused(tmp_path: Path, text: str) -> str:
    file = tmp_path / "lakelet.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(DeclarationError) as caught:
        load_declaration(file)
    assert caught.value.hint
    assert str(file) in str(caught.value)
    return str(caught.value).replace(str(file), "lakelet.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BASE + 'x = { type = "strin" }', "line 7: contract.fields.x.type: `strin` is not a type"),
        (BASE + "x = { requird = true }", "Did you mean `required`?"),
        (BASE + 'x = { column = "A b" }', "line 7"),
        (BASE + 'x = { personal = "shred" }', "One of: , keep, drop, hash, truncate, mask."),
        (BASE + 'x = { pattern = "(" }', "not an RE2 pattern"),
        (BASE + 'x = { type = "int", pattern = "a" }', "a int has no pattern"),
        (BASE + 'x = { type = "int", default = "many" }', "'many' is no int"),
        (BASE + 'x = { type = "string", min = 1 }', "bounds no string"),
        (BASE + 'x = { type = "int", enum = [1, "a"] }', "'a' is no int"),
        (BASE + 'x = { column = "price" }', "column `price` is field `price`'s"),
        (BASE + "year = {}", "column `year` is Lakelet's own"),
        (BASE + 'x = { path = "a.b" }', '"$.device.type"'),
        (BASE + 'x = { type = "decimal(2,4)" }', "scale at most the precision"),
        (BASE.replace('"timestamp" }\n[', '"when" }\n['), "`when` is not a declared field"),
        (BASE.replace('"timestamp" }\n[', '"price" }\n['), "`price` is no plain timestamp"),
        (BASE + '[contract.computed]\nprice = { type = "int", sql = "1" }', "not a free column"),
        (BASE + '[contract.computed]\nz = { sql = "1" }', "`type` is missing"),
        (BASE + '[contract.drop]\nbots = "price"', "a double is no condition"),
        (BASE + "[contract.tables.v]\nfields = { n = {} }", "`where` is missing"),
        (BASE + '[contract.tables.events]\nwhere = "price > 1"', "`events` is not a free table"),
        (BASE + '[contract.personal]\nemail_in_values = ["price"]', "`price` is no text column"),
        (BASE + '[contract.personal]\nfield_patterns = { "*x*" = "lose" }', "'lose' is not known"),
        (
            BASE + '[contract.migrations]\nprice = { version = 2, from = "int", to = "double" }',
            "out of range",
        ),
        ("[contract]\nfields = {}\n", "there are no fields"),
    ],
)
def test_the_message_says_where_and_what_to_do(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("sql", "token", "expected"),
    [
        ("pric * 2", "pric", "Did you mean `price`?"),
        ("price + event_id", "price", "a string cannot be reckoned with"),
        ("price * roundd(price)", "roundd", "Did you mean `round`?"),
        ("price * (SELECT 1)", "", "more than an expression over one event"),
        ("sum(price) OVER ()", "sum", "more than an expression"),
        ("now()", "now", "there is no function `now` here"),
        ("price +", "+", "Required keyword"),
        ("round(price, 1, 2)", "round", "takes 1 to 2 arguments"),
        ("date_format(timestamp, '%Q')", "", "date_format knows no `%Q`"),
        ("regexp_like(event_id, '(')", "", "not an RE2 pattern"),
        ("date_trunc('aeon', timestamp)", "", "`aeon` is no unit"),
        ("price IN ('a')", "price", "cannot be mixed"),
        ("CAST(price AS uuid)", "price", "`uuid` is not a type"),
        ("t.price", "t", "there is no column `t.price`"),
        ("1; 2", "", "it is not one expression"),
        ("99999999999999999999", "99999999999999999999", "does not fit a bigint"),
    ],
)
def test_sql_errors_point_at_the_token(tmp_path: Path, sql: str, token: str, expected: str) -> None:
    text = BASE + f'[contract.computed]\nz = {{ type = "double", sql = "{sql}" }}\n'
    message = refused(tmp_path, text)
    assert expected in message
    assert "lakelet.toml, line 8: contract.computed.z.sql" in message
    if token:
        _, shown, caret, *_ = message.split("\n")
        assert shown[caret.index("^") :].startswith(token)


def test_sql_errors_have_their_own_code() -> None:
    assert SqlError.code == "contract.sql"


@pytest.mark.parametrize("contract", [DEFAULT, WHOLE], ids=["default", "whole"])
def test_a_contract_travels_as_json(contract: Contract) -> None:
    again = Contract.from_json(contract.to_json())
    assert again == contract
    assert again.fingerprint == contract.fingerprint
    assert again.default_table.schema == contract.default_table.schema


def test_the_fingerprint_is_of_everything_said() -> None:
    values = json.loads(DEFAULT.to_json())
    values["tables"][0]["event_time"]["ahead_hours"] += 1
    assert Contract.from_json(json.dumps(values)).fingerprint != DEFAULT.fingerprint


def test_what_is_no_contract_is_refused() -> None:
    for text in ("{}", "[]", '{"format": 9}', "x"):
        with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
            Contract.from_json(text)


def test_columns_stand_in_their_declared_order() -> None:
    assert DEFAULT.default_table.schema.names == [
        "event_id",
        "event_type",
        "event_timestamp",
        "user_id",
        "session_id",
        "page_url",
        "product_id",
        "product_name",
        "product_category",
        "product_price",
        "quantity",
        "search_query",
        "search_results_count",
        "device_type",
        "browser",
        "country",
        "city",
        "revenue",
        "hour",
        "day_of_week",
        "event_date",
        "properties",
        "received_at",
    ]
    assert DEFAULT.default_table.partition_keys == ("year", "month", "day")


def test_a_pattern_rules_a_declared_field_unless_it_says_keep() -> None:
    contract = contract_of(
        BASE.replace("contract.", "").replace("[contract]\n", "")
        + "work_email = {}\n"
        + 'email_opt_in = { type = "boolean", personal = "keep" }\n'
        + '[personal]\nfield_patterns = { "*email*" = "drop" }\n'
    )
    names = contract.default_table.schema.names
    assert "work_email" not in names
    assert "email_opt_in" in names


def test_a_second_table_inherits_what_it_does_not_say() -> None:
    vitals = WHOLE.table("vitals")
    assert [f.name for f in vitals.fields] == [
        "event_id",
        "event_type",
        "timestamp",
        "quantity",
        "name",
    ]
    assert vitals.deduplicate == WHOLE.default_table.deduplicate
    assert WHOLE.tables[-1] is WHOLE.default_table
