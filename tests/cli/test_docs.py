"""What is documented is what is there."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from lakelet.cli.main import app

ROOT = Path(__file__).parents[2]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_current():
    maker = load(ROOT / "docs" / "make_cli.py")
    assert maker.TARGET.read_text("utf-8") == maker.reference(), "run: python docs/make_cli.py"


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_links_between_pages_lead_somewhere(page: str):
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"


def test_every_folder_has_its_line_in_the_architecture():
    told = set(re.findall(r"^\| `(\w+)/` \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE))
    there = {path.parent.name for path in (ROOT / "src" / "lakelet").glob("*/__init__.py")}
    assert told == there


def test_make_help_lists_what_the_readme_tells():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE), target


def test_the_public_names_are_importable():
    import lakelet

    for name in lakelet.__all__:
        assert getattr(lakelet, name) is not None


def test_brackets_of_help_are_not_taken_for_markup():
    told = CliRunner().invoke(app, ["backfill", "--help"], env={"COLUMNS": "200"}).output
    for meant in ("[default: ./lake]", "(lakelet[spark])"):
        assert meant in told
