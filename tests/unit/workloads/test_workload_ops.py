from collections.abc import Callable

import numpy as np
import pytest

from workloads import Array, Op, Role, ShapeError, Tracer, ops
from workloads.array import Values
from workloads.ops import attention

TURNS = (1.0, 1e-2, 1e-4, 1e-6)
"""Angles of rotary pairs."""


def last_op(tracer: Tracer) -> Op:
    return tracer.finish().blocks[-1].ops[-1]


def test_a_product_costs_two_flops_per_multiply_add(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    x, w = given("x", 2, 3, 5), given("w", 5, 7)
    y = ops.matmul(x, w, name="y")
    op = last_op(tracer)
    assert np.allclose(y.values, x.values @ w.values)
    assert op.dims == {"batch": 1, "m": 6, "n": 7, "k": 5}
    assert op.flops == 2 * 6 * 7 * 5
    assert (op.bytes_read, op.bytes_written) == (8 * (30 + 35), 8 * 42)


def test_a_tied_weight_is_read_as_it_lies_and_used_transposed(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    x, table = given("x", 4, 5), given("table", 9, 5)
    y = ops.matmul(x, table, name="y", transposed=True)
    assert np.allclose(y.values, x.values @ table.values.T)
    assert last_op(tracer).dims == {"batch": 1, "m": 4, "n": 9, "k": 5}


def test_an_embedding_reads_only_the_rows_of_its_tokens(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    table, ids = given("table", 10, 4), given("ids", values=[[3, 3, 9]], dtype="int64")
    x = ops.embedding(ids, table, name="x", buffer="x")
    op = last_op(tracer)
    assert np.array_equal(x.values, table.values[[[3, 3, 9]]])
    assert (op.dims, op.flops) == ({"rows": 3, "cols": 4}, 0)
    assert [access.bytes for access in op.reads] == [3 * 4 * 8, 3 * 8]


def test_an_embedding_never_reads_more_than_its_table(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    table, ids = given("table", 2, 4), given("ids", values=[[0, 1, 0]], dtype="int64")
    ops.embedding(ids, table, name="x", buffer="x")
    assert last_op(tracer).reads[0].bytes == 2 * 4 * 8


def test_an_addition_costs_one_flop_and_repeats_a_bias(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    x, bias = given("x", 2, 3, 4), given("bias", 4)
    y = ops.add(x, bias, name="y", buffer="y")
    op = last_op(tracer)
    assert np.array_equal(y.values, x.values + bias.values)
    assert (op.flops, op.bytes_read) == (24, 8 * (24 + 4))


def test_rmsnorm_costs_four_flops_an_element_and_a_root_a_row(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    x, weight = given("x", 3, 8), given("weight", 8)
    y = ops.rmsnorm(x, weight, eps=0.5, name="y")
    op = last_op(tracer)
    root = np.sqrt(np.mean(x.values**2, axis=1, keepdims=True) + 0.5)
    assert np.allclose(y.values, x.values / root * weight.values)
    assert op.dims == {"rows": 3, "cols": 8, "passes": 2}
    assert (op.flops, op.transcendentals) == (4 * 24 + 2 * 3, 3)


def test_layernorm_costs_seven_flops_an_element_and_a_root_a_row(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    x, weight, bias = given("x", 3, 8), given("weight", 8), given("bias", 8)
    y = ops.layernorm(x, weight, bias, eps=0.5, name="y")
    op = last_op(tracer)
    spread = np.sqrt(x.values.var(axis=1, keepdims=True) + 0.5)
    centred = x.values - x.values.mean(axis=1, keepdims=True)
    assert np.allclose(y.values, centred / spread * weight.values + bias.values)
    assert op.dims == {"rows": 3, "cols": 8, "passes": 3}
    assert (op.flops, op.transcendentals) == (7 * 24 + 3 * 3, 3)


def test_swiglu_costs_three_flops_and_an_exponential_an_element(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    gate, up = given("gate", values=[[-800.0, 0.0, 2.0]]), given("up", values=[[1.0, 1.0, 3.0]])
    y = ops.gated(gate, up, activation="silu", name="y")
    op = last_op(tracer)
    assert np.allclose(y.values, [[0, 0, 6 / (1 + np.exp(-2))]])
    assert (op.flops, op.transcendentals, op.bytes_read) == (9, 3, 48)


def test_gelu_costs_eight_flops_and_a_tangent_an_element(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    y = ops.activate(given("x", values=[[-10.0, 0.0, 1.0]]), activation="gelu_new", name="y")
    op = last_op(tracer)
    assert np.allclose(y.values, [[0, 0, 0.8411919906082768]])
    assert (op.flops, op.transcendentals) == (24, 3)


def test_rotary_pairs_are_neighbours_or_halves_as_told(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    x = given("x", values=[[[1.0, 2.0, 3.0, 4.0]]])
    near = rotated(x, interleaved=True)
    far = rotated(x, interleaved=False)
    fast, slow = np.exp(5j), np.exp(5j * 0.01)  # position 5, frequencies 1 and 1e4^(-1/2)
    turned = (1 + 2j) * fast, (3 + 4j) * slow
    assert np.allclose(near, [turned[0].real, turned[0].imag, turned[1].real, turned[1].imag])
    turned = (1 + 3j) * fast, (2 + 4j) * slow
    assert np.allclose(far, [turned[0].real, turned[1].real, turned[0].imag, turned[1].imag])


def rotated(x: Array, *, interleaved: bool) -> Values:
    name = f"rope.{interleaved}"
    y = attention.rope(
        x, heads=1, start=5, frequencies=TURNS[:2], interleaved=interleaved, name=name
    )
    return y.values[0, 0]


def test_rotary_positions_cost_six_flops_a_pair_and_an_angle_a_position(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    attention.rope(
        given("x", 2, 3, 16), heads=2, start=0, frequencies=TURNS[:4], interleaved=True, name="rope"
    )
    op = last_op(tracer)
    assert op.flops == 6 * (2 * 3 * 8) + 3 * 4
    assert op.transcendentals == 2 * 3 * 4


def test_attention_reads_each_key_and_value_once_for_its_group_of_queries(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    query = given("query", 2, 3, 4 * 8)  # [B, T, H*D]
    keys, values = given("keys", 5, 2, 2, 8), given("values", 5, 2, 2, 8)  # [S, B, K, D]
    scores = attention.attention_scores(query, keys, name="scores")
    weights = attention.softmax(scores, tokens=3, scale=8**-0.5, name="weights")
    mix = attention.attention_mix(weights, values, query, name="mix")
    first, second, third = tracer.finish().blocks[0].ops
    assert np.allclose(mix.values, plain_attention(query.values, keys.values, values.values))
    assert first.dims == {"batch": 4, "m": 6, "n": 5, "k": 8}
    assert third.dims == {"batch": 4, "m": 6, "n": 8, "k": 5}
    assert first.flops == third.flops == 2 * 4 * 6 * 5 * 8
    assert first.reads[1].bytes == third.reads[1].bytes == 5 * 2 * 2 * 8 * 8
    assert second.dims == {"rows": 24, "cols": 5, "passes": 3}
    assert (second.flops, second.transcendentals) == (5 * 120 + 3 * 5, 120)


def plain_attention(query: Values, keys: Values, values: Values) -> Values:
    """Head by head, position by position."""
    batch, tokens, width = query.shape
    context, _, kv_heads, size = keys.shape
    result = np.zeros_like(query)
    for b, t, h in np.ndindex(batch, tokens, width // size):
        seen = context - tokens + t + 1
        kv = h // (width // size // kv_heads)
        scores = keys[:seen, b, kv] @ query[b, t, h * size : (h + 1) * size] / np.sqrt(size)
        weights = np.exp(scores) / np.exp(scores).sum()
        result[b, t, h * size : (h + 1) * size] = weights @ values[:seen, b, kv]
    return result


def test_an_append_writes_its_positions_and_shows_the_filled_prefix(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    storage = np.zeros((6, 2, 1, 4))  # [capacity, B, K, D]
    tracer.declare("cache", Role.KV_CACHE, storage.shape, layers=1, values=lambda _: storage)
    new = given("new", 2, 3, 4)  # [B, T, K*D]
    filled = attention.cache_append(tracer.get("cache"), new, start=2, name="append")
    op = last_op(tracer)
    assert filled.shape == filled.values.shape == (5, 2, 1, 4)
    assert np.array_equal(storage[2:5, :, 0], new.values.swapaxes(0, 1))
    assert not storage[:2].any()
    assert (op.writes[0].bytes, op.writes[0].offset_bytes) == (3 * 2 * 4 * 8, 2 * 2 * 4 * 8)
    assert (op.dims, op.flops, op.bytes_read) == ({"elements": 24}, 0, 192)


def test_the_likeliest_token_costs_a_comparison_a_candidate(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    logits = given("logits", values=[[0.0, 2.0, 1.0], [5.0, 2.0, 1.0]])
    chosen = ops.argmax(logits, name="choose", buffer="token")
    op = last_op(tracer)
    assert chosen.values.tolist() == [[1], [0]]
    assert (op.flops, op.bytes_written) == (6, 2 * 8)


def test_sampling_follows_the_softmax_at_its_temperature(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    logits = given("logits", values=np.tile([0.0, 1.0, 2.0], (20_000, 1)))
    random = np.random.default_rng(0)
    chosen = ops.sample(logits, temperature=0.5, random=random, name="choose", buffer="token")
    expected = np.exp([0, 2, 4]) / np.exp([0, 2, 4]).sum()
    assert np.allclose(np.bincount(chosen.values[:, 0]) / 20_000, expected, atol=0.01)
    op = last_op(tracer)
    assert (op.flops, op.transcendentals) == (6 * 60_000 + 20_000, 60_000)


def test_last_token_is_a_view_and_no_operation(tracer: Tracer, given: Callable[..., Array]) -> None:
    x = given("x", 1, 5, 4)
    last = ops.last_token(x)
    assert np.array_equal(last.values, x.values[:, 4])
    assert (last.offset_bytes, last.bytes) == (4 * 4 * 8, 4 * 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: ops.matmul(a("x", 2, 3), a("w", 4, 5), name="y"), r"matmul.*\[2, 3\].*\[4, 5\]"),
        (lambda a: ops.matmul(a("x", 2, 3), a("w", 3), name="y"), r"matmul.*\[3\]"),
        (lambda a: ops.add(a("x", 2, 3), a("y", 2), name="z", buffer="z"), r"add.*\[2, 3\].*\[2\]"),
        (lambda a: ops.rmsnorm(a("x", 2, 3), a("w", 2), eps=1, name="y"), r"rmsnorm.*\[2\]"),
        (
            lambda a: ops.layernorm(a("x", 2, 3), a("w", 3), a("b", 2), eps=1, name="y"),
            r"layernorm.*bias \[2\]",
        ),
        (
            lambda a: ops.gated(a("x", 2, 3), a("y", 2, 4), activation="silu", name="z"),
            r"gated.*\[2, 4\]",
        ),
        (lambda a: ops.embedding(a("i", 2), a("t", 2), name="x", buffer="x"), r"embedding.*\[2\]"),
        (lambda a: ops.argmax(a("x", 2, 3, 4), name="y", buffer="y"), r"argmax.*\[2, 3, 4\]"),
        (lambda a: ops.last_token(a("x", 2, 3)), r"last_token.*\[2, 3\]"),
        (
            lambda a: attention.rope(
                a("x", 1, 2, 9),
                heads=3,
                start=0,
                frequencies=(1.0, 1.0),
                interleaved=True,
                name="y",
            ),
            r"rope.*3 heads.*\[1, 2, 9\]",
        ),
        (
            lambda a: attention.attention_scores(a("q", 1, 2, 12), a("k", 5, 1, 2, 4), name="s"),
            r"attention_scores.*\[1, 2, 12\].*\[5, 1, 2, 4\]",
        ),
        (
            lambda a: attention.attention_mix(
                a("w", 1, 2, 2, 4), a("v", 5, 1, 2, 4), a("q", 1, 2, 8), name="m"
            ),
            r"attention_mix.*\[1, 2, 2, 4\]",
        ),
        (
            lambda a: attention.softmax(a("s", 1, 1, 5, 5), tokens=3, scale=0.5, name="w"),
            r"softmax.*3 tokens.*\[1, 1, 5, 5\]",
        ),
        (
            lambda a: attention.cache_append(
                a("cache", 4, 1, 1, 2), a("new", 1, 3, 2), start=2, name="append"
            ),
            r"cache_append.*position 2.*\[4, 1, 1, 2\].*\[1, 3, 2\]",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_named_with_the_operation(
    given: Callable[..., Array], call: Callable[..., object], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        call(given)
