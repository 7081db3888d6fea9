from pathlib import Path

from reports.fidelity import components, fidelity_lines, fidelity_tables


def test_a_line_goes_on_until_the_next_key_or_an_empty_line() -> None:
    lines = fidelity_lines(
        "A cache.\n\nModels:   sets,\n    ways.\nIgnores: ports.\n"
        "Source: a book: its\nsecond part.\n\nMore."
    )
    assert lines == {
        "Models": "sets, ways.",
        "Ignores": "ports.",
        "Source": "a book: its second part.",
    }


def test_components_are_found_without_importing_them(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "a.py").write_text(
        'raise SystemExit\nclass A:\n    """A.\n\n    Models: m.\n    Ignores: i.\n    Source: s.\n'
        '    """\nclass B:\n    """Models: only."""\n'
    )
    (found,) = components(package)
    assert (found.name, found.path) == ("A", "pkg/a.py")
    assert (found.models, found.ignores, found.source) == ("m.", "i.", "s.")


def test_every_area_has_a_table_with_its_components() -> None:
    tables = fidelity_tables()
    areas = tables.split("<details>")[1:]
    assert {area.split("<code>")[1].split("/</code>")[0] for area in areas} >= {
        "sim",
        "sim/cpu",
        "sim/gpu",
        "sim/memory",
        "sim/tpu",
    }
    assert "[`Latch`](sim/pipeline.py)" in areas[0]
    rows = [line for line in tables.splitlines() if line.startswith("| ")]
    assert all(line.count(" | ") == 3 for line in rows)
