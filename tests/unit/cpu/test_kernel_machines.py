"""CPUs of real cores: one operation's cycles by hand, what more of each part buys, bad files."""

import pytest
from cpu_cases import MACHINES, lower, matmul, trace

from sim.cpu.kernelmachines import KernelCpuMachine, KernelCpuSpec, kernels
from sim.cpu.kernelmachines.kernels import ROW_TILE, TILES, Flavour
from sim.cpu.kernelmachines.loops import orbit_of
from sim.cpu.multicore import barrier_cycles
from sim.cpu.passes import Visit, deal
from sim.errors import SpecError, UnsupportedOpError
from sim.machine import load_machine
from sim.run import run
from sim.spec import read_spec_file, validate
from sim.stalls import StallCause
from workloads import generate, load_model
from workloads.trace import Family

NAMES = ("haswell", "skylake", "icelake", "zen3", "zen4", "a76", "a55", "u74")
AVX2 = Flavour("x86_64", 256)


def spec(name, **parts):
    """A packaged machine's description; `parts` are merged into its values, part by part."""
    path = MACHINES / f"cpu-{name}.yaml"
    values = dict(read_spec_file(path).values)
    for part, changes in parts.items():
        values[part] = {**values[part], **changes} if isinstance(changes, dict) else changes
    return validate(KernelCpuSpec, values, path)


def cpu(name, **parts):
    return KernelCpuMachine(spec(name, **parts))


def alone(name, **core):
    """One core of a machine, with memory that costs next to nothing."""
    memory = {
        "kind": "ideal",
        "capacity_bytes": "1 GiB",
        "bandwidth_bytes_per_second": "1000000 GB/s",
        "latency_ticks": "0 ns",
        "dram": None,
        "path_ticks": None,
    }
    return cpu(name, core={"count": 1, **core}, memory=memory)


def add(elements):
    shape = (elements,)
    return trace(
        Family.ELEMENTWISE, {"elements": elements}, [shape, shape], [shape], flops=elements
    )


def instructions_of(lowered):
    """Cycles without waits for caches, memory or other cores."""
    outside = {
        StallCause.CACHE,
        StallCause.DRAM,
        StallCause.BANDWIDTH,
        StallCause.SYNCHRONISATION,
    }
    stalls = lowered.stack.stalls.items()
    return lowered.stack.busy + sum(n for cause, n in stalls if cause not in outside)


def test_a_product_takes_its_tiles_loops_and_ends():
    lowered = lower(alone("zen3"), matmul(6, 16, 40))
    tile = TILES["x86_64", 256]
    loop = orbit_of(kernels.tile_kernel(tile, AVX2, 6, 2), "zen3")
    end = orbit_of(kernels.tile_end(AVX2, 6, 2, adds=False), "zen3", once=True)
    assert instructions_of(lowered) == loop.cycles(40) + end.cycles(1)
    assert 40 * 6 <= loop.cycles(40) <= 40 * 6 + 30
    assert lowered.choice == "tiles 6x16"


def test_an_edge_takes_the_tile_cut_to_its_rows_and_whole_vectors():
    lowered = lower(alone("zen3"), matmul(8, 21, 40))
    tile = TILES["x86_64", 256]
    expected = sum(
        orbit_of(kernels.tile_kernel(tile, AVX2, rows, vectors), "zen3").cycles(40)
        + orbit_of(kernels.tile_end(AVX2, rows, vectors, adds=False), "zen3", once=True).cycles(1)
        for rows in (6, 2)
        for vectors in (2, 1)  # 21 columns are a panel of 16 and a vector of 5
    )
    assert instructions_of(lowered) == expected


def test_a_deep_product_goes_block_by_block_of_k_and_adds_to_c():
    machine = alone("zen3")
    lowered = lower(machine, matmul(12, 16, 300))
    deep = 16 * 1024 // (16 * 4)  # a panel of B in half of L1
    tile = TILES["x86_64", 256]
    loop = orbit_of(kernels.tile_kernel(tile, AVX2, 6, 2), "zen3")
    first, later = (
        orbit_of(kernels.tile_end(AVX2, 6, 2, adds=adds), "zen3", once=True).cycles(1)
        for adds in (False, True)
    )
    assert instructions_of(lowered) == 2 * (loop.cycles(deep) + loop.cycles(44) + first + later)


def test_one_row_takes_the_kernel_of_a_decode_step():
    lowered = lower(alone("zen3"), matmul(1, 64, 40))
    loop = orbit_of(kernels.tile_kernel(ROW_TILE, AVX2, 1, 8), "zen3")
    end = orbit_of(kernels.tile_end(AVX2, 1, 8, adds=False), "zen3", once=True)
    assert instructions_of(lowered) == loop.cycles(40) + end.cycles(1)


def test_a_sum_of_two_vectors_is_one_pass_and_a_row_s_end():
    lowered = lower(alone("zen3"), add(336))
    visit = Visit(reads=2, flops=1, transcendentals=0, writes=1, reduces=False)
    four, one = (
        orbit_of(kernels.pass_kernel(visit, AVX2, unroll=unroll), "zen3", once=unroll == 4)
        for unroll in (4, 1)
    )
    four = orbit_of(kernels.pass_kernel(visit, AVX2, unroll=4), "zen3")
    row = orbit_of(kernels.row_kernel(AVX2, reduces=False, loads=0, stores=0), "zen3", once=True)
    assert instructions_of(lowered) == four.cycles(10) + one.cycles(2) + row.cycles(1)
    assert lowered.traffic["l1"].read_bytes == 2 * 4 * 336
    assert lowered.traffic["l1"].written_bytes == 4 * 336


def test_operands_come_from_the_last_cache_the_second_time():
    machine = cpu("zen4")
    cold, warm = lower(machine, matmul(8, 64, 64)), lower(machine, matmul(8, 64, 64), times=2)
    assert cold.traffic["dram"].read_bytes == 4 * (8 * 64 + 64 * 64 + 8 * 64)
    assert warm.traffic["dram"].read_bytes == 0
    assert StallCause.DRAM in cold.stack.stalls
    assert StallCause.DRAM not in warm.stack.stalls
    assert warm.stack.stalls[StallCause.CACHE] >= machine.spec.levels[-1].hit_cycles


def test_a_private_l2_costs_its_latency_once_and_its_bandwidth_where_it_is_slower():
    fast, slow = (
        lower(alone_with_l2(bytes_per_cycle, hit), matmul(6, 160, 400))
        for bytes_per_cycle, hit in ((64, 12), (1, 12))
    )
    later = lower(alone_with_l2(64, 13), matmul(6, 160, 400))
    assert later.stack.stalls[StallCause.CACHE] == fast.stack.stalls[StallCause.CACHE] + 1
    moved = slow.traffic["l2"].read_bytes
    assert slow.main_cycles >= moved > fast.main_cycles


def alone_with_l2(bytes_per_cycle, hit_cycles):
    """One Skylake core with another L2."""
    caches = read_spec_file(MACHINES / "cpu-skylake.yaml").values["caches"]
    second = {**caches["l2"], "bytes_per_cycle": bytes_per_cycle, "hit_cycles": hit_cycles}
    return cpu("skylake", core={"count": 1}, caches={"l2": second})


def test_cores_wait_for_the_last_one_and_the_barrier():
    machine = cpu("zen4")
    lowered = lower(machine, matmul(1, 16 * 9, 64))
    assert lowered.choice.endswith("columns over 8 cores")
    barrier = barrier_cycles(machine.spec)
    assert barrier == 2 * 3 * 50  # three rounds, two trips to L3 each
    last = min(stack.stalls[StallCause.SYNCHRONISATION] for stack in lowered.units.values())
    assert last == barrier


@pytest.mark.parametrize("name", ["zen4", "icelake"])
@pytest.mark.parametrize("dims", [(64, 512, 256), (1, 4096, 64)])
def test_wider_vectors_are_never_slower(name, dims):
    cycles = [
        lower(cpu(name, core={"vector_bits": bits}), matmul(*dims), times=2).main_cycles
        for bits in (128, 256)
    ]
    assert cycles == sorted(cycles, reverse=True)
    assert dims[0] == 1 or cycles[0] > 1.5 * cycles[1]


@pytest.mark.parametrize("name", NAMES)
def test_more_cores_are_faster_on_a_large_product_and_never_by_more_than_their_number(name):
    counts = (1, 2, 4)
    cycles = [
        lower(cpu(name, core={"count": count}), matmul(96, 768, 256)).main_cycles
        for count in counts
    ]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] < 4.4 * cycles[2]


@pytest.mark.parametrize("name", NAMES)
def test_a_faster_clock_takes_less_time_and_no_fewer_cycles(name):
    base = spec(name)
    slow, fast = (
        lower(cpu(name, clock_hz=f"{base.clock_hz * times // 2} Hz"), matmul(16, 256, 256))
        for times in (1, 2)
    )
    assert slow.main_cycles <= fast.main_cycles <= 2 * slow.main_cycles


@pytest.mark.parametrize("name", ["zen4", "a55"])
def test_a_model_s_prefill_and_decode_keep_every_law(name):
    tokens = generate(
        load_model("glassllm-en"), None, prompt_tokens=2, new_tokens=2, execute=False
    ).trace
    first, second = (run(tokens, load_machine(f"cpu-{name}")) for _ in range(2))
    assert first.cycles == second.cycles
    assert {str(phase.phase) for phase in first.phases} == {"prefill", "decode"}
    assert sum(row.flops for row in first.ops) == tokens.flops


def test_the_ladder_of_real_chips_is_a_ladder_on_a_prefill():
    product = matmul(48, 768, 768)
    seconds = [
        lower(machine, product).main_cycles / machine.spec.clock_hz
        for machine in map(cpu, ("u74", "a55", "haswell", "skylake", "zen3", "zen4"))
    ]
    assert seconds == sorted(seconds, reverse=True)


def test_a_softmax_walks_its_rows_three_times_and_joins_its_accumulators():
    softmax = trace(
        Family.ROWWISE,
        {"rows": 4, "cols": 64, "passes": 3},
        [(4, 64)],
        [(4, 64)],
        flops=5 * 256,
        transcendentals=256,
    )
    lowered = lower(alone("zen3"), softmax)
    loads = lowered.traffic["l1"].read_bytes - 3 * 4 * 64 * 4  # the rest are constants
    assert loads >= 11 * 32 * 4 * 64 // 8  # a vector each for every exponential of eight elements
    assert lowered.traffic["l1"].written_bytes == 4 * 64 * 4


def test_an_argmax_stores_a_row_s_token_and_a_gather_loads_it():
    argmax = trace(
        Family.ROWWISE,
        {"rows": 2, "cols": 40, "passes": 1},
        [(2, 40)],
        [(2, 1)],
        flops=80,
        kinds=("float32", "int64"),
    )
    assert lower(cpu("a76"), argmax).traffic["l1"].written_bytes == 2 * 8
    gather = trace(
        Family.GATHER,
        {"rows": 2, "cols": 16},
        [(2, 16), (2,)],
        [(2, 16)],
        kinds=("float32", "int64"),
    )
    lowered = lower(cpu("u74", core={"count": 1}), gather)
    assert lowered.traffic["l1"].read_bytes == 2 * 16 * 4 + 2 * 8


def test_work_is_dealt_out_in_whole_units_and_adds_up():
    assert deal(100, 8, 4) == (32, 24, 24, 20)
    assert deal(5, 8, 4) == (5,)
    assert deal(16, 1, 3) == (6, 5, 5)


@pytest.mark.parametrize(
    ("one_op", "match"),
    [
        (
            matmul(1, 1, 1, dtype="float8_e4m3"),
            "no kernel for float8_e4m3, only for float32, float16, bfloat16",
        ),
        (
            trace(Family.ATTENTION, {}, [(4,)], [(4,)]),
            "no kernel for the family 'attention'",
        ),
        (
            trace(Family.ELEMENTWISE, {"elements": 4}, [(4,)] * 7, [(4,)]),
            "at most 6 operands in and 5 out",
        ),
        (
            matmul(2, 2, 2, kinds=("float32", "int8")),
            "an operand of int8 in arithmetic on float32",
        ),
    ],
)
def test_what_has_no_kernel_is_an_error_that_names_the_operation(one_op, match):
    with pytest.raises(UnsupportedOpError, match=match):
        cpu("zen4").start(one_op)


def test_operations_come_after_a_start():
    one = matmul(1, 1, 1)
    with pytest.raises(RuntimeError, match="start"):
        cpu("zen4").lower(one.blocks[0].ops[0], None)


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"core.kernel_core": "zen44"}, "no core is named 'zen44'; did you mean 'zen4'"),
        ({"core.vector_bits": 1024}, "zen4 has no kernels of vector_bits 1024; write one of"),
        ({"core.vector_bits": 32}, "write one of: 128, 256, 512"),
        ({"core.kernel_core": "skylake"}, "skylake has no kernels of vector_bits 512"),
        ({"core.kernel_core": "zen2"}, "give the core `widest_vector_bits`"),
        ({"core.count": 0}, "core.count"),
        ({"caches.l1.hit_cycles": 3}, "the first cache must hit in 4 cycles"),
        ({"caches.l3.shared": False}, "a last one, `shared: true`"),
        ({"caches.l1.ways": 7}, "ways|sets"),
    ],
)
def test_a_machine_that_cannot_be_says_why(overrides, match):
    with pytest.raises(SpecError, match=match):
        load_machine("cpu-zen4", overrides=overrides)


def test_the_first_cache_is_private():
    first = read_spec_file(MACHINES / "cpu-zen4.yaml").values["caches"]["l1"]
    with pytest.raises(SpecError, match="one or two private caches"):
        spec("zen4", caches={"l1": {**first, "shared": True}})


def test_a_misspelt_key_names_the_nearest_one(tmp_path):
    text = (MACHINES / "cpu-zen4.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("vector_bits:", "vector_bit:"))
    with pytest.raises(SpecError, match="did you mean 'vector_bits'"):
        load_machine(str(path))
    path.write_text(text.replace("kernel_core:", "kernel_cores:"))
    with pytest.raises(SpecError, match="did you mean 'kernel_core'"):
        load_machine(str(path))
