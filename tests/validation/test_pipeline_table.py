"""The pipeline suite on rows of Ripes and QtRvSim; every number and cell must be equal."""

import shutil
from pathlib import Path

import pytest

from sim.errors import SpecError
from sim.validation import validate

SMALL = Path(__file__).parent / "data" / "pipeline"
FULL = Path(__file__).parents[3] / "shared" / "validation" / "pipeline"


def test_every_row_of_both_simulators_is_met_exactly():
    report = validate("pipeline", SMALL)
    assert report.passed, [row for row in report.rows if row.status != "ok"]
    assert len(report.rows) == 119
    assert max(report.errors) == 0


@pytest.mark.skipif(not FULL.is_dir(), reason="the full table is not here")
def test_the_full_table_is_met_exactly():
    report = validate("pipeline", FULL)
    assert report.passed, [row for row in report.rows if row.status != "ok"]


@pytest.fixture
def table(tmp_path):
    folder = tmp_path / "pipeline"
    shutil.copytree(SMALL, folder)
    return folder


def test_diagrams_can_be_chosen_like_rows():
    report = validate("pipeline", SMALL, [("diagram", "r16_short_loop3__RV32_5S.tsv")])
    assert [row.label for row in report.rows] == ["r16_short_loop3 RV32_5S diagram"]
    assert report.rows[0].reference == 11 * 35


def test_one_wrong_cell_misses_a_diagram_and_is_named(table):
    path = table / "diagrams" / "r16_short_loop3__RV32_5S.tsv"
    path.write_text(path.read_text().replace("\tID\t-\tEX", "\tID\tEX\tEX", 1))
    report = validate("pipeline", table, [("diagram", path.name)])
    assert not report.passed
    note = "cycle 7 of `add x10 x10 x5` (row 6) is 'EX', simulated '-'"
    assert report.rows[0].note == note


@pytest.mark.parametrize("column", ["retired", "cycles", "a0"])
def test_one_wrong_number_misses_its_row(table, column):
    path = table / "ripes.csv"
    header, row, *_ = path.read_text().splitlines()
    place = header.split(",").index(column)
    cells = row.split(",")
    cells[place] = str(int(cells[place]) + 1)
    path.write_text(f"{header}\n{','.join(cells)}\n")
    report = validate("pipeline", table, [("processor", cells[1]), ("retired", cells[2])])
    assert report.rows[0].status == "missed"
    assert f"{column} is {cells[place]}" in report.rows[0].note


def test_an_unknown_processor_is_unsupported_and_does_not_pass(table):
    (table / "ripes.csv").write_text(
        "program,processor,retired,cycles,a0\nr16_short_loop3,RV32_6S_DUO,21,34,15\n"
    )
    report = validate("pipeline", table, [("processor", "RV32_6S_DUO")])
    assert not report.passed
    assert "'RV32_6S_DUO' is not known here; did you mean 'RV32_6S_DUAL'?" in report.rows[0].note


def test_a_program_that_cannot_be_assembled_is_unsupported_with_its_line(table):
    (table / "asm" / "bad.s").write_text("nop\nfrobnicate a0\n")
    (table / "ripes.csv").write_text("program,processor,retired,cycles,a0\nbad,RV32_5S,1,1,1\n")
    report = validate("pipeline", table, [("program", "bad")])
    assert report.rows[0].status == "unsupported"
    assert "bad.s, line 2: unknown instruction 'frobnicate'" in report.rows[0].note


def test_a_row_without_its_program_names_file_and_line(table):
    (table / "ripes.csv").write_text("program,processor,retired,cycles,a0\ngone,RV32_5S,1,1,1\n")
    with pytest.raises(SpecError, match=r"ripes.csv, line 2: column 'program' is 'gone', but"):
        validate("pipeline", table)


def test_a_diagram_without_cycle_numbers_is_refused(table):
    (table / "diagrams" / "r16_short_loop3__RV32_5S.tsv").write_text("nothing\n")
    with pytest.raises(SpecError, match="has no line of cycle numbers"):
        validate("pipeline", table)
