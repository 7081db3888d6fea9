"""The README says what the code says."""

import re
import shlex
from pathlib import Path

import pytest

from reports.cli import run_commands
from reports.compare import Request, compare
from reports.fidelity import fidelity_tables
from reports.readme import README, comparison_table, with_region

PLACEHOLDERS = ("FOLDER", "my-scenario.yaml", "chip.cfg", "exported.onnx")
"""Words of the README's commands that stand for files of the reader's own."""

ROOT = Path(__file__).parents[2]
TEXT = README.read_text(encoding="utf-8")


def test_the_fidelity_tables_are_the_docstrings():
    assert with_region(TEXT, "fidelity", fidelity_tables()) == TEXT, "run `make readme`"


def test_the_comparison_is_what_the_demo_computes():
    assert with_region(TEXT, "comparison", comparison_table(compare(Request()))) == TEXT, (
        "run `make readme`"
    )


def test_every_file_that_the_readme_links_to_exists():
    for link in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        assert (ROOT / link).exists(), f"README links to {link}"


def test_a_region_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no region 'nowhere'"):
        with_region(TEXT, "nowhere", "")


def commands():
    lines = re.findall(r"^    tokenclock (.*?)(?:\s{2,}#.*)?$", TEXT, re.MULTILINE)
    return [line for line in lines if not any(word in line for word in PLACEHOLDERS)]


def test_the_readme_shows_commands():
    assert len(commands()) > 5


@pytest.mark.parametrize("line", commands())
def test_every_command_that_the_readme_shows_works(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_commands(shlex.split(line)) == 0
