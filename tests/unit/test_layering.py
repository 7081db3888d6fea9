"""Imports go one way, workloads -> sim -> reports, and the simulator does not print."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "workloads": {"sim", "reports", "simpy", "matplotlib", "pandas"},
    "sim": {"reports", "matplotlib", "pandas"},
    "reports": {"simpy"},
}
SIM_MAY_IMPORT_ALL_OF_WORKLOADS = {"sim/scenario.py"}
FAMILIES = {"cpu", "gpu", "tpu"}


def modules(package):
    return sorted((ROOT / package).rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_one_way(package):
    for path in modules(package):
        for name in imports(path):
            assert name.split(".")[0] not in FORBIDDEN[package], f"{path} imports {name}"


def test_the_simulator_knows_of_workloads_only_the_trace():
    for path in modules("sim"):
        if str(path.relative_to(ROOT)) in SIM_MAY_IMPORT_ALL_OF_WORKLOADS:
            continue
        for name in imports(path):
            if name.split(".")[0] == "workloads":
                assert name == "workloads.trace", f"{path} imports {name}"


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_machine_family_knows_nothing_of_the_others(family):
    for path in modules(f"sim/{family}"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "sim" and len(parts) > 1 and parts[1] in FAMILIES:
                assert parts[1] == family, f"{path} imports {name}"


def test_only_the_command_line_prints():
    for package in FORBIDDEN:
        for path in modules(package):
            if path.parent.name == "commands" or path.name in {"cli.py", "console.py"}:
                continue
            calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
            names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
            assert "print" not in names, f"{path} prints"
