"""What an operation finds in the caches that the one before left."""

import pytest
from cpu_cases import l1, spec
from executed_cases import product

from sim.cpu.hierarchy import Hierarchy, Operand
from sim.cpu.lowering import Lowering

LINE_CYCLES = 66
"""Of cpu-5stage's main memory."""


def test_of_a_result_stays_what_the_operations_own_streams_leave():
    """4 KiB of results along 1 MiB of weights: in 32 KiB of cache the last 32nd is left."""
    trace = product(1, 1024, 256)
    (op,) = trace.blocks[0].ops
    described = spec("cpu-5stage")
    hierarchy = Hierarchy(described)
    lowering = Lowering(hierarchy, described)
    lowering.start(trace)
    lowering.find(op, None, trace)
    found = hierarchy.read(trace, op.writes[0], None, op)
    streamed = op.bytes_read + op.bytes_written
    assert found.in_l1_bytes == 4096 * 32768 // streamed
    assert found.from_dram_bytes == 4096 - found.in_l1_bytes
    assert found.level == hierarchy.dram


@pytest.mark.parametrize(("capacity", "kept"), [("32 KiB", 1024), ("2 KiB", 0)])
def test_rows_stay_while_weights_stream_by_if_they_fit_beside_two_panels(capacity, kept):
    trace = product(1, 1024, 256)
    (op,) = trace.blocks[0].ops
    described = spec("cpu-5stage", caches=l1(capacity))
    hierarchy = Hierarchy(described)
    lowering = Lowering(hierarchy, described)
    lowering.start(trace)
    lowering.find(op, None, trace)
    assert hierarchy.read(trace, op.reads[0], None, op).in_l1_bytes == kept


@pytest.mark.parametrize(("held", "cycles"), [(0, 66), (64, 33), (127, 1), (128, 0)])
def test_a_partly_held_operand_costs_its_missing_part_on_the_average(held, cycles):
    hierarchy = Hierarchy(spec("cpu-5stage"))
    found = Operand(128, hierarchy.dram, 128 - held, in_l1_bytes=held)
    assert hierarchy.line_cost(hierarchy.dram).cycles == LINE_CYCLES
    assert hierarchy.first_cost(found).cycles == cycles


def test_a_kernels_own_data_misses_once():
    hierarchy = Hierarchy(spec("cpu-5stage"))
    assert hierarchy.data("angles", 64).from_dram_bytes == 64
    assert hierarchy.data("angles", 64).from_dram_bytes == 0
