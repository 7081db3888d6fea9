"""Exact cycles of single kernels on a GPU of two SMs; gpu_double.py holds its numbers."""

import pytest
from gpu_double import START, elementwise, gpu, lowered, matmul, vector

from sim.gpu.kernel import TENSOR, VECTOR
from sim.lowering import DRAM, Traffic
from sim.stalls import CycleStack, StallCause
from workloads.trace import Family


def cold(op, **changed):
    """Lower one operation with nothing in L2."""
    return lowered(gpu(**changed), op)[0]


def warm(op, **changed):
    """Lower one operation again, right after itself."""
    return lowered(gpu(**changed), op, op)[1]


def test_one_cold_tile_loads_waits_computes_and_stores():
    # 256 operand and 128 result bytes at 8 a cycle; latency; 1024 flops at 64; 128 bytes at 16
    assert cold(matmul(8, 8, 8)).main_cycles == START + 48 + 100 + 16 + 8


def test_the_stack_of_one_tile_says_where_every_cycle_went():
    assert cold(matmul(8, 8, 8)).stack == CycleStack(
        busy=8,  # one of two SMs computes for 16 cycles
        stalls={
            StallCause.LAUNCH: START,
            StallCause.FILL_DRAIN: 48 + 100 + 8 + 8,  # load, latency, store, the other SM
        },
    )


def test_an_operand_in_l2_costs_its_shorter_latency_and_no_dram_traffic():
    op = warm(matmul(8, 8, 8))
    assert op.main_cycles == START + 16 + 20 + 16 + 8
    assert op.traffic[DRAM] == Traffic(read_bytes=0, written_bytes=128)


def test_two_stages_keep_one_load_in_flight_while_one_chunk_is_computed():
    # loads of 16 start at 0, 16, 52, 68; arithmetic of 16 at 36, 52, 88, 104; store of 8
    assert warm(matmul(8, 8, 32)).main_cycles == START + 128


def test_more_stages_hide_the_latency_of_every_load_but_the_first():
    tile = {"m": 8, "n": 8, "k_bytes": 16, "stages": 4}
    assert warm(matmul(8, 8, 32), tiles__shapes=[tile]).main_cycles == (
        START + 16 + 20 + 4 * 16 + 8
    )


def test_two_waves_of_lone_blocks_run_back_to_back():
    # with two SMs at work the written bytes take 32 cycles of each load
    assert warm(matmul(32, 8, 8)).main_cycles == START + 2 * (32 + 20 + 16 + 8)


def test_a_second_resident_block_loads_while_the_first_one_computes():
    # its load of 32 ends at 64, its arithmetic starts 20 later
    op = warm(matmul(32, 8, 8), sm__max_blocks=2)
    assert op.main_cycles == START + 64 + 20 + 16 + 8


def test_a_tail_wave_has_the_bandwidth_to_itself_but_leaves_sms_idle():
    op = warm(matmul(24, 8, 8))
    assert op.main_cycles == START + (32 + 20 + 16 + 8) + (16 + 20 + 16 + 8)
    assert op.stack.busy == 3 * 16 // 2


def test_a_product_smaller_than_its_tile_costs_the_full_tile():
    op = warm(matmul(1, 1, 1))
    assert op.main_cycles == START + 1 + 20 + 16 + 1
    assert op.stack.busy == 0  # two flops are less than a cycle of either SM
    assert op.stack.stalls[StallCause.FILL_DRAIN] == 1 + 20 + 16 + 1


def test_padding_that_hides_behind_a_transfer_is_charged_to_the_bytes():
    # two blocks of eight chunks: loads of 35 (2208 bytes), arithmetic of 16, an eighth useful
    tile = {"m": 8, "n": 8, "k_bytes": 16, "stages": 6}
    op = cold(matmul(1, 16, 64), tiles__shapes=[tile])
    assert op.main_cycles == START + 8 * 35 + 100 + 16 + 1
    padding = 16 - 2
    assert op.stack == CycleStack(
        busy=8 * 2,
        stalls={
            StallCause.LAUNCH: START,
            StallCause.BANDWIDTH: 7 * (35 - 16) + 7 * padding,
            StallCause.FILL_DRAIN: 35 + 100 + padding + 1,
        },
    )


def test_splitting_k_puts_idle_sms_to_work_when_the_sum_in_turn_costs_less():
    op = warm(matmul(8, 8, 512), l2__capacity_bytes="64 KiB")
    assert "k split in 2" in op.choice
    # 32 chunks a part, loads of 17: a pair of chunks takes 17 + 20 + 16, the last one 17 more;
    # then the other part's turn: 2 x 20, and 2 x 128 bytes at 16 a cycle
    assert op.main_cycles == START + 16 * (17 + 20 + 16) + 17 + 8 + (2 * 20 + 16)
    assert op.stack.stalls[StallCause.SYNCHRONISATION] == 2 * 20 + 16
    assert op.traffic[DRAM].written_bytes == 2 * 128


def test_the_fastest_of_several_tiles_is_taken():
    shapes = [
        {"m": 16, "n": 16, "k_bytes": 16, "stages": 2},
        {"m": 8, "n": 8, "k_bytes": 16, "stages": 2},
    ]
    assert warm(matmul(8, 8, 8), tiles__shapes=shapes).choice == "tile 8x8x8, 2 stages"
    assert warm(matmul(32, 16, 64), tiles__shapes=shapes).choice == "tile 16x16x8, 2 stages"


def test_operands_that_outgrow_l2_are_read_again_by_later_waves():
    # A of 32 KiB, B of 8 KiB, L2 of 4 KiB, two tiles of 1 KiB panels at a time: best is to keep
    # two panels of B and stream A past them, four times in all
    op = cold(matmul(256, 64, 64))
    assert op.traffic[DRAM].read_bytes == 2 * 64 * (4 * 256 + 64)


def test_operands_that_fit_l2_are_read_once():
    op = cold(matmul(64, 16, 16))
    assert op.traffic[DRAM].read_bytes == 2 * 16 * (64 + 16)


def test_a_long_elementwise_kernel_is_bound_by_dram():
    # 200 blocks of 32 elements, 100 an SM, 128 bytes each at 4 a cycle; then the last one's rest
    op = cold(elementwise(6400), sm__max_blocks=8)
    assert op.main_cycles == START + 100 * 32 + 100 + 8 + 4
    assert op.stack.busy == 6400 // 4 // 2
    assert op.stack.stalls[StallCause.BANDWIDTH] == 99 * (32 - 8)
    assert op.traffic[DRAM] == Traffic(read_bytes=12800, written_bytes=12800)


def test_four_resident_blocks_are_too_few_for_the_latency():
    # by Little's law they move 4 x 128 bytes in 144 cycles, which is less than 4 a cycle
    op = cold(elementwise(6400), sm__max_blocks=4)
    assert op.main_cycles == START + 25 * (32 + 100 + 8 + 4) + 3 * 32
    assert op.stack.stalls[StallCause.DRAM] > 0


def test_lone_blocks_cannot_hide_dram_latency():
    op = cold(elementwise(6400))
    assert op.main_cycles == START + 100 * (32 + 100 + 8 + 4)


def test_special_functions_bind_where_they_are_many():
    op = vector(Family.ELEMENTWISE, {"elements": 64}, transcendentals=64, read=128, written=128)
    # 32 results an SM, one a cycle
    assert warm(op).main_cycles == START + 16 + 20 + 32 + 4


def test_rows_that_fit_the_sm_are_read_once_whatever_the_passes():
    op = vector(Family.ROWWISE, {"rows": 2, "cols": 512, "passes": 3}, read=2048, written=2048)
    assert cold(op).traffic["l2"].read_bytes == 2048


def test_longer_rows_are_read_once_a_pass():
    op = vector(Family.ROWWISE, {"rows": 2, "cols": 2048, "passes": 3}, read=8192, written=8192)
    assert cold(op, l2__capacity_bytes="1 MiB").traffic["l2"].read_bytes == 3 * 8192
    assert cold(op, l2__capacity_bytes="1 MiB").traffic[DRAM].read_bytes == 8192


def test_rows_too_long_for_l2_come_from_dram_in_every_pass():
    op = vector(Family.ROWWISE, {"rows": 2, "cols": 2048, "passes": 3}, read=8192, written=8192)
    assert cold(op).traffic[DRAM].read_bytes == 3 * 8192


@pytest.mark.parametrize("family", [Family.COPY, Family.GATHER])
def test_moving_data_keeps_no_arithmetic_unit_busy(family):
    dims = {"elements": 64} if family is Family.COPY else {"rows": 2, "cols": 32}
    op = cold(vector(family, dims, read=128, written=128))
    # 256 bytes at 8 a cycle, latency, 64 bytes at 16
    assert op.main_cycles == START + 32 + 100 + 4
    assert op.stack.busy == 0


def test_units_other_than_the_one_at_work_are_idle():
    product, sums = lowered(gpu(), matmul(8, 8, 8), elementwise(64))
    assert product.units[VECTOR] == CycleStack(idle=product.main_cycles)
    assert sums.units[TENSOR] == CycleStack(idle=sums.main_cycles)
    assert product.units[TENSOR] == product.stack
