"""Operand SRAMs, worked by hand: who waits for which bytes, in every cycle."""

import numpy as np
import pytest
from sram_cases import dram, memory, unit

from sim.errors import CapacityError
from sim.stalls import StallCause
from sim.tpu.array.systolic import ArraySpec, Gemm
from sim.tpu.memory.blocks import ArrayUnit, Blocking, BlockNest, Channel, Operand, OperandStore
from sim.tpu.memory.sram import DoubleBuffered, Moved
from sim.tpu.memory.sram_reference import schedule, walk

TWO_FOLDS = Gemm(m=8, n=8, k=4)
ONE_FOLD_A_BLOCK = Blocking(m=8, n=4, k=4, order="nkm")


def test_a_fold_s_operands_arrive_while_the_fold_before_is_worked_on() -> None:
    plan = DoubleBuffered(unit(), memory(), TWO_FOLDS, ONE_FOLD_A_BLOCK)
    # each fold 4 + 8 + 6; A and the first B 32 + 16 bytes at 4 a cycle, the second B 16, C 32 each
    times = schedule(plan)
    assert times.flow.cycles.tolist() == [[12, 18], [4, 18], [8, 0], [8, 0]]
    assert times.start[:, 1].tolist() == [12, 30, 48, 56]
    assert (plan.total_cycles, plan.compute_cycles, plan.stall_cycles) == (56, 36, 20)


def test_an_overlapped_load_is_fetched_one_fold_ahead() -> None:
    plan = DoubleBuffered(unit(overlapped=True), memory(), TWO_FOLDS, ONE_FOLD_A_BLOCK)
    times = schedule(plan)
    # B alone, then A and the second B while the first B loads; 8 to stream, and at last 6 to cross
    assert times.flow.cycles.tolist() == [[4, 4], [12, 8], [0, 14], [8, 0], [8, 0]]
    assert plan.total_cycles == 4 + 12 + 8 + 14 + 8
    assert plan.compute_cycles == 4 + 8 + 8 + 6


def test_operands_that_come_late_stall_the_arrays_by_the_cycles_missing() -> None:
    gemm, blocking = Gemm(m=2, n=16, k=4), Blocking(m=2, n=4, k=4, order="nkm")
    slow = DoubleBuffered(unit(), memory(1), gemm, blocking)
    # B's 16 bytes take 16 cycles, a fold 12; with what the fold before last made, 8 more
    rows = [[8 + 16, 12], [16, 12], [16 + 8, 12], [16 + 8, 12], [8, 0], [8, 0]]
    assert schedule(slow).flow.cycles.tolist() == rows
    assert slow.total_cycles == 24 + 16 + 24 + 24 + 12 + 8
    assert slow.stack().stalls[StallCause.BANDWIDTH] == slow.total_cycles - 4 * 12


def test_a_held_operand_is_moved_once_and_one_that_does_not_fit_in_every_turn() -> None:
    gemm, blocking = Gemm(m=4, n=12, k=12), Blocking(m=4, n=4, k=4, order="nkm")
    held = DoubleBuffered(unit(), memory(a=48), gemm, blocking)  # the three tiles of A
    short = DoubleBuffered(unit(), memory(a=47), gemm, blocking)
    assert held.moved[Operand.A] == Moved(48, 0)
    assert short.moved[Operand.A] == Moved(3 * 48, 0)
    assert [read for read, _, _ in walk(held)] == [32] * 3 + [16] * 6
    assert [read for read, _, _ in walk(short)] == [32] * 9


def test_two_tiles_of_an_operand_are_the_least_that_double_buffering_needs() -> None:
    gemm, blocking = Gemm(m=4, n=12, k=12), Blocking(m=4, n=4, k=4, order="nkm")
    DoubleBuffered(unit(), memory(a=32), gemm, blocking)
    with pytest.raises(CapacityError, match=r"operand a of blocks 4x4x4 needs 32 bytes .* has 31;"):
        DoubleBuffered(unit(), memory(a=31), gemm, blocking)


def test_sums_that_do_not_fit_leave_as_partial_sums_and_come_back() -> None:
    gemm, blocking = Gemm(m=4, n=12, k=8), Blocking(m=4, n=4, k=4, order="knm")
    held = DoubleBuffered(unit(), memory(c=4 * 48), gemm, blocking)
    spilt = DoubleBuffered(unit(), memory(c=4 * 48 - 1), gemm, blocking)
    assert held.moved[Operand.C] == Moved(0, 48)
    assert spilt.moved[Operand.C] == Moved(4 * 48, 4 * 48 + 48)
    # A and B; B; B; then each with 64 bytes of partial sums, which had left in the turns before
    assert walk(spilt) == [
        *[(32, 16, 64), (16, 16, 64), (16, 16, 64)],
        *[(32 + 64, 16, 16), (16 + 64, 16, 16), (16 + 64, 16, 16)],
    ]


def test_a_fold_whose_rows_come_in_parts_loads_and_crosses_once() -> None:
    gemm = Gemm(m=12, n=4, k=4)
    parts = DoubleBuffered(unit(), memory(64), gemm, Blocking(m=4, n=4, k=4, order="nkm"))
    # loads 4, streams 3 times 4, crosses 6
    assert [core for _, core in schedule(parts).flow.cycles.tolist()] == [8, 4, 10, 0, 0]
    assert parts.compute_cycles == 4 + 12 + 6
    outer = DoubleBuffered(
        unit(), memory(64), Gemm(m=12, n=8, k=4), Blocking(m=4, n=4, k=4, order="mnk")
    )
    assert outer.compute_cycles == 6 * (4 + 4 + 6)


def test_arrays_share_the_folds_of_a_block() -> None:
    gemm, whole = Gemm(m=8, n=12, k=4), Blocking(m=8, n=12, k=4, order="mnk")
    cycles = [
        DoubleBuffered(unit(count=count), memory(), gemm, whole).compute_cycles
        for count in (1, 2, 3, 4)
    ]
    assert cycles == [3 * 18, 2 * 18, 18, 18]


@pytest.mark.parametrize(
    ("dataflow", "cycles"), [("ws", 6 + 4 + 6), ("is", 7 + 4 + 6), ("os", 3 + 6)]
)
def test_every_dataflow_waits_for_its_own_operands(dataflow: str, cycles: int) -> None:
    gemms = {"ws": Gemm(m=6, n=4, k=3), "is": Gemm(m=4, n=7, k=3), "os": Gemm(m=4, n=4, k=3)}
    whole = Blocking(m=6, n=7, k=3, order="mnk")
    plan = DoubleBuffered(unit(dataflow), memory(1), gemms[dataflow], whole)
    assert plan.compute_cycles == cycles
    moved = {op: sum((m.read_bytes, m.written_bytes)) for op, m in plan.moved.items()}
    assert plan.total_cycles == cycles + sum(moved.values())


def test_several_products_follow_each_other_without_a_gap() -> None:
    heads = DoubleBuffered(unit(), memory(), TWO_FOLDS, ONE_FOLD_A_BLOCK, batch=3)
    # as one product of six folds, every second with a new A, after two of which 8 are written
    assert schedule(heads).flow.cycles.tolist() == [
        *[[12, 18], [4, 18], [12 + 8, 18], [4 + 8, 18], [12 + 8, 18], [4 + 8, 18], [8, 0], [8, 0]]
    ]
    assert heads.total_cycles == 12 + 18 + 20 + 18 + 20 + 18 + 18 + 8


def test_the_first_access_waits_for_the_memory_s_latency() -> None:
    late = DoubleBuffered(unit(), memory(latency_cycles=9), TWO_FOLDS, ONE_FOLD_A_BLOCK)
    assert late.total_cycles == 56 + 9
    assert late.stack().stalls == {
        StallCause.FILL_DRAIN: 20,
        StallCause.DRAM: 9,
        StallCause.BANDWIDTH: 20,
    }


def test_a_channel_is_as_slow_as_the_memory_for_both_directions_or_the_port_for_each() -> None:
    read, written = np.array([100, 100]), np.array([100, 0])
    assert Channel(dram(10)).busy_cycles(read, written).tolist() == [20, 10]
    wide = Channel(dram(10), port_bytes_per_cycle=20)
    assert wide.busy_cycles(read, written).tolist() == [20, 10]
    narrow = Channel(dram(10), port_bytes_per_cycle=4)
    assert narrow.busy_cycles(read, written).tolist() == [25, 25]
    odd = dram(7)
    for count in (0, 1, 6, 7, 8, 10**9 + 1):
        assert Channel(odd).busy_cycles(np.array([count]), np.array([0])) == odd.transfer_cycles(
            count
        )


def test_a_million_blocks_take_no_more_counting_than_six_a_loop() -> None:
    large = Gemm(m=4 * 200, n=4 * 200, k=4 * 200)
    plan = DoubleBuffered(unit(), memory(64), large, Blocking(m=4, n=4, k=4, order="mnk"))
    assert plan.nest.blocks == 8_000_000
    assert plan.compute_cycles == 200 * 200 * 200 * (4 + 4 + 6)
    assert len(plan._kinds_of_block()[0]) == 6**3


@pytest.mark.parametrize(
    "make",
    [
        lambda: Blocking(m=1, n=1, k=1, order="mmk"),
        lambda: Blocking(m=0, n=1, k=1, order="mnk"),
        lambda: OperandStore(element_bytes=-1),
        lambda: OperandStore(element_bytes=1, sram_bytes=0),
        lambda: ArrayUnit(array=ArraySpec(rows=1, cols=1), count=0),
        lambda: Channel(dram(1), port_bytes_per_cycle=0),
        lambda: BlockNest(TWO_FOLDS, ONE_FOLD_A_BLOCK, batch=0),
    ],
)
def test_impossible_memories_and_blockings_are_refused(make) -> None:
    with pytest.raises(ValueError, match=r"no|not"):
        make()
