"""The compiled twin of the engine: the same cycles, as one pass over executed instructions.

For machines that compute right values (interlocked), time needs no values but the retired stream;
`bare` has the twin of the others.
A packet is what passes together: one instruction, or two that may pair. With ' the packet before
and entries into stages in cycles:

    fetch = the second stage', or the cycle after a wrong prediction was found
    stage = max(the stage before + 1, the next stage'), up to execution
    EX    = that, and not before each operand is forwarded or in its register
    next  = EX + 1, of a waiting call at least two after the last writer's write-back

and a cycle a stage from there on. Two that were fetched together and may not pair part in the
second stage. The predictor is asked in the last cycle of fetch and knows what was resolved by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sim.cpu.pipelines.compiled_predictor import (
    COUNTERS,
    ENTRIES,
    INITIAL,
    PERFECT,
    SCHEME,
    learn,
    predicted,
    predictor_rules,
)
from sim.cpu.pipelines.decode import decode
from sim.cpu.pipelines.issue import may_pair
from sim.cpu.pipelines.sequential_compiled import sequential_run
from sim.cpu.pipelines.spec import PipelineSpec
from sim.cpu.riscv.machine import Execution
from sim.cpu.riscv.operation import Kind
from sim.cpu.riscv.program import INSTRUCTION_BYTES, Program
from sim.cpu.riscv.registers import REGISTERS
from sim.errors import SpecError
from sim.jit import njit
from sim.memory.cache.compiled import unowned

Ints = npt.NDArray[np.int64]

DEST, SOURCE, SOURCES, LATE, CONTROL, CONDITIONAL, TARGET, WRITES, CALL = 0, 1, 3, 4, 5, 6, 7, 8, 9
PAIRS, COLUMNS = 10, 11
"""Columns of a program's table; sources take three, 0 is none. LATE: a result from memory. PAIRS:
whether it goes on together with the next."""

EXECUTE, LAST, RESOLVE, WIDTH, WAITS, PATHS, LATE_PATHS, RULES = range(8)
"""Places of a machine's rules; paths have a bit for each stage after execution, nearest lowest."""
PENDING = 64
"""Resolutions not yet known to the predictor: more than instructions fit into a pipeline."""
PATH_BITS = 64
LONG_AGO = -(1 << 40)
FIVE_STAGES = (2, 2, 1, False)
"""Places of execution and resolution, width, no stamps: the classic pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRun:
    """Time of a retired stream."""

    cycles: int
    stamps: Ints
    """[executed, stages] cycle of entry into each stage, -1 for one not passed; empty unless asked
    for."""
    predictions: int | None
    correct_predictions: int | None


def run_stream(spec: PipelineSpec, execution: Execution, *, stamps: bool = False) -> StreamRun:
    """Time what a program executed on a machine.

    SpecError for one without interlock, whose values may be wrong, and one that is too deep.
    """
    if spec.organisation != "pipelined":
        cycles, entries = sequential_run(spec, execution, stamps=stamps)
        return StreamRun(cycles=cycles, stamps=entries, predictions=None, correct_predictions=None)
    if not spec.interlock:
        raise SpecError(f"{spec.name}: without interlock values may be wrong; use run_bare")
    if 2 * len(spec.stages) > PENDING:
        raise SpecError(f"{spec.name}: more than {PENDING // 2} stages; use run_pipeline")
    count, depth = execution.retired, len(spec.stages)
    into = np.zeros((count if stamps else 0, depth), dtype=np.int64)
    after, total, hits = _walk(
        _table(execution.program),
        execution.indices,
        execution.taken,
        execution.program.text_base,
        _rules(spec),
        _kept(spec),
        into,
    )
    known = spec.predictor is not None
    ends_in = depth - 1
    if not spec.drains:
        last = execution.program.instructions[int(execution.indices[-1])].operation
        ends_in = spec.stages.index(spec.memory_stage if last.accesses_memory else spec.call_stage)
    return StreamRun(
        cycles=int(after) + ends_in - spec.stages.index(spec.execute_stage),
        stamps=into,
        predictions=int(total) if known else None,
        correct_predictions=int(hits) if known else None,
    )


class Kept(NamedTuple):
    """What a pass keeps from packet to packet."""

    front: Ints
    """Entries of the last packet into the stages up to the one behind execution."""
    passed: Ints
    """[registers] when the last result for each left execution."""
    late: Ints
    """[registers] whether that one comes from memory."""
    predictor: Ints
    """Its rules."""
    entries: Ints
    counters: Ints
    events: Ints
    """[PENDING, 5] resolutions that the predictor does not know yet: address, target, whether
    taken, cycle, index."""


def _kept(spec: PipelineSpec) -> Kept:
    predictor = predictor_rules(spec.predictor)
    return Kept(
        front=np.zeros(spec.stages.index(spec.execute_stage) + 2, dtype=np.int64),
        passed=np.full(REGISTERS, LONG_AGO, dtype=np.int64),
        late=np.zeros(REGISTERS, dtype=np.int64),
        predictor=predictor,
        entries=np.full((predictor[ENTRIES], 3), -1, dtype=np.int64),
        counters=np.full(predictor[COUNTERS], predictor[INITIAL], dtype=np.int64),
        events=np.zeros((PENDING, 5), dtype=np.int64),
    )


def _rules(spec: PipelineSpec) -> Ints:
    place = spec.stages.index
    execute, memory = place(spec.execute_stage), place(spec.memory_stage)
    paths = [place(stage) for stage in spec.forward_from]
    rules = np.zeros(RULES, dtype=np.int64)
    rules[EXECUTE], rules[LAST], rules[RESOLVE] = (
        execute,
        len(spec.stages) - 1,
        place(spec.resolve_stage),
    )
    rules[WIDTH], rules[WAITS] = spec.width, spec.call_waits_for_writes
    written = ~((1 << (len(spec.stages) - 1 - execute)) - 1)  # once written, always there
    rules[PATHS] = sum(1 << (path - execute - 1) for path in paths) | written
    rules[LATE_PATHS] = sum(1 << (path - execute - 1) for path in paths if path > memory) | written
    return rules


def _table(program: Program) -> Ints:
    """One row an instruction."""
    decoded = decode(program)
    table = np.zeros((len(decoded), COLUMNS), dtype=np.int64)
    for row, one in zip(table, decoded, strict=True):
        row[DEST] = one.dest
        row[SOURCE : SOURCE + len(one.sources)] = one.sources
        row[LATE] = one.late
        row[CONTROL] = one.transfers_control
        row[CONDITIONAL] = one.instruction.operation.kind is Kind.BRANCH
        row[TARGET] = one.instruction.address + one.instruction.immediate
        row[WRITES] = one.has_dest_form
        row[CALL] = one.is_call
    for row, (first, second) in zip(table, pairwise(decoded), strict=False):
        row[PAIRS] = may_pair(first, second)
    return table


@njit(cache=True, inline="always")
def _operands_at(  # noqa: PLR0917 - an instruction, the paths, and where results are
    cycle: Any, row: Ints, paths: int, late_paths: int, passed: Ints, late: Ints
) -> Any:
    """Return the first cycle of execution, from `cycle` on, at which all operands are there."""
    source = 0
    while source < SOURCES:
        register = np.uint64(row[SOURCE + source])
        since = cycle - passed[register]
        source += 1
        if since < PATH_BITS and not ((late_paths if late[register] else paths) >> since) & 1:
            cycle += 1
            source = 0
    return cycle


@njit(cache=True, inline="always")
def _write(row: Ints, passed: Ints, late: Ints, cycle: Any) -> None:
    """Note that a result leaves execution; two of one packet are there when both are."""
    register = np.uint64(row[DEST])
    if register:
        late[register] = row[LATE] | (passed[register] == cycle and late[register])
        passed[register] = cycle


@njit(cache=True)
def _walk(  # noqa: PLR0917 - a stream, a machine, and what is filled in
    table: Ints, indices: Ints, went: Any, base: int, rules: Ints, kept: Kept, stamps: Ints
) -> tuple[int, int, int]:
    """Return the last entry behind execution, control flow resolved, and right predictions."""
    roles = (rules[EXECUTE], rules[RESOLVE], rules[WIDTH], len(stamps) > 0)
    if roles == FIVE_STAGES:  # the same loop with its numbers known to the compiler
        return _pass(table, indices, went, base, rules, kept, stamps, FIVE_STAGES)
    return _pass(table, indices, went, base, rules, kept, stamps, roles)


@njit(cache=True, inline="always")
def _pass(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one pass, its state in locals
    table: Ints,
    indices: Ints,
    went: Any,
    base: int,
    rules: Ints,
    kept: Kept,
    stamps: Ints,
    roles: tuple[int, int, int, bool],
) -> tuple[int, int, int]:
    execute, resolve, width, stamped = roles
    table, indices, front = unowned(table), unowned(indices), unowned(kept.front)
    passed, late = unowned(kept.passed), unowned(kept.late)
    predictor, events = unowned(kept.predictor), unowned(kept.events)
    entries, counters = unowned(kept.entries), unowned(kept.counters)
    paths, late_paths, waits = rules[PATHS], rules[LATE_PATHS], rules[WAITS]
    span = rules[LAST] - execute - 1  # from the stage behind execution to write-back
    scheme = predictor[SCHEME]
    first = after = history = total = hits = 0
    redirect, last_write = np.int64(0), np.int64(LONG_AGO)
    step, count, parted = np.uint64(0), np.uint64(len(indices)), False
    one = np.uint64(1)
    while step < count:
        index = indices[step]
        row = table[np.uint64(index)]
        if not parted:
            front[0] = max(front[1], redirect)
            front[1] = max(front[0] + 1, front[2])
            redirect = np.int64(0)
        # Whether the next executed instruction was fetched with this one, and goes on with it.
        together = False
        if width > 1:
            together = bool(not parted and step + one < count and indices[step + one] == index + 1)
        pair = one + np.uint64(together and row[PAIRS])
        for stage in range(2, execute):
            front[stage] = max(front[stage - 1] + 1, front[stage + 1])
        cycle = max(front[execute - 1] + 1, front[execute + 1])
        waited = _operands_at(cycle, row, paths, late_paths, passed, late)
        while pair > one:
            second = table[np.uint64(index + 1)]
            both = _operands_at(waited, second, paths, late_paths, passed, late)
            waited = _operands_at(both, row, paths, late_paths, passed, late)
            if waited == both:
                break
        front[execute] = waited
        behind = waited + 1
        if waits and row[CALL]:
            behind = max(behind, last_write + 2)
        front[execute + 1] = behind
        for place in range(pair):
            written = table[np.uint64(index) + place]
            _write(written, passed, late, behind)
            if written[WRITES]:
                last_write = behind + span
            if stamped:
                stamps[step + place, : execute + 2] = front
                for stage in range(execute + 2, rules[LAST] + 1):
                    stamps[step + place, stage] = behind + stage - execute - 1
        step += pair
        parted = together and pair == one
        if width > 1:
            index += np.int64(pair) - 1
            row = table[np.uint64(index)]
        if not row[CONTROL]:
            continue
        address = base + index * INSTRUCTION_BYTES
        following = address + INSTRUCTION_BYTES
        if step < count:
            following = base + indices[step] * INSTRUCTION_BYTES
        guess = address + INSTRUCTION_BYTES
        resolved = waited if resolve == execute else behind + resolve - execute - 1
        if scheme == PERFECT:
            guess = following
        elif scheme:
            while first < after and events[np.uint64(first % PENDING), 3] < front[1]:
                event = events[np.uint64(first % PENDING)]
                conditional = table[np.uint64(event[4]), CONDITIONAL]
                history = learn(predictor, conditional, event, entries, counters, history)
                first += 1
            guess = predicted(predictor, address, entries, counters, history)
            event = events[np.uint64(after % PENDING)]
            event[0], event[3], event[4] = address, resolved, index
            event[1] = row[TARGET] if row[CONDITIONAL] else following
            event[2] = went[step - one]
            after += 1
        total += 1
        if guess != address + INSTRUCTION_BYTES:
            parted = False  # what was fetched with it was dropped
        if guess == following:
            hits += 1
        else:
            redirect = resolved + 1
            parted = False
    return int(front[execute + 1]), int(total), int(hits)
