"""The suite of measured TPU operations on a few rows, and what it says of rows it cannot run."""

from pathlib import Path
from statistics import median

import pytest

from sim.errors import SpecError
from sim.machine import load_machine
from sim.memory.port import dram_profile
from sim.validation import validate
from sim.validation.measured import TPUS

ROWS = Path(__file__).with_name("data") / "tpu"
FULL = Path(__file__).parents[3] / "shared" / "validation" / "gpu"
GEMM = "device,dtype,m,n,k,latency_us\n"
ATTENTION = "device,dtype,phase,batch,q_len,kv_len,q_heads,kv_heads,head_dim,latency_us\n"


def table(folder: Path, name: str, text: str) -> Path:
    (folder / f"{name}.csv").write_text(text)
    return folder


def test_every_tpu_row_is_simulated_and_other_devices_are_skipped() -> None:
    report = validate("tpu", ROWS)
    assert len(report.rows) >= 10
    assert all(row.label.startswith("TPU_v6e") for row in report.rows)
    assert {row.status for row in report.rows} == {"ok"}
    assert report.passed
    assert "errors are reported, none is bounded" in report.summary
    assert "median" in report.summary


def test_a_product_bound_by_its_weights_takes_their_bytes_over_the_bandwidth(
    tmp_path: Path,
) -> None:
    folder = table(tmp_path, "gemm", GEMM + "TPU_v6e,bf16,1,8192,8192,100\n")
    (row,) = validate("tpu", folder).rows
    least = 2 * 8192 * 8192 / 1638e9 * 1e6
    assert row.simulated is not None
    memory = load_machine("tpu-v6e").spec.memory
    assert memory.dram is not None
    streamed = least / dram_profile(memory.dram).reading
    assert streamed < row.simulated < 1.2 * streamed  # an eighth comes before the arrays begin
    assert row.error == pytest.approx(row.simulated / 100 - 1)


def test_a_large_product_takes_at_least_its_arithmetic(tmp_path: Path) -> None:
    folder = table(tmp_path, "gemm", GEMM + "TPU_v5e,bf16,4096,4096,4096,800\n")
    (row,) = validate("tpu", folder).rows
    least = 2 * 4096**3 / (4 * 128 * 128 * 2 * 1.5e9) * 1e6
    assert row.simulated is not None
    assert least < row.simulated < 1.1 * least


def test_attention_reads_its_cache_once(tmp_path: Path) -> None:
    text = ATTENTION + "TPU_v6e,bf16,decode,16,1,2048,32,8,128,200\n"
    (row,) = validate("tpu", table(tmp_path, "attention", text)).rows
    least = 2 * 2 * 16 * 8 * 2048 * 128 / 1638e9 * 1e6
    assert row.simulated is not None
    assert row.simulated > least


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("gemm", GEMM + "TPU_v6e,fp8,8,8,8,1\n", "no element type of traces is 'fp8'"),
        ("gemm", GEMM + "TPU_v4,fp16,8,8,8,1\n", "not in float16"),
        ("gemm", GEMM + "TPU_v1,bf16,8,8,8,1\n", "int8 alone"),
        ("attention", ATTENTION + "TPU_v6e,bf16,mixed,1,8,8,8,8,8,1\n", "phase 'mixed'"),
        ("attention", ATTENTION + "TPU_v6e,bf16,decode,1,1,8,7,2,8,1\n", "7 heads on 2"),
        ("gemm", GEMM + "TPU_v5e,bf16,8,1000000,1000000,1\n", "needs 2,000.0 GB"),
    ],
)
def test_what_cannot_be_simulated_is_missed_and_says_why(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    report = validate("tpu", table(tmp_path, name, text))
    (row,) = report.rows
    assert row.status == "unsupported"
    assert why in row.note
    assert not report.passed


def test_a_folder_without_a_tpu_is_refused(tmp_path: Path) -> None:
    folder = table(tmp_path, "gemm", GEMM + "A100_SXM,bf16,8,8,8,1\n")
    with pytest.raises(SpecError, match="none of 1 rows is one that 'tpu' compares"):
        validate("tpu", folder)


def test_a_damaged_number_is_named_with_file_and_line(tmp_path: Path) -> None:
    folder = table(tmp_path, "gemm", GEMM + "TPU_v6e,bf16,8,8,eight,1\n")
    with pytest.raises(SpecError, match=r"gemm\.csv, line 2: column 'k' is 'eight'"):
        validate("tpu", folder)


def test_suspect_rows_are_marked_and_counted() -> None:
    report = validate("tpu", ROWS)
    assert {row.note for row in report.rows} <= {"", "SUSPECT"}
    assert "SUSPECT" in {row.note for row in report.rows}


def test_every_device_has_a_chip_of_one_description() -> None:
    assert {chip.machine for chip in TPUS.values()} >= {"tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e"}


def test_the_full_tables_run_whole_and_their_products_keep_their_error() -> None:
    if not FULL.is_dir():
        pytest.skip("the full reference tables are not beside this checkout")
    report = validate("tpu", FULL)
    assert report.passed
    products = [r for r in report.rows if "at" not in r.label.split() and not r.note]
    assert len(products) > 30
    # guards against a change that makes the model worse unnoticed; nothing is fitted to the rows
    assert median(abs(row.error) for row in products if row.error is not None) < 0.25


def test_a_measured_gpu_product_is_timed_without_the_hosts_launches(tmp_path: Path) -> None:
    (tmp_path / "gemm.csv").write_text(
        "device,dtype,m,n,k,latency_us\n"
        "A100_80GB,fp16,4096,4096,4096,600\n"
        "A40,fp16,4096,4096,4096,1200\n"
    )
    report = validate("gpu", tmp_path)
    (row,) = report.rows  # the A40 has no description
    assert row.simulated is not None
    # 2 * 4096^3 operations at 312 Tflop/s are 440 microseconds
    assert 440 < row.simulated < 600
    assert row.error == pytest.approx((row.simulated - 600) / 600)
