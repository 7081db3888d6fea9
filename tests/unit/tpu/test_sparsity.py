"""Compressed weights and skipped zeros, by hand."""

import numpy as np
import pytest

from sim.tpu.array.skipping import ZeroSkipping
from sim.tpu.array.sparse_reference import multiply_skipping, multiply_structured
from sim.tpu.array.sparsity import StructuredSparsity, ZeroPattern
from sim.tpu.array.systolic import ArraySpec, Dataflow, Gemm

TWO_OF_FOUR = StructuredSparsity()
WS_4X4 = ArraySpec(rows=4, cols=4)


def array(dataflow: Dataflow) -> ArraySpec:
    return ArraySpec(rows=4, cols=4, dataflow=dataflow)


def zeros_skipped(array: ArraySpec, a: np.ndarray, b: np.ndarray) -> ZeroSkipping:
    skipping = ZeroSkipping(array, ZeroPattern.of(a), ZeroPattern.of(b))
    product = multiply_skipping(array, a, b)
    assert (product.values == a @ b).all()
    assert product.cycles == skipping.serial_cycles
    return skipping


def test_two_of_four_weights_halve_the_folds() -> None:
    gemm = Gemm(m=10, n=4, k=16)
    schedule = TWO_OF_FOUR.schedule(WS_4X4, gemm)
    assert (schedule.folds, schedule.serial_cycles) == (2, 2 * (4 + 10 + 6))


def test_two_of_four_weights_halve_the_stream_where_outputs_stay() -> None:
    schedule = TWO_OF_FOUR.schedule(array(Dataflow.OUTPUT_STATIONARY), Gemm(m=4, n=4, k=100))
    assert schedule.serial_cycles == 50 + 6


def test_compressed_weights_cost_half_and_two_bits_each() -> None:
    gemm = Gemm(m=1, n=128, k=128)
    assert TWO_OF_FOUR.index_bytes(gemm) == 64 * 128 * 2 // 8
    assert TWO_OF_FOUR.weight_bytes(gemm, element_bytes=2) == 64 * 128 * 2 + 2048


def test_a_last_group_that_is_smaller_keeps_what_it_can() -> None:
    assert [TWO_OF_FOUR.rows(k) for k in range(1, 9)] == [1, 2, 2, 2, 3, 4, 4, 4]


def test_weights_are_kept_with_their_places() -> None:
    b = np.array([[0, 7.0], [5, 0], [0, 8], [6, 0], [0, 0], [9, 0]])
    compressed = TWO_OF_FOUR.compress(b)
    assert compressed.values.tolist() == [[5, 7], [6, 8], [9, 0], [0, 0]]
    assert compressed.places.tolist() == [[1, 0], [3, 2], [1, 0], [0, 1]]
    a = np.arange(12.0).reshape(2, 6)
    for dataflow in Dataflow:
        assert (multiply_structured(array(dataflow), a, b, TWO_OF_FOUR).values == a @ b).all()


def test_a_group_with_too_many_weights_is_named() -> None:
    b = np.ones((8, 2))
    b[:4] = 0
    with pytest.raises(ValueError, match="column 0 has more than 2 weights in rows 4 to 7"):
        TWO_OF_FOUR.compress(b)
    with pytest.raises(ValueError, match="5 of 4"):
        StructuredSparsity(kept=5, group=4)


def test_a_row_of_weights_without_any_is_skipped_and_the_rows_below_move_up() -> None:
    b = np.ones((8, 4))
    b[[1, 2, 5, 7]] = 0  # 4 of 8 rows are left: one fold for two
    skipping = zeros_skipped(WS_4X4, np.ones((3, 8)), b)
    assert (skipping.fold_count, skipping.serial_cycles) == (1, 4 + 3 + 6)
    assert skipping.issued_macs == skipping.useful_macs == 3 * 4 * 4


def test_a_zero_among_weights_that_are_none_is_multiplied() -> None:
    b = np.ones((4, 4)) - np.eye(4)
    skipping = zeros_skipped(WS_4X4, np.ones((3, 4)), b)
    assert skipping.serial_cycles == 4 + 3 + 6
    assert (skipping.issued_macs, skipping.useful_macs) == (3 * 16, 3 * 12)


def test_a_row_of_inputs_that_is_zero_in_one_fold_is_skipped_there_only() -> None:
    a = np.ones((3, 8))
    a[0, :4] = 0
    skipping = zeros_skipped(WS_4X4, a, np.ones((8, 4)))
    assert [len(fold.streamed) for fold in skipping.folds()] == [2, 3]
    assert skipping.serial_cycles == (4 + 2 + 6) + (4 + 3 + 6)


def test_where_outputs_stay_a_pair_is_skipped_if_either_side_is_zero_for_the_whole_fold() -> None:
    a, b = np.ones((4, 10)), np.ones((10, 4))
    a[:, 0] = 0  # nothing of A at k 0
    b[1] = 0  # nothing of B at k 1
    a[0, 2] = 0  # one zero at k 2 stops nothing
    skipping = zeros_skipped(array(Dataflow.OUTPUT_STATIONARY), a, b)
    assert skipping.serial_cycles == 8 + 6


def test_an_input_stationary_array_skips_columns_of_b() -> None:
    b = np.ones((4, 6))
    b[:, [0, 3]] = 0
    skipping = zeros_skipped(array(Dataflow.INPUT_STATIONARY), np.ones((4, 4)), b)
    assert skipping.serial_cycles == 4 + 4 + 6


def test_folds_of_missing_blocks_are_left_out() -> None:
    present = np.array([[True, False], [False, False], [True, True]])
    b = ZeroPattern(present, rows=12, cols=8, block_rows=4, block_cols=4)
    skipping = ZeroSkipping(WS_4X4, ZeroPattern.dense(5, 12), b)
    assert skipping.fold_count == 3  # of 6
    assert skipping.serial_cycles == 3 * (4 + 5 + 6)
    assert skipping.useful_macs == 3 * 16 * 5


def test_blocks_are_stored_whole_with_one_bit_each_for_the_pattern() -> None:
    matrix = np.zeros((10, 6))
    matrix[0, 0] = matrix[9, 5] = 1
    pattern = ZeroPattern.of(matrix, block_rows=4, block_cols=4)
    assert pattern.present.tolist() == [[True, False], [False, False], [False, True]]
    assert pattern.index_bytes == 1  # 6 bits
    assert pattern.compressed_bytes(element_bytes=2) == (4 * 4 + 2 * 2) * 2 + 1


def test_single_weights_are_stored_with_one_bit_an_element() -> None:
    pattern = ZeroPattern.of(np.eye(16))
    assert pattern.compressed_bytes(element_bytes=2) == 16 * 2 + 16 * 16 // 8


def test_nothing_but_zeros_takes_no_cycles() -> None:
    for dataflow in Dataflow:
        skipping = zeros_skipped(array(dataflow), np.zeros((3, 5)), np.ones((5, 2)))
        assert (skipping.serial_cycles, skipping.overlapped_cycles) == (0, 0)


def test_patterns_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="12x8 takes 3x2 blocks of 4x4, not 1x1"):
        ZeroPattern(np.ones((1, 1), dtype=bool), rows=12, cols=8, block_rows=4, block_cols=4)
    with pytest.raises(ValueError, match="3x5 times 4x2 is no product"):
        ZeroSkipping(WS_4X4, ZeroPattern.dense(3, 5), ZeroPattern.dense(4, 2))
