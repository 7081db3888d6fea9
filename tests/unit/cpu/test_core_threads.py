"""Hardware threads of a superscalar core: what they share, and what each has for itself."""

from itertools import pairwise

import pytest

from sim.cpu.cores import CoreSpec, load_core, make_stream, run_core
from sim.cpu.riscv import assemble, execute
from sim.errors import SpecError
from sim.stalls import StallCause

SMT = load_core("ooo-w4-rob128-smt2")
INTERLEAVED = load_core("inorder-w1-interleaved4")
TRIPS = 100
LOOP = "li s1, {trips}\nloop:\n{body}\naddi s1, s1, -1\nbnez s1, loop\nli a7, 93\necall\n"
CHAIN = "mul a0, a0, a1\n" * 8
FREE = "".join(f"mul a{n}, s2, s3\n" for n in range(8))
ADDS = "".join(f"add a{n % 6}, s2, s3\n" for n in range(14))  # four fetches of four with the loop
ENGINES = pytest.mark.parametrize("engine", ["readable", "compiled"])


def changed(spec, **changes):
    return CoreSpec.model_validate({**spec.model_dump(), **changes})


def executed(text):
    return execute(assemble(text, xlen=64, name="test"))


def loop(body, trips=TRIPS):
    return executed(LOOP.format(trips=trips, body=body))


def straight(text):
    return executed(f"{text}\nli a7, 93\necall\n")


@ENGINES
def test_two_dependency_chains_take_about_the_time_of_one(engine):
    chain = loop(CHAIN)
    alone, both = (
        run_core(SMT, *runs, engine=engine).cycles for runs in ((chain,), (chain, chain))
    )
    assert alone >= TRIPS * 8 * 3
    assert both < 1.1 * alone


@ENGINES
def test_two_threads_that_saturate_the_multiplier_take_the_sum(engine):
    free = loop(FREE)
    alone, both = (run_core(SMT, *runs, engine=engine) for runs in ((free,), (free, free)))
    cold = 300  # the first fetches, and branches that are not yet learnt
    assert 0 <= alone.cycles - TRIPS * 8 < cold
    assert 0 <= both.cycles - 2 * TRIPS * 8 < cold
    assert any(stack.stalls[StallCause.STRUCTURAL] for stack in both.timing.stacks)


def test_interleaved_threads_hide_a_latency_that_one_thread_waits_for():
    chain = loop("mul a0, a0, a1\n" * 3)
    alone, both = (run_core(INTERLEAVED, *[chain] * count).cycles for count in (1, 2))
    assert both < 1.3 * alone


def test_threads_together_retire_no_more_than_the_width():
    adds = loop(ADDS, trips=400)
    both = run_core(SMT, adds, adds)
    assert 3 < both.ipc <= SMT.width


def test_each_thread_has_a_stack_of_its_own_cycles():
    short, long = straight("add a0, a1, a1"), loop(CHAIN)
    stacks = run_core(SMT, short, long).timing.stacks
    stream = make_stream(SMT, short, long)
    retired = run_core(SMT, short, long).timing.retired
    ends = [int(retired[end - 1]) + 1 for end in stream.starts[1:]]
    assert [stack.total for stack in stacks] == ends
    assert stacks[0].total < stacks[1].total


def fetch_turns(spec, *runs):
    """Which thread fetched, cycle by cycle, over the first cycles in which any did."""
    stream = make_stream(spec, *runs)
    timing = run_core(spec, *runs, stream=stream).timing
    turns = sorted({(int(timing.fetched[i]), stream.thread_of(i)) for i in range(len(stream))})
    return [thread for _, thread in turns]


def test_round_robin_fetches_in_turn_and_icount_feeds_the_thread_that_issues():
    slow = straight("div a0, a0, a1\n" + "addi a0, a0, 1\n" * 24)  # all in one line
    fast = straight("nop\n" * 26)
    turn, count = (
        fetch_turns(changed(SMT, fetch_policy=policy), slow, fast)
        for policy in ("round-robin", "icount")
    )
    assert all(a != b for a, b in pairwise(turn[3:13]))
    assert count[4:12].count(1) > turn[4:12].count(1)


def test_a_parted_buffer_keeps_a_waiting_thread_from_filling_it():
    waiting = loop("div a0, a0, a2\n" + "add a3, a4, a4\n" * 30)
    busy = loop(CHAIN)
    parted, shared = (
        run_core(changed(SMT, partitioned=parted, reorder_buffer=32), waiting, busy)
        for parted in (True, False)
    )
    assert parted.timing.stacks[1].total < shared.timing.stacks[1].total


def held_at_most(run, thread):
    """The most instructions that a thread had in the reorder buffer at once."""
    begin, end = run.stream.starts[thread : thread + 2]
    renamed, retired = run.timing.renamed[begin:end], run.timing.retired[begin:end]
    return max(int(((renamed <= t) & (retired > t)).sum()) for t in renamed)


@ENGINES
def test_a_thread_of_two_has_half_of_a_parted_reorder_buffer(engine):
    text = straight("div a0, a1, a2\n" + "add a3, a4, a4\n" * 60)
    for parted, places in ((True, 8), (False, 16)):
        spec = changed(SMT, partitioned=parted, reorder_buffer=16)
        assert held_at_most(run_core(spec, text, engine=engine), 0) == places


def test_threads_have_memories_of_their_own_but_one_cache():
    data = "\n.data\n.p2align 6\nx: .dword 0, 0\n"
    text = executed(f"la s0, x\nld a0, 0(s0)\nfence\nld a0, 0(s0)\nli a7, 93\necall\n{data}")
    stream = make_stream(SMT, text, text)
    assert len(stream.fill_level) == 2  # one line of each thread
    sets = SMT.memory.levels[0].capacity_bytes // 64 // SMT.memory.levels[0].ways
    walk = "la s0, x\n" + "".join("ld a0, 0(s0)\nadd s0, s0, s1\n" for _ in range(3))
    body = f"li s1, {64 * sets}\n{walk}fence\n{walk}li a7, 93\necall\n.data\n.p2align 12\nx: "
    three = executed(f"{body}.zero {64 * sets * 3}\n")  # three of a set's four ways
    assert len(make_stream(SMT, three).fill_level) == 3
    assert len(make_stream(SMT, three, three).fill_level) > 6


def test_a_return_stack_belongs_to_one_thread():
    calls = loop("call f\nnop\nj g\nf: ret\ng:")
    alone = make_stream(SMT, calls).mispredicted
    assert make_stream(SMT, calls, calls).mispredicted <= 2 * alone


def test_more_programs_than_threads_are_refused():
    chain = straight("nop")
    with pytest.raises(SpecError, match=r"ooo-w4-rob128-smt2 has 2 hardware thread\(s\) for 3"):
        run_core(SMT, chain, chain, chain)
    with pytest.raises(SpecError, match="for 0 program"):
        make_stream(SMT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threads": 1, "partitioned": True}, "go with `threads` above 1"),
        ({"threads": 1, "fetch_policy": "round-robin"}, "go with `threads` above 1"),
        ({"threads": 0}, "greater than or equal to 1"),
        ({"partitioned": True, "load_queue": 1}, "`load_queue` has no part for each of 2"),
        ({"fetch_policy": "fair"}, "Input should be 'icount' or 'round-robin'"),
    ],
)
def test_threads_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        changed(SMT, **changes)
