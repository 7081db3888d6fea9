from collections.abc import Callable
from math import cos, log, sin

import numpy as np
import pytest

from workloads import Array, Op, ShapeError, Tracer, ops
from workloads.ops.convolution import unfold
from workloads.ops.masking import hide
from workloads.ops.positions import add_sinusoids, distance_buckets, relative_bias


def last_op(tracer: Tracer) -> Op:
    return tracer.finish().blocks[-1].ops[-1]


@pytest.mark.parametrize(("tokens", "stride"), [(6, 1), (6, 2), (7, 2), (1, 1)])
def test_unfolding_and_a_product_are_a_convolution(
    tracer: Tracer, given: Callable[..., Array], tokens: int, stride: int
) -> None:
    x, w = given("x", 2, tokens, 4), given("w", 3 * 4, 5)
    y = ops.matmul(unfold(x, kernel=3, stride=stride, name="u"), w, name="y")
    taps = w.values.reshape(3, 4, 5)
    for out in range(y.shape[1]):
        expected = sum(
            x.values[:, at] @ taps[tap]
            for tap in range(3)
            if 0 <= (at := stride * out + tap - 1) < tokens
        )
        assert np.allclose(y.values[:, out], expected)


def test_unfolding_moves_each_window_and_computes_nothing(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    unfold(given("x", 2, 6, 4), kernel=3, stride=2, name="u")
    op = last_op(tracer)
    assert (op.dims, op.flops) == ({"elements": 2 * 3 * 12}, 0)
    assert (op.bytes_read, op.bytes_written) == (8 * 48, 8 * 72)


def test_an_even_kernel_has_no_centre(tracer: Tracer, given: Callable[..., Array]) -> None:
    with pytest.raises(ShapeError, match=r"unfold: .* the kernel odd"):
        unfold(given("x", 2, 6, 4), kernel=2, stride=2, name="u")


@pytest.mark.parametrize("interleaved", [True, False])
def test_sinusoids_turn_slower_from_pair_to_pair(
    tracer: Tracer, given: Callable[..., Array], interleaved: bool
) -> None:
    x = given("x", 2, 3, 6)
    y = add_sinusoids(x, start=4, interleaved=interleaved, name="y", buffer="y")
    for token in range(3):
        for pair in range(3):
            angle = (4 + token) / 10_000 ** (2 * pair / 6)
            first, second = (2 * pair, 2 * pair + 1) if interleaved else (pair, pair + 3)
            added = (y.values - x.values)[:, token]
            assert np.allclose(added[:, first], sin(angle))
            assert np.allclose(added[:, second], cos(angle))
    op = last_op(tracer)
    assert (op.flops, op.transcendentals) == (36 + 9, 18)
    assert op.bytes_read == op.bytes_written == 8 * 36


def bucket(distance: int, buckets: int, max_distance: int, *, both_ways: bool) -> int:
    """T5's rule for one distance, word by word."""
    offset = 0
    if both_ways:
        buckets //= 2
        offset = buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return offset + distance
    step = log(distance / exact) / log(max_distance / exact) * (buckets - exact)
    return offset + min(exact + int(step + 1e-6), buckets - 1)


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(("buckets", "max_distance"), [(32, 128), (8, 20), (16, 200)])
def test_distances_share_buckets_in_logarithmic_steps(
    both_ways: bool, buckets: int, max_distance: int
) -> None:
    distances = np.arange(-300, 301)
    found = distance_buckets(distances, buckets, both_ways=both_ways, max_distance=max_distance)
    expected = [bucket(d, buckets, max_distance, both_ways=both_ways) for d in distances.tolist()]
    # float32, as published, may put a distance on a step's edge below it
    assert (found != expected).sum() <= 2
    assert set(found.tolist()) <= set(range(buckets))
    assert found[0] == (buckets // 2 if both_ways else buckets) - 1


def test_a_bias_of_distances_reads_only_the_rows_that_occur(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    table = given("table", 8, 3)
    bias = relative_bias(table, queries=1, keys=3, both_ways=False, max_distance=20, name="bias")
    assert bias.shape == (3, 1, 3)
    assert np.array_equal(bias.values[:, 0], table.values[[2, 1, 0]].T)
    op = last_op(tracer)
    assert (op.dims, op.flops) == ({"rows": 3, "cols": 3}, 0)
    assert (op.bytes_read, op.bytes_written) == (8 * 9, 8 * 9)
    square = relative_bias(table, queries=4, keys=4, both_ways=True, max_distance=20, name="square")
    assert np.array_equal(square.values[:, 2, 1], table.values[1])
    assert np.array_equal(square.values[:, 1, 2], table.values[5])


def test_a_hidden_token_is_impossible_and_the_others_as_they_were(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    logits = given("logits", 2, 5)
    result = hide(logits, (1, 4), name="hide", buffer="hide")
    assert np.isneginf(result.values[:, [1, 4]]).all()
    assert np.array_equal(result.values[:, [0, 2, 3]], logits.values[:, [0, 2, 3]])
    op = last_op(tracer)
    assert (op.dims, op.flops, op.bytes_written) == ({"elements": 10}, 0, 80)
    with pytest.raises(ShapeError, match="tokens below V"):
        hide(logits, (5,), name="other", buffer="other")
