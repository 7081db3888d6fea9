"""An operation as uops of (DMA, core): a chunk's data arrives while the one before is worked on.

The latch between the two stages has one place, which makes the stream buffers double: DMA fills one
while the core empties the other, across the borders of operations too. A uop that takes no time is
a barrier: DMA can pass it only when the core is done with everything before, which is what data
that was written just before must wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sim.lowering import DRAM, LoweredOp, Traffic
from sim.memory.port import MemoryPort
from sim.stalls import CycleStack, StallCause
from sim.tpu.matmul import plan_matmul
from sim.tpu.operands import Movement
from sim.tpu.spec import TpuSpec
from sim.tpu.vector import VectorUnit
from workloads.trace import Op

DMA_STAGE, CORE_STAGE = 0, 1

SCRATCHPAD = "vmem"
"""Name of the scratchpad in the machine's traffic."""

LEAST_CHUNKS = 8
"""An operation is cut at least so fine where it has the folds or registers: a compiler's choice
that leaves an eighth of an operation's DMA uncovered at its start, at worst."""
MOST_CHUNKS = 48
"""And never finer, so that a step stays quick to compose: beyond, a chunk stands for several."""


def lower_matmul(spec: TpuSpec, op: Op, movement: Movement, *, least_rounds: int = 1) -> LoweredOp:
    """Lower a matrix product onto the arrays, in at least so many blocks of rows."""
    plan = plan_matmul(spec, op, movement, least_rounds=least_rounds)
    movement = replace(movement, written_bytes=movement.written_bytes + plan.spilled_bytes)
    run = plan.run
    read = plan.ahead_bytes + plan.late_bytes
    count = _chunks(spec, run.count, read + movement.written_bytes)
    edges = [run.count * i // count for i in range(count + 1)]
    times = [0, *(run.spent(edge) for edge in edges[1:])]
    core = np.array([end - begin for begin, end in pairwise(times)], dtype=np.int64)
    left = movement.written_bytes + movement.evicted_bytes
    dram = MemoryPort(spec.memory, spec.clock_hz, one_way=True)
    stack = _behind_bytes(run.stack(), dram.transfer_cycles(read, left))
    return LoweredOp(
        uops=chunk_uops(spec, core, plan.ahead_bytes, plan.late_bytes, movement),
        main_stage=CORE_STAGE,
        stack=stack,
        units={"array": stack, "vector": CycleStack(idle=stack.total)},
        traffic=_traffic(read, movement, used_bytes=plan.stream_bytes, made_bytes=op.bytes_written),
        choice=f"{plan.choice}, {count} chunk{'s' if count > 1 else ''}",
    )


def _behind_bytes(stack: CycleStack, dma_cycles: int) -> CycleStack:
    """Charge to bandwidth what the arrays wait for themselves while bytes are still under way.

    Without those waits the arrays would have waited for the bytes as long: they cost nothing.
    """
    stalls = dict(stack.stalls)
    covered = max(0, dma_cycles - stack.busy)
    for cause in (StallCause.STRUCTURAL, StallCause.FILL_DRAIN):
        moved = min(stalls.get(cause, 0), covered)
        stalls[cause] = stalls.get(cause, 0) - moved
        stalls[StallCause.BANDWIDTH] = stalls.get(StallCause.BANDWIDTH, 0) + moved
        covered -= moved
    return CycleStack(busy=stack.busy, idle=stack.idle, stalls=stalls)


def lower_vector(
    spec: TpuSpec, op: Op, movement: Movement, unit: VectorUnit, *, hidden_cycles: int = 0
) -> LoweredOp:
    """Lower a row-wise or elementwise operation, or a copy, onto the vector unit.

    `hidden_cycles` of its busy cycles run beside the arrays' work on products before it.
    """
    work = unit.work(op)
    busy, latency = work.busy_cycles(spec.vector), work.latency_cycles(spec.vector)
    busy -= hidden_cycles
    ahead, late = _read_bytes(movement)
    count = _chunks(spec, max(work.loads, 1), ahead + late + movement.written_bytes)
    stack = CycleStack(busy=busy, stalls={StallCause.DATA_DEPENDENCY: latency})
    passes = op.dims.get("passes", 1)
    used = sum(a.bytes * (passes if i == 0 else 1) for i, a in enumerate(op.reads))
    return LoweredOp(
        uops=chunk_uops(spec, _split(stack.total, count), ahead, late, movement),
        main_stage=CORE_STAGE,
        stack=stack,
        units={"array": CycleStack(idle=stack.total), "vector": stack},
        traffic=_traffic(ahead + late, movement, used_bytes=used, made_bytes=op.bytes_written),
        choice=(
            f"{work.loads} register loads, {work.passes} pass{'es' if work.passes > 1 else ''}, "
            f"{work.limiting_slot(spec.vector)} slot"
            + (f", {hidden_cycles} cycles beside the arrays" if hidden_cycles else "")
        ),
        hidden={"vector": hidden_cycles},
    )


def lower_gather(spec: TpuSpec, op: Op, movement: Movement) -> LoweredOp:
    """Lower a look-up of rows: DMA alone, once it is known which rows."""
    ahead, late = _read_bytes(movement)
    core = np.zeros(1, dtype=np.int64)
    return LoweredOp(
        uops=chunk_uops(spec, core, ahead, late, movement),
        main_stage=CORE_STAGE,
        stack=CycleStack(),
        units={"array": CycleStack(), "vector": CycleStack()},
        traffic=_traffic(ahead + late, movement, used_bytes=0, made_bytes=op.bytes_written),
        choice=f"DMA of {op.dims['rows']} rows",
    )


def _read_bytes(movement: Movement) -> tuple[int, int]:
    """Bytes to read ahead, and late."""
    ahead = sum(fetch.read_bytes for fetch in movement.fetches if not fetch.late)
    return ahead, sum(fetch.read_bytes for fetch in movement.fetches if fetch.late)


def _chunks(spec: TpuSpec, finest: int, moved_bytes: int) -> int:
    """Uops that an operation is cut into; one where nothing has to be moved."""
    if not moved_bytes:
        return 1
    buffers = -(-moved_bytes // spec.scratchpad.stream_buffer_bytes)
    return min(finest, MOST_CHUNKS, max(LEAST_CHUNKS, buffers))


def chunk_uops(
    spec: TpuSpec,
    core: npt.NDArray[np.int64],
    ahead_bytes: int,
    late_bytes: int,
    movement: Movement,
) -> npt.NDArray[np.int64]:
    """Return [uops, 2] cycles of DMA and core.

    Models: one memory channel for reads and writes, transfers in program order, back to back where
    they were known ahead; the latency of the first transfer that had to wait for its data.
    Ignores: row and bank effects of the memory, several transfers racing each other, that results
    leave after the chunk that makes them and not before it (their channel time is booked with the
    chunk), padding of tensors in memory; a step's launch by the host.
    Source: Norrie et al., The Design Process for Google's Training Chips: TPUv2 and TPUv3, IEEE
    Micro 41(2), 2021.
    """
    count = len(core)
    dram = MemoryPort(spec.memory, spec.clock_hz, one_way=True)
    ahead = _split(ahead_bytes, count)
    late = _split(late_bytes, count)
    written = _split(movement.written_bytes + movement.evicted_bytes, count)
    rows = np.stack([dram.busy_cycles(ahead + late, written), core], axis=1).tolist()
    if late_bytes:
        first = dram.latency_cycles + dram.transfer_cycles(int(late[0]), int(written[0]))
        prefetched = [(dram.transfer_cycles(int(ahead[0])), 0)] if ahead[0] else []
        rows[0:1] = [*prefetched, (0, 0), (first, int(core[0]))]
    return np.array(rows, dtype=np.int64)


def _split(total: int, parts: int) -> npt.NDArray[np.int64]:
    """Whole numbers that sum to `total` and differ by one at most."""
    edges = [total * i // parts for i in range(parts + 1)]
    return np.array([end - begin for begin, end in pairwise(edges)], dtype=np.int64)


def _traffic(
    read_bytes: int, movement: Movement, *, used_bytes: int, made_bytes: int
) -> Mapping[str, Traffic]:
    written = movement.written_bytes + movement.evicted_bytes
    return {
        SCRATCHPAD: Traffic(read_bytes=used_bytes, written_bytes=made_bytes),
        DRAM: Traffic(read_bytes=read_bytes, written_bytes=written),
    }
