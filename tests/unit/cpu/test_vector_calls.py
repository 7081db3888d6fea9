"""Operations as calls of the vector kernels, on the core that a machine's description makes."""

import numpy as np
import pytest
from executed_cases import DATA_BASE, NUMBERS, TEXT_BASE, product

from sim.cpu.riscv import assemble
from sim.cpu.riscv.calls import WRITERS, calls_of
from sim.cpu.riscv.compiled import CompiledMachine, CoreTiming
from sim.cpu.riscv.decode_step import packed
from sim.cpu.riscv.kernel_set import SCALAR_KERNELS, vector_kernels
from sim.cpu.riscv.kernels import kernel_text
from sim.errors import SpecError, TokenclockError
from sim.machine import load_machine


def timing(**overrides):
    return CoreTiming.of(load_machine("cpu-simd", overrides=overrides).spec)


def computed(m, n, k, vlen, core=None, *, name="op"):
    """A product by the vector kernels, numpy's, and the cycles that it took."""
    kernels, trace = vector_kernels(vlen), product(m, n, k, name=name)
    (op,) = trace.blocks[0].ops
    a, b, c = (tensor.address for tensor in trace.tensors)
    calls = calls_of(op, (a, b, c), NUMBERS, kernels.writers)
    lines = ["main:", *(line for call in calls for line in call.lines()), "li a7, 10", "ecall"]
    program = assemble(
        "\n".join([*lines, kernel_text(kernels.names)]),
        xlen=64,
        text_base=TEXT_BASE,
        data_base=DATA_BASE,
    )
    room = c + 4 * m * n
    machine = CompiledMachine(
        program, timing=core, regions=[(0, room)], power_off=False, vlen_bits=vlen
    )
    draws = np.random.default_rng(m + n + k)
    x, w = (draws.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    machine.memory.view(a, x.nbytes).view("f4")[:] = x.ravel()
    laid = w.T.ravel() if name == "head" else packed(w, kernels.panel_columns)
    machine.memory.view(b, w.nbytes).view("f4")[:] = laid
    sections = machine.run(limit=10_000_000)
    cycles = sum(section.stack.total for section in sections)
    return machine.memory.view(c, 4 * m * n).view("f4").reshape(m, n), x @ w, cycles


@pytest.mark.parametrize("vlen", [32, 128, 256])
@pytest.mark.parametrize("name", ["op", "head"])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 1, 1), (1, 70, 5), (3, 33, 7), (4, 32, 130), (21, 67, 131), (8, 3, 6)]
)
def test_a_product_of_any_rows_is_numpys(vlen, name, m, n, k):
    got, expected, _ = computed(m, n, k, vlen, name=name)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=2e-5)


def test_every_operation_with_a_scalar_kernel_has_a_vector_one():
    kernels = vector_kernels(256)
    assert set(kernels.writers) == set(WRITERS) == set(SCALAR_KERNELS.writers)


def test_an_operation_without_a_vector_kernel_is_named():
    (op,) = product(1, 1, 1).blocks[0].ops
    with pytest.raises(TokenclockError, match="op: 'matmul' has no kernel in sim/cpu/riscv"):
        calls_of(op, (0, 64, 128), NUMBERS, {})


def test_panels_are_four_registers_wide():
    assert [vector_kernels(vlen).panel_columns for vlen in (32, 128, 256)] == [4, 16, 32]


def test_a_core_with_lanes_has_a_vector_unit_as_wide_as_they_are():
    unit = timing().vector
    assert (unit.datapath_bits, unit.memory_bytes_per_cycle, unit.chaining) == (256, 32, True)
    narrow = timing(**{"core.lanes": 4, "caches.l1.bytes_per_cycle": 8}).vector
    assert (narrow.datapath_bits, narrow.memory_bytes_per_cycle) == (128, 8)
    assert CoreTiming.of(load_machine("cpu-5stage").spec).vector is None


def warm_tile(k, **overrides):
    """Cycles of a tile of four rows by a panel of 32 columns whose operands are cached."""
    kernels, core = vector_kernels(256), timing(**overrides)
    text = ["main:", "la a0, a", "la a1, b", "la a2, c", "li a3, 1", "li a4, 32", f"li a5, {k}"]
    text += ["li a7, 128", "call gemm_tiles_vector", "end: li a7, 10", "ecall"]
    text += [kernel_text(kernels.names), ".data", ".align 6", "c: .zero 512", "a: .zero 1024"]
    program = assemble("\n".join([*text, "b: .zero 8192"]), xlen=64)
    marks = [program.symbols[name] for name in ("gemm_tiles_vector", "end")]
    machine = CompiledMachine(program, timing=core, marks=marks, vlen_bits=256)
    for _ in range(2):
        machine.jump(program.entry)
        tile = machine.run()[1]
    return tile.stack.total


@pytest.mark.parametrize(
    ("overrides", "cycles"),
    [
        # From the last of four products, four cycles apart: the branch and its bubbles, four; the
        # row of B and A's first element, three, until the next step's first product begins.
        ({}, 7 + 3 * 4),
        # The row takes the memory part eight cycles: its last elements, and so the first product's,
        # are there three cycles later.
        ({"caches.l1.bytes_per_cycle": 16}, 7 + 3 * 4 + 3),
        ({"core.fp_latency_cycles": 8}, 7 + 3 * 4),  # there are four sums
        ({"core.forwarding": False}, 8 + 3 * 4),  # A's element comes a cycle later
    ],
)
def test_a_step_of_k_of_a_warm_tile_takes_these_cycles(overrides, cycles):
    assert warm_tile(64, **overrides) - warm_tile(32, **overrides) == 32 * cycles


def test_a_cache_that_moves_fewer_bytes_a_cycle_is_what_a_tile_waits_for():
    fed, starved = (warm_tile(64, **{"caches.l1.bytes_per_cycle": n}) for n in (32, 4))
    assert starved > fed + 60 * (128 // 4 - 16)  # a row of B alone takes 32 cycles


def test_lanes_that_make_no_vector_register_are_refused():
    with pytest.raises(SpecError, match="96"):
        timing(**{"core.lanes": 3})


@pytest.mark.parametrize("name", ["cpu-simd-8core", "cpu-matrix"])
def test_several_cores_prefetch_and_tile_units_are_refused_with_the_remedy(name):
    with pytest.raises(SpecError, match=f"{name}: programs are executed on one core .* cpu-simd"):
        CoreTiming.of(load_machine(name).spec)
