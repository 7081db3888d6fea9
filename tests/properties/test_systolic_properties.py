"""The systolic closed forms against moving numbers, and laws that no schedule may break."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.pipeline import Flow, StageSpec, run_pipeline
from sim.tpu.matmul import FoldRun
from sim.tpu.reference import multiply
from sim.tpu.systolic import ArraySpec, Gemm, SystolicSchedule

small = st.integers(min_value=1, max_value=6)
large = st.integers(min_value=1, max_value=500)
arrays = st.builds(ArraySpec, rows=small, cols=small)
gemms = st.builds(Gemm, m=large, n=large, k=large)


@settings(max_examples=60, deadline=None)
@given(array=arrays, m=small, n=st.integers(1, 13), k=st.integers(1, 13), seed=st.integers(0, 99))
def test_moving_numbers_give_the_product_in_the_cycles_of_the_closed_form(
    array: ArraySpec, m: int, n: int, k: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    a = random.integers(-9, 10, (m, k)).astype(np.float64)
    b = random.integers(-9, 10, (k, n)).astype(np.float64)
    product = multiply(array, a, b)
    schedule = SystolicSchedule(array, Gemm(m=m, n=n, k=k))
    assert (product.values == a @ b).all()
    assert (product.cycles, product.folds) == (schedule.serial_cycles, schedule.folds)


@settings(deadline=None)
@given(array=arrays, m=large, n=small, k=small)
def test_overlapped_folds_are_a_two_stage_pipeline(
    array: ArraySpec, m: int, n: int, k: int
) -> None:
    schedule = SystolicSchedule(array, Gemm(m=m, n=n, k=k))
    stages, flow = schedule.overlapped_flow()
    for engine in ("simpy", "compiled"):
        streamed = run_pipeline(stages, flow, engine=engine).total
        assert streamed + array.crossing_cycles == schedule.overlapped_cycles


@given(array=arrays, gemm=gemms)
def test_no_schedule_beats_the_multipliers(array: ArraySpec, gemm: Gemm) -> None:
    schedule = SystolicSchedule(array, gemm)
    assert schedule.serial_cycles >= schedule.overlapped_cycles
    assert schedule.overlapped_cycles * array.elements >= gemm.macs
    assert 0 < schedule.utilisation(schedule.overlapped_cycles) <= 1
    assert 0 < schedule.mapping_efficiency <= 1


@given(array=arrays, gemm=gemms, dm=small, dn=small, dk=small)
def test_a_larger_product_never_takes_fewer_cycles(
    array: ArraySpec, gemm: Gemm, dm: int, dn: int, dk: int
) -> None:
    less = SystolicSchedule(array, gemm)
    more = SystolicSchedule(array, Gemm(m=gemm.m + dm, n=gemm.n + dn, k=gemm.k + dk))
    assert more.serial_cycles >= less.serial_cycles
    assert more.overlapped_cycles >= less.overlapped_cycles


@st.composite
def fold_runs(draw: st.DrawFn) -> FoldRun:
    """Runs with at least a row for each round."""
    rounds = draw(st.integers(1, 4))
    return FoldRun(
        array=draw(arrays),
        folds=draw(st.integers(1, 5)),
        rounds=rounds,
        rows=rounds + draw(st.integers(0, 20)),
        cycles_per_row=draw(st.integers(1, 3)),
        overlapped=draw(st.booleans()),
    )


@settings(deadline=None)
@given(run=fold_runs())
def test_folds_in_rounds_of_unequal_rows_take_what_a_pipeline_takes(run: FoldRun) -> None:
    array = run.array
    rows = [len(part) for part in np.array_split(np.arange(run.rows), run.rounds)]
    streams = [count * run.cycles_per_row for count in rows for _ in range(run.folds)]
    if run.overlapped:
        flow = Flow(
            cycles=np.array([[array.rows, stream] for stream in streams], dtype=np.int64),
            fences=np.zeros(len(streams), dtype=np.bool_),
        )
        stages = (StageSpec(name="load weights"), StageSpec(name="stream"))
        schedule = run_pipeline(stages, flow, engine="compiled")
        begins = schedule.start[:, 1].tolist()
        total = schedule.total + array.crossing_cycles
    else:
        each = [array.rows + stream + array.crossing_cycles for stream in streams]
        begins = [sum(each[:fold]) for fold in range(len(each))]
        total = sum(each)
    assert [run.spent(fold) for fold in range(run.count)] == begins
    assert run.spent(run.count) == run.stack().total == total
    assert run.stack().busy == sum(streams)
