"""Output- and input-stationary schedules, drains and overlapped folds, drawn by hand."""

import numpy as np
import pytest
from systolic_drawing import A_3X3, B_3X3, drawing, leaving, watched

from sim.stalls import StallCause
from sim.tpu.array.elements import CollisionError
from sim.tpu.array.folds import cut
from sim.tpu.array.reference import multiply, run_outputs
from sim.tpu.array.systolic import ArraySpec, Dataflow, Drain, Gemm, Rate, SystolicSchedule

OS_3X3 = ArraySpec(rows=3, cols=3, dataflow=Dataflow.OUTPUT_STATIONARY)
IS_3X3 = ArraySpec(rows=3, cols=3, dataflow=Dataflow.INPUT_STATIONARY)


def os_3x3(drain: Drain) -> ArraySpec:
    return ArraySpec(rows=3, cols=3, dataflow=Dataflow.OUTPUT_STATIONARY, drain=drain)


def test_outputs_that_stay_in_a_3x3_array_are_done_after_seven_cycles() -> None:
    seen = watched(OS_3X3, A_3X3, B_3X3)
    assert [drawing(s) for s in seen] == [
        "0.. ... ...",
        "10. 0.. ...",
        "210 10. 0..",
        ".21 210 10.",
        "..2 .21 210",
        "... ..2 .21",
        "... ... ..2",
    ]


def test_a_sum_that_stays_grows_by_one_product_a_cycle() -> None:
    sums = [snapshot.sums for snapshot in watched(OS_3X3, A_3X3, B_3X3)]
    # row 0 of A by column 0 of B, from the first cycle: 1*1, + 2*0, + 3*3, and there it stays
    assert [s[0, 0] for s in sums] == [1, 1, 10, 10, 10, 10, 10]
    # row 2 of A by column 2 of B, from the fifth: 7*2, + 8*0, + 9*1
    assert [s[2, 2] for s in sums] == [0, 0, 0, 0, 14, 14, 23]


def test_both_operands_move_where_outputs_stay() -> None:
    seen = watched(OS_3X3, A_3X3, B_3X3)
    # the first row of A moves right, the first column of B down
    assert [s.inputs[0].tolist() for s in seen[:4]] == [[1, 0, 0], [2, 1, 0], [3, 2, 1], [0, 3, 2]]
    assert [s.weights[:, 0].tolist() for s in seen[:4]] == [
        [1, 0, 0],
        [0, 1, 0],
        [3, 0, 1],
        [0, 3, 0],
    ]


def test_two_pairs_through_a_4x4_array_of_outputs_take_eight_cycles() -> None:
    array = ArraySpec(rows=4, cols=4, dataflow=Dataflow.OUTPUT_STATIONARY)
    seen = watched(array, np.arange(8.0).reshape(4, 2), np.arange(8.0).reshape(2, 4))
    assert [drawing(s) for s in seen] == [
        "0... .... .... ....",
        "10.. 0... .... ....",
        ".10. 10.. 0... ....",
        "..10 .10. 10.. 0...",
        "...1 ..10 .10. 10..",
        ".... ...1 ..10 .10.",
        ".... .... ...1 ..10",
        ".... .... .... ...1",
    ]


def test_a_serial_drain_moves_each_column_out_when_its_bottom_element_is_done() -> None:
    seen = watched(os_3x3(Drain.SERIAL), A_3X3, B_3X3)
    assert [(s.phase, leaving(s)) for s in seen] == [
        ("stream", "... ... ..."),
        ("stream", "... ... ..."),
        ("stream", "0.. ... ..."),
        ("stream", "00. 1.. ..."),
        ("stream", "000 11. ..."),  # row 2 of column 0 is done, and out
        ("stream", ".00 011 ..."),  # row 1 of column 0 is out
        ("stream", "..0 .01 ..."),
        ("drain", "... ..0 ..."),
        ("drain", "... ... ..."),
    ]


def test_columns_of_b_through_a_3x3_array_that_holds_a_take_ten_cycles() -> None:
    seen = watched(IS_3X3, A_3X3, B_3X3)
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


def test_an_input_stationary_array_holds_a_and_lets_b_move() -> None:
    seen = watched(IS_3X3, A_3X3, B_3X3)
    assert seen[2].weights.tolist() == A_3X3.T.tolist()  # K on rows, M on columns
    assert [s.inputs[0].tolist() for s in seen[3:6]] == [[1, 0, 0], [0, 1, 0], [2, 0, 1]]


def test_two_columns_of_b_through_a_4x4_array_that_holds_a_take_twelve_cycles() -> None:
    array = ArraySpec(rows=4, cols=4, dataflow=Dataflow.INPUT_STATIONARY)
    seen = watched(array, np.arange(16.0).reshape(4, 4), np.arange(8.0).reshape(4, 2))
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


def test_a_second_weight_register_lets_the_next_fold_follow_without_a_bubble() -> None:
    array = ArraySpec(rows=3, cols=3)
    seen = watched(array, np.ones((4, 6)), np.ones((6, 3)), overlapped=True)
    assert [drawing(s) for s in seen] == [
        *["... ... ..."] * 3,
        "0.. ... ...",
        "10. 0.. ...",
        "210 10. 0..",
        "321 210 10.",
        "a32 321 210",
        "ba3 a32 321",
        "cba ba3 a32",
        "dcb cba ba3",
        ".dc dcb cba",
        "..d .dc dcb",
        "... ..d .dc",
        "... ... ..d",
    ]


def test_fewer_rows_than_the_array_has_wait_for_the_next_weights() -> None:
    array = ArraySpec(rows=3, cols=3)
    seen = watched(array, np.ones((2, 6)), np.ones((6, 3)), overlapped=True)
    assert [drawing(s) for s in seen] == [
        *["... ... ..."] * 3,
        "0.. ... ...",
        "10. 0.. ...",
        ".10 10. 0..",
        "a.1 .10 10.",
        "ba. a.1 .10",
        ".ba ba. a.1",
        "..b .ba ba.",
        "... ..b .ba",
        "... ... ..b",
    ]


def test_short_folds_of_outputs_wait_for_the_port_below_their_column() -> None:
    array = os_3x3(Drain.OVERLAPPED)
    seen = watched(array, np.ones((6, 2)), np.ones((2, 3)), overlapped=True)
    assert [drawing(s) for s in seen] == [
        "0.. ... ...",
        "10. 0.. ...",
        ".10 10. 0..",
        "a.1 .10 10.",
        "ba. a.1 .10",
        ".ba ba. a.1",
        "..b .ba ba.",
        "... ..b .ba",
        "... ... ..b",
        *["... ... ..."] * 2,
    ]


def test_results_in_the_sums_registers_keep_the_next_fold_out_until_they_have_moved() -> None:
    array = os_3x3(Drain.SERIAL)
    seen = watched(array, np.ones((6, 2)), np.ones((2, 3)), overlapped=True)
    assert [drawing(s) for s in seen[:6]] == [
        "0.. ... ...",
        "10. 0.. ...",
        ".10 10. 0..",
        "..1 .10 10.",
        "a.. ..1 .10",
        "ba. a.. ..1",
    ]
    assert len(seen) == 2 + 2 * (2 + 2) + 2


@pytest.mark.parametrize(("drain", "interval"), [(Drain.OVERLAPPED, 3), (Drain.SERIAL, 4)])
def test_a_fold_of_outputs_that_comes_one_cycle_early_collides(drain: Drain, interval: int) -> None:
    array = os_3x3(drain)
    assert array.interval_cycles(2) == interval
    tiles = cut(array, np.ones((6, 2)), np.ones((2, 3)))
    for start, collides in ((interval, False), (interval - 1, True)):
        run = run_outputs(array, tiles, [np.zeros((3, 3)) for _ in tiles], (0, start))
        if collides:
            with pytest.raises(CollisionError):
                list(run)
        else:
            assert len(list(run)) == 2 + interval + 4 + 2


@pytest.mark.parametrize(
    ("drain", "serial", "overlapped"),
    [
        # 3 folds of 5 pairs: 5 + 2 + 2 each; side by side one new fold every 5 cycles
        (Drain.DIRECT, 3 * 9, 5 * 3 + 4),
        # and the last fold's 2 rows on their way down
        (Drain.OVERLAPPED, 3 * 9 + 2, 5 * 3 + 4 + 2),
        # every fold's 2 rows on their way down
        (Drain.SERIAL, 3 * 11, (5 + 2) * 3 + 4),
    ],
)
def test_what_the_drain_of_three_folds_of_outputs_costs(
    drain: Drain, serial: int, overlapped: int
) -> None:
    schedule = SystolicSchedule(os_3x3(drain), Gemm(m=3, n=9, k=5))
    assert (schedule.folds, schedule.serial_cycles) == (3, serial)
    assert schedule.overlapped_cycles == overlapped


def test_the_three_dataflows_of_one_product() -> None:
    gemm = Gemm(m=5, n=7, k=9)  # on 4 x 4
    schedules = {
        flow: SystolicSchedule(ArraySpec(rows=4, cols=4, dataflow=flow), gemm) for flow in Dataflow
    }
    assert {flow: (s.folds_down, s.folds_across) for flow, s in schedules.items()} == {
        Dataflow.WEIGHT_STATIONARY: (3, 2),
        Dataflow.OUTPUT_STATIONARY: (2, 2),
        Dataflow.INPUT_STATIONARY: (3, 2),
    }
    assert {flow: s.serial_cycles for flow, s in schedules.items()} == {
        Dataflow.WEIGHT_STATIONARY: 6 * (5 + 8 + 4 - 2),
        Dataflow.OUTPUT_STATIONARY: 4 * (9 + 4 + 4 - 2),
        Dataflow.INPUT_STATIONARY: 6 * (7 + 8 + 4 - 2),
    }


def test_where_the_cycles_of_overlapped_folds_go() -> None:
    schedule = SystolicSchedule(ArraySpec(rows=3, cols=3), Gemm(m=1, n=3, k=9))
    stack = schedule.stack(overlapped=True)
    assert (stack.busy, stack.stalls) == (
        3,
        {StallCause.FILL_DRAIN: 3 + 4, StallCause.STRUCTURAL: 2 * (3 - 1)},
    )
    assert stack.total == schedule.overlapped_cycles == 14


def test_a_wide_operand_streams_once_for_each_of_its_digits() -> None:
    array = ArraySpec(rows=3, cols=3)
    wide = np.array([[300.0, 5, 700], [2, 999, 1]])
    digits = np.vstack([wide // 256, wide % 256])  # two bytes of a 16-bit operand, high and low
    product = multiply(array, digits, B_3X3)
    assert (product.values[:2] * 256 + product.values[2:] == wide @ B_3X3).all()
    rate = Rate(cycles_per_step=2)
    schedule = SystolicSchedule(array, Gemm(m=2, n=3, k=3), rate)
    assert product.cycles == schedule.serial_cycles == 3 + 2 * 2 + 4
    assert schedule.utilisation(schedule.serial_cycles) == 2 * 18 / (11 * 9)


def test_narrow_operands_stream_in_pairs() -> None:
    schedule = SystolicSchedule(OS_3X3, Gemm(m=3, n=3, k=7), Rate(steps_per_cycle=2))
    assert schedule.serial_cycles == 4 + 4
    assert schedule.least_cycles == 4  # 63 multiplications at 18 a cycle
    assert schedule.utilisation(schedule.serial_cycles) == 63 / (8 * 18)


@pytest.mark.parametrize("parts", [(0, 1), (1, 0), (2, 3)])
def test_a_rate_that_is_no_whole_number_is_refused(parts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Rate(cycles_per_step=parts[0], steps_per_cycle=parts[1])
