"""The cores suite on rows of rvsim: ratios between configurations, growth with cores."""

import shutil
from pathlib import Path

import pytest

from sim.errors import SpecError
from sim.validation import validate

SMALL = Path(__file__).parent / "data" / "cores"


@pytest.fixture(scope="module")
def report():
    return validate("cores", SMALL)


@pytest.fixture
def table(tmp_path):
    folder = tmp_path / "cores"
    shutil.copytree(SMALL, folder)
    return folder


def test_every_row_is_within_its_bound(report):
    assert report.passed, [row for row in report.rows if row.status != "ok"]
    assert len(report.rows) == 48 + 18


def test_rows_are_compared_with_the_first_of_their_program_or_with_one_core(report):
    references = {row.label: row.reference for row in report.rows}
    assert references["o02_indep_add inorder_w1_static"] == 1
    assert references["o02_indep_add ooo_w4_rob128_gshare"] == 10442 / 48317
    assert references["shared_amo 4 ring"] == 21782 / 3112


def test_a_wrong_ratio_misses_its_row(table):
    path = table / "rvsim.csv"
    path.write_text(path.read_text().replace("ooo_w2_rob32,18443,", "ooo_w2_rob32,28443,"))
    where = [("program", "o02_indep_add"), ("config", "ooo_w2_rob32")]
    (row,) = validate("cores", table, where).rows
    assert row.status == "missed"
    assert row.error == pytest.approx(18443 / 28443 - 1, abs=0.01)


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("dd,preset_m1,", "dd,preset_m2,", ("config", "preset_m2"), "did you mean 'preset-m1'?"),
        ("amo,4,ring,", "amo,9,ring,", ("harts", "9"), "ring-8 has 8 cores, not 9"),
    ],
)
def test_what_is_not_described_is_unsupported_and_says_why(table, old, new, where, message):
    for path in table.glob("*.csv"):
        path.write_text(path.read_text().replace(old, new))
    (row,) = validate("cores", table, [where]).rows
    assert row.status == "unsupported"
    assert message in row.note


def test_harts_need_a_row_of_one_to_be_compared_with(table):
    path = table / "rvsim_multicore.csv"
    path.write_text(path.read_text().replace("shared_amo,2,ring,", "shared_amo,2,rung,"))
    with pytest.raises(SpecError, match=r"multicore\.csv, line 17: .* has no row of one hart"):
        validate("cores", table, [("interconnect", "rung")])


def test_a_program_that_is_not_there_is_an_error_that_names_the_row(table):
    (table / "asm" / "o02_indep_add.s").unlink()
    with pytest.raises(SpecError, match=r"rvsim\.csv, line 2: column 'program' is 'o02_indep_add'"):
        validate("cores", table)


def test_harts_may_share_words_of_eight_bytes_only(table):
    path = table / "asm" / "mc_shared_amo.s"
    path.write_text(path.read_text().replace("amoadd.d t3,t4", "amoswap.d t3,t4"))
    (row,) = validate("cores", table, [("case", "shared_amo"), ("harts", "2")]).rows[:1]
    assert row.status == "unsupported"
    assert "line 12: `amoswap.d t3,t4,0(t1)`: harts share words of 8 bytes" in row.note
