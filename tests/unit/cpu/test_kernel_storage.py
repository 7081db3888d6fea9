"""Numbers of 16 bits on CPUs of real cores: what widens them, what rounds them, what it costs."""

from dataclasses import replace
from fractions import Fraction

import pytest
from cpu_cases import MACHINES, matmul, trace
from cpu_cases import lower as lowered_on
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.kernelcores import KernelError, load_core, parse_kernel, run_kernel
from sim.cpu.kernelcores.body import build_body
from sim.cpu.kernelmachines import KernelCpuMachine, KernelCpuSpec, kernels
from sim.cpu.kernelmachines.kernels import ROW_TILE, TILES, Flavour
from sim.cpu.kernelmachines.loops import orbit_of
from sim.cpu.kernelmachines.multipliers import fastest, multipliers
from sim.cpu.kernelmachines.storage import widened_load
from sim.cpu.passes import Visit
from sim.errors import UnsupportedOpError
from sim.machine import load_machine
from sim.run import run
from sim.spec import read_spec_file, validate
from workloads import generate, load_model
from workloads.trace import Family

HALVES = ("float16", "bfloat16")
COPY = Visit(reads=1, flops=1, transcendentals=0, writes=1, reduces=False)
VISITS = st.builds(
    Visit,
    reads=st.integers(1, 6),
    flops=st.integers(1, 9),
    transcendentals=st.just(0),
    writes=st.integers(1, 5),
    reduces=st.booleans(),
)


def flavour(core, bits, dtype="bfloat16"):
    spec = load_core(core)
    return Flavour(spec.isa, bits, dtype, frozenset(spec.extensions))


def mnemonics(kernel):
    return [each.mnemonic for each in kernel.instructions]


def alone(name):
    """One core of a packaged machine, with memory that costs next to nothing."""
    path = MACHINES / f"cpu-{name}.yaml"
    values = dict(read_spec_file(path).values)
    values["core"] = {**values["core"], "count": 1}
    values["memory"] = {
        "kind": "ideal",
        "capacity_bytes": "1 GiB",
        "bandwidth_bytes_per_second": "1000000 GB/s",
        "latency_ticks": "0 ns",
    }
    return KernelCpuMachine(validate(KernelCpuSpec, values, path))


@pytest.mark.parametrize(
    ("core", "bits", "dtype", "loads", "stores"),
    [
        ("haswell", 256, "float16", ["vcvtph2ps"], ["vcvtps2ph", "vmovups"]),
        ("zen4", 512, "bfloat16", ["vpmovzxwd", "vpslld"], ["vcvtneps2bf16", "vmovups"]),
        ("zen4", 128, "bfloat16", ["vpmovzxwd", "vpslld"], ["vcvtneps2bf16", "vmovq"]),
        (
            "haswell",
            256,
            "bfloat16",
            ["vpmovzxwd", "vpslld"],
            [*("vpsrld", "vpand", "vpaddd", "vpaddd", "vpsrld"), "vpackusdw", "vpermq", "vmovups"],
        ),
        (
            "icelake",
            512,
            "bfloat16",
            ["vpmovzxwd", "vpslld"],
            ["vpsrld", "vpandd", "vpaddd", "vpaddd", "vpsrld", "vpmovdw", "vmovups"],
        ),
        ("cortex-a76", 128, "float16", ["ldr", "fcvtl"], ["fcvtn", "str"]),
        (
            "cortex-a55",
            128,
            "bfloat16",
            ["ldr", "shll"],
            ["ushr", "and", "add", "add", "uzp2", "str"],
        ),
    ],
)
def test_a_pass_widens_what_it_loads_and_rounds_what_it_stores(core, bits, dtype, loads, stores):
    kernel = kernels.pass_kernel(COPY, flavour(core, bits, dtype), unroll=1)
    assert mnemonics(kernel)[: len(loads)] == loads
    assert mnemonics(kernel)[len(loads) + 1 : len(loads) + 1 + len(stores)] == stores
    moved = [each.load.bytes for each in kernel.instructions if each.load][:1]
    assert moved == [bits // 16]  # two bytes for each lane of 32 bits
    assert sum(each.store.bytes for each in kernel.instructions if each.store) == bits // 16


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("core", ["haswell", "zen4", "icelake", "cortex-a76", "cortex-a55"])
@given(visit=VISITS)
@settings(deadline=None, max_examples=4)
def test_a_pass_over_halves_does_the_same_arithmetic_on_half_the_bytes(core, dtype, visit):
    bits = load_core(core).widest_vector_bits
    half = flavour(core, bits, dtype)
    found = kernels.pass_kernel(visit, half, unroll=4).instructions
    whole = kernels.pass_kernel(visit, replace(half, dtype="float32"), unroll=4).instructions
    arithmetic = [
        [i.text.split("[")[0] for i in lines if i.mnemonic in ("vaddps", "fadd")]
        for lines in (found, whole)
    ]
    assert arithmetic[0] == arithmetic[1]
    stored = [sum(i.store.bytes for i in lines if i.store) for lines in (found, whole)]
    assert 2 * stored[0] == stored[1] == visit.writes * bits // 8 * 4
    build_body(kernels.pass_kernel(visit, half, unroll=4), load_core(core))  # has all costs


def test_a_widening_load_costs_a_load_of_its_half():
    narrow = "vpmovzxwd zmm0, ymmword ptr [rsi]"
    kernel = parse_kernel(f"{narrow}\n" * 4, "x86_64")
    found = run_kernel(kernel, load_core("zen4"))
    assert found.bounds.memory == 2  # of 256 bits two a cycle; of 512 bits one
    whole = run_kernel(parse_kernel("vmovups zmm0, [rsi]\n" * 4, "x86_64"), load_core("zen4"))
    assert whole.bounds.memory == 4


@pytest.mark.parametrize(
    ("core", "dtype", "cycles"),
    [
        ("haswell", "float32", 6),
        ("haswell", "float16", 7),  # 12 multiply-adds on p0 and p1, two conversions on p1
        ("haswell", "bfloat16", 7),  # two shifts on p0
        ("zen3", "bfloat16", Fraction(20, 3)),  # with 6 for widening and two shifts on FP1 and FP2
    ],
)
def test_a_tile_of_halves_pays_for_widening_b_beside_its_multiply_adds(core, dtype, cycles):
    kernel = kernels.tile_kernel(TILES["x86_64", 256], flavour(core, 256, dtype), 6, 2)
    found = run_kernel(kernel, load_core(core))
    assert found.bounds.ports == cycles
    assert cycles <= found.cycles_per_iteration < 1.09 * cycles
    arithmetic = [each for each in mnemonics(kernel) if each == "vfmadd231ps"]
    assert len(arithmetic) == 12


@pytest.mark.parametrize("core", ["haswell", "zen4", "cortex-a76"])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("one_row", [False, True])
def test_every_cut_of_a_tile_reads_half_as_much_of_b(core, dtype, one_row):
    bits = load_core(core).widest_vector_bits
    half = flavour(core, bits, dtype)
    tile = ROW_TILE if one_row else TILES[half.isa, bits]
    panel = half.dialect.reads[1]
    for vectors in range(1, tile.vectors + 1):
        lines = kernels.tile_kernel(tile, half, tile.rows, vectors).instructions
        loads = [i for i in lines if i.load and panel in i.load.registers]
        assert sum(i.load.bytes for i in loads) == vectors * bits // 16
        assert sorted(i.load.offset for i in loads) == [n * bits // 16 for n in range(vectors)]
        step = next(i for i in lines if i.mnemonic == "add" and i.text.split()[1][:-1] == panel)
        assert int(step.text.split()[-1].lstrip("#")) == tile.vectors * bits // 16


def test_a_product_of_halves_widens_a_first_and_rounds_c_last():
    half = flavour("zen3", 256)
    lowered = lowered_on(alone("zen3"), matmul(6, 16, 40, dtype="bfloat16"))
    widening = orbit_of(kernels.widen_kernel(half, unroll=4), "zen3").cycles(7)  # 240 numbers
    rest = orbit_of(kernels.widen_kernel(half, unroll=1), "zen3").cycles(2)
    loop = orbit_of(kernels.tile_kernel(TILES["x86_64", 256], half, 6, 2), "zen3").cycles(40)
    end = kernels.tile_end(half, 6, 2, adds=False, narrows=True)
    stored = orbit_of(end, "zen3", once=True).cycles(1)
    causes = [n for cause, n in lowered.stack.stalls.items() if cause in ON_CORE]
    assert lowered.stack.busy + sum(causes) == widening + rest + loop + stored
    assert lowered.choice == "tiles 6x16, widened from bfloat16"
    assert mnemonics(end).count("vpermq") == 12


ON_CORE = ("structural", "fill/drain", "data dependency", "control")


def test_sums_over_parts_of_k_stay_in_float32_until_the_last():
    half = flavour("zen4", 512)
    first = kernels.tile_end(half, 14, 2, adds=False)
    middle = kernels.tile_end(half, 14, 2, adds=True)
    last = kernels.tile_end(half, 14, 2, adds=True, narrows=True)
    assert [mnemonics(end).count("vcvtneps2bf16") for end in (first, middle, last)] == [0, 0, 28]
    assert [mnemonics(end).count("vaddps") for end in (first, middle, last)] == [0, 28, 28]
    stored = [sum(i.store.bytes for i in end.instructions if i.store) for end in (first, last)]
    assert stored == [28 * 64, 28 * 32]


def test_pairs_take_a_dot_product_for_each_multiply_add_and_half_the_iterations():
    half = flavour("zen4", 512)
    pairs = kernels.tile_kernel(TILES["x86_64", 512], half, 14, 2, pairs=True)
    assert mnemonics(pairs).count("vdpbf16ps") == 28
    assert "vfmadd231ps" not in mnemonics(pairs)
    whole = kernels.tile_kernel(TILES["x86_64", 512], replace(half, dtype="float32"), 14, 2)
    assert [i.load for i in pairs.instructions] == [i.load for i in whole.instructions]


@pytest.mark.parametrize("core", ["zen4", "sapphire-rapids"])
@pytest.mark.parametrize("one_row", [False, True])
def test_the_fastest_way_to_multiply_is_taken(core, one_row):
    half = flavour(core, 512)
    ways = multipliers(half, one_row=one_row)
    assert any(way.pairs for way in ways)
    costs = {
        way: orbit_of(way.loop(way.rows, way.columns), core).steady_cycles
        / (way.rows * way.columns * way.depth)
        for way in ways
    }
    assert costs[fastest(half, core, one_row=one_row)] == min(costs.values())


def test_a_decode_step_s_row_on_zen4_takes_pairs_of_bfloat16():
    lowered = lowered_on(alone("zen4"), matmul(1, 256, 64, dtype="bfloat16"))
    assert lowered.choice == "tiles 1x128 of pairs of bfloat16"
    assert lowered_on(alone("zen4"), matmul(1, 256, 64, dtype="float16")).choice == (
        "tiles 1x128, widened from float16"
    )


@pytest.mark.parametrize("dtype", HALVES)
def test_halves_that_are_only_moved_are_moved_as_words_without_conversion(dtype):
    shape = (640,)
    moved = trace(Family.COPY, {"elements": 640}, [shape], [shape], dtype=dtype)
    as_words = trace(Family.COPY, {"elements": 320}, [(320,)], [(320,)])
    halves, words = (lowered_on(alone("zen3"), each) for each in (moved, as_words))
    assert halves.main_cycles == words.main_cycles
    assert halves.traffic == words.traffic


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("a55", "float16"),
        ("a76", "bfloat16"),
        ("zen4", "bfloat16"),
        ("sapphire-rapids", "bfloat16"),
    ],
)
def test_a_model_in_halves_moves_half_the_weights(name, dtype):
    traces = [
        generate(
            load_model("glassllm-en"),
            None,
            prompt_tokens=3,
            new_tokens=2,
            execute=False,
            dtype=each,
        ).trace
        for each in (dtype, "float32")
    ]
    half, whole = (run(each, load_machine(f"cpu-{name}")) for each in traces)
    read = [sum(op.dram_read_bytes for op in result.ops) for result in (half, whole)]
    assert 0 < read[0] < 0.51 * read[1]  # of the A76, all weights fit into the last cache
    assert sum(row.flops for row in half.ops) == traces[0].flops


@pytest.mark.parametrize("dtype", HALVES)
def test_a_core_without_conversions_says_so(dtype):
    with pytest.raises(UnsupportedOpError, match=f"no instruction that converts {dtype}"):
        load_machine("cpu-u74").start(matmul(1, 1, 1, dtype=dtype))
    assert list(load_machine("cpu-u74").peaks().matmul_flops_per_second) == ["float32"]
    with pytest.raises(KernelError, match=f"have no instruction that converts {dtype}"):
        widened_load("riscv64", 0, ("x10", 0), 32, dtype)


def test_the_a55_s_peak_is_one_multiply_add_of_four_numbers_a_cycle():
    peaks = load_machine("cpu-a55").peaks().matmul_flops_per_second
    assert peaks["float32"] == 4 * 2_000_000_000 * 4 * 2  # 64 GFLOP/s
    text = "\n".join(f"fmla v{n}.4s, v30.4s, v31.4s" for n in range(8))
    core = load_core("cortex-a55")
    assert run_kernel(parse_kernel(text, "aarch64"), core).cycles_per_iteration == 8
    short = text.replace(".4s", ".2s")
    assert run_kernel(parse_kernel(short, "aarch64"), core).cycles_per_iteration == 4
    as_llvm = load_core("llvm-cortex-a55")
    assert run_kernel(parse_kernel(text, "aarch64"), as_llvm).cycles_per_iteration == 4


@pytest.mark.parametrize(
    ("text", "per_instruction"),
    [
        ("vpslld zmm{n}, zmm30, 16", 1),  # two passes of 256 bits on two pipes
        ("vpslld ymm{n}, ymm30, 16", Fraction(1, 2)),
        ("vbroadcastss zmm{n}, xmm30", 2),  # two passes on one pipe
    ],
)
def test_zen4_takes_two_passes_for_512_bits(text, per_instruction):
    body = "\n".join(text.format(n=n) for n in range(8))
    found = run_kernel(parse_kernel(body, "x86_64"), load_core("zen4"))
    assert found.bounds.ports == 8 * per_instruction
