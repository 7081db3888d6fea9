"""The one mechanism: fill, drain, back-pressure and fences, in exact cycles."""

import numpy as np
import pytest

from sim.pipeline import Flow, StageSpec, run_pipeline
from sim.stalls import StallCause

ENGINES = ("simpy", "compiled")


def flow(rows, fences=()):
    cycles = np.array(rows, dtype=np.int64).reshape(len(rows), -1)
    flags = np.zeros(len(rows), dtype=np.bool_)
    flags[list(fences)] = True
    return Flow(cycles=cycles, fences=flags)


def stages(count, **options):
    return [StageSpec(name=f"s{number}", **options) for number in range(count)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("latencies", [[1, 1, 1, 1, 1], [7, 5, 3], [3, 5, 7], [4]])
def test_constant_latencies_take_their_sum_and_the_slowest_for_every_further_uop(latencies, engine):
    schedule = run_pipeline(stages(len(latencies)), flow([latencies] * 100), engine=engine)
    assert schedule.total == sum(latencies) + 99 * max(latencies)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_place_is_double_buffering_loads_hide_behind_computation(engine):
    schedule = run_pipeline(stages(2), flow([[3, 5]] * 4), engine=engine)
    assert schedule.total == 3 + 4 * 5
    assert schedule.start[:, 1].tolist() == [3, 8, 13, 18]
    # The loader finishes uop 1 at cycle 6 and keeps it until the computation of uop 0 ends at 8.
    assert schedule.done[:, 0].tolist() == [3, 6, 11, 16]
    assert schedule.leave[:, 0].tolist() == [3, 8, 13, 18]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_further_place_lets_the_loader_run_further_ahead(engine):
    rows = [[1, 9], [1, 1], [8, 1]]
    one = run_pipeline([StageSpec(name="load"), StageSpec(name="use")], flow(rows), engine=engine)
    two = run_pipeline(
        [StageSpec(name="load"), StageSpec(name="use", places=2)], flow(rows), engine=engine
    )
    assert (one.total, two.total) == (19, 12)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fence_keeps_a_uop_out_until_the_one_before_has_left(engine):
    schedule = run_pipeline(stages(3), flow([[1, 1, 1]] * 4, fences=[2]), engine=engine)
    assert schedule.start[:, 0].tolist() == [0, 1, 4, 5]
    assert schedule.total == 8
    assert schedule.account(0).stalls == {
        StallCause.SYNCHRONISATION: 2,
        StallCause.FILL_DRAIN: 2,
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_waits_go_to_the_causes_that_the_stage_states(engine):
    specs = [
        StageSpec(name="dma"),
        StageSpec(name="core", starved_as=StallCause.BANDWIDTH),
    ]
    schedule = run_pipeline(specs, flow([[10, 4], [10, 4], [10, 4]]), engine=engine)
    core = schedule.account(1)
    assert schedule.total == 34
    assert (core.busy, dict(core.stalls)) == (
        12,
        {StallCause.FILL_DRAIN: 10, StallCause.BANDWIDTH: 12},
    )
    assert schedule.account(0).stalls == {StallCause.FILL_DRAIN: 4}


def test_an_empty_flow_takes_no_time():
    empty = Flow(cycles=np.zeros((0, 2), dtype=np.int64), fences=np.zeros(0, dtype=np.bool_))
    assert run_pipeline(stages(2), empty).total == 0


@pytest.mark.parametrize(
    "bad",
    [
        Flow(cycles=np.ones((2, 3), dtype=np.int64), fences=np.zeros(2, dtype=np.bool_)),
        Flow(cycles=-np.ones((2, 2), dtype=np.int64), fences=np.zeros(2, dtype=np.bool_)),
        Flow(cycles=np.ones((2, 2), dtype=np.int64), fences=np.zeros(3, dtype=np.bool_)),
    ],
)
def test_a_flow_that_does_not_fit_its_stages_is_refused(bad):
    with pytest.raises(ValueError, match="flow"):
        run_pipeline(stages(2), bad)
