"""The ooo suite on reference rows, and what it says to unusable input."""

import shutil
from pathlib import Path

import pytest

from sim.errors import SpecError
from sim.validation import validate

ROWS = Path(__file__).with_name("data") / "ooo"
FULL = Path(__file__).parents[3] / "shared" / "validation" / "ooo"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(ROWS / "kernels", tmp_path / "kernels")
    return tmp_path


def one_row(folder, **changes):
    row = {
        "kernel": "x03_dot_1acc_avx2",
        "mcpu": "skylake",
        "llvm": "19.1.7",
        "cycles_per_iter_steady": "4.0",
    } | changes
    (folder / "llvm_mca.csv").write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    (outcome,) = validate("ooo", folder).rows
    return outcome


def test_the_selected_rows_pass_with_every_core_within_its_mean():
    report = validate("ooo", ROWS)
    assert report.passed, report.summary
    assert set(report.means) == {
        *("cortex-a55", "cortex-a76", "sifive-u74", "haswell", "skylake", "znver4", "broadwell")
    }
    assert report.means["cortex-a55"] == report.means["sifive-u74"] == 0


def test_every_row_of_the_full_table_passes():
    if not FULL.is_dir():
        pytest.skip("the full reference table is not beside this checkout")
    report = validate("ooo", FULL)
    assert len(report.rows) == 121
    assert report.passed, report.summary


def test_between_the_two_tools_is_no_error():
    rows = {row.label: row for row in validate("ooo", ROWS, [("kernel", "x14_pointer_chase")]).rows}
    chase = rows["haswell x14_pointer_chase"]
    assert (chase.simulated, chase.error, chase.note) == (4, 0, "between 4 and 5")
    assert rows["broadwell x14_pointer_chase"].note == ""


def test_a_row_of_llvm_alone_tells_what_the_measured_core_does():
    (row,) = validate("ooo", ROWS, [("kernel", "x06_axpy_avx2"), ("mcpu", "znver4")]).rows
    assert (row.simulated, row.note) == (6, "as LLVM's model llvm-znver4; zen4: 4.00")


def test_other_versions_are_left_out():
    assert validate("ooo", ROWS).left_out > 0
    with pytest.raises(SpecError, match="none of 2 rows is one that 'ooo' compares"):
        validate("ooo", ROWS, [("llvm", "14.0.6")])


def test_a_row_beyond_its_bound_is_missed(folder):
    assert one_row(folder, cycles_per_iter_steady="5.0").status == "missed"
    assert one_row(folder).status == "ok"


def test_a_mean_beyond_its_bound_fails_even_if_every_row_is_met(folder):
    assert one_row(folder, cycles_per_iter_steady="4.2").status == "ok"
    assert not validate("ooo", folder).passed


def test_what_cannot_be_simulated_is_unsupported(folder):
    row = one_row(folder, mcpu="znver9")
    assert (row.status, row.note) == ("unsupported", "no core for 'znver9'; did you mean 'znver4'?")
    (folder / "kernels" / "odd.s").write_text("vgatherqpx ymm0, [rax], ymm1\n")
    row = one_row(folder, kernel="odd")
    assert row.status == "unsupported"
    assert "unknown mnemonic 'vgatherqpx'" in row.note


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": "none"}, "none.s: the kernel of llvm_mca.csv, line 2, is missing"),
        ({"cycles_per_iter_steady": "fast"}, "'cycles_per_iter_steady' is 'fast', not a number"),
        ({"cycles_per_iter_steady": "0"}, "is 0; it should be above 0"),
    ],
)
def test_an_unusable_row_is_told_with_its_line(folder, changes, message):
    with pytest.raises(SpecError, match=message):
        one_row(folder, **changes)


def test_the_measured_cores_are_compared_too_and_tell_why_they_differ():
    rows = validate("ooo-measured", ROWS, [("mcpu", "znver4")]).rows
    axpy = {row.label: row for row in rows}["znver4 x06_axpy_avx2"]
    assert (axpy.simulated, axpy.status) == (4, "ok")
    assert "LLVM lets vector loads take the two units" in axpy.note
