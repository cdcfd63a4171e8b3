"""The reference says what the language is: its examples load, its lists are whole."""

import re
from pathlib import Path

from lakelet.contract import load_declaration
from lakelet.contract.functions import FUNCTIONS
from lakelet.contract.sql import _CAST_NAMES
from lakelet.model.contract import PERSONAL_RULES
from lakelet.model.schema import SCALARS

TEXT = (Path(__file__).parents[2] / "docs" / "contract.md").read_text("utf-8")
SAME = {"ceiling", "pow", "substring", "dow", "doy", "day_of_month", "week_of_year"}


def test_every_type_rule_and_function_is_named() -> None:
    words = set(re.findall(r"[a-z_0-9]+", TEXT))
    assert set(FUNCTIONS) - SAME <= words
    assert set(SCALARS) <= words
    assert set(PERSONAL_RULES) <= words
    assert not set(_CAST_NAMES.values()) - words


def test_the_examples_load(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    fields, rest, sql, versions = blocks
    migrations = versions.split("[contract.migrations]")[1]
    versioned = rest.replace("version = 1", "version = 2").replace("[contract.personal]", "")
    fields = fields.replace("timestamp = ", "event_type = {}\npage_url = {}\ntimestamp = ")
    file = tmp_path / "lakelet.toml"
    file.write_text("\n".join([rest, fields, sql]), "utf-8")
    contract = load_declaration(file).contract
    assert [table.name for table in contract.tables] == ["web_vitals", "events"]
    assert [rule.name for rule in contract.drop] == ["heartbeats"]
    parts = [versioned.split("field_patterns")[0], "[contract.migrations]", migrations]
    fields = fields.replace('"int", default', '"bigint", default')
    file.write_text("\n".join([*parts, fields]), "utf-8")
    (migration,) = load_declaration(file).contract.migrations
    assert (migration.from_type, migration.to_type) == ("int", "bigint")
