"""Vector work beside the arrays, in exact cycles."""

import pytest
from tpu_cases import Builder, tensor

from sim.tpu.overlap import VectorOverlap
from workloads.trace import Family, Op

X = tensor("x", 4, 8)


def elementwise(*distances: int) -> Op:
    return Builder().op(Family.ELEMENTWISE, {"elements": 32}, (X,), X, depends_back=distances)


def rowwise(*distances: int) -> Op:
    dims = {"rows": 4, "cols": 8, "passes": 3}
    return Builder().op(Family.ROWWISE, dims, (X,), X, depends_back=distances)


def test_what_depends_on_nothing_recent_hides_beside_the_product_before_it() -> None:
    overlap = VectorOverlap()
    overlap.multiplied(100, pieces=1, rows_apart=1)  # the queries
    overlap.multiplied(80, pieces=1, rows_apart=1)  # the keys
    assert overlap.hide(elementwise(2), 50) == 50
    assert overlap.hide(elementwise(2), 50) == 0  # waits for the keys themselves


def test_time_beside_a_product_is_given_away_once() -> None:
    overlap = VectorOverlap()
    overlap.multiplied(10, pieces=1, rows_apart=1)
    overlap.multiplied(100, pieces=1, rows_apart=1)
    assert overlap.hide(elementwise(2), 70) == 70
    assert overlap.hide(elementwise(3), 70) == 30


@pytest.mark.parametrize(("pieces", "hidden"), [(1, 0), (2, 50), (4, 75)])
def test_an_epilogue_runs_one_piece_behind_its_product(pieces: int, hidden: int) -> None:
    overlap = VectorOverlap()
    overlap.multiplied(100, pieces=pieces, rows_apart=1)
    assert overlap.hide(elementwise(1), 90) == hidden


def test_a_rowwise_operation_waits_for_whole_rows() -> None:
    overlap = VectorOverlap()
    overlap.multiplied(100, pieces=8, rows_apart=2)
    assert overlap.hide(rowwise(1), 90) == 50


def test_nothing_hides_beside_products_before_its_operands_were_there() -> None:
    overlap = VectorOverlap()
    overlap.multiplied(100, pieces=1, rows_apart=1)
    assert overlap.hide(elementwise(1), 20) == 0  # the product's own single piece
    assert overlap.hide(elementwise(1), 20) == 0  # made by the vector unit just now


def test_equal_histories_have_equal_keys() -> None:
    keys = []
    overlap = VectorOverlap()
    for _ in range(12):
        overlap.multiplied(100, pieces=2, rows_apart=1)
        overlap.hide(elementwise(1), 30)
        keys.append(overlap.key())
    assert keys[-1] == keys[-2] == keys[-3]
