"""For any flow: both engines agree, cycles are conserved, limits hold, more room never hurts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.pipeline import Flow, StageSpec, run_pipeline


@st.composite
def pipelines(draw):
    stage_count = draw(st.integers(1, 5))
    uop_count = draw(st.integers(0, 25))
    row = st.lists(st.integers(0, 9), min_size=stage_count, max_size=stage_count)
    rows = draw(st.lists(row, min_size=uop_count, max_size=uop_count))
    fences = draw(st.lists(st.booleans(), min_size=uop_count, max_size=uop_count))
    specs = [
        StageSpec(name=f"s{number}", places=draw(st.integers(1, 4)))
        for number in range(stage_count)
    ]
    cycles = np.array(rows, dtype=np.int64).reshape(uop_count, stage_count)
    return specs, Flow(cycles=cycles, fences=np.array(fences, dtype=np.bool_))


@given(pipelines())
@settings(deadline=None)
def test_the_compiled_twin_gives_simpys_times(pipeline):
    specs, flow = pipeline
    simpy = run_pipeline(specs, flow, engine="simpy")
    compiled = run_pipeline(specs, flow, engine="compiled")
    assert np.array_equal(simpy.start, compiled.start)
    assert np.array_equal(simpy.done, compiled.done)
    assert np.array_equal(simpy.leave, compiled.leave)


@given(pipelines())
@settings(deadline=None)
def test_every_stage_accounts_for_every_cycle(pipeline):
    specs, flow = pipeline
    schedule = run_pipeline(specs, flow, engine="compiled")
    for stage in range(len(specs)):
        account = schedule.account(stage)
        assert account.total == schedule.total
        assert account.busy == flow.cycles[:, stage].sum()


@given(pipelines())
@settings(deadline=None)
def test_no_flow_is_faster_than_its_slowest_stage_or_its_longest_uop(pipeline):
    specs, flow = pipeline
    total = run_pipeline(specs, flow, engine="compiled").total
    if len(flow.cycles):
        assert total >= flow.cycles.sum(axis=0).max()
        assert total >= flow.cycles.sum(axis=1).max()


@given(pipelines(), st.integers(0, 4))
@settings(deadline=None)
def test_more_places_are_never_slower(pipeline, widened):
    specs, flow = pipeline
    wider = [
        StageSpec(name=spec.name, places=spec.places + (number == widened % len(specs)))
        for number, spec in enumerate(specs)
    ]
    before = run_pipeline(specs, flow, engine="compiled").total
    assert run_pipeline(wider, flow, engine="compiled").total <= before
