"""Overlapped folds behind a memory, against six runs of an independent NPU simulator.

The points were printed by ONNXim (https://github.com/PSAL-POSTECH/ONNXim): weight stationary, one
128 x 128 core, fp16, memory of 614 GB/s. They were written as products of three extents, read here
as M x N x K: of 128x3072x768 and 128x768x3072, equal in folds, the second is 2,238 cycles slower,
which is what four times the A takes longer to load; read the other way it would be the first.

All parameters are published, none is fitted. That repository's configuration of this core,
configs/systolic_ws_128x128_c4_simple_noc_tpuv4.json (09d1fcf), says core_freq 1000 (1 GHz),
icnt_freq 8000, dram_req_size 32; and src/Interconnect.cc (3b53d05) hands each node one request a
cycle: a core draws at most 8 x 32 bytes a cycle, 256 GB/s, however fast the memory behind is. Left
out are the memory's latency, and that read requests share the way out with results.
"""

import pytest

from sim.memory.port import MemoryPort
from sim.spec import MemorySpec
from sim.tpu.array.systolic import ArraySpec, Gemm
from sim.tpu.memory.blocks import ArrayMemory, ArrayUnit, Blocking, Channel, OperandStore
from sim.tpu.memory.sram import DoubleBuffered
from sim.tpu.memory.sram_reference import schedule

CLOCK_HZ = 1_000_000_000
PORT_BYTES_PER_CYCLE = 32 * 8
BOUND = 0.05

UNIT = ArrayUnit(array=ArraySpec(rows=128, cols=128), overlapped=True)
MEMORY = MemorySpec(
    kind="HBM2",
    capacity_bytes="32 GiB",
    bandwidth_bytes_per_second="614 GB/s",
    latency_ticks="0 ns",
)

POINTS = [
    (Gemm(m=128, n=768, k=768), 6_041, -0.005),
    (Gemm(m=128, n=3072, k=768), 19_961, -0.007),
    (Gemm(m=128, n=768, k=3072), 22_199, -0.003),
    (Gemm(m=512, n=3072, k=768), 75_258, +0.009),
    (Gemm(m=2048, n=11008, k=4096), 5_641_020, +0.001),
    (Gemm(m=1, n=3072, k=768), 19_267, -0.024),
]
"""Product, cycles that the other simulator prints, and our error, to three decimals."""

MEMORY_ALONE_ERRORS = [-0.157, -0.052, -0.148, -0.010, -0.001, -0.028]
"""With the core's port left out: three of six miss, all of which load as much as they compute."""


def overlapped(gemm: Gemm, port_bytes_per_cycle: int | None) -> DoubleBuffered:
    half = OperandStore(element_bytes=2)
    channel = Channel(MemoryPort(MEMORY, CLOCK_HZ), port_bytes_per_cycle=port_bytes_per_cycle)
    memory = ArrayMemory(a=half, b=half, c=half, channel=channel)
    return DoubleBuffered(UNIT, memory, gemm, Blocking(m=gemm.m, n=128, k=128, order="mnk"))


@pytest.mark.parametrize(("gemm", "reference", "expected"), POINTS, ids=str)
def test_folds_behind_the_core_s_port_take_what_the_other_simulator_prints(
    gemm: Gemm, reference: int, expected: float
) -> None:
    error = overlapped(gemm, PORT_BYTES_PER_CYCLE).total_cycles / reference - 1
    assert abs(error) < BOUND
    assert error == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(
    ("gemm", "reference", "expected"),
    [
        (gemm, reference, e)
        for (gemm, reference, _), e in zip(POINTS, MEMORY_ALONE_ERRORS, strict=True)
    ],
    ids=str,
)
def test_the_memory_s_bandwidth_alone_explains_only_the_points_that_compute_most(
    gemm: Gemm, reference: int, expected: float
) -> None:
    error = overlapped(gemm, None).total_cycles / reference - 1
    assert error == pytest.approx(expected, abs=0.0015)


def test_every_fold_of_the_largest_point_by_itself_gives_the_same_cycles() -> None:
    plan = overlapped(POINTS[4][0], PORT_BYTES_PER_CYCLE)
    assert schedule(plan, engine="compiled").total == plan.total_cycles
