"""The machines that come with the package, and descriptions that cannot be."""

import pytest
from tpu_cases import spec

from sim.errors import SpecError
from sim.lowering import DRAM
from sim.memory.port import MemoryPort
from sim.tpu.machine import TpuMachine


def test_a_tpu_v3_core_has_half_of_the_chips_published_peaks() -> None:
    peaks = TpuMachine(spec("tpu-v3-core")).peaks()
    assert peaks.matmul_flops_per_second["bfloat16"] == 61_603_840_000_000  # 123 Tflop/s a chip
    assert peaks.vector_flops_per_second == 8 * 128 * 2 * 940_000_000
    assert peaks.memory_bytes_per_second == 450_000_000_000
    assert peaks.ridge_flops_per_byte("bfloat16") == pytest.approx(136.9, abs=0.05)


def test_a_first_byte_from_hbm_takes_399_cycles() -> None:
    tpu = spec("tpu-v3-core")
    assert MemoryPort(tpu.memory, tpu.clock_hz).latency_cycles == 399  # 424 ns of 940 MHz


def test_levels_go_from_the_units_outwards() -> None:
    levels = TpuMachine(spec("tpu-v3-core")).memory_levels()
    assert [level.name for level in levels] == ["vmem", DRAM]
    assert levels[0].bandwidth_bytes_per_second == 2 * 4096 * 940_000_000


def test_a_scratchpad_too_small_for_a_fold_is_refused() -> None:
    with pytest.raises(SpecError, match=r"holds 63 bytes, fewer than the 64.*enlarge scratchpad"):
        spec("toy-4x4", scratchpad__capacity_bytes="255 B")


@pytest.mark.parametrize(
    ("key", "value"),
    [("arrays__count", 0), ("arrays__dataflow", "xs"), ("vector__lanes", -1)],
)
def test_an_impossible_part_is_refused(key: str, value: object) -> None:
    with pytest.raises(SpecError, match=key.replace("__", ".")):
        spec("toy-4x4", **{key: value})
