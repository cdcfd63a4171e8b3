"""[functions] and [ingest] of a declaration."""

from pathlib import Path

import pytest

from lakelet.contract import load_declaration
from lakelet.ingest.gate import LARGE_REGION, Faults, Quotas
from lakelet.model.errors import DeclarationError
from lakelet.node.toolbox import read_ingest


def read(folder: Path, text: str):
    path = folder / "lakelet.toml"
    path.write_text("version = 1\n" + text)
    sections = load_declaration(path).sections
    return read_ingest(sections["functions"], sections["ingest"])


def test_nothing_is_on_by_default(tmp_path) -> None:
    settings = read(tmp_path, "")
    assert settings.functions == {}
    assert (settings.faults, settings.quotas) == (Faults(), Quotas())


def test_a_function_beside_the_declaration(tmp_path) -> None:
    (tmp_path / "shop_enrich_here.py").write_text("def handler(event, context): return event\n")
    settings = read(tmp_path, '[functions]\nenrich = "shop_enrich_here:handler"\n')
    assert settings.functions["enrich"]({"a": 1}, None) == {"a": 1}


def test_quotas_and_faults(tmp_path) -> None:
    settings = read(
        tmp_path, '[ingest]\nquotas = "large"\nfaults = { fail = [1, 4], repeat = true }\n'
    )
    assert settings.faults == Faults(fail_count=1, fail_of=4, repeat=True)
    assert settings.quotas == LARGE_REGION


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[functions]\nf = "no_such_module_at_all:x"\n', "line 3: functions.f"),
        ('[functions]\nf = "json:nothing"\n', "can't be loaded"),
        ('[functions]\nf = "json:__name__"\n', "is no function"),
        ('[functions]\nf = "json.loads"\n', "is not a valid name"),
        ('[ingest]\nquotas = "huge"\n', "off, large, small"),
        ("[ingest]\nfaults = { fial = 1 }\n", "no such fault"),
        ("[ingest]\nfaults = { fail = [5, 4] }\n", "can't fail"),
        ("[ingest]\nfault = 1\n", "Did you mean `faults`"),
    ],
)
def test_mistakes_are_named(tmp_path, text, says) -> None:
    with pytest.raises(DeclarationError) as refused:
        read(tmp_path, text)
    assert says in str(refused.value)


def test_a_module_that_breaks_is_told_by_name(tmp_path) -> None:
    (tmp_path / "shop_broken_here.py").write_text("1 / 0\n")
    with pytest.raises(DeclarationError, match="ZeroDivisionError"):
        read(tmp_path, '[functions]\nf = "shop_broken_here:x"\n')
