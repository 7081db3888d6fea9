"""The systolic closed forms against moving numbers, and laws that no schedule may break."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.pipeline import Flow, StageSpec, run_pipeline
from sim.tpu.array.partition import Partitioner
from sim.tpu.array.reference import multiply
from sim.tpu.array.skipping import ZeroSkipping
from sim.tpu.array.sparse_reference import multiply_skipping, multiply_structured
from sim.tpu.array.sparsity import StructuredSparsity, ZeroPattern
from sim.tpu.array.systolic import (
    ArraySpec,
    Dataflow,
    Drain,
    Gemm,
    Rate,
    SystolicSchedule,
    sequence_cycles,
)
from sim.tpu.fold_run import FoldRun

small = st.integers(min_value=1, max_value=6)
extent = st.integers(min_value=1, max_value=11)
large = st.integers(min_value=1, max_value=500)
drains = st.sampled_from(Drain)
arrays = st.builds(
    ArraySpec, rows=small, cols=small, dataflow=st.sampled_from(Dataflow), drain=drains
)
weight_arrays = st.builds(ArraySpec, rows=small, cols=small)
gemms = st.builds(Gemm, m=large, n=large, k=large)
rates = st.one_of(
    st.builds(Rate, cycles_per_step=st.integers(1, 3)),
    st.builds(Rate, steps_per_cycle=st.integers(1, 4)),
)


def operands(gemm: Gemm, seed: int, zeros: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers, whose products are exact, a share of them zero."""
    random = np.random.default_rng(seed)
    a = random.integers(1, 10, (gemm.m, gemm.k)) * (random.random((gemm.m, gemm.k)) >= zeros)
    b = random.integers(1, 10, (gemm.k, gemm.n)) * (random.random((gemm.k, gemm.n)) >= zeros)
    return a.astype(np.float64), b.astype(np.float64)


@settings(max_examples=150, deadline=None)
@given(
    array=arrays,
    gemm=st.builds(Gemm, m=extent, n=extent, k=extent),
    seed=st.integers(0, 99),
    overlapped=st.booleans(),
)
def test_moving_numbers_give_the_product_in_the_cycles_of_the_closed_form(
    array: ArraySpec, gemm: Gemm, seed: int, overlapped: bool
) -> None:
    a, b = operands(gemm, seed)
    product = multiply(array, a, b, overlapped=overlapped)
    schedule = SystolicSchedule(array, gemm)
    cycles = schedule.overlapped_cycles if overlapped else schedule.serial_cycles
    assert (product.values == a @ b).all()
    assert (product.cycles, product.folds) == (cycles, schedule.folds)


@settings(max_examples=100, deadline=None)
@given(array=arrays, m=small, n=small, k=small, rate=rates)
def test_overlapped_folds_are_a_pipeline(
    array: ArraySpec, m: int, n: int, k: int, rate: Rate
) -> None:
    schedule = SystolicSchedule(array, Gemm(m=m * 7, n=n, k=k), rate)
    stages, flow = schedule.overlapped_flow()
    drains_beside = len(stages) == 2 and stages[1].name == "drain"
    for engine in ("simpy", "compiled"):
        total = run_pipeline(stages, flow, engine=engine).total
        crossed = total + array.crossing_cycles - drains_beside
        assert crossed == schedule.overlapped_cycles


@given(array=arrays, gemm=gemms, rate=rates)
def test_no_schedule_beats_the_multipliers(array: ArraySpec, gemm: Gemm, rate: Rate) -> None:
    schedule = SystolicSchedule(array, gemm, rate)
    assert schedule.serial_cycles >= schedule.overlapped_cycles >= schedule.least_cycles
    peak = array.elements * rate.steps_per_cycle
    assert schedule.least_cycles * peak >= gemm.macs * rate.cycles_per_step
    assert 0 < schedule.utilisation(schedule.overlapped_cycles) <= 1
    assert 0 < schedule.mapping_efficiency <= 1


@given(array=arrays, gemm=gemms, rate=rates)
def test_every_cycle_of_a_schedule_is_accounted_for(
    array: ArraySpec, gemm: Gemm, rate: Rate
) -> None:
    schedule = SystolicSchedule(array, gemm, rate)
    assert schedule.stack(overlapped=False).total == schedule.serial_cycles
    assert schedule.stack(overlapped=True).total == schedule.overlapped_cycles


@given(array=arrays, gemm=gemms, rate=rates, more=small)
def test_a_larger_product_never_takes_fewer_cycles(
    array: ArraySpec, gemm: Gemm, rate: Rate, more: int
) -> None:
    less = SystolicSchedule(array, gemm, rate)
    for bigger in (
        Gemm(m=gemm.m + more, n=gemm.n, k=gemm.k),
        Gemm(m=gemm.m, n=gemm.n + more, k=gemm.k),
        Gemm(m=gemm.m, n=gemm.n, k=gemm.k + more),
    ):
        schedule = SystolicSchedule(array, bigger, rate)
        assert schedule.serial_cycles >= less.serial_cycles
        assert schedule.overlapped_cycles >= less.overlapped_cycles


@given(array=arrays, gemm=st.builds(Gemm, m=extent, n=extent, k=extent), rate=rates)
def test_a_sequence_of_equal_folds_is_the_closed_form(
    array: ArraySpec, gemm: Gemm, rate: Rate
) -> None:
    schedule = SystolicSchedule(array, gemm, rate)
    streams = [schedule.stream_cycles] * schedule.folds
    assert sequence_cycles(array, streams, overlapped=False) == schedule.serial_cycles
    assert sequence_cycles(array, streams, overlapped=True) == schedule.overlapped_cycles


@settings(max_examples=150, deadline=None)
@given(
    array=arrays,
    gemm=st.builds(Gemm, m=extent, n=extent, k=extent),
    seed=st.integers(0, 99),
    zeros=st.sampled_from((0.0, 0.5, 0.8, 0.95, 1.0)),
    overlapped=st.booleans(),
)
def test_what_is_skipped_changes_no_result_and_never_costs_cycles(
    array: ArraySpec, gemm: Gemm, seed: int, zeros: float, overlapped: bool
) -> None:
    a, b = operands(gemm, seed, zeros)
    skipping = ZeroSkipping(array, ZeroPattern.of(a), ZeroPattern.of(b))
    product = multiply_skipping(array, a, b, overlapped=overlapped)
    cycles = skipping.overlapped_cycles if overlapped else skipping.serial_cycles
    assert (product.values == a @ b).all()
    assert (product.cycles, product.folds) == (cycles, skipping.fold_count)
    dense = SystolicSchedule(array, gemm)
    assert cycles <= (dense.overlapped_cycles if overlapped else dense.serial_cycles)
    useful = int(((a != 0).astype(int) @ (b != 0).astype(int)).sum())
    assert skipping.useful_macs == useful <= skipping.issued_macs <= gemm.macs
    assert cycles * array.elements >= skipping.issued_macs


@settings(max_examples=100, deadline=None)
@given(
    array=arrays,
    gemm=st.builds(Gemm, m=small, n=extent, k=extent),
    sparsity=st.integers(1, 4).flatmap(
        lambda group: st.builds(
            StructuredSparsity, kept=st.integers(1, group), group=st.just(group)
        )
    ),
    seed=st.integers(0, 99),
    overlapped=st.booleans(),
)
def test_compressed_weights_give_the_product_in_the_cycles_of_the_shorter_schedule(
    array: ArraySpec, gemm: Gemm, sparsity: StructuredSparsity, seed: int, overlapped: bool
) -> None:
    group = sparsity.group
    a, b = operands(gemm, seed)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(group), (gemm.n, 99)), axis=1)
    for first in range(0, gemm.k, group):  # prune each group of each column at random
        rows = b[first : first + group]
        rank = np.argsort(order[:, first : first + len(rows)], axis=1).argsort(axis=1).T
        rows[rank >= sparsity.kept] = 0
    product = multiply_structured(array, a, b, sparsity, overlapped=overlapped)
    schedule = sparsity.schedule(array, gemm)
    cycles = schedule.overlapped_cycles if overlapped else schedule.serial_cycles
    assert (product.values == a @ b).all()
    assert (product.cycles, product.folds) == (cycles, schedule.folds)
    assert cycles * array.elements >= np.count_nonzero(b) * gemm.m


@settings(max_examples=80, deadline=None)
@given(
    array=arrays,
    gemm=st.builds(Gemm, m=extent, n=extent, k=extent),
    count=st.integers(1, 6),
    overlapped=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_parts_of_the_best_partition_add_up_to_the_product(
    array: ArraySpec, gemm: Gemm, count: int, overlapped: bool, seed: int
) -> None:
    choice = Partitioner(array, count, overlapped=overlapped).choose(gemm)
    best = choice.best
    a, b = operands(gemm, seed)
    values = np.zeros((gemm.m, gemm.n))
    slowest = 0
    for m, n, k in best.slices():
        product = multiply(array, a[m, k], b[k, n], overlapped=overlapped)
        values[m, n] += product.values
        slowest = max(slowest, product.cycles)
    assert (values == a @ b).all()
    assert slowest == best.compute_cycles
    assert best.arrays <= count
    for simple in (choice.whole, choice.by_rows, choice.by_columns, choice.by_reduction):
        assert best.cycles <= simple.cycles
    assert best.cycles * count * array.elements >= gemm.macs


@st.composite
def fold_runs(draw: st.DrawFn) -> FoldRun:
    """Runs with at least a step for each round."""
    rounds = draw(st.integers(1, 4))
    return FoldRun(
        array=draw(arrays),
        folds=draw(st.integers(1, 5)),
        rounds=rounds,
        streamed=rounds + draw(st.integers(0, 20)),
        rate=draw(rates),
        overlapped=draw(st.booleans()),
        addition_cycles=draw(st.integers(0, 9)),
    )


def streams_of(run: FoldRun) -> list[int]:
    """Cycles for which each fold streams."""
    steps = [len(part) for part in np.array_split(np.arange(run.streamed), run.rounds)]
    return [run.rate.cycles(count) for count in steps for _ in range(run.folds)]


def begins_of(run: FoldRun, streams: list[int]) -> list[int]:
    """When each fold loads, or streams where folds overlap, fold by fold."""
    array = run.array
    if run.overlapped and array.dataflow is not Dataflow.OUTPUT_STATIONARY:
        flow = Flow(
            cycles=np.array([[array.rows, stream] for stream in streams], dtype=np.int64),
            fences=np.zeros(len(streams), dtype=np.bool_),
        )
        stages = (StageSpec(name="load"), StageSpec(name="stream"))
        return run_pipeline(stages, flow, engine="compiled").start[:, 1].tolist()
    begins, end, port = [], 0, 0  # until operands can enter; until results can leave at the end
    for stream in streams:
        if not run.overlapped:
            beside = array.drain is Drain.OVERLAPPED
            drain = 0 if beside else array.drain_cycles
            begins.append(end)
            end += array.load_cycles + stream + array.crossing_cycles + drain
        elif array.drain is Drain.OVERLAPPED:
            begins.append(max(end, port - stream))
            end = begins[-1] + stream
            port = end + array.rows
        else:
            begins.append(end)
            end += stream + array.drain_cycles
    return begins


@settings(deadline=None)
@given(run=fold_runs())
def test_folds_in_rounds_of_unequal_length_take_what_their_sequence_takes(run: FoldRun) -> None:
    streams = streams_of(run)
    assert [run.spent(fold) for fold in range(run.count)] == begins_of(run, streams)
    total = sequence_cycles(run.array, streams, overlapped=run.overlapped) + run.addition_cycles
    assert run.spent(run.count) == run.stack().total == total
    assert run.stack().busy == sum(streams)
