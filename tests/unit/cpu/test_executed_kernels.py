"""The machine model times the kernels that are executed: same instructions, same cycles."""

import numpy as np
import pytest
from cpu_cases import l1
from executed_cases import NUMBERS, executed, from_trace, one_op, product, program_of
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.riscv.calls import calls_of
from sim.cpu.steady import CYCLES, EXTRAPOLATED, Chain, Repeat, Segment
from sim.errors import TokenclockError
from workloads.trace import Family, Role

MACHINES = ("cpu-von-neumann", "cpu-harvard", "cpu-5stage")
ROOMY = {"caches": l1("1 MiB")}
"""Nothing is driven out, so that each line misses once in both."""
A, W, C = Role.ACTIVATION, Role.WEIGHT, Role.KV_CACHE


def rows(kind, count, columns, *, weights=0):
    shape = {"rows": count, "cols": columns, "passes": 1}
    reads = [(count * columns, A), *[(columns, W)] * weights]
    return one_op(kind, Family.ROWWISE, shape, reads, [(count * columns, A)])


def elements(kind, count, operands):
    shape = {"elements": count}
    family = Family.ELEMENTWISE
    return one_op(kind, family, shape, [(count, A)] * operands, [(count, A)])


def attention(kind, heads, queries, context):
    """Grouped-query attention of one token, with heads of 16."""
    n, k = (context, 16) if kind == "attention_scores" else (16, context)
    shape = {"batch": heads, "m": queries, "n": n, "k": k}
    reads = [(heads * queries * k, A), (heads * 16 * context, C)]
    return one_op(kind, Family.MATMUL, shape, reads, [(heads * queries * n, A)])


def lookup(tokens, columns):
    shape = {"rows": tokens, "cols": columns}
    reads = [(5 * columns, W), (tokens, Role.INPUT)]
    return one_op("embedding", Family.GATHER, shape, reads, [(tokens * columns, A)])


def best(count, columns):
    shape = {"rows": count, "cols": columns, "passes": 1}
    writes = [(count, Role.INPUT)]
    return one_op("argmax", Family.ROWWISE, shape, [(count * columns, A)], writes)


WHOLE_LINES = [
    product(1, 16, 16),
    product(1, 64, 48),
    product(1, 32, 16, name="head"),
    product(4, 16, 16),
    product(16, 64, 64),
    product(36, 32, 16),
    rows("rmsnorm", 1, 64, weights=1),
    rows("rmsnorm", 3, 32, weights=1),
    rows("layernorm", 2, 48, weights=2),
    rows("softmax", 4, 16),
    lookup(1, 32),
    lookup(3, 16),
    elements("rope", 64, 1),
    elements("cache_append", 32, 1),
    elements("add", 64, 2),
    elements("swiglu", 48, 2),
    elements("gelu", 32, 1),
    best(1, 64),
    best(3, 16),
    attention("attention_scores", 2, 2, 16),
    attention("attention_mix", 2, 2, 16),
]


def name_of(trace):
    (op,) = trace.blocks[0].ops
    return op.kind + " " + "x".join(str(extent) for extent in op.dims.values())


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("trace", WHOLE_LINES, ids=name_of)
def test_an_operation_on_whole_lines_takes_exactly_the_executed_cycles(trace, machine):
    said, done = from_trace(trace, machine, **ROOMY), executed(trace, machine, **ROOMY)
    assert said.busy == done.busy
    assert dict(said.stalls) == dict(done.stalls)


ANY_OPERATION = st.one_of(
    st.builds(product, st.integers(1, 21), st.integers(1, 21), st.integers(1, 21)),
    st.builds(product, st.just(1), st.integers(1, 21), st.integers(1, 21), name=st.just("head")),
    st.builds(rows, st.just("rmsnorm"), st.integers(1, 4), st.integers(1, 40), weights=st.just(1)),
    st.builds(
        rows, st.just("layernorm"), st.integers(1, 4), st.integers(1, 40), weights=st.just(2)
    ),
    st.builds(rows, st.just("softmax"), st.integers(1, 4), st.integers(1, 40)),
    st.builds(lookup, st.integers(1, 5), st.integers(1, 40)),
    st.builds(elements, st.sampled_from(["add", "swiglu"]), st.integers(1, 70), st.just(2)),
    st.builds(elements, st.sampled_from(["gelu", "cache_append"]), st.integers(1, 70), st.just(1)),
    st.builds(best, st.integers(1, 4), st.integers(1, 40)),
    st.builds(
        attention,
        st.sampled_from(["attention_scores", "attention_mix"]),
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(1, 21),
    ),
)


@settings(deadline=None, max_examples=40)
@given(trace=ANY_OPERATION, machine=st.sampled_from(MACHINES))
def test_an_operation_of_any_shape_has_exactly_the_executed_instructions(trace, machine):
    said, done = from_trace(trace, machine, **ROOMY), executed(trace, machine, **ROOMY)
    assert said.busy == done.busy


@pytest.mark.parametrize(
    "dims", [(36, 64, 128), (37, 66, 130), (64, 128, 128), (13, 85, 128), (20, 32, 300)]
)
def test_a_packed_product_of_many_rows_is_within_two_percent_where_the_cache_overflows(dims):
    trace = product(*dims)
    said, done = from_trace(trace), executed(trace)
    assert said.busy == done.busy
    assert abs(said.total / done.total - 1) < 0.02


def test_packing_is_timed():
    """A block of 4 rows by 16: 17 instructions for each k, and its lines."""
    (op,) = product(4, 4, 16).blocks[0].ops
    kernels = [call.kernel for call in calls_of(op, (0, 256, 512), NUMBERS)]
    assert kernels == ["gemm_pack", "gemm_tiles"]


def test_a_product_deeper_than_a_block_adds_to_what_stands_in_c():
    (op,) = product(20, 8, 300).blocks[0].ops
    kernels = [call.kernel for call in calls_of(op, (0, 65536, 131072), NUMBERS)]
    assert kernels == ["gemm_pack", "gemm_tiles"] * 2 + ["gemm_pack", "gemm_tiles_add"] * 4


def test_new_maxima_cost_argmax_four_instructions_each_and_nothing_else_differs():
    trace = best(1, 32)
    values = np.zeros(32, np.float32)
    values[[3, 17]] = 1, 2
    done, said = executed(trace, values={"t0": values}), from_trace(trace)
    assert done.busy == said.busy + 2 * 4


def test_a_kernel_that_does_not_exist_is_named_with_those_that_do():
    (op,) = elements("tanh", 4, 1).blocks[0].ops
    with pytest.raises(TokenclockError, match=r"'tanh' has no kernel .*; there are embedding"):
        calls_of(op, (0, 64), NUMBERS)


def test_rows_of_b_a_cache_apart_conflict_which_the_machine_model_does_not_see():
    """Panels of k = 260 lie 4,160 bytes apart: in ways of 4 KiB one lies on the other."""
    trace = product(20, 32, 260)
    said, done = from_trace(trace), executed(trace)
    assert said.busy == done.busy
    assert 0.9 < said.total / done.total < 0.95


def walked(node):
    """Every segment that a program runs, one after another."""
    if isinstance(node, Segment):
        yield node
    elif isinstance(node, Repeat):
        for _ in range(node.times):
            yield from walked(node.body)
    else:
        for part in node.parts:
            yield from walked(part)


@settings(deadline=None, max_examples=15)
@given(trace=ANY_OPERATION, machine=st.sampled_from(MACHINES))
def test_a_kernel_extrapolated_takes_exactly_as_long_as_walked_through(trace, machine):
    timeline, program = program_of(trace, machine)
    whole = timeline.cost(program)
    brute, _ = program_of(trace, machine)
    cost = brute.cost(Chain(*walked(program)))
    np.testing.assert_array_equal(whole[:EXTRAPOLATED], cost[:EXTRAPOLATED])
    assert cost[EXTRAPOLATED] == 0


def test_a_long_product_is_extrapolated_for_the_most_part():
    timeline, program = program_of(product(1, 256, 512))
    cost = timeline.cost(program)
    assert cost[EXTRAPOLATED] > 0.9 * cost[CYCLES]
