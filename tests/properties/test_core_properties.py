"""Superscalar cores on random programs: both engines agree, and what no core can do is not done."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sim.cpu.cores import CoreSpec, load_core, make_stream, run_core
from sim.cpu.riscv import assemble, execute

BASE = load_core("ooo-w4-rob128-gshare").model_dump()
REGISTERS = ("a0", "a1", "a2", "a3", "t0", "t1")
LINES = 6
FAR = 64 * 9 * 14 + 64
"""Bytes that the longest walk of a random program may cover."""
REGISTER = st.sampled_from(REGISTERS)
OFFSET = st.integers(0, 8 * LINES - 1).map(lambda word: 8 * word)


def three(name):
    return st.builds(lambda d, s, t: f"{name} {d}, {s}, {t}", REGISTER, REGISTER, REGISTER)


PLAIN = st.one_of(
    *map(three, ("add", "xor", "mul", "sub")),
    st.builds(lambda d, o: f"ld {d}, {o}(s0)", REGISTER, OFFSET),
    st.builds(lambda d, o: f"sd {d}, {o}(s0)", REGISTER, OFFSET),
    st.builds(lambda s, d: f"fcvt.d.l f{d}, {s}", REGISTER, st.integers(0, 3)),
    st.builds("fmadd.d f{0}, f{1}, f{2}, f{0}".format, *[st.integers(0, 3)] * 3),
    st.builds(
        lambda s, n: f"andi t2, {s}, {n}\nbnez t2, 1f\nadd a0, a0, a1\n1:",
        REGISTER,
        st.integers(1, 3),
    ),
    st.just("call helper"),
    st.builds(
        lambda d, b: f"ld {d}, 0(s2)\naddi s2, s2, {b}", REGISTER, st.sampled_from([-8, 8, 64])
    ),
)
SLOW = st.one_of(PLAIN, three("div"), st.just("fence"), st.just("amoadd.d a0, a1, (s0)"))


def programs(lines):
    return st.builds(
        lambda body, trips: (
            "la s0, data\naddi s2, s0, 128\nli s1, "
            f"{trips}\nloop:\n" + "\n".join(body) + "\naddi s1, s1, -1\nbnez s1, loop\n"
            "li a7, 93\necall\nhelper: addi a1, a1, 5\nret\n"
            f".data\n.p2align 6\n.zero {FAR}\ndata: .zero {64 * LINES + FAR}\n"
        ),
        st.lists(lines, min_size=1, max_size=14),
        st.integers(1, 9),
    )


SCHEMES = st.sampled_from(
    [
        {"scheme": "not-taken"},
        {"scheme": "gshare", "table_bits": 4, "history_bits": 3},
        {"scheme": "tournament", "table_bits": 5, "local_bits": 4, "targets": 4},
        {"scheme": "tage", "tag_bits": [5, 6], "history_lengths": [3, 7], "tagged_bits": 4},
        {"scheme": "perfect"},
    ]
)


PREFETCHERS = st.none() | st.builds(
    lambda entries, lines, second, page: {
        "entries": entries,
        "lines": lines,
        "second_level_lines": second,
        "page_bytes": page,
    },
    st.sampled_from([1, 3, 32]),
    st.integers(1, 3),
    st.sampled_from([0, 2, 9]),
    st.sampled_from([None, 128, 4096]),
)


ROWS = st.none() | st.builds(
    lambda banks, every: {
        "row_bytes": 128,
        "banks": banks,
        "activate_cycles": 7,
        "precharge_cycles": 3,
        "refresh_every_cycles": every,
        "refresh_cycles": 30,
    },
    st.sampled_from([1, 2, 8]),
    st.sampled_from([100, 7800]),
)


@st.composite
def cores(draw, *, simple=False):
    """Any core; a simple one has nothing that a younger instruction could take from an older."""
    spec = {**BASE, "branches": draw(SCHEMES)}
    spec["order"] = draw(st.sampled_from(["in-order", "out-of-order"]))
    spec["width"] = draw(st.sampled_from([1, 2, 3, 4, 8]))
    for key in ("reorder_buffer", "issue_queue", "load_queue", "store_buffer"):
        spec[key] = draw(st.sampled_from([1, 2, 5, 32]))
    squash = None if simple else draw(st.sampled_from([None, 1, 3]))
    spec["front_end"] = {
        **BASE["front_end"],
        "cycles": draw(st.integers(1, 6)),
        "redirect_cycles": draw(st.integers(0, 3)),
        "line_bytes": draw(st.sampled_from([8, 64])),
        "squash_per_cycle": squash,
    }
    units = spec["units"] = {**BASE["units"]}
    for name in ("alu", "multiply", "float_multiply", "address"):
        units[name] = {**units[name], "count": draw(st.integers(1, 3))}
    units["loads_per_cycle"] = draw(st.integers(1, 2))
    spec["memory"] = {
        **BASE["memory"],
        "memory_line_cycles": 0 if simple else draw(st.integers(0, 20)),
        "levels": [
            {**level, "miss_places": 64 if simple else draw(st.integers(1, 4))}
            for level in BASE["memory"]["levels"]
        ],
        "memory_cycles": draw(st.sampled_from([5, 100])),
        "rows": None if simple else draw(ROWS),
        "load_prefetcher": None if simple else draw(PREFETCHERS),
    }
    return CoreSpec.model_validate(spec)


@st.composite
def threaded(draw):
    """A core of two or three threads."""
    spec = draw(cores()).model_dump()
    spec["threads"] = draw(st.integers(2, 3))
    spec["fetch_policy"] = draw(st.sampled_from(["icount", "round-robin"]))
    spec["partitioned"] = draw(st.booleans())
    for key in ("reorder_buffer", "issue_queue", "load_queue", "store_buffer"):
        spec[key] = max(spec[key], spec["threads"])
    return CoreSpec.model_validate(spec)


COLUMNS = ("fetched", "renamed", "issued", "done", "retired")


def executed(text):
    return execute(assemble(text, xlen=64, name="random"))


@given(cores(), programs(SLOW))
@settings(deadline=None, max_examples=120)
def test_both_engines_put_every_instruction_into_the_same_cycles(spec, text):
    execution = executed(text)
    stream = make_stream(spec, execution)
    guess = make_stream(spec, execution, engine="readable").guess
    assert stream.guess.tolist() == guess.tolist()
    readable, compiled = (
        run_core(spec, execution, engine=engine, stream=stream).timing
        for engine in ("readable", "compiled")
    )
    for column in COLUMNS:
        assert getattr(readable, column).tolist() == getattr(compiled, column).tolist(), column
    assert readable.stack == compiled.stack


@given(threaded(), st.lists(programs(SLOW), min_size=1, max_size=3))
@settings(deadline=None, max_examples=40)
def test_both_engines_agree_on_threads_and_share_the_width_among_them(spec, texts):
    executions = [executed(text) for text in texts[: spec.threads]]
    stream = make_stream(spec, *executions)
    guess = make_stream(spec, *executions, engine="readable").guess
    assert stream.guess.tolist() == guess.tolist()
    readable, compiled = (
        run_core(spec, *executions, engine=engine, stream=stream).timing
        for engine in ("readable", "compiled")
    )
    for column in COLUMNS:
        assert getattr(readable, column).tolist() == getattr(compiled, column).tolist(), column
    assert readable.stacks == compiled.stacks
    assert np.bincount(compiled.retired).max() <= spec.width
    assert np.bincount(compiled.issued).max() <= spec.width
    assert np.bincount(compiled.renamed).max() <= spec.width
    for thread, stack in enumerate(compiled.stacks):
        own = compiled.retired[stream.starts[thread] : stream.starts[thread + 1]]
        assert (np.diff(own) >= 0).all()
        assert stack.total == own[-1] + 1
        assert stack.busy == len(set(own.tolist()))


@given(cores(), programs(SLOW), st.sampled_from(["icount", "round-robin"]))
@settings(deadline=None, max_examples=40)
def test_one_thread_alone_takes_the_cycles_of_a_core_of_one_thread(spec, text, policy):
    execution = executed(text)
    shared = {**spec.model_dump(), "threads": 4, "fetch_policy": policy}
    alone = run_core(spec, execution).timing
    among = run_core(CoreSpec.model_validate(shared), execution).timing
    for column in COLUMNS:
        assert getattr(alone, column).tolist() == getattr(among, column).tolist(), column
    assert alone.stacks == among.stacks


@given(cores(), programs(SLOW))
@settings(deadline=None, max_examples=15)
def test_the_same_run_again_takes_the_same_cycles(spec, text):
    first, second = (run_core(spec, executed(text)).timing for _ in range(2))
    for column in COLUMNS:
        assert getattr(first, column).tolist() == getattr(second, column).tolist(), column
    assert first.stack == second.stack


@given(cores(), programs(SLOW))
@settings(deadline=None, max_examples=80)
def test_an_instruction_passes_the_stages_in_order_and_retires_in_program_order(spec, text):
    execution = executed(text)
    run = run_core(spec, execution)
    timing, stream = run.timing, run.stream
    assert (timing.fetched + spec.front_end.cycles <= timing.renamed).all()
    assert (timing.renamed < timing.issued).all()
    assert (timing.issued < timing.done).all()
    assert (timing.done <= timing.retired).all()
    assert (np.diff(timing.retired) >= 0).all()
    assert np.bincount(timing.retired).max() <= spec.width
    assert np.bincount(timing.issued).max() <= spec.width
    assert timing.stack.total == timing.retired[-1] + 1
    for place in range(stream.producers.shape[1]):
        has = stream.producers[:, place] >= 0
        made = timing.done[stream.producers[has, place]]
        assert (timing.issued[has] >= made).all()
    if spec.order == "in-order":
        assert (np.diff(timing.issued) >= 0).all()


@given(cores(simple=True), programs(PLAIN))
@settings(deadline=None, max_examples=150)
def test_a_perfect_predictor_is_never_slower(spec, text):
    assume(spec.branches.scheme != "perfect")
    execution = executed(text)
    perfect = CoreSpec.model_validate({**spec.model_dump(), "branches": {"scheme": "perfect"}})
    assert run_core(perfect, execution).cycles <= run_core(spec, execution).cycles


@given(cores(simple=True), programs(PLAIN))
@settings(deadline=None, max_examples=150)
def test_a_wider_core_is_never_slower(spec, text):
    execution = executed(text)
    wider = CoreSpec.model_validate({**spec.model_dump(), "width": 2 * spec.width})
    assert run_core(wider, execution).cycles <= run_core(spec, execution).cycles


@given(cores(simple=True), programs(PLAIN))
@settings(deadline=None, max_examples=60)
def test_a_larger_reorder_buffer_is_never_slower(spec, text):
    """Oldest first on pipelined units: what comes in earlier delays nothing that is older."""
    execution = executed(text)
    larger = {**spec.model_dump(), "reorder_buffer": 2 * spec.reorder_buffer}
    assert run_core(CoreSpec.model_validate(larger), execution).cycles <= (
        run_core(spec, execution).cycles
    )


@given(threaded(), st.lists(programs(SLOW), min_size=2, max_size=3))
@settings(deadline=None, max_examples=60)
def test_threads_fetch_in_turn_and_end_no_sooner_than_the_width_lets_them(spec, texts):
    run = run_core(spec, *[executed(text) for text in texts[: spec.threads]])
    timing, stream = run.timing, run.stream
    first = stream.groups[:-1]
    begun = timing.fetched[first] - stream.fetch_stall[first]
    assert len(set(begun.tolist())) == len(begun)  # one group of one thread a cycle
    filled = spec.front_end.cycles + 2  # until something can retire: rename, issue
    assert timing.retired.min() >= filled
    assert run.cycles >= filled + -(-run.instructions // spec.width)
    assert run.ipc <= spec.width


@st.composite
def in_order_threads(draw):
    """Two threads in order, with a place for every fill: nothing younger takes from an older."""
    spec = draw(cores(simple=True)).model_dump()
    spec["order"], spec["branches"], spec["threads"] = "in-order", {"scheme": "perfect"}, 2
    spec["fetch_policy"] = draw(st.sampled_from(["icount", "round-robin"]))
    spec["partitioned"] = draw(st.booleans())
    for key in ("reorder_buffer", "issue_queue", "load_queue", "store_buffer"):
        spec[key] = max(spec[key], 2)
    return CoreSpec.model_validate(spec)


@given(in_order_threads(), programs(PLAIN), programs(PLAIN))
@settings(deadline=None, max_examples=60)
def test_a_thread_in_order_is_never_sooner_among_others_than_alone(spec, one, other):
    """Their lines fit the caches together, so that all a thread meets of another is delay."""
    executions = [executed(text) for text in (one, other)]
    both = run_core(spec, *executions)
    alone = [run_core(spec, execution) for execution in executions]
    whole = {**spec.model_dump(), "threads": 1, "partitioned": False, "fetch_policy": "icount"}
    undivided = [run_core(CoreSpec.model_validate(whole), each) for each in executions]
    for thread, (own, free) in enumerate(zip(alone, undivided, strict=True)):
        begin, end = both.stream.starts[thread : thread + 2]
        assert (both.timing.retired[begin:end] >= own.timing.retired).all()
        assert (own.timing.retired >= free.timing.retired).all()
    assert both.ipc <= sum(run.ipc for run in alone)
