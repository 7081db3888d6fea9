import pytest
from cpu_cases import cpu, l1, lower, matmul, spec, trace

from sim.errors import SpecError, UnsupportedOpError
from sim.memory.cache.hierarchy import Cache, MainMemory
from sim.stalls import StallCause
from workloads.trace import Family

SINGLE = ("cpu-von-neumann", "cpu-harvard", "cpu-5stage")
LATER = ("cpu-superpipelined", "cpu-dual-issue", "cpu-simd", "cpu-matrix")
ALL = (*SINGLE, *LATER, "cpu-simd-8core")
DRAM_LINE_CYCLES = 66  # 60 ns of latency and 64 bytes at 94.6 % of 12.8 GB/s, at 1 GHz


def row(machine, one_op, **options):
    return lower(cpu(machine), one_op, **options)


def test_a_small_product_takes_exactly_its_instructions_hazards_and_misses():
    lowered = row("cpu-5stage", matmul(1, 4, 3))
    instructions = 6 + 3 * 12 + 6  # gemm_1x4.s: prologue, k rounds, epilogue
    assert lowered.stack.busy == instructions
    assert dict(lowered.stack.stalls) == {
        StallCause.FILL_DRAIN: 4,
        StallCause.CONTROL: 2 * 2,  # the loop's branch is taken twice
        StallCause.DRAM: 3 * DRAM_LINE_CYCLES,  # a line each of A, B and C
    }
    assert lowered.extrapolated_cycles == 0


def test_operands_still_in_the_cache_cost_no_miss():
    warm = row("cpu-5stage", matmul(1, 4, 3), times=2)
    assert StallCause.DRAM not in warm.stack.stalls
    assert warm.traffic["dram"].read_bytes == 0


def test_one_port_loses_a_cycle_to_each_access_at_most_and_two_ports_none():
    one, two = (row(name, matmul(8, 8, 64), times=2) for name in SINGLE[:2])
    accesses = (one.traffic["l1"].read_bytes + one.traffic["l1"].written_bytes) // 4
    assert StallCause.STRUCTURAL not in two.stack.stalls
    assert 0.9 * accesses < one.stack.stalls[StallCause.STRUCTURAL] <= accesses


@pytest.mark.parametrize("dims", [(1, 40, 33), (7, 9, 20), (16, 64, 128)])
def test_each_step_of_the_ladder_is_no_slower_than_the_one_before(dims):
    cycles = [row(name, matmul(*dims)).main_cycles for name in SINGLE]
    assert cycles == sorted(cycles, reverse=True)


@pytest.mark.parametrize("capacity", ["32 KiB", "1 KiB"])
def test_a_product_misses_as_often_as_its_addresses_do_in_a_cache_line_by_line(capacity):
    m, n, k = 8, 8, 32
    machine = cpu("cpu-5stage", caches=l1(capacity))
    lowered = lower(machine, matmul(m, n, k))
    size = machine.spec.levels[0].capacity_bytes
    cache = Cache(MainMemory(0), capacity_bytes=size, line_bytes=64, ways=size // 64, hit_cycles=1)
    a, b, c = 0, m * k * 4, (m + n) * k * 4
    for panel in range(n // 4):
        for block in range(m // 4):
            for at in range(k):
                for element in range(4):
                    cache.access(b + ((panel * k + at) * 4 + element) * 4, write=False)
                for element in range(4):
                    cache.access(a + ((block * k + at) * 4 + element) * 4, write=False)
            for element in range(16):
                cache.access(c + ((panel * m // 4 + block) * 16 + element) * 4, write=True)
    assert lowered.stack.stalls[StallCause.DRAM] == DRAM_LINE_CYCLES * cache.misses


def test_a_sum_of_two_vectors_touches_each_line_once_and_does_each_flop():
    elements = 100
    add = trace(
        Family.ELEMENTWISE, {"elements": elements}, [(elements,)] * 2, [(elements,)], flops=elements
    )
    lowered = row("cpu-5stage", add)
    lines = 3 * 7  # 400 bytes are 6.25 lines
    assert lowered.stack.stalls[StallCause.DRAM] == lines * DRAM_LINE_CYCLES
    assert lowered.traffic["l1"].read_bytes == 2 * 4 * elements
    assert lowered.traffic["l1"].written_bytes == 4 * elements
    assert lowered.stack.busy == 25 * (8 + 4 + 4 + 3 + 1) + 1  # four elements a round, row's end


def test_a_bias_is_walked_anew_for_each_row():
    add = trace(Family.ELEMENTWISE, {"elements": 64}, [(4, 16), (16,)], [(4, 16)], flops=64)
    lowered = row("cpu-5stage", add)
    assert lowered.traffic["l1"].read_bytes == 2 * 64 * 4
    assert lowered.stack.stalls[StallCause.DRAM] == (4 + 1 + 4) * DRAM_LINE_CYCLES


def test_a_softmax_walks_its_rows_three_times_and_misses_once():
    rows, cols = 4, 32
    softmax = trace(
        Family.ROWWISE,
        {"rows": rows, "cols": cols, "passes": 3},
        [(rows, cols)],
        [(rows, cols)],
        flops=5 * rows * cols,
        transcendentals=rows * cols,
    )
    lowered = row("cpu-5stage", softmax)
    assert lowered.traffic["l1"].read_bytes == 3 * rows * cols * 4
    assert lowered.traffic["l1"].written_bytes == rows * cols * 4
    assert lowered.stack.stalls[StallCause.DRAM] == 2 * rows * cols * 4 // 64 * DRAM_LINE_CYCLES


def test_an_argmax_stores_a_row_s_token_and_no_elements():
    argmax = trace(
        Family.ROWWISE,
        {"rows": 2, "cols": 40, "passes": 1},
        [(2, 40)],
        [(2, 1)],
        flops=80,
        kinds=("float32", "int64"),
    )
    lowered = row("cpu-harvard", argmax)
    assert lowered.traffic["l1"].written_bytes == 2 * 8


def test_gathered_rows_come_from_memory_unless_the_whole_table_is_held():
    gather = trace(
        Family.GATHER,
        {"rows": 2, "cols": 16},
        [(2, 16), (2,)],
        [(2, 16)],
        kinds=("float32", "int64"),
    )
    lowered = row("cpu-5stage", gather)
    assert lowered.traffic["l1"].read_bytes == 2 * 16 * 4 + 2 * 8
    assert lowered.stack.stalls[StallCause.DRAM] == (2 + 1 + 2) * DRAM_LINE_CYCLES


@pytest.mark.parametrize("name", ALL)
def test_a_long_loop_is_extrapolated_for_the_most_part(name):
    lowered = row(name, matmul(1, 256, 4096), times=2)
    assert 0.5 < lowered.extrapolated_cycles / lowered.main_cycles <= 1


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dims", [(1, 48, 33), (5, 100, 7), (64, 64, 64), (3, 1, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_no_product_beats_the_multiply_adders_or_the_memory_bus(name, dims, dtype):
    machine = cpu(name)
    lowered = lower(machine, matmul(*dims, dtype=dtype))
    peaks, hertz = machine.peaks(), machine.spec.clock_hz
    m, n, k = dims
    flops = 2 * m * n * k
    assert lowered.main_cycles * peaks.matmul_flops_per_second[dtype] >= flops * hertz
    moved = lowered.traffic["dram"].read_bytes + lowered.traffic["dram"].written_bytes
    assert moved >= (m * k + k * n) * (4 if dtype == "float32" else 2)
    assert lowered.main_cycles * peaks.memory_bytes_per_second >= moved * hertz


@pytest.mark.parametrize("name", ["cpu-superpipelined", "cpu-dual-issue", "cpu-simd"])
@pytest.mark.parametrize("dims", [(1, 40, 33), (7, 9, 20), (16, 64, 128)])
def test_each_idea_on_top_of_five_stages_saves_seconds(name, dims):
    later, five = (cpu(each) for each in (name, "cpu-5stage"))
    cycles = [lower(each, matmul(*dims)).main_cycles for each in (later, five)]
    assert cycles[0] * five.spec.clock_hz < cycles[1] * later.spec.clock_hz


@pytest.mark.parametrize(
    "core",
    [
        {"stages": {"fetch": 2}},
        {"stages": {"decode": 2}},
        {"stages": {"execute": 2}},
        {"stages": {"check": 1}},
    ],
)
def test_a_stage_more_of_any_role_costs_cycles_and_a_second_instruction_saves_some(core):
    product = matmul(4, 9, 20)
    five = lower(cpu("cpu-5stage"), product).main_cycles
    assert lower(cpu("cpu-5stage", core=core), product).main_cycles > five
    assert lower(cpu("cpu-5stage", core={"issue_width": 2}), product).main_cycles < five


def test_the_same_case_gives_the_same_object_and_another_case_another():
    machine = cpu("cpu-5stage")
    product = matmul(4, 4, 4)
    cold = lower(machine, product)
    (op,) = product.blocks[0].ops
    warm = machine.lower(op, None)
    assert machine.lower(op, None) is warm
    assert warm is not cold


def test_a_wide_result_that_cannot_stay_is_written_to_memory():
    machine = cpu("cpu-5stage", caches=l1("1 KiB"))
    lowered = lower(machine, matmul(1, 1024, 1))
    assert lowered.traffic["dram"].written_bytes == 4096


def test_equal_layers_leave_equal_states():
    machine = cpu("cpu-5stage")
    product = matmul(4, 4, 4)
    keys = []
    machine.start(product)
    for layer in range(3):
        machine.lower(product.blocks[0].ops[0], layer)
        keys.append(machine.state_key(layer + 1))
    assert keys[0] == keys[1] == keys[2]
    machine.skip_layers(5)
    assert machine.state_key(8) == keys[2]


def test_an_element_type_without_a_kernel_is_an_error():
    with pytest.raises(UnsupportedOpError, match="no kernel for float64, only for float32"):
        cpu("cpu-5stage").start(matmul(1, 1, 1, dtype="float64"))


def test_operands_of_two_types_are_an_error():
    mixed = matmul(1, 4, 4, kinds=("float32", "int8"))
    with pytest.raises(UnsupportedOpError, match="an operand of int8 in arithmetic on float32"):
        cpu("cpu-5stage").start(mixed)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("core", {"count": 2}, "`prefetch: true` and a shared last cache|several cores need"),
        ("core", {"prefetch": True}, "`prefetch: true` goes with a last cache"),
        ("core", {"lanse": 4}, "key 'core.lanse': unknown; did you mean 'lanes'"),
        ("core", {"count": 0}, "core.count"),
        ("core", {"issue_width": 0}, "core.issue_width"),
        ("core", {"stages": {"fetch": 0}}, "core.stages.fetch"),
        ("core", {"stages": {"fech": 2}}, "'core.stages.fech': unknown; did you mean 'fetch'"),
        ("memory", {"latency_ticks": "60 GB"}, "memory.latency_ticks"),
    ],
)
def test_a_description_that_cannot_be_is_an_error(part, changes, message):
    with pytest.raises(SpecError, match=message):
        spec("cpu-5stage", **{part: changes})
