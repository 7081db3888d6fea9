"""The core's two fidelities agree on any program, and its extrapolation is exact."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu import inorder_compiled as compiled
from sim.cpu.inorder import PipelineRules, Step, account, simulate
from sim.cpu.isa import parse
from sim.cpu.steady import (
    CAUSE_ORDER,
    CYCLES,
    EXTRAPOLATED,
    LOST,
    Chain,
    LineCost,
    Repeat,
    Segment,
    Timeline,
    step_table,
)
from sim.stalls import StallCause

rules = st.builds(
    PipelineRules,
    forwarding=st.booleans(),
    shared_port=st.booleans(),
    fetch_stages=st.integers(1, 3),
    decode_stages=st.integers(1, 3),
    execute_stages=st.integers(1, 3),
    memory_stages=st.integers(1, 3),
    check_stages=st.integers(0, 2),
    issue_width=st.integers(1, 4),
)


@st.composite
def step(draw):
    kind = draw(st.sampled_from(["alu", "fp", "tile", "load", "store", "branch"]))
    accesses = kind in ("load", "store")
    return Step(
        dest=draw(st.integers(1, 4)) if kind in ("alu", "fp", "tile", "load") else None,
        sources=tuple(draw(st.lists(st.integers(1, 4), max_size=3))),
        latency_cycles=draw(st.integers(2, 6)) if kind in ("fp", "tile") else 1,
        accesses_memory=accesses,
        result_from_memory=kind == "load",
        miss_cycles=draw(st.sampled_from([0, 0, 1, 9])) if accesses else 0,
        missed_to=draw(st.sampled_from([StallCause.CACHE, StallCause.DRAM])),
        taken=kind == "branch" and draw(st.booleans()),
        branch=kind == "branch",
        floating=kind == "fp",
        tile=kind == "tile",
        busy_cycles=draw(st.integers(1, 5)) if kind == "tile" or accesses else 1,
    )


steps = st.lists(step(), min_size=1, max_size=40)


def run_compiled(program, rule, state):
    stamps = np.zeros((len(program), rule.write + 1, 3), dtype=np.int64)
    lost = np.zeros(compiled.CAUSES, dtype=np.int64)
    cycles = compiled.advance(step_table(program), state, compiled.pack(rule), stamps, lost)
    return int(cycles), stamps, lost


@given(program=steps, rule=rules)
@settings(deadline=None, max_examples=150)
def test_the_compiled_core_gives_every_stamp_and_every_stall_of_the_simpy_core(program, rule):
    reference = simulate(program, rule)
    cycles, stamps, lost = run_compiled(program, rule, compiled.initial_state(rule))
    assert (stamps == reference).all()
    stack = account(program, reference, rule)
    assert cycles == stack.total
    assert [stack.stalls.get(cause, 0) for cause in CAUSE_ORDER] == lost.tolist()
    assert stack.stalls[StallCause.FILL_DRAIN] == rule.write


CLASSIC = PipelineRules(forwarding=True, shared_port=False)


@given(program=steps, rule=st.one_of(st.just(CLASSIC), rules))
@settings(deadline=None, max_examples=100)
def test_a_run_that_keeps_no_stamps_takes_the_same_cycles_and_leaves_the_same_state(program, rule):
    with_stamps, without = compiled.initial_state(rule), compiled.initial_state(rule)
    cycles, _, lost = run_compiled(program, rule, with_stamps)
    unstamped_lost = np.zeros(compiled.CAUSES, dtype=np.int64)
    table, packed = step_table(program), compiled.pack(rule)
    none = compiled.no_stamps(rule)
    assert cycles == compiled.advance(table, without, packed, none, unstamped_lost)
    assert (lost == unstamped_lost).all()
    assert (with_stamps == without).all()


def test_the_classic_pipeline_is_the_one_that_the_compiler_knows():
    assert compiled.pack(CLASSIC) == compiled.FIVE_STAGES


@given(program=steps, rule=rules, cuts=st.sets(st.integers(1, 39), max_size=5))
@settings(deadline=None, max_examples=150)
def test_a_program_run_piece_by_piece_takes_as_long_as_at_once(program, rule, cuts):
    whole, _, lost = run_compiled(program, rule, compiled.initial_state(rule))
    state = compiled.initial_state(rule)
    edges = sorted({0, len(program), *(cut for cut in cuts if cut < len(program))})
    pieces = [run_compiled(program[a:b], rule, state) for a, b in pairwise(edges)]
    assert sum(cycles for cycles, _, _ in pieces) == whole
    assert (sum(piece_lost for _, _, piece_lost in pieces) == lost).all()


@given(program=steps, forwarding=st.booleans())
@settings(deadline=None, max_examples=100)
def test_one_shared_port_is_never_faster_than_two(program, forwarding):
    one = PipelineRules(forwarding=forwarding, shared_port=True)
    two = PipelineRules(forwarding=forwarding, shared_port=False)
    cycles = [run_compiled(program, r, compiled.initial_state(r))[0] for r in (one, two)]
    assert cycles[0] >= cycles[1]


def _cycles_with_and_without_forwarding(program, *, shared_port):
    both = [PipelineRules(forwarding=f, shared_port=shared_port) for f in (True, False)]
    return tuple(run_compiled(program, r, compiled.initial_state(r))[0] for r in both)


@given(program=steps)
@settings(deadline=None, max_examples=100)
def test_forwarding_never_makes_a_program_slower_on_ports_of_their_own(program):
    forwarded, stalled = _cycles_with_and_without_forwarding(program, shared_port=False)
    assert forwarded <= stalled


def test_on_a_shared_port_an_earlier_load_can_cost_a_fetch_its_turn():
    load = Step(dest=1, sources=(), accesses_memory=True, result_from_memory=True)
    nothing, add = Step(dest=None, sources=()), Step(dest=1, sources=())
    program = [load, nothing, replace(load, sources=(1,)), add, add]
    assert _cycles_with_and_without_forwarding(program, shared_port=True) == (11, 10)
    assert _cycles_with_and_without_forwarding(program, shared_port=False) == (9, 10)


LINES = st.sampled_from(
    [
        "addi t0, t0, 1",
        "fadd.s f0, f0, f1",
        "fmadd.s f1, f2, f3, f1",
        "flw f2, 0(a0)",
        "flw f3, 8(a1)",
        "fsw f1, 0(a2)",
        "addi a0, a0, 4",
        "addi a1, a1, 24",
        "addi a2, a2, 8",
        "mv a1, s0",
    ]
)
BRANCH = "bne t0, t1, loop"


@given(
    body=st.lists(LINES, min_size=1, max_size=12),
    end=st.lists(LINES, min_size=1, max_size=4),
    rule=rules,
    trips=st.tuples(st.integers(1, 60), st.integers(1, 6)),
    miss=st.integers(0, 70),
)
@settings(deadline=None, max_examples=60)
def test_an_extrapolated_loop_nest_takes_exactly_as_long_as_walked_through(
    body, end, rule, trips, miss
):
    times, rounds = trips

    def segment(lines, *, taken):
        (code,) = parse("\n".join([*lines, BRANCH])).values()
        cost = {10: LineCost(miss, StallCause.DRAM), 12: LineCost(miss)}
        return Segment(code, taken=taken, fp_latency_cycles=4, lines=cost)

    loop, last, after = (
        segment(body, taken=True),
        segment(body, taken=False),
        segment(end, taken=True),
    )
    nest = Repeat(Chain(Repeat(loop, times - 1), last, after), rounds)
    walked = Chain(*([loop] * (times - 1) + [last, after]) * rounds)
    found = Timeline(rule, 64).cost(nest)
    expected = Timeline(rule, 64).cost(walked)
    assert found[CYCLES] == expected[CYCLES]
    assert (found[LOST:EXTRAPOLATED] == expected[LOST:EXTRAPOLATED]).all()
    assert 0 <= found[EXTRAPOLATED] <= found[CYCLES]
