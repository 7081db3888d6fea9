"""Weight-stationary schedules small enough to draw by hand, cycle by cycle."""

import numpy as np
import pytest
from systolic_drawing import A_3X3, B_3X3, drawing, watched

from sim.tpu.array.reference import multiply
from sim.tpu.array.systolic import ArraySpec, Gemm, SystolicSchedule


def test_three_rows_through_a_3x3_array_take_ten_cycles() -> None:
    seen = watched(ArraySpec(rows=3, cols=3), A_3X3, B_3X3)
    assert [(s.phase, drawing(s)) for s in seen] == [
        ("load", "... ... ..."),
        ("load", "... ... ..."),
        ("load", "... ... ..."),
        ("stream", "0.. ... ..."),
        ("stream", "10. 0.. ..."),
        ("stream", "210 10. 0.."),
        ("stream", ".21 210 10."),
        ("stream", "..2 .21 210"),
        ("stream", "... ..2 .21"),
        ("stream", "... ... ..2"),
    ]


def test_weights_enter_a_3x3_array_from_the_top_last_row_first() -> None:
    loads = watched(ArraySpec(rows=3, cols=3), A_3X3, B_3X3)[:3]
    assert loads[0].weights.tolist() == [[3, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert loads[1].weights.tolist() == [[0, 1, 0], [3, 0, 1], [0, 0, 0]]
    assert loads[2].weights.tolist() == B_3X3.tolist()


def test_partial_sums_grow_downwards_by_one_product_a_cycle() -> None:
    seen = watched(ArraySpec(rows=3, cols=3), A_3X3, B_3X3)
    # row 0 of A meets column 0 of B: 1*1, then + 2*0, then + 3*3
    assert [seen[cycle].sums[row, 0] for cycle, row in ((3, 0), (4, 1), (5, 2))] == [1, 1, 10]
    # and column 2 one cycle later for each column: 1*2, + 2*0, + 3*1
    assert [seen[cycle].sums[row, 2] for cycle, row in ((5, 0), (6, 1), (7, 2))] == [2, 2, 5]


def test_two_rows_through_a_4x4_array_take_twelve_cycles() -> None:
    a = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    seen = watched(ArraySpec(rows=4, cols=4), a, np.arange(16.0).reshape(4, 4))
    assert [drawing(s) for s in seen] == [
        *["...." + " ...." * 3] * 4,
        "0... .... .... ....",
        "10.. 0... .... ....",
        ".10. 10.. 0... ....",
        "..10 .10. 10.. 0...",
        "...1 ..10 .10. 10..",
        ".... ...1 ..10 .10.",
        ".... .... ...1 ..10",
        ".... .... .... ...1",
    ]


def test_a_fold_that_fills_one_element_costs_the_full_array() -> None:
    product = multiply(ArraySpec(rows=4, cols=4), np.array([[3.0]]), np.array([[5.0]]))
    assert (product.values.item(), product.cycles) == (15, 1 + 8 + 4 - 2)


def test_folds_one_after_another_cost_their_sum() -> None:
    a, b = np.ones((2, 5)), np.ones((5, 6))  # 5 rows of weights on 4, 6 columns on 4: 2 x 2 folds
    product = multiply(ArraySpec(rows=4, cols=4), a, b)
    assert (product.folds, product.cycles) == (4, 4 * 12)
    assert SystolicSchedule(ArraySpec(rows=4, cols=4), Gemm(m=2, n=6, k=5)).serial_cycles == 48


@pytest.mark.parametrize(
    ("m", "cycles"),
    [
        # the stream hides the load: 3 + 5 + 5 + 5 + 4 to cross
        (5, 22),
        # the load hides the stream: 3 + 3 + 3 + 1 + 4 to cross
        (1, 14),
    ],
)
def test_three_overlapped_folds_show_one_load_and_one_crossing(m: int, cycles: int) -> None:
    schedule = SystolicSchedule(ArraySpec(rows=3, cols=3), Gemm(m=m, n=3, k=9))
    assert (schedule.folds, schedule.overlapped_cycles) == (3, cycles)


def test_mapping_and_utilisation_of_a_partial_fold() -> None:
    schedule = SystolicSchedule(ArraySpec(rows=4, cols=4), Gemm(m=2, n=2, k=4))
    assert schedule.mapping_efficiency == 0.5
    assert schedule.utilisation(schedule.serial_cycles) == 2 * 2 * 4 / (12 * 16)


def test_an_array_or_a_product_without_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="0x4"):
        ArraySpec(rows=0, cols=4)
    with pytest.raises(ValueError, match="positive"):
        Gemm(m=1, n=0, k=1)
