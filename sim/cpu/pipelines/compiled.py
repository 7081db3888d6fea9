"""The compiled twin of the engine: the same cycles, as one pass over executed instructions.

For machines that compute right values (interlocked, one instruction a cycle), time needs no values
but the retired stream. With ' the instruction before, and entries into stages in cycles:

    IF  = ID', or the cycle after its wrong prediction was found
    ID  = max(IF + 1, EX')
    EX  = max(ID + 1, MEM', operands)    a cycle after a load's MEM, or without forwarding after WB
    MEM = EX + 1, of a waiting call at least two after the last writer's WB
    WB  = MEM + 1

The predictor is asked in an instruction's last cycle in IF and knows what was resolved by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.cpu.pipelines.engine import FROM_MEMORY
from sim.cpu.pipelines.spec import PipelineSpec, PredictorSpec
from sim.cpu.riscv.machine import Execution
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Program
from sim.cpu.riscv.registers import REGISTERS
from sim.errors import SpecError

Ints = npt.NDArray[np.int64]

IF, ID, EX, MEM, WB = range(5)
STAGES = 5
DEST, SOURCE, LATE, CONTROL, CONDITIONAL, TARGET, WRITES, CALL = 0, 1, 4, 5, 6, 7, 8, 9
"""Columns of a program's table; sources take three, 0 is none. LATE: a result after MEM."""
COLUMNS = 10

SCHEMES = ("none", "not-taken", "taken", "backward-taken", "counter")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRun:
    """Time of a retired stream."""

    cycles: int
    stamps: Ints
    """[executed, stages] cycle of entry into each stage; empty unless asked for."""
    predictions: int | None
    correct_predictions: int | None


def run_stream(spec: PipelineSpec, execution: Execution, *, stamps: bool = False) -> StreamRun:
    """Time what a program executed on a machine; SpecError for one that is not compiled."""
    if spec.organisation != "pipelined" or len(spec.stages) != STAGES or spec.width > 1:
        raise SpecError(f"{spec.name}: only five stages of width 1 are compiled; use run_pipeline")
    if not spec.interlock:
        raise SpecError(f"{spec.name}: without interlock values may be wrong; use run_pipeline")
    count = execution.retired
    into = np.zeros((count if stamps else 0, STAGES), dtype=np.int64)
    rules = np.array(
        [
            spec.forwarding,
            spec.stages.index(spec.resolve_stage),
            spec.call_waits_for_writes,
            *_predictor_rules(spec.predictor),
        ],
        dtype=np.int64,
    )
    last, total, hits = _walk(
        _table(execution.program),
        execution.indices,
        execution.taken,
        execution.program.text_base,
        rules,
        into,
    )
    known = spec.predictor is not None
    return StreamRun(
        cycles=int(last) + (2 if spec.drains else 1),
        stamps=into,
        predictions=int(total) if known else None,
        correct_predictions=int(hits) if known else None,
    )


def _predictor_rules(spec: PredictorSpec | None) -> tuple[int, ...]:
    if spec is None:
        return (0,) * 7
    return (
        SCHEMES.index(spec.scheme),
        spec.counter_bits,
        spec.initial,
        spec.history_bits,
        spec.address_bits,
        spec.buffer_bits,
        int(spec.combine == "xor"),
    )


def _table(program: Program) -> Ints:
    """One row an instruction."""
    table = np.zeros((len(program.instructions), COLUMNS), dtype=np.int64)
    for row, instruction in zip(table, program.instructions, strict=True):
        operation = instruction.operation
        row[DEST] = instruction.dest or 0
        row[SOURCE : SOURCE + len(instruction.sources)] = instruction.sources
        row[LATE] = operation.kind in FROM_MEMORY
        row[CONTROL] = operation.transfers_control
        row[CONDITIONAL] = operation.kind is Kind.BRANCH
        row[TARGET] = instruction.address + instruction.immediate
        row[WRITES] = "d" in operation.operands.lower()
        row[CALL] = operation.kind is Kind.ENVIRONMENT
    return table


@njit(cache=True)
def _counter(rules: Ints, address: int, history: int) -> int:
    part = (address >> 2) & ((1 << rules[7]) - 1)
    if rules[9]:
        return part ^ history
    return (history << rules[7]) | part


@njit(cache=True)
def _predicted(rules: Ints, address: int, entries: Ints, counters: Ints, history: int) -> int:
    """Return the address that follows in the predictor's eyes; an entry is its columns."""
    entry = entries[(address >> 2) & ((1 << rules[8]) - 1)]
    following = address + INSTRUCTION_BYTES
    if rules[3] == 0 or entry[0] != address:
        return following
    if not entry[2] or rules[3] == 2:
        return int(entry[1])
    if rules[3] == 3:
        taken = entry[1] <= address
    elif rules[3] == 4:
        taken = counters[_counter(rules, address, history)] >= 1 << (rules[4] - 1)
    else:
        taken = False
    return int(entry[1]) if taken else following


@njit(cache=True)
def _learn(  # noqa: PLR0917 - the predictor's tables and what they learn
    rules: Ints, row: Ints, event: Ints, entries: Ints, counters: Ints, history: int
) -> int:
    """Take in one resolved (address, target, taken); return the new history."""
    place = entries[(event[0] >> 2) & ((1 << rules[8]) - 1)]
    place[0], place[1], place[2] = event[0], event[1], row[CONDITIONAL]
    if row[CONDITIONAL]:
        number = _counter(rules, event[0], history)
        moved = counters[number] + (1 if event[2] else -1)
        counters[number] = min(max(moved, 0), (1 << rules[4]) - 1)
    return ((history << 1) | event[2]) & ((1 << rules[6]) - 1)


@njit(cache=True)
def _walk(  # noqa: C901, PLR0917 - one pass, its state in locals
    table: Ints,
    indices: Ints,
    went: Any,
    base: int,
    rules: Ints,
    stamps: Ints,
) -> tuple[int, int, int]:
    """Return the last entry into MEM, branches and jumps resolved, and right predictions."""
    forwarding, resolve, waits = rules[0], rules[1], rules[2]
    ready = np.zeros(REGISTERS, dtype=np.int64)
    entries = np.full((1 << rules[8], 3), -1, dtype=np.int64)
    counters = np.full(1 << (rules[6] + rules[7]), rules[5], dtype=np.int64)
    # What is not yet known to the predictor: at most the instructions between IF and MEM.
    events = np.zeros((8, 5), dtype=np.int64)
    first = after = 0
    history = total = hits = 0
    before = np.zeros(STAGES, dtype=np.int64)
    into = np.zeros(STAGES, dtype=np.int64)
    redirect, last_write = np.int64(0), np.int64(-2)
    for step in range(len(indices)):
        row = table[indices[step]]
        address = base + indices[step] * INSTRUCTION_BYTES
        into[IF] = max(before[ID], redirect)
        into[ID] = max(into[IF] + 1, before[EX]) if step else into[IF] + 1
        into[EX] = max(into[ID] + 1, before[MEM])
        for place in range(3):
            into[EX] = max(into[EX], ready[row[SOURCE + place]])
        into[MEM] = into[EX] + 1
        if row[CALL] and waits:
            into[MEM] = max(into[MEM], last_write + 2)
        into[WB] = into[MEM] + 1
        if row[DEST]:
            late = into[MEM] if row[LATE] else np.int64(-1)
            ready[row[DEST]] = (late if forwarding else into[WB]) + 1
        if row[WRITES]:
            last_write = into[WB]
        redirect = np.int64(0)
        while first < after and events[first & 7, 3] <= into[ID] - 1:
            event = events[first & 7]
            history = _learn(rules, table[event[4]], event, entries, counters, history)
            first += 1
        if step + 1 < len(indices):
            following = base + indices[step + 1] * INSTRUCTION_BYTES
        else:
            following = address + INSTRUCTION_BYTES
        if row[CONTROL]:
            right = _predicted(rules, address, entries, counters, history) == following
            total += 1
            hits += right
            if not right:
                redirect = into[resolve] + 1
            event = events[after & 7]
            event[0], event[3], event[4] = address, into[resolve], indices[step]
            event[1] = row[TARGET] if row[CONDITIONAL] else following
            event[2] = went[step]
            after += 1
        if len(stamps):
            stamps[step] = into
        before[:] = into
    return before[MEM], total, hits
