"""Fused operations: equal to the unfused to rounding, with fewer trips to memory."""

from collections.abc import Callable

import numpy as np
import pytest

from workloads import Array, Family, Tracer, ops
from workloads.ops import attention, fused

Given = Callable[..., Array]
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
CASES = [  # batch, tokens, positions, query heads, key heads, size
    (1, 7, 7, 2, 2, 4),
    (2, 3, 11, 4, 2, 6),
    (2, 1, 9, 4, 1, 2),
]


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> str:
    return request.param


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tile", [1, 3, 64])
@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize("softcap", [None, 1.5])
def test_attention_by_tiles_equals_scores_softmax_and_mix(
    *,
    tracer: Tracer,
    given: Given,
    dtype: str,
    case: tuple[int, ...],
    tile: int,
    window: int | None,
    softcap: float | None,
) -> None:
    batch, tokens, positions, heads, kv_heads, size = case
    query = given("q", values=numbers(batch, tokens, heads * size), dtype=dtype)
    keys = given("k", values=3 * numbers(positions, batch, kv_heads, size), dtype=dtype)
    values = given("v", values=numbers(positions, batch, kv_heads, size) + 1, dtype=dtype)
    scores = attention.attention_scores(query, keys, name="scores")
    weights = attention.softmax(
        scores, tokens=tokens, scale=0.7, window=window, softcap=softcap, name="softmax"
    )
    whole = attention.attention_mix(weights, values, query, name="mix")
    tiled = fused.attention(
        query, keys, values, scale=0.7, tile=tile, window=window, softcap=softcap, name="fused"
    )
    assert tiled.values.dtype == dtype
    error = np.abs(tiled.values - whole.values).max() / np.abs(whole.values).max()
    assert error < TOLERANCE[dtype]


@pytest.mark.parametrize("size_of_scores", [1e2, 1e4])
def test_attention_by_tiles_stands_scores_of_any_size(
    tracer: Tracer, given: Given, size_of_scores: float
) -> None:
    query = given("q", values=size_of_scores * numbers(1, 5, 8))
    keys, values = given("k", values=numbers(9, 1, 2, 4)), given("v", values=numbers(9, 1, 2, 4))
    mix = fused.attention(query, keys, values, scale=1.0, tile=2, name="fused")
    assert np.isfinite(mix.values).all()


def test_fused_attention_counts_both_products_the_softmax_and_the_rescaling(
    tracer: Tracer, given: Given
) -> None:
    query, keys, values = given("q", 2, 3, 24), given("k", 11, 2, 2, 6), given("v", 11, 2, 2, 6)
    fused.attention(query, keys, values, scale=1.0, tile=4, name="fused")
    op = tracer.finish().blocks[0].ops[0]
    rows, positions, size, tiles = 2 * 2 * 2 * 3, 11, 6, 3
    products = 2 * (2 * rows * positions * size)
    softmax = 4 * rows * positions + 3 * positions  # scale, maximum, subtract, sum; the mask
    rescaling = rows * tiles * (4 + 2 * size) + rows * size
    assert op.flops == products + softmax + rescaling
    assert op.transcendentals == rows * positions + rows * tiles
    assert op.family is Family.ATTENTION
    assert dict(op.dims) == {"batch": 4, "rows": 6, "positions": 11, "size": 6, "tile": 4}
    assert [a.bytes for a in op.reads] == [8 * 2 * 3 * 24, 8 * 11 * 24, 8 * 11 * 24]
    assert [a.bytes for a in op.writes] == [8 * 2 * 3 * 24]


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "silu"])
def test_bias_and_activation_in_one_equal_the_two(
    tracer: Tracer, given: Given, dtype: str, activation: str
) -> None:
    x = given("x", values=numbers(2, 3, 5), dtype=dtype)
    bias = given("b", values=numbers(5), dtype=dtype)
    total = ops.add(x, bias, name="add", buffer="sum")
    two = ops.activate(total, activation=activation, name="two")
    one = fused.bias_activate(x, bias, activation=activation, name="one")
    assert np.abs(one.values - two.values).max() < TOLERANCE[dtype]
    add, alone, both = tracer.finish().blocks[0].ops
    assert both.flops == add.flops + alone.flops
    assert both.transcendentals == alone.transcendentals
    size = x.bytes // x.size
    assert both.bytes_read + both.bytes_written == (2 * 30 + 5) * size


@pytest.mark.parametrize("style", ["rmsnorm", "rmsnorm_offset", "layernorm"])
def test_sum_and_norm_in_one_equal_the_two(
    tracer: Tracer, given: Given, dtype: str, style: str
) -> None:
    x, y = (given(n, values=numbers(2, 3, 5) + i, dtype=dtype) for i, n in enumerate("xy"))
    weight = given("w", values=numbers(5), dtype=dtype)
    bias = given("b", values=numbers(5), dtype=dtype) if style == "layernorm" else None
    offset = style == "rmsnorm_offset"
    total = ops.add(x, y, name="add", buffer="sum")
    if bias is None:
        normed = ops.rmsnorm(total, weight, eps=1e-5, offset=offset, name="two")
    else:
        normed = ops.layernorm(total, weight, bias, eps=1e-5, name="two")
    one_sum, one_norm = fused.add_norm(
        x, y, weight, bias, eps=1e-5, offset=offset, name="one", buffer="both"
    )
    assert (one_sum.values == total.values).all()
    assert np.abs(one_norm.values - normed.values).max() < TOLERANCE[dtype]
    trace = tracer.finish()
    add, alone, both = trace.blocks[0].ops
    assert (both.flops, both.transcendentals) == (add.flops + alone.flops, alone.transcendentals)
    element = x.bytes // x.size
    assert [(a.bytes, a.offset_bytes) for a in both.writes] == [
        (30 * element, 0),
        (30 * element, 30 * element),
    ]
    assert one_norm.offset_bytes == 30 * element
    assert both.bytes_read == add.bytes_read + alone.bytes_read - 30 * element
