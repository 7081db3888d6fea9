"""Loops of kernels: every number of iterations, to the cycle, and what a core's width buys."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.kernelcores import load_core, parse_kernel, run_kernel
from sim.cpu.kernelcores.body import build_body
from sim.cpu.kernelcores.inorder import InOrderCore, build_in_order
from sim.cpu.kernelcores.ooo import OutOfOrderCore
from sim.cpu.kernelcores.program import build_program
from sim.cpu.kernelmachines import kernels, loops
from sim.cpu.kernelmachines.kernels import ROW_TILE, TILES, Flavour, Tile
from sim.cpu.kernelmachines.loops import orbit_of
from sim.cpu.kernelmachines.machine import multiply_adds_per_cycle
from sim.cpu.passes import Visit
from sim.errors import LawViolationError
from sim.stalls import StallCause

AVX2, AVX512 = Flavour("x86_64", 256), Flavour("x86_64", 512)
NEON, SCALAR = Flavour("aarch64", 128), Flavour("riscv64", 32)
FLAVOURS = {
    "haswell": AVX2,
    "skylake": AVX2,
    "icelake": AVX512,
    "zen3": AVX2,
    "zen4": AVX512,
    "cortex-a76": NEON,
    "cortex-a55": NEON,
    "sifive-u74": SCALAR,
}


def tile(flavour, rows=None, vectors=None):
    whole = TILES[flavour.isa, flavour.bits]
    return kernels.tile_kernel(whole, flavour, rows or whole.rows, vectors or whole.vectors)


def walked(kernel, core, iterations):
    """The cycles of so many iterations by the readable core, step by step."""
    return walked_all(kernel, core, iterations)[-1]


def walked_all(kernel, core, iterations):
    """The cycles of 1, 2, ... so many iterations by the readable core, in one walk."""
    body = build_body(kernel, load_core(core))
    if body.core.order == "in":
        latency = max(op.latency for op in body.micro_ops)
        return [end + latency for end in InOrderCore(build_in_order(body)).run(iterations)]
    return [end + 1 for end in OutOfOrderCore(build_program(body)).run(iterations)]


@pytest.mark.parametrize(
    ("core", "cycles"),
    [
        ("zen4", 28),  # 28 multiply-adds of 512 bits, one a cycle in two halves
        ("icelake", 28),  # one unit of 512 bits
        ("skylake", 6),  # 12 multiply-adds on two units
        ("haswell", 6),
        ("zen3", 6),
        ("cortex-a76", 12),  # 24 on two units
    ],
)
def test_a_full_tile_keeps_the_multiply_add_units_busy_in_every_cycle(core, cycles):
    orbit = orbit_of(tile(FLAVOURS[core]), core)
    assert orbit.proved
    assert orbit.steady_cycles == cycles


def test_one_row_is_bound_by_its_nine_loads_on_two_ports_or_by_a_multiply_add_s_latency():
    kernel = kernels.tile_kernel(ROW_TILE, AVX2, 1, 8)
    for core in ("zen3", "zen4"):
        assert orbit_of(kernel, core).steady_cycles == Fraction(9, 2)
    haswell = orbit_of(kernel, "haswell")
    assert haswell.steady_cycles == 5
    assert haswell.bottleneck is StallCause.DATA_DEPENDENCY


@pytest.mark.parametrize("core", FLAVOURS)
@given(
    rows=st.integers(1, 3),
    vectors=st.integers(1, 2),
    iterations=st.integers(1, 60),
)
@settings(deadline=None, max_examples=4)
def test_a_loop_takes_what_the_readable_core_says_after_as_many_iterations(
    core, rows, vectors, iterations
):
    kernel = tile(FLAVOURS[core], rows, vectors)
    assert orbit_of(kernel, core).cycles(iterations) == walked(kernel, core, iterations)


@pytest.mark.parametrize("core", ["zen4", "skylake", "cortex-a55"])
def test_beyond_what_was_simulated_the_period_gives_the_same_cycles_as_walking_on(core):
    kernel = tile(FLAVOURS[core])
    orbit = orbit_of(kernel, core)
    known = len(orbit.ends)
    assert known < 150
    assert orbit.extrapolated_cycles(known) == 0
    assert orbit.extrapolated_cycles(known + 1) > 0
    steps = walked_all(kernel, core, known + max(37, orbit.period + 1))
    assert [orbit.cycles(count) for count in range(1, len(steps) + 1)] == steps


@pytest.mark.parametrize("core", FLAVOURS)
def test_a_loop_s_steady_state_is_that_of_the_kernel_command(core):
    kernel = tile(FLAVOURS[core])
    steady = orbit_of(kernel, core).steady_cycles
    assert steady == run_kernel(kernel, load_core(core)).cycles_per_iteration


def test_without_a_proved_period_the_loop_continues_as_its_second_half(monkeypatch):
    kernel = tile(AVX2)
    proved = orbit_of(kernel, "skylake")
    assert proved.proved
    monkeypatch.setattr(loops, "SEARCHED_ITERATIONS", 10)
    guessed = orbit_of.__wrapped__(kernel, "skylake")
    assert not guessed.proved
    assert guessed.cycles(10) == proved.cycles(10)
    assert guessed.cycles(1000) == pytest.approx(proved.cycles(1000), rel=0.02)


def test_straight_line_code_never_overlaps_with_itself():
    end = kernels.tile_end(AVX2, 6, 2, adds=True)
    once = orbit_of(end, "zen4", once=True)
    assert once.cycles(1) == walked(end, "zen4", 1)
    assert once.cycles(5) == 5 * once.cycles(1)
    assert once.stack(1).stalls.keys() <= {StallCause.FILL_DRAIN}


@pytest.mark.parametrize(
    ("text", "core", "cause"),
    [
        ("vaddps ymm0, ymm0, ymm1", "skylake", StallCause.DATA_DEPENDENCY),
        ("vdivps ymm0, ymm1, ymm2", "skylake", StallCause.STRUCTURAL),
        ("loop: jmp loop", "zen4", StallCause.CONTROL),
    ],
)
def test_what_a_loop_loses_goes_to_its_bottleneck(text, core, cause):
    stack = orbit_of(parse_kernel(text, "x86_64"), core).stack(1000)
    assert set(stack.stalls) <= {cause, StallCause.FILL_DRAIN}
    assert stack.stalls[cause] > stack.busy
    assert stack.total == orbit_of(parse_kernel(text, "x86_64"), core).cycles(1000)


def test_a_chain_of_additions_counts_one_busy_cycle_in_sixteen():
    orbit = orbit_of(parse_kernel("vaddps ymm0, ymm0, ymm1", "x86_64"), "skylake")
    stack = orbit.stack(160)
    assert stack.busy == 160 // 4  # four can issue a cycle
    assert stack.stalls[StallCause.DATA_DEPENDENCY] == 160 * 4 - 40  # one every four cycles


def test_no_iterations_take_no_cycles():
    assert orbit_of(tile(AVX2), "zen3").cycles(0) == 0


def test_a_core_whose_fidelities_disagree_is_refused(monkeypatch):
    monkeypatch.setattr(OutOfOrderCore, "run", lambda _, count: [7] * count)
    with pytest.raises(LawViolationError, match="the readable core ends iterations at"):
        orbit_of.__wrapped__(tile(AVX2), "zen3")


@pytest.mark.parametrize("core", FLAVOURS)
def test_every_cut_of_every_tile_does_its_multiply_adds_and_no_more(core):
    flavour = FLAVOURS[core]
    for whole in (TILES[flavour.isa, flavour.bits], ROW_TILE):
        for rows in range(1, whole.rows + 1):
            for vectors in range(1, whole.vectors + 1):
                lines = kernels.tile_kernel(whole, flavour, rows, vectors).instructions
                arithmetic = [i for i in lines if i.mnemonic.startswith(("vfmadd", "fm"))]
                assert len(arithmetic) == rows * vectors
                assert all(line.width_bits in (flavour.bits, 64) for line in arithmetic)


VISITS = st.builds(
    Visit,
    reads=st.integers(1, 6),
    flops=st.integers(0, 9),
    transcendentals=st.just(0),
    writes=st.integers(0, 5),
    reduces=st.booleans(),
)


@pytest.mark.parametrize("flavour", [AVX2, AVX512, Flavour("x86_64", 128), NEON, SCALAR])
@given(visit=VISITS)
@settings(deadline=None, max_examples=10)
def test_a_pass_loads_stores_and_computes_exactly_what_it_says(flavour, visit):
    lines = kernels.pass_kernel(visit, flavour, unroll=4).instructions
    added = [i for i in lines if i.mnemonic in ("vaddps", "fadd", "fadd.s")]
    assert len(added) == 4 * visit.flops
    assert sum(i.store is not None for i in lines) == 4 * visit.writes
    joined = min(visit.flops, visit.reads - 1)  # the other operands
    constants = visit.flops - joined - (visit.reduces and visit.flops > joined)
    in_memory = 4 * constants if flavour.isa == "x86_64" else 0  # AVX2 has no register for it
    assert sum(i.load is not None for i in lines) == 4 * visit.reads + in_memory
    longer = replace(visit, transcendentals=1)
    more = len(kernels.pass_kernel(longer, flavour, unroll=4).instructions) - len(lines)
    assert more == 4 * {"x86_64": 17, "aarch64": 22, "riscv64": 17}[flavour.isa]


@pytest.mark.parametrize(
    ("core", "rates"),
    [
        ("zen4", {128: 2, 256: 2, 512: 1}),
        ("icelake", {128: 2, 256: 2, 512: 1}),
        ("haswell", {128: 2, 256: 2}),
        ("skylake", {128: 2, 256: 2}),
        ("zen3", {128: 2, 256: 2}),
    ],
)
def test_the_peak_is_that_of_the_core_s_multiply_add_units(core, rates):
    found = {bits: multiply_adds_per_cycle(core, Flavour("x86_64", bits)) for bits in rates}
    assert found == rates


def test_a_text_for_another_width_scales_whole_vectors_and_nothing_else():
    text = "    vmovups ymm3, [rsi+96]  # vector 3 of ymm3, 32\n    add rdi, 24"
    wide = "    vmovups zmm3, [rsi+192]  # vector 3 of ymm3, 32\n    add rdi, 24"
    assert kernels.widened(text, AVX512) == wide
    assert kernels.widened(text, AVX2) == text
    assert "xmm3, [rsi+48]" in kernels.widened(text, Flavour("x86_64", 128))


def test_more_vectors_never_make_a_tile_s_multiply_add_dearer():
    costs = [
        orbit_of(kernels.tile_kernel(ROW_TILE, AVX2, 1, n), "zen3").steady_cycles / n
        for n in range(1, 9)
    ]
    assert all(wide <= narrow for narrow, wide in pairwise(costs))


def test_a_tile_without_a_file_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"gemm_9x9\.s"):
        kernels.tile_kernel(Tile("gemm_9x9", 9, 9), AVX2, 1, 1)
