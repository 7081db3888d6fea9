"""The DRAM suite: the full table where it is beside this checkout, and how it reports."""

from pathlib import Path

import numpy as np
import pytest

from sim.errors import SpecError
from sim.memory.dram import ControllerSpec, Stop, load_device, run_dram
from sim.validation import validate

FULL = Path(__file__).parents[3] / "shared" / "validation" / "dram"
COLUMNS = (
    "standard,org,timing,mapper,refresh,pattern,requests,tx_bytes,banks_total,"
    "GBps,read_lat_cyc,row_hits,row_misses,row_conflicts"
)
ADDRESSES = np.arange(500) * 64


def own_row() -> dict[str, str]:
    """A row that the simulator itself made: what is checked is the report, not the model."""
    device = load_device("ddr4", "DDR4_8Gb_x8", "DDR4_2400R")
    spec = ControllerSpec(stop=Stop.ACCEPTED)
    result = run_dram(device, ADDRESSES, np.zeros(500), mapping="RoBaRaCoCh", spec=spec)
    values = (
        *("DDR4_2400R", "DDR4_8Gb_x8", "DDR4_2400R", "RoBaRaCoCh", "all-bank", "stream"),
        *("500", "64", "16", str(result.bytes_per_second / 1e9)),
        *(str(result.mean_read_latency_ticks), str(result.row_hits)),
        *(str(result.row_misses), str(result.row_conflicts)),
    )
    return dict(zip(COLUMNS.split(","), values, strict=True))


def table(folder: Path, **changes: str) -> Path:
    row = own_row() | changes
    (folder / "rows.csv").write_text(f"{COLUMNS}\n{','.join(row.values())}\n")
    (folder / "traces").mkdir()
    np.savez(
        folder / "traces" / "DDR4_2400R.npz",
        stream__addr=ADDRESSES,
        stream__write=np.zeros(500, dtype=np.uint8),
    )
    return folder


def test_every_row_of_the_full_table_is_within_bounds() -> None:
    if not FULL.is_dir():
        pytest.skip("the full reference table is not beside this checkout")
    report = validate("dram", FULL)
    assert len(report.rows) >= 90
    assert report.passed, report.summary


def test_a_row_that_agrees_passes(tmp_path: Path) -> None:
    report = validate("dram", table(tmp_path))
    assert report.passed
    assert report.rows[0].label == "DDR4_2400R RoBaRaCoCh all-bank stream"


@pytest.mark.parametrize(
    ("column", "value", "note"),
    [
        ("read_lat_cyc", "1000", "read_lat_cyc is 1000.00"),
        ("row_hits", "300", "row_hits is 300"),
        ("GBps", "5.0", ""),
    ],
)
def test_a_row_out_of_bounds_is_missed(tmp_path: Path, column: str, value: str, note: str) -> None:
    (row,) = validate("dram", table(tmp_path, **{column: value})).rows
    assert row.status == "missed"
    assert note in row.note


def test_rows_within_their_bound_may_still_miss_the_mean(tmp_path: Path) -> None:
    off = float(own_row()["GBps"]) * 1.04
    report = validate("dram", table(tmp_path, GBps=str(off)))
    assert report.rows[0].status == "ok"
    assert not report.passed


@pytest.mark.parametrize(
    ("column", "value", "note"),
    [
        ("mapper", "RoCoBa", "no address mapping"),
        ("refresh", "sometimes", "no refresh is named"),
        ("refresh", "per-bank", "cannot refresh per bank"),
        ("timing", "DDR4_2400Z", "did you mean 'DDR4_2400"),
        ("banks_total", "17", "has 16 banks"),
    ],
)
def test_what_cannot_be_simulated_is_unsupported(
    tmp_path: Path, column: str, value: str, note: str
) -> None:
    report = validate("dram", table(tmp_path, **{column: value}))
    assert report.rows[0].status == "unsupported"
    assert note in report.rows[0].note
    assert not report.passed


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("pattern", "streem", "did you mean 'stream__addr'"),
        ("requests", "499", "has 500"),
        ("standard", "DDR9", "cannot be read as a trace"),
        ("GBps", "0", "should be above 0"),
    ],
)
def test_an_unusable_row_is_an_error(tmp_path: Path, column: str, value: str, problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        validate("dram", table(tmp_path, **{column: value}))
