"""Code that numba has stored is used only while every source that it may hold is unchanged."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sim import jit

SIM = Path(jit.__file__).parent
PROGRAM = """
from {package}.outer import value
print(value())
"""
OUTER = """
from {package}.jit import njit
from {package}.middle import inner

@njit(cache=True)
def value():
    return inner() + 1
"""
MIDDLE = """
from {package}.jit import njit
from {package} import (  # the constants (and more)
    constants,
    other,
)

@njit(cache=True)
def inner():
    return constants.TEN
"""


@pytest.fixture
def package(tmp_path):
    """A package with the stamp's two modules, and a chain of three that compile."""
    folder = tmp_path / "sim"
    folder.mkdir()
    for name in ("jit.py", "jit_locators.py"):
        shutil.copy(SIM / name, folder)
    sources = {"__init__": "", "outer": OUTER, "middle": MIDDLE, "constants": "TEN = 10\n"}
    for name, text in {**sources, "other": "", "alone": ""}.items():
        (folder / f"{name}.py").write_text(text.format(package="sim"))
    return folder


def run(package, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "PYTHON"))}
    return subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM.format(package="sim")],
        cwd=package.parent,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_a_constant_two_modules_away_is_never_stale(package):
    assert run(package) == "11"
    stored = {path.name: path.stat().st_mtime_ns for path in package.rglob("*.nbc")}
    assert stored
    assert run(package) == "11"
    assert stored == {path.name: path.stat().st_mtime_ns for path in package.rglob("*.nbc")}
    (package / "constants.py").write_text("TEN = 20\n")
    assert run(package) == "21"


def test_a_folder_that_the_user_names_is_used(package, tmp_path):
    assert run(package, NUMBA_CACHE_DIR=str(tmp_path / "kept")) == "11"
    assert list((tmp_path / "kept").rglob("*.nbc"))
    assert not list(package.rglob("*.nbc"))
    (package / "constants.py").write_text("TEN = 30\n")
    assert run(package, NUMBA_CACHE_DIR=str(tmp_path / "kept")) == "31"


def test_a_package_without_a_writable_folder_stores_in_the_users_cache(package, tmp_path):
    (package / "__pycache__").write_text("no folder can be made here")
    assert run(package, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "home")) == "11"
    assert list((tmp_path / "home").rglob("*.nbc"))


@pytest.mark.parametrize(
    ("changed", "moves"),
    [
        ("outer", True),
        ("middle", True),
        ("constants", True),
        ("other", True),
        ("__init__", True),
        ("alone", False),
    ],
)
def test_the_stamp_covers_what_is_imported_and_nothing_else(package, changed, moves):
    before = stamp(package)
    with (package / f"{changed}.py").open("a") as source:
        source.write("MORE = 1\n")
    assert (stamp(package) != before) == moves


def stamp(package):
    """The stamp as a new process has it."""
    for remembered in (jit.source_stamp, jit._read, jit._source_of):
        remembered.cache_clear()
    return jit.source_stamp(package / "outer.py", package)


def test_every_compiled_module_takes_its_compiler_from_one_place():
    direct = re.compile(r"^\s*(from numba import [^\n]*\bnjit\b|import numba\b)", re.MULTILINE)
    assert not [
        str(path.relative_to(SIM))
        for path in SIM.rglob("*.py")
        if path.name != "jit.py" and direct.search(path.read_text(encoding="utf-8"))
    ]
