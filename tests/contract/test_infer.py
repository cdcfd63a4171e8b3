"""A draft is a contract: what `infer` writes, `load_declaration` reads."""

import gzip
import json
from pathlib import Path

import pytest

from lakelet.contract import load_declaration
from lakelet.contract.infer import NothingToInfer, infer
from lakelet.transform import transform_bytes
from tests.transform.events import ARRIVED, event, line


def test_a_draft_takes_the_events_it_was_drafted_from(tmp_path: Path) -> None:
    more = {"tags": ["a"], "device": {"os": "x"}, "ok": True, "born": "2000-01-01"}
    samples = [event(n, price=n + 0.5, quantity=n, **more) for n in range(1, 40)]
    raw = "\n".join(map(json.dumps, samples)).encode()
    file = tmp_path / "lakelet.toml"
    file.write_text(infer([gzip.compress(raw)]), "utf-8")
    contract = load_declaration(file).contract
    types = {f.name: f.type for f in contract.default_table.fields}
    assert types == {
        "event_id": "string",
        "event_type": "string",
        "timestamp": "timestamp",
        "user_id": "string",
        "page_url": "string",
        "price": "double",
        "quantity": "int",
        "tags": "array<string>",
        "device": "json",
        "ok": "boolean",
        "born": "date",
    }
    assert transform_bytes(raw, contract, received_at=ARRIVED).rows == len(samples)


@pytest.mark.parametrize("joiner", ["", "\n", ",\n"])
def test_any_layout_will_do(joiner: str) -> None:
    text = joiner.join(line(n).decode() for n in range(3))
    assert "Drafted from 3 events" in infer([text.encode()])
    assert "Drafted from 3 events" in infer([b"garbage\n", f"[{text}]".encode()])


def test_what_looks_personal_is_dropped_and_said() -> None:
    draft = infer([line(1, contact="jane@doe.example", client_ip="10.0.0.1", big=2**40)])
    assert 'contact = { type = "string", personal = "drop" }  # looks personal' in draft
    assert 'client_ip = { type = "string", personal = "drop" }' in draft
    assert 'big = { type = "bigint" }' in draft


def test_mixed_kinds_are_remarked_upon() -> None:
    draft = infer([line(1, x=1), line(2, x="a")])
    assert 'x = { type = "string" }  # seen as int x 1, string x 1' in draft


def test_names_that_are_taken_get_another_column(tmp_path: Path) -> None:
    file = tmp_path / "lakelet.toml"
    file.write_text(infer([line(1, day="Monday", **{"odd name": 1})]), "utf-8")
    columns = load_declaration(file).contract.default_table.schema.names
    assert {"event_day", "odd_name"} <= set(columns)


def test_nothing_is_nothing() -> None:
    with pytest.raises(NothingToInfer):
        infer([b"", b"[1, 2]"])
