"""Address traces against real numbers moving through the array, and against the DMA's schedule."""

import io

import numpy as np
import pytest
from sram_cases import memory, unit

from sim.errors import UnsupportedOpError
from sim.tpu.array.reference import Snapshot, multiply
from sim.tpu.array.systolic import ArraySpec, Dataflow, Drain, Gemm
from sim.tpu.memory.blocks import Blocking, Operand
from sim.tpu.memory.sram import DoubleBuffered
from sim.tpu.memory.sram_reference import schedule
from sim.tpu.scalesim.address_trace import (
    IDLE,
    AddressMap,
    address_map,
    dram_trace,
    sram_trace,
    write_trace,
)
from sim.tpu.scalesim.config import ScaleSimConfig
from sim.tpu.scalesim.topology import Convolution, Layer

GEMM = Gemm(m=5, n=4, k=7)
ARRAY = {flow: ArraySpec(rows=3, cols=2, dataflow=flow) for flow in Dataflow}

CONFIG = ScaleSimConfig(
    run_name="test",
    array=ArraySpec(rows=3, cols=2),
    ifmap_sram_bytes=1024,
    filter_sram_bytes=1024,
    ofmap_sram_bytes=1024,
    ifmap_offset=0,
    filter_offset=100,
    ofmap_offset=200,
)


def addresses(gemm: Gemm = GEMM) -> AddressMap:
    return address_map(CONFIG, Layer(name="test", gemm=gemm))


def lines(flow: Dataflow, operand: Operand) -> dict[int, tuple[int, ...]]:
    return dict(sram_trace(ARRAY[flow], GEMM, addresses(), operand))


def snapshots(flow: Dataflow) -> list[Snapshot]:
    """Every cycle of the moving reference, each element's value its own address and one more."""
    a = np.arange(35.0).reshape(5, 7) + 1
    b = np.arange(28.0).reshape(4, 7).T + 101
    seen: list[Snapshot] = []
    multiply(ARRAY[flow], a, b, watch=seen.append)
    return seen


@pytest.mark.parametrize("flow", Dataflow)
def test_every_element_enters_the_array_in_the_cycle_of_the_trace(flow: Dataflow) -> None:
    left, top = Operand.A, Operand.B
    if flow is Dataflow.INPUT_STATIONARY:
        left, top = top, left
    from_left, from_top = lines(flow, left), lines(flow, top)
    for cycle, shot in enumerate(snapshots(flow)):
        loads = shot.phase == "load" or flow is Dataflow.OUTPUT_STATIONARY
        if shot.phase != "load":
            entering = [int(value) - 1 for value in shot.inputs[:, 0]]
            assert entering == list(from_left.get(cycle, (IDLE,) * 3))
        if loads:
            entering = [int(value) - 1 for value in shot.weights[0]]
            assert entering == list(from_top.get(cycle, (IDLE,) * 2))


@pytest.mark.parametrize("flow", [Dataflow.WEIGHT_STATIONARY, Dataflow.INPUT_STATIONARY])
def test_a_result_leaves_the_array_in_the_cycle_of_the_trace(flow: Dataflow) -> None:
    results = lines(flow, Operand.C)
    folds = 0
    for cycle, shot in enumerate(snapshots(flow)):
        folds += shot.phase == "load" and shot.cycle == 1
        if shot.phase == "load":
            assert cycle not in results
            continue
        column_tile = (folds - 1) // 3 * 2
        expected = []
        for col, step in enumerate(shot.rows[-1].tolist()):
            place = (step, column_tile + col)
            m, n = place if flow is Dataflow.WEIGHT_STATIONARY else place[::-1]
            used = step != IDLE and m < GEMM.m and n < GEMM.n
            expected.append(200 + m * GEMM.n + n if used else IDLE)
        assert expected == list(results.get(cycle, (IDLE, IDLE)))


def test_outputs_that_stay_are_complete_when_their_last_operands_have_met() -> None:
    first_fold = list(lines(Dataflow.OUTPUT_STATIONARY, Operand.C).items())[:4]
    # c[0,0]; c[1,0] and c[0,1]; c[2,0] and c[1,1]; c[2,1], from the seventh cycle
    assert first_fold == [(6, (200, -1)), (7, (204, 201)), (8, (208, 205)), (9, (-1, 209))]


@pytest.mark.parametrize("flow", Dataflow)
@pytest.mark.parametrize("operand", Operand)
def test_every_element_crosses_as_often_as_folds_use_it(flow: Dataflow, operand: Operand) -> None:
    crossed = [
        address for line in lines(flow, operand).values() for address in line if address != IDLE
    ]
    start, count = {Operand.A: (0, 35), Operand.B: (100, 28), Operand.C: (200, 20)}[operand]
    assert set(crossed) == set(range(start, start + count))
    assert len(crossed) % count == 0


def test_a_drain_through_the_columns_has_no_trace_yet() -> None:
    array = ArraySpec(rows=2, cols=2, dataflow=Dataflow.OUTPUT_STATIONARY, drain=Drain.SERIAL)
    with pytest.raises(UnsupportedOpError, match="no address trace of a 'serial' drain"):
        next(sram_trace(array, GEMM, addresses(), Operand.C))


def test_a_convolution_s_inputs_are_the_pixels_of_its_windows() -> None:
    conv = Convolution(
        ifmap_rows=4,
        ifmap_cols=5,
        filter_rows=2,
        filter_cols=2,
        channels=3,
        filters=1,
        stride_rows=2,
        stride_cols=2,
    )
    layer = Layer(name="conv", gemm=conv.gemm, convolution=conv)
    pixel = address_map(CONFIG, layer).a
    assert [pixel(0, k) for k in range(12)] == [0, 1, 2, 3, 4, 5, 15, 16, 17, 18, 19, 20]
    assert [pixel(1, k) for k in (0, 3)] == [6, 9]
    # output pixels 2 columns apart: the third would start in the last column and hang over
    assert (conv.ofmap_rows, conv.ofmap_cols) == (2, 3)
    assert [pixel(2, k) for k in (0, 3)] == [12, IDLE]
    assert pixel(3, 0) == 2 * 5 * 3


@pytest.mark.parametrize("overlapped", [False, True])
@pytest.mark.parametrize("order", ["nkm", "kmn"])
def test_words_cross_the_memory_s_port_in_their_dma_turns(overlapped: bool, order: str) -> None:
    gemm = Gemm(m=6, n=8, k=9)
    plan = DoubleBuffered(
        unit(overlapped=overlapped),
        memory(3, a=48, b=40, c=4 * 40, latency_cycles=5),
        gemm,
        Blocking(m=4, n=4, k=4, order=order),
    )
    turns = schedule(plan)
    begins = turns.start[:, 0] + np.where(np.arange(len(turns.start)) == 0, 5, 0)
    ends = turns.done[:, 0]
    counts = {}
    for operand in Operand:
        trace = list(dram_trace(plan, addresses(gemm), operand))
        cycles = [line.cycle for line in trace]
        assert cycles == sorted(set(cycles))
        for cycle in cycles:
            assert ((begins <= cycle) & (cycle < ends)).sum() == 1
        assert all(len(line.addresses) <= 4 for line in trace)
        counts[operand] = sum(len(line.addresses) for line in trace)
        found = {address for line in trace for address in line.addresses}
        assert len(found) == plan.nest.operand_elements(operand)
    assert counts[Operand.A] == plan.moved[Operand.A].read_bytes
    assert counts[Operand.B] == plan.moved[Operand.B].read_bytes
    moved = plan.moved[Operand.C]
    spilled = moved.read_bytes // plan.memory.partial_bytes
    assert counts[Operand.C] == 2 * spilled + gemm.m * gemm.n


def test_a_trace_is_written_as_the_peer_writes_it() -> None:
    file = io.StringIO()
    trace = sram_trace(CONFIG.array, Gemm(m=1, n=2, k=3), addresses(), Operand.B)
    assert write_trace(trace, file) == 3
    assert file.getvalue().splitlines() == [
        "0, 102, 109,",
        "1, 101, 108,",
        "2, 100, 107,",
    ]


def test_a_trace_of_a_large_product_is_made_as_it_is_read() -> None:
    large = Gemm(m=10**6, n=10**6, k=10**6)
    first = next(sram_trace(CONFIG.array, large, addresses(large), Operand.A))
    assert first.addresses == (0, IDLE, IDLE)
