"""Products on a tile unit, in exact cycles and bytes."""

import pytest
from cpu_cases import cpu, l1, lower, matmul, trace

from sim.cpu.inorder import PipelineRules, Step, account, simulate
from sim.cpu.isa import T
from sim.cpu.tile_unit import TileUnitSpec
from sim.errors import SpecError
from sim.run import run
from sim.stalls import StallCause
from workloads import generate, load_model
from workloads.trace import Family

UNIT = {"registers": 8, "rows": 16, "row_bytes": "64 B", "latency_cycles": 52}
RULES = PipelineRules(forwarding=True, shared_port=False)


def unit(**changes):
    return TileUnitSpec(**{**UNIT, **changes})


def with_tiles(**changes):
    return cpu("cpu-matrix", core={"tiles": {**UNIT, **changes}})


def product(total, busy=16):
    """One product of tiles that adds to a register."""
    register = T + total
    return Step(dest=register, sources=(register,), latency_cycles=52, tile=True, busy_cycles=busy)


def executed(*steps):
    return [int(row[RULES.issue + 1, 0]) for row in simulate(steps, RULES)]


def test_the_unit_takes_a_full_product_every_16_cycles_and_not_after_15():
    assert executed(product(0), product(1), product(2)) == [2, 18, 34]


def test_a_shorter_product_frees_the_unit_earlier():
    assert executed(product(0, busy=3), product(1)) == [2, 5]


def test_a_product_on_the_same_sums_waits_52_cycles_and_not_51():
    assert executed(product(0), product(0)) == [2, 54]


def test_other_instructions_pass_a_busy_unit_and_what_waits_for_it_is_structural():
    steps = [product(0), Step(dest=5), Step(dest=6), product(1)]
    assert executed(*steps) == [2, 3, 4, 18]
    stalls = dict(account(steps, simulate(steps, RULES), RULES).stalls)
    assert stalls == {StallCause.FILL_DRAIN: 4, StallCause.STRUCTURAL: 13}


def test_a_tile_s_load_holds_the_cache_for_its_rows_and_is_there_at_the_end():
    load = Step(dest=T, accesses_memory=True, result_from_memory=True, busy_cycles=16)
    steps = [load, product(0)]
    memory, execute = RULES.resolve + 1, RULES.issue + 1
    stamps = simulate(steps, RULES)
    assert stamps[0, memory].tolist() == [3, 19, 19]
    assert stamps[1, execute, 0] == 19


def test_a_product_of_one_tile_takes_its_loads_its_latency_and_its_store():
    lowered = lower(cpu("cpu-matrix"), matmul(16, 16, 16), times=2)
    # 2 moves, zero, 2 loads, product, 2 additions, branch; store, addition, branch
    assert lowered.stack.busy == 12
    assert dict(lowered.stack.stalls) == {
        StallCause.FILL_DRAIN: 4,
        StallCause.STRUCTURAL: 3 * 15,  # each tile of 1024 bytes passes in 16 cycles of 64
        StallCause.DATA_DEPENDENCY: 1 + 48,  # load and use; 52 cycles less 3 instructions and 1
    }


@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 1, 1), (16, 16, 16), (33, 40, 50), (5, 100, 7), (32, 64, 160)]
)
@pytest.mark.parametrize(("dtype", "element"), [("float32", 4), ("bfloat16", 2)])
def test_tiles_load_a_for_each_panel_and_b_for_each_block_of_rows(m, n, k, dtype, element):
    machine = with_tiles()
    lowered = lower(machine, matmul(m, n, k, dtype=dtype))
    panels, blocks = -(-n // 32), -(-m // 32)
    tiles = (panels * m * k + blocks * k * n) * element
    through = 0 if dtype == "float32" else m * n * 4  # sums, before they are narrowed
    read, written = lowered.traffic["l1"].read_bytes, lowered.traffic["l1"].written_bytes
    vector_tails = panels * blocks * 7 * 4
    assert tiles + through <= read <= tiles + through + (vector_tails if through else 0)
    stored = m * n * element + through
    assert stored <= written <= stored + (vector_tails if through else 0)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_large_warm_product_keeps_the_unit_over_half_busy_and_never_beats_it(dtype):
    caches = {"l1": {**l1("4 MiB")["l1"], "bytes_per_cycle": 64}}
    machine = cpu("cpu-matrix", caches=caches)
    m, n, k = 64, 64, 2048
    lowered = lower(machine, matmul(m, n, k, dtype=dtype), times=2)
    peak = machine.peaks().matmul_flops_per_second[dtype] // machine.spec.clock_hz
    assert 0.5 < 2 * m * n * k / peak / lowered.main_cycles <= 1


def test_all_but_products_takes_as_long_as_without_tiles():
    add = trace(Family.ELEMENTWISE, {"elements": 99}, [(99,)] * 2, [(99,)], flops=99)
    cycles = [lower(cpu(name), add).main_cycles for name in ("cpu-simd", "cpu-matrix")]
    assert cycles[0] == cycles[1]


def test_several_cores_with_tile_units_share_a_product_by_whole_blocks():
    several = cpu("cpu-simd-8core", core={"tiles": UNIT})
    assert lower(several, matmul(256, 16, 64)).choice.endswith("rows over 8 cores")
    assert lower(several, matmul(1, 256, 64)).choice.endswith("columns over 8 cores")


@pytest.mark.parametrize(
    ("registers", "block"), [(3, (1, 1)), (4, (1, 1)), (5, (1, 2)), (7, (1, 2)), (8, (2, 2))]
)
def test_registers_bound_the_block_of_sums(registers, block):
    assert unit(registers=registers).block == block


def test_peaks_follow_from_rows_and_their_bytes():
    assert [unit().flops_per_cycle(size) for size in (4, 2)] == [512, 1024]
    assert unit(rows=8).flops_per_cycle(4) == 256  # k is cut to the rows of B's tile
    assert unit(rows=16, row_bytes="32 B").flops_per_cycle(4) == 128


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"registers": 2}, "core.tiles.registers"),
        ({"registers": 9}, "core.tiles.registers"),
        ({"rows": 0}, "core.tiles.rows"),
        ({"row_bytes": "6 B"}, "a row holds whole float32 sums: a multiple of 4 B"),
        ({"row": 1}, "key 'core.tiles.row': unknown; did you mean 'rows'"),
    ],
)
def test_a_tile_unit_that_cannot_be_is_an_error(changes, message):
    with pytest.raises(SpecError, match=message):
        with_tiles(**changes)


def test_a_scalar_core_with_a_tile_unit_multiplies_weights_on_it():
    prompt = generate(load_model("glassllm-en"), prompt_tokens=32, new_tokens=1, execute=False)
    scalar = run(prompt.trace, cpu("cpu-5stage")).cycles
    tiled = run(prompt.trace, cpu("cpu-5stage", core={"tiles": UNIT})).cycles
    assert tiled < scalar * 0.9
