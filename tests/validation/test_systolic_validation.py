"""The systolic suite on reference rows, and what it says to unusable input."""

from pathlib import Path

import pytest

from sim.errors import SpecError
from sim.validation import Report, validate

ROWS = Path(__file__).with_name("data") / "systolic"
FULL = Path(__file__).parents[3] / "shared" / "validation" / "systolic"
HEADER, *LINES = (ROWS / "scalesim.csv").read_text().splitlines()


def table(folder: Path, *lines: str, header: str = HEADER) -> Path:
    (folder / "scalesim.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder


def test_every_selected_row_is_exact() -> None:
    report = validate("systolic", ROWS)
    assert len(report.rows) == len(LINES) >= 10
    assert report.passed
    assert {(row.error, row.status, row.note) for row in report.rows} == {(0.0, "ok", "")}
    assert report.rows[0].label == "8x8 ws 4x4x4 CALC"
    assert (report.rows[0].reference, report.rows[0].simulated) == (26, 26)
    assert report.summary.startswith(f"systolic: {len(LINES)} of {len(LINES)} rows ok, 0 missed")


@pytest.mark.parametrize("dataflow", ["ws", "os", "is"])
def test_the_selected_rows_are_of_every_dataflow(dataflow: str) -> None:
    assert len(validate("systolic", ROWS, [("dataflow", dataflow)]).rows) >= 5


def test_every_row_of_the_full_table_is_exact() -> None:
    if not FULL.is_dir():
        pytest.skip("the full reference table is not beside this checkout")
    report = validate("systolic", FULL)
    assert len(report.rows) > 280
    assert report.passed, report.summary


def test_where_takes_rows_by_any_column() -> None:
    report = validate("systolic", ROWS, [("array_cols", "64"), ("mode", "CALC")])
    assert [row.label for row in report.rows] == [
        "16x64 ws 100x128x50 CALC",
        "16x64 os 100x128x50 CALC",
    ]


def test_a_dataflow_without_a_schedule_counts_as_missed(tmp_path: Path) -> None:
    rs = LINES[0].replace(",ws,", ",rs,")
    report = validate("systolic", table(tmp_path, LINES[0], rs))
    assert [row.status for row in report.rows] == ["ok", "unsupported"]
    assert not report.passed
    assert "1 of 2 rows ok, 0 missed, 1 unsupported" in report.summary
    assert "FAILED" in report.summary


@pytest.mark.parametrize(
    ("column", "value", "error", "note"),
    [
        ("compute_cycles", "24", 1 / 25, ""),
        ("mapping_eff_pct", "25.001", 0.0, "mapping_eff_pct is 25.001000, simulated 25.000000"),
        ("overall_util_pct", "3.9", 0.0, "overall_util_pct is 3.900000, simulated 4.000000"),
    ],
)
def test_a_row_that_differs_is_missed(
    tmp_path: Path, column: str, value: str, error: float, note: str
) -> None:
    (row,) = validate("systolic", _changed(tmp_path, column, value)).rows
    assert row.status == "missed"
    assert row.error == pytest.approx(error)
    assert row.note == note


def test_utilisation_is_not_compared_where_the_peer_adds_stalls(tmp_path: Path) -> None:
    line = LINES[0].replace("CALC,25,0,25,4.0", "USER,25,100,125,0.8")
    assert validate("systolic", table(tmp_path, line)).passed


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("M", "four", "line 2: column 'M' is 'four', not a whole number"),
        ("K", "0", "line 2: column 'K' is 0; it should be at least 1"),
        ("array_rows", "-8", "column 'array_rows' is -8"),
        ("compute_cycles", "", "column 'compute_cycles' is empty"),
        ("mapping_eff_pct", "nan", "column 'mapping_eff_pct' is 'nan', not a finite number"),
        ("overall_util_pct", "4%", "column 'overall_util_pct' is '4%', not a number"),
    ],
)
def test_a_bad_value_is_named_with_file_and_line(
    tmp_path: Path, column: str, value: str, problem: str
) -> None:
    with pytest.raises(SpecError, match=r"scalesim\.csv, ") as caught:
        validate("systolic", _changed(tmp_path, column, value))
    assert problem in str(caught.value)


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    folder = table(tmp_path, LINES[0], header=HEADER.replace("array_rows", "arry_rows"))
    with pytest.raises(SpecError, match=r"no column 'array_rows'; did you mean 'arry_rows'\?"):
        validate("systolic", folder)


def test_a_row_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="line 3: 3 values under 17 columns"):
        validate("systolic", table(tmp_path, LINES[0], "8,8,ws"))


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="column 'M' is there twice"):
        validate("systolic", table(tmp_path, LINES[0] + ",4", header=HEADER + ",M"))


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a header but no rows"):
        validate("systolic", table(tmp_path))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scalesim.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read as CSV"):
        validate("systolic", tmp_path)


def test_a_folder_without_a_table_and_a_missing_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no file \*\.csv"):
        validate("systolic", tmp_path)
    with pytest.raises(SpecError, match="no such folder"):
        validate("systolic", tmp_path / "nowhere")


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"'sistolic'; did you mean 'systolic'\?"):
        validate("sistolic", ROWS)
    with pytest.raises(SpecError, match=r"no column 'dataflo'; did you mean 'dataflow'\?"):
        validate("systolic", ROWS, [("dataflo", "ws")])


def test_a_selection_without_rows_is_refused() -> None:
    with pytest.raises(SpecError, match=r"none of .* rows has dataflow=rs"):
        validate("systolic", ROWS, [("dataflow", "rs")])


def test_a_report_of_nothing_but_unsupported_rows_has_no_error(tmp_path: Path) -> None:
    report: Report = validate("systolic", table(tmp_path, LINES[0].replace(",ws,", ",rs,")))
    assert "largest error" not in report.summary


def _changed(folder: Path, column: str, value: str) -> Path:
    cells = LINES[0].split(",")
    cells[HEADER.split(",").index(column)] = value
    return table(folder, ",".join(cells))
