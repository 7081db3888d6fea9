"""A server CPU with a unit for tiles: blocks by hand, its peak, what runs on it and what not."""

import pytest
from cpu_cases import MACHINES, lower, matmul

from sim.cpu.kernelcores import load_core
from sim.cpu.kernelmachines import KernelCpuMachine, KernelCpuSpec, tile_kernels
from sim.cpu.kernelmachines.kernels import Flavour
from sim.cpu.kernelmachines.loops import orbit_of
from sim.cpu.kernelmachines.multipliers import multipliers
from sim.machine import load_machine
from sim.spec import read_spec_file, validate
from sim.stalls import StallCause

CORE = "sapphire-rapids"
TMUL_CYCLES = 16
"""Of a product of two whole tiles: one of A's 16 rows a cycle."""
BF16 = Flavour("x86_64", 512, "bfloat16", frozenset(load_core(CORE).extensions))
IDEAL = {
    "kind": "ideal",
    "capacity_bytes": "1 GiB",
    "bandwidth_bytes_per_second": "1000000 GB/s",
    "latency_ticks": "0 ns",
}


def machine(**parts):
    """The packaged machine, with parts of its description merged in."""
    path = MACHINES / "cpu-sapphire-rapids.yaml"
    values = dict(read_spec_file(path).values)
    for part, changes in parts.items():
        values[part] = {**values[part], **changes} if part == "core" else changes
    return KernelCpuMachine(validate(KernelCpuSpec, values, path))


def alone(**core):
    return machine(core={"count": 1, **core}, memory=IDEAL)


def mnemonics(kernel):
    return [each.mnemonic for each in kernel.instructions]


def on_core(lowered):
    """Cycles of instructions, without waits for caches and memory."""
    outside = {StallCause.CACHE, StallCause.BANDWIDTH, StallCause.DRAM}
    stalls = lowered.stack.stalls.items()
    return lowered.stack.busy + sum(n for cause, n in stalls if cause not in outside)


@pytest.mark.parametrize(
    ("rows", "columns", "products", "cycles"),
    [
        (32, 32, 4, 4 * TMUL_CYCLES),
        (17, 20, 4, 4 * TMUL_CYCLES),  # edges take whole tiles
        (32, 16, 2, 52),  # two accumulators: each waits 52 cycles for its last sum
        (16, 32, 2, 52),
        (5, 7, 1, 52),
    ],
)
def test_a_step_of_a_block_takes_its_products_of_tiles_or_their_latency(
    rows, columns, products, cycles
):
    kernel = tile_kernels.loop_kernel(rows, columns)
    assert mnemonics(kernel).count("tdpbf16ps") == products
    assert mnemonics(kernel).count("tileloadd") == -(-rows // 16) + -(-columns // 16)
    orbit = orbit_of(kernel, CORE)
    assert orbit.proved
    assert orbit.steady_cycles == cycles
    assert orbit.cycles(40) == orbit.cycles(20) + 20 * cycles


def test_a_product_of_one_block_takes_its_loop_and_its_end():
    lowered = lower(alone(), matmul(32, 32, 4096, dtype="bfloat16"))
    loop = orbit_of(tile_kernels.loop_kernel(32, 32), CORE)
    end = tile_kernels.end_kernel(BF16, 32, 32, adds=False, narrows=True)
    assert on_core(lowered) == loop.cycles(4096 // 32) + orbit_of(end, CORE, once=True).cycles(1)
    assert loop.cycles(128) - 128 * 4 * TMUL_CYCLES < 150  # loads and the last products' latency
    assert lowered.choice == "AMX tiles 32x32"


def test_a_deep_product_keeps_its_sums_in_float32_and_loads_them_again():
    first, middle, last = (
        mnemonics(tile_kernels.end_kernel(BF16, 32, 32, adds=adds, narrows=narrows))
        for adds, narrows in ((False, False), (True, False), (True, True))
    )
    assert [each.count("tilestored") for each in (first, middle, last)] == [4, 4, 4]
    assert [each.count("tilezero") for each in (first, middle, last)] == [4, 0, 0]
    assert [each.count("tileloadd") for each in (first, middle, last)] == [0, 4, 4]
    assert [each.count("vcvtneps2bf16") for each in (first, middle, last)] == [0, 0, 32 * 2]
    lowered = lower(alone(), matmul(64, 32, 800, dtype="bfloat16"))
    deep = 24 * 1024 // (32 * 2)  # a panel of B in half of L1: 384 numbers along k
    loop = orbit_of(tile_kernels.loop_kernel(32, 32), CORE)
    ends = [
        orbit_of(tile_kernels.end_kernel(BF16, 32, 32, adds=a, narrows=n), CORE, once=True)
        for a, n in ((False, False), (True, False), (True, True))
    ]
    blocks = 2 * (2 * loop.cycles(deep // 32) + loop.cycles(1))  # 384 + 384 + 32
    assert on_core(lowered) == blocks + 2 * sum(end.cycles(1) for end in ends)


def test_rounding_goes_vector_by_vector_of_the_rows_that_there_are():
    narrow = Flavour("x86_64", 256, "bfloat16", BF16.extensions)
    for flavour, rows, columns, vectors in (
        (BF16, 5, 32, 5 * 2),
        (BF16, 5, 16, 5),
        (narrow, 5, 16, 5 * 2),
    ):
        end = tile_kernels.end_kernel(flavour, rows, columns, adds=False, narrows=True)
        assert mnemonics(end).count("vcvtneps2bf16") == vectors


def test_the_peak_of_bfloat16_is_that_of_the_unit_for_tiles():
    peaks = load_machine("cpu-sapphire-rapids").peaks().matmul_flops_per_second
    assert peaks["bfloat16"] == 56 * 2_000_000_000 * 16 * 16 * 32 * 2 // TMUL_CYCLES
    assert peaks["float32"] == 56 * 2_000_000_000 * 2 * 16 * 2  # two units of 512 bits
    assert peaks["float16"] == peaks["float32"]


def test_a_large_product_reaches_most_of_the_peak():
    one = alone()
    lowered = lower(one, matmul(512, 1024, 1024, dtype="bfloat16"))
    peak = one.peaks().matmul_flops_per_second["bfloat16"] / one.spec.clock_hz
    reached = 2 * 512 * 1024 * 1024 / lowered.main_cycles / peak
    assert 0.7 < reached < 1
    whole = load_machine("cpu-sapphire-rapids")
    shared = lower(whole, matmul(4096, 4096, 4096, dtype="bfloat16"))
    peak = whole.peaks().matmul_flops_per_second["bfloat16"] / whole.spec.clock_hz
    assert 0.6 < 2 * 4096**3 / shared.main_cycles / peak < 1


def test_a_decode_product_waits_for_memory():
    lowered = lower(load_machine("cpu-sapphire-rapids"), matmul(1, 4096, 4096, dtype="bfloat16"))
    assert lowered.stack.stalls[StallCause.BANDWIDTH] > 0.85 * lowered.main_cycles
    least = 2 * 4096 * 4096 * 2_000_000_000 // 307_200_000_000  # B at the memory's rate
    assert least < lowered.main_cycles < 1.1 * least
    assert lowered.choice.startswith("tiles 1x128")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_tiles_cannot_multiply_runs_on_vectors_and_says_why(dtype):
    lowered = lower(alone(), matmul(28, 64, 64, dtype=dtype))
    assert f"of vectors, as AMX multiplies no {dtype}" in lowered.choice
    assert "AMX" not in lower(alone(), matmul(28, 64, 64, dtype="bfloat16")).choice.split()[1:]


def test_a_core_without_tiles_has_no_such_multiplier():
    both = [len(multipliers(each, one_row=False)) for each in (BF16, _without_tiles())]
    assert both == [3, 2]


def _without_tiles():
    return Flavour("x86_64", 512, "bfloat16", BF16.extensions - tile_kernels.AMX)


def test_tiles_are_many_times_faster_than_float32_vectors():
    half, whole = (
        lower(alone(), matmul(256, 256, 1024, dtype=dtype)).main_cycles
        for dtype in ("bfloat16", "float32")
    )
    assert 8 * half < whole < 16 * half  # the units' peaks are 16 apart
