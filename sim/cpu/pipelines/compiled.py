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

FORWARDING, RESOLVE, WAITS, SCHEME, BITS, INITIAL, HISTORY, ADDRESS, BUFFER, XOR = range(10)
"""Places of a machine's rules: bits are those of a counter and of what numbers it."""
SCHEMES = ("none", "not-taken", "taken", "backward-taken", "counter")
TAKEN, BACKWARD_TAKEN, COUNTER = range(2, 5)


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
    part = (address >> 2) & ((1 << rules[ADDRESS]) - 1)
    if rules[XOR]:
        return int(part ^ history)
    return int((history << rules[ADDRESS]) | part)


@njit(cache=True)
def _predicted(rules: Ints, address: int, entries: Ints, counters: Ints, history: int) -> int:
    """Return the address that follows in the predictor's eyes; an entry is its columns."""
    entry = entries[(address >> 2) & ((1 << rules[BUFFER]) - 1)]
    following = address + INSTRUCTION_BYTES
    if rules[SCHEME] == 0 or entry[0] != address:
        return following
    taken = not entry[2] or rules[SCHEME] == TAKEN
    if not taken and rules[SCHEME] == BACKWARD_TAKEN:
        taken = entry[1] <= address
    elif not taken and rules[SCHEME] == COUNTER:
        taken = counters[_counter(rules, address, history)] >= 1 << (rules[BITS] - 1)
    return int(entry[1]) if taken else following


@njit(cache=True)
def _learn(  # noqa: PLR0917 - the predictor's tables and what they learn
    rules: Ints, row: Ints, event: Ints, entries: Ints, counters: Ints, history: int
) -> int:
    """Take in one resolved (address, target, taken); return the new history."""
    place = entries[(event[0] >> 2) & ((1 << rules[BUFFER]) - 1)]
    place[0], place[1], place[2] = event[0], event[1], row[CONDITIONAL]
    if row[CONDITIONAL]:
        number = _counter(rules, event[0], history)
        moved = counters[number] + (1 if event[2] else -1)
        counters[number] = min(max(moved, 0), (1 << rules[BITS]) - 1)
    return int(((history << 1) | event[2]) & ((1 << rules[HISTORY]) - 1))


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
    forwarding, resolve, waits = rules[FORWARDING], rules[RESOLVE], rules[WAITS]
    ready = np.zeros(REGISTERS, dtype=np.int64)
    entries = np.full((1 << rules[BUFFER], 3), -1, dtype=np.int64)
    counters = np.full(1 << (rules[HISTORY] + rules[ADDRESS]), rules[INITIAL], dtype=np.int64)
    # What is not yet known to the predictor: at most the instructions between IF and MEM.
    events = np.zeros((8, 5), dtype=np.int64)
    first = after = history = total = hits = 0
    predicts = rules[SCHEME] > 0
    fetch = decode = execute = memory = write = redirect = np.int64(0)
    last_write = np.int64(-2)
    for step in range(len(indices)):
        index = indices[step]
        fetch = max(decode, redirect)
        decode = max(fetch + 1, execute)
        execute = max(
            decode + 1,
            memory,
            ready[table[index, SOURCE]],
            ready[table[index, SOURCE + 1]],
            ready[table[index, SOURCE + 2]],
        )
        memory = execute + 1
        if waits and table[index, CALL]:
            memory = max(memory, last_write + 2)
        write = memory + 1
        if table[index, DEST]:
            late = memory if table[index, LATE] else np.int64(-1)
            ready[table[index, DEST]] = (late if forwarding else write) + 1
        if table[index, WRITES]:
            last_write = write
        if len(stamps):
            stamps[step, :] = (fetch, decode, execute, memory, write)
        redirect = np.int64(0)
        if not table[index, CONTROL]:
            continue
        address = base + index * INSTRUCTION_BYTES
        following = address + INSTRUCTION_BYTES
        if step + 1 < len(indices):
            following = base + indices[step + 1] * INSTRUCTION_BYTES
        guess = address + INSTRUCTION_BYTES
        resolved = memory if resolve == MEM else execute
        if predicts:
            while first < after and events[first & 7, 3] < decode:
                event = events[first & 7]
                history = _learn(rules, table[event[4]], event, entries, counters, history)
                first += 1
            guess = _predicted(rules, address, entries, counters, history)
            event = events[after & 7]
            event[0], event[3], event[4] = address, resolved, index
            event[1] = table[index, TARGET] if table[index, CONDITIONAL] else following
            event[2] = went[step]
            after += 1
        total += 1
        if guess == following:
            hits += 1
        else:
            redirect = resolved + 1
    return int(memory), int(total), int(hits)
