"""Products on several arrays, by hand."""

import pytest

from sim.tpu.array.partition import Partitioner
from sim.tpu.array.systolic import ArraySpec, Dataflow, Gemm, Rate

WS_4X4 = ArraySpec(rows=4, cols=4)
OS_4X4 = ArraySpec(rows=4, cols=4, dataflow=Dataflow.OUTPUT_STATIONARY)


def test_a_cut_of_the_reduction_pays_for_adding_partial_sums() -> None:
    # k of 16 on 4 arrays is one fold each: 4 to load, 2 rows, 6 to cross; then 2x4 results on 4
    # arrays are 2 each, to which 3 partial sums each are added, 4 at a time
    cost = Partitioner(WS_4X4, 4).partition(Gemm(m=2, n=4, k=16), 1, 1, 4)
    assert (cost.compute_cycles, cost.addition_cycles, cost.cycles) == (12, 2, 14)
    assert cost.moved_sums == 2 * 4 * 3


def test_partial_sums_meet_in_one_adder_a_column_unless_said() -> None:
    gemm = Gemm(m=2, n=4, k=16)
    one_adder = Partitioner(WS_4X4, 4, adds_per_cycle=1)
    assert one_adder.partition(gemm, 1, 1, 4).addition_cycles == 6


def test_additions_take_what_an_adder_by_adder_count_takes() -> None:
    results, arrays, adders = 5 * 7, 3, 4
    share = [list(range(results))[first::arrays] for first in range(arrays)]
    cycles = 0
    waiting = [[result for result in own for _ in range(arrays - 1)] for own in share]
    while any(waiting):
        cycles += 1
        waiting = [sums[adders:] for sums in waiting]
    cost = Partitioner(WS_4X4, 3).partition(Gemm(m=5, n=7, k=9), 1, 1, 3)
    assert cost.addition_cycles == cycles == 6


def test_a_product_with_columns_enough_is_cut_by_columns() -> None:
    choice = Partitioner(WS_4X4, 4).choose(Gemm(m=1, n=64, k=4))
    best = choice.best
    assert (best.rows, best.columns, best.reduction) == (1, 4, 1)
    assert best.cycles == 4 + 1 + 6 + 3 * 4
    assert choice.whole.cycles == 4 + 1 + 6 + 15 * 4
    # one row is not to be cut; the reduction's 4 rows of weights fill one fold anyhow
    assert choice.by_rows == choice.whole
    assert choice.by_reduction.cycles == choice.whole.cycles + 12


def test_many_rows_are_cut_by_rows() -> None:
    best = Partitioner(WS_4X4, 4).choose(Gemm(m=4000, n=4, k=4)).best
    assert (best.rows, best.columns, best.reduction) == (4, 1, 1)
    assert best.cycles == 4 + 1000 + 6


def test_a_long_reduction_is_cut_where_outputs_stay() -> None:
    choice = Partitioner(OS_4X4, 4).choose(Gemm(m=4, n=4, k=4000))
    assert (choice.best.reduction, choice.best.cycles) == (4, 1000 + 6 + 3)
    assert choice.why == (
        "1 x 1 x 4 (rows x columns x reduction): 1009 cycles, 3 of them adding partial sums, "
        "on 4 arrays; 4006 by rows alone, 4006 by columns alone, 1009 by the reduction alone, "
        "4006 on one array"
    )


def test_arrays_stay_idle_where_a_cut_would_only_add_sums() -> None:
    best = Partitioner(WS_4X4, 8).choose(Gemm(m=1, n=4, k=4)).best
    assert (best.arrays, best.cycles) == (1, 11)


def test_serial_folds_and_slow_precisions_are_counted_by_the_schedule() -> None:
    partitioner = Partitioner(WS_4X4, 2, rate=Rate(cycles_per_step=3), overlapped=False)
    assert partitioner.partition(Gemm(m=5, n=8, k=8), 1, 2, 1).cycles == 2 * (4 + 15 + 6)


def test_an_impossible_partition_is_refused() -> None:
    with pytest.raises(ValueError, match="2x8x8 cannot be cut 3 x 1 x 1"):
        Partitioner(WS_4X4, 4).partition(Gemm(m=2, n=8, k=8), 3, 1, 1)
    with pytest.raises(ValueError, match="not 0 and 4"):
        Partitioner(WS_4X4, 0)
