"""Products on arrays of any dataflow, on one and on several: cycles and bytes by hand, and laws."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tpu_cases import Builder, spec, tensor

from sim.lowering import DRAM, LoweredOp
from sim.machine import load_machine
from sim.run import run
from sim.stalls import StallCause
from sim.tpu.array.partition import Partitioner
from sim.tpu.array.systolic import Dataflow, Drain, Gemm, SystolicSchedule
from sim.tpu.lowering import SCRATCHPAD
from sim.tpu.machine import TpuMachine
from sim.tpu.matmul import plan_matmul
from sim.tpu.operands import Fetch, Movement
from workloads import generate
from workloads.trace import Op, Role
from workloads.zoo import load_model

DATAFLOWS = [flow.value for flow in Dataflow]


def product(m: int, n: int, k: int, batch: int = 1) -> tuple[Builder, Op]:
    build = Builder()
    weight = tensor("w", batch * k, n, role=Role.WEIGHT)
    op = build.matmul(tensor("x", batch * m, k), weight, tensor("y", batch * m, n), batch=batch)
    return build, replace(op, dims={"batch": batch, "m": m, "n": n, "k": k})


AMPLE = {"memory__bandwidth_bytes_per_second": "100 TB/s", "memory__latency_ticks": "0 ns"}
"""No byte is waited for."""


def lowered(
    m: int, n: int, k: int, memory: Mapping[str, object] | None = None, **arrays: object
) -> LoweredOp:
    build, op = product(m, n, k)
    changes = {f"arrays__{key}": arrays[key] for key in arrays} | dict(memory or {})
    machine = TpuMachine(spec("toy-4x4", **changes))
    machine.start(build.trace(op))
    return machine.lower(op, None)


@pytest.mark.parametrize(
    ("dataflow", "drain", "overlapped", "cycles"),
    [
        # 3 x 2 folds of outputs; 4 steps stream, 6 cycles cross, 3 drain
        ("os", "direct", False, 6 * (4 + 6)),
        ("os", "serial", False, 6 * (4 + 6 + 3)),
        ("os", "overlapped", False, 6 * (4 + 6) + 3),
        ("os", "direct", True, 6 * 4 + 6),
        ("os", "serial", True, 6 * (4 + 3) + 6),
        ("os", "overlapped", True, 6 * 4 + 6 + 3),
        # 3 folds of inputs; 4 cycles load, 8 columns stream, 6 cycles cross
        ("is", "direct", False, 3 * (4 + 8 + 6)),
        ("is", "direct", True, 4 + 3 * 8 + 6),
        # 2 folds of weights; 4 cycles load, 10 rows stream, 6 cycles cross
        ("ws", "direct", False, 2 * (4 + 10 + 6)),
        ("ws", "direct", True, 4 + 2 * 10 + 6),
    ],
)
def test_ten_rows_of_four_times_eight_columns(
    dataflow: str, drain: str, overlapped: bool, cycles: int
) -> None:
    made = lowered(10, 8, 4, dataflow=dataflow, drain=drain, double_buffered_weights=overlapped)
    assert made.main_cycles == made.stack.total == cycles


extent = st.integers(1, 40)


array_changes = st.fixed_dictionaries(
    {
        "dataflow": st.sampled_from(DATAFLOWS),
        "drain": st.sampled_from([drain.value for drain in Drain]),
        "double_buffered_weights": st.booleans(),
        "cycles_per_row": st.fixed_dictionaries({"float32": st.integers(1, 3)}),
        "rows": st.integers(1, 9),
        "cols": st.integers(1, 9),
    }
)


@settings(deadline=None, max_examples=150)
@given(arrays=array_changes, m=extent, n=extent, k=extent)
def test_one_product_on_one_array_takes_what_its_schedule_takes(
    arrays: dict[str, object], m: int, n: int, k: int
) -> None:
    made = lowered(m, n, k, AMPLE, **arrays)
    machine = spec("toy-4x4", **{f"arrays__{key}": arrays[key] for key in arrays}).arrays
    schedule = SystolicSchedule(machine.array, Gemm(m=m, n=n, k=k), machine.rate("float32"))
    overlapped = machine.double_buffered_weights
    expected = schedule.overlapped_cycles if overlapped else schedule.serial_cycles
    assert made.main_cycles == expected
    assert made.stack == schedule.stack(overlapped=overlapped)


def test_weights_stream_past_every_fold_of_rows_where_outputs_stay() -> None:
    # x, 160 bytes, past two folds of columns; w, 128 bytes, past three of rows
    assert lowered(10, 8, 4, dataflow="os").traffic[SCRATCHPAD].read_bytes == 2 * 160 + 3 * 128
    # rows lie in the array once, weights stream past three folds of them
    assert lowered(10, 8, 4, dataflow="is").traffic[SCRATCHPAD].read_bytes == 160 + 3 * 128


def test_a_reduction_too_long_for_the_buffers_is_cut_and_its_sums_stay_on_chip() -> None:
    made = lowered(5, 8, 6552, dataflow="os")
    # four columns of weights, 104,832 bytes, would be wanted twice in the buffers' 131,072 bytes
    assert "2 blocks of the reduction" in made.choice
    assert made.main_cycles == 2 * 2 * (6552 + 2 * 6)
    assert made.traffic[DRAM].read_bytes == 4 * (5 * 6552 + 6552 * 8)


def test_sums_that_do_not_fit_are_cut_by_columns_and_inputs_load_again() -> None:
    made = lowered(4, 8196, 8, dataflow="is")
    # 4 x 2048 sums of 4 bytes, twice in 65,536, wait for the second fold of the reduction
    assert "5 blocks of columns" in made.choice
    assert made.main_cycles == 2 * (8196 + 5 * (4 + 6))
    assert made.traffic[DRAM].read_bytes == 4 * (4 * 8 + 8 * 8196)


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_no_operand_is_read_again_where_blocks_of_columns_fit(dataflow: str) -> None:
    made = lowered(10, 8196, 4, dataflow=dataflow)  # weights, 131,136 bytes, exceed the buffers
    assert made.traffic[DRAM].read_bytes == 4 * (10 * 4 + 4 * 8196)


@pytest.mark.parametrize(
    ("dataflow", "shape", "cut", "cycles"),
    [
        ("ws", (4000, 4, 4), "4 x 1 x 1", 4 + 1000 + 6),
        ("is", (4, 4000, 4), "1 x 4 x 1", 4 + 1000 + 6),
        # 4 of 16 results for each array, 3 partial sums each, 4 added at a time
        ("os", (4, 4, 4000), "1 x 1 x 4", 1000 + 6 + 3),
    ],
)
def test_one_fold_on_four_arrays_is_cut_along_what_streams(
    dataflow: str, shape: tuple[int, int, int], cut: str, cycles: int
) -> None:
    made = lowered(*shape, dataflow=dataflow, count=4)
    assert made.main_cycles == cycles
    assert f"1 fold of 4x4 on 4 arrays, each cut {cut} (rows x columns x reduc" in made.choice
    adding = made.stack.stalls.get(StallCause.DATA_DEPENDENCY, 0)
    assert adding == (3 if dataflow == "os" else 0)
    assert ("3 cycles adding partial sums" in made.choice) == (dataflow == "os")


def test_cut_rows_load_the_weights_into_every_array() -> None:
    assert lowered(4000, 4, 4, count=4).traffic[SCRATCHPAD].read_bytes == 4000 * 16 + 4 * 64


def test_five_folds_on_four_arrays_are_shared_in_quarters() -> None:
    # two turns of 400 rows, or five of 100: fewer rows streamed for more loads
    assert lowered(400, 20, 4, count=4).main_cycles == 5 * (4 + 100 + 6)
    assert lowered(400, 20, 4, count=1).main_cycles == 5 * (4 + 400 + 6)


def test_folds_stay_whole_where_they_fill_the_arrays_or_sums_cost_as_much() -> None:
    assert "cut" not in lowered(4000, 16, 4, count=4).choice
    assert "cut" not in lowered(4, 4, 4, count=4, dataflow="os").choice


@settings(deadline=None, max_examples=100)
@given(
    dataflow=st.sampled_from(DATAFLOWS),
    overlapped=st.booleans(),
    count=st.integers(1, 5),
    batch=st.integers(1, 4),
    shape=st.tuples(extent, extent, extent),
)
def test_several_arrays_are_never_slower_than_shared_folds_nor_than_any_partition_without_sums(
    dataflow: str, overlapped: bool, count: int, batch: int, shape: tuple[int, int, int]
) -> None:
    m, n, k = shape
    machine = spec(
        "toy-4x4",
        arrays__dataflow=dataflow,
        arrays__count=count,
        arrays__double_buffered_weights=overlapped,
    )
    _, op = product(m, n, k, batch)
    run_of_folds = plan_matmul(machine, op, ON_CHIP).run
    cycles = run_of_folds.spent(run_of_folds.count)
    assert cycles == run_of_folds.stack().total
    assert cycles * count * 16 >= batch * m * n * k
    gemm = Gemm(m=m, n=n, k=k)
    schedule = SystolicSchedule(machine.arrays.array, gemm)
    even = replace(
        run_of_folds,
        folds=-(-batch * schedule.folds // count),
        streamed=schedule.placement.streamed,
        addition_cycles=0,
    )
    assert cycles <= even.spent(even.count)
    partitioner = Partitioner(machine.arrays.array, count, overlapped=overlapped)
    whole = [cut.cycles for cut in partitioner.partitions(gemm) if cut.reduction == 1]
    assert cycles <= batch * min(whole)
    if batch == 1 and dataflow != "os":
        assert cycles <= partitioner.choose(gemm).best.cycles


ON_CHIP = Movement(fetches=(Fetch(read_bytes=0, late=True),) * 2, written_bytes=0)


def from_memory(op: Op) -> Movement:
    a, b = (access.bytes for access in op.reads)
    fetches = (Fetch(read_bytes=a, late=True), Fetch(read_bytes=b, late=False))
    return Movement(fetches=fetches, written_bytes=0)


@pytest.mark.parametrize(
    ("dataflow", "cycles"),
    [
        ("ws", 2 * (10 + 3 * (4 + 6))),  # both folds loaded for 4, 3 and 3 rows
        ("os", 3 * 2 * (4 + 6)),  # a fold of rows for each block
        ("is", 3 * (4 + 8 + 6)),
    ],
)
def test_blocks_of_rows_that_are_asked_for_load_the_folds_anew(dataflow: str, cycles: int) -> None:
    _, op = product(10, 8, 4)
    plan = plan_matmul(
        spec("toy-4x4", arrays__dataflow=dataflow), op, from_memory(op), least_rounds=3
    )
    assert plan.run.spent(plan.run.count) == cycles
    assert (plan.ahead_bytes, plan.late_bytes) == (128, 160)  # the weights wait in their buffer


def test_blocks_of_rows_cut_folds_of_rows_that_would_have_held_more() -> None:
    _, op = product(10, 8, 4)
    machine = spec("toy-4x4", arrays__dataflow="is")
    run_of_folds = plan_matmul(machine, op, ON_CHIP, least_rounds=2).run
    assert run_of_folds.folds == 2 + 2  # of 5 rows each, instead of 3 of 10
    most = plan_matmul(machine, op, ON_CHIP, least_rounds=99).run
    assert most.folds == 10


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_weights_larger_than_their_buffers_are_read_again_for_each_block_asked_for(
    dataflow: str,
) -> None:
    _, op = product(10, 8196, 4)
    machine = spec("toy-4x4", arrays__dataflow=dataflow)
    plan = plan_matmul(machine, op, from_memory(op), least_rounds=3)
    assert plan.ahead_bytes == 3 * 4 * 4 * 8196


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("name", ["eyeriss-like", "gemmini-like"])
def test_a_small_chip_runs_a_language_model_in_any_dataflow(name: str, dataflow: str) -> None:
    trace = generate(load_model("glassllm-en"), prompt_tokens=20, new_tokens=3, execute=False).trace
    machine = load_machine(name, overrides={"arrays.dataflow": dataflow})
    result = run(trace, machine)  # raises where it beats a law
    assert sum(row.flops for row in result.ops) == trace.flops
