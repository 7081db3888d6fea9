"""Laws that every lowered operation obeys, on random shapes and machines."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tpu_cases import Builder, composed, run_uops, spec, tensor

from sim.lowering import DRAM
from sim.tpu.machine import TpuMachine
from workloads.trace import Op, Role

extent = st.integers(min_value=1, max_value=300)
shapes = st.lists(st.tuples(extent, extent, extent), min_size=1, max_size=4)


def chain(shapes: list[tuple[int, int, int]]) -> tuple[Builder, list[Op]]:
    """Products and sums over random shapes, whose operands are on chip or not."""
    build = Builder()
    ops = []
    for number, (m, n, k) in enumerate(shapes):
        a, c = tensor(f"a{number % 2}-{m}-{k}", m, k), tensor(f"c{number}", m, n)
        weight = tensor(f"w{number}", k, n, role=Role.WEIGHT)
        ops += [build.matmul(a, weight, c), build.elementwise((c,), c, flops=m * n)]
    return build, ops


@settings(max_examples=40, deadline=None)
@given(shapes=shapes, double_buffered=st.booleans(), count=st.integers(1, 3))
def test_no_operation_beats_its_units_or_the_memory(
    shapes: list[tuple[int, int, int]], double_buffered: bool, count: int
) -> None:
    machine = TpuMachine(
        spec("toy-4x4", arrays__double_buffered_weights=double_buffered, arrays__count=count)
    )
    build, ops = chain(shapes)
    schedule, _ = composed(machine, build, *ops)
    peaks, hertz = machine.peaks(), machine.spec.clock_hz
    machine.start(build.trace(*ops))
    moved = 0
    for op in ops:
        lowered = machine.lower(op, None)
        product = op.family.value == "matmul"
        peak = peaks.matmul_flops_per_second["float32"] if product else None
        flops_per_cycle = (peak or peaks.vector_flops_per_second) // hertz
        assert lowered.main_cycles * flops_per_cycle >= op.flops
        assert all(stack.total == lowered.main_cycles for stack in lowered.units.values())
        traffic = lowered.traffic[DRAM]
        moved += traffic.read_bytes + traffic.written_bytes
        if product:
            assert traffic.read_bytes >= op.reads[1].bytes
    assert schedule.total * peaks.memory_bytes_per_second >= moved * hertz
    for stage in range(len(machine.stages)):
        assert schedule.account(stage).total == schedule.total


@settings(max_examples=40, deadline=None)
@given(shapes=shapes)
def test_more_bandwidth_is_never_slower(shapes: list[tuple[int, int, int]]) -> None:
    build, ops = chain(shapes)
    totals = [
        composed(
            TpuMachine(spec("toy-4x4", memory__bandwidth_bytes_per_second=f"{rate} MB/s")),
            build,
            *ops,
        )[0].total
        for rate in (50, 400, 450, 8000)
    ]
    assert totals == sorted(totals, reverse=True)


@settings(max_examples=20, deadline=None)
@given(shapes=shapes)
def test_lowering_again_gives_the_same_uops(shapes: list[tuple[int, int, int]]) -> None:
    build, ops = chain(shapes)
    machine = TpuMachine(spec("tpu-v3-core"))
    first, second = (composed(machine, build, *ops)[1] for _ in range(2))
    assert first == second
    assert run_uops(machine, first).total > 0
