from collections.abc import Callable

import numpy as np
import pytest

from workloads import Array, ShapeError, ops
from workloads.ops import pooling

Given = Callable[..., Array]


def test_hidden_scores_are_minus_infinity_and_the_others_stay(given: Given) -> None:
    scores = ops.scale(given("drawn", 2, 3, 4, 5), 1.0, name="scores")
    padding = given("padding", values=[[0.0] * 5, [0, 0, -np.inf, -np.inf, -np.inf]])
    hidden = pooling.hide_padding(scores, padding, name="hidden")
    assert np.array_equal(hidden.values[0], scores.values[0])
    assert np.array_equal(hidden.values[1, :, :, :2], scores.values[1, :, :, :2])
    assert (hidden.values[1, :, :, 2:] == -np.inf).all()
    assert hidden.name == "scores"
    op = hidden.tracer.finish().blocks[0].ops[1]
    assert (op.flops, op.bytes_read, op.bytes_written) == (120, 8 * (120 + 10), 8 * 120)


def test_the_mean_leaves_padding_out_and_reads_no_byte_of_it(given: Given) -> None:
    x = given("x", 2, 5, 3)
    mean = pooling.mean_of_tokens(x, lengths=(5, 2), name="mean")
    expected = [x.values[0].mean(axis=0), x.values[1, :2].mean(axis=0)]
    assert np.abs(mean.values - expected).max() < 1e-15
    op = mean.tracer.finish().blocks[0].ops[0]
    assert (op.flops, op.bytes_read, op.bytes_written) == (7 * 3 + 6, 8 * 7 * 3, 8 * 6)


def test_rows_are_scaled_to_length_one(given: Given) -> None:
    x = given("x", 4, 6)
    unit = pooling.unit_length(x, name="unit")
    assert np.abs(np.linalg.norm(unit.values, axis=1) - 1).max() < 1e-15
    assert np.abs(unit.values / x.values - (unit.values / x.values)[:, :1]).max() < 1e-15
    op = unit.tracer.finish().blocks[0].ops[0]
    assert (op.flops, op.transcendentals) == (3 * 24 + 4, 4)


def test_a_row_of_zeros_stays(given: Given) -> None:
    x = given("x", values=[[0.0, 0.0], [3.0, 4.0]])
    assert pooling.unit_length(x, name="unit").values.tolist() == [[0, 0], [0.6, 0.8]]


def test_the_first_token_is_a_view(given: Given) -> None:
    x = given("x", 2, 5, 3)
    first = pooling.first_token(x)
    assert np.array_equal(first.values, x.values[:, 0])
    assert (first.name, first.offset_bytes) == ("x", 0)


def test_arrays_that_do_not_fit_are_named_with_their_shapes(given: Given) -> None:
    scores, padding, x = given("scores", 2, 3, 4, 5), given("padding", 2, 4), given("x", 2, 3)
    with pytest.raises(ShapeError, match=r"hide_padding: .* scores \[2, 3, 4, 5\], padding \[2, 4"):
        pooling.hide_padding(scores, padding, name="a")
    with pytest.raises(ShapeError, match=r"mean_of_tokens: .* lengths \[1, 2\], got x \[2, 3\]"):
        pooling.mean_of_tokens(x, lengths=(1, 2), name="a")
    with pytest.raises(ShapeError, match=r"first_token: .* got x \[2, 3\]"):
        pooling.first_token(x)
    with pytest.raises(ShapeError, match=r"unit_length: .* got x"):
        pooling.unit_length(scores.view((2, 3, 4, 5)), name="a")
