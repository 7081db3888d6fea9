"""Time of vector instructions: the scalar pipeline and, beside it, a vector unit.

`sim.cpu.riscv.vector.unit` is the readable specification of the unit. The scalar pipeline's times
are relative to the last leave of WB, as in `inorder_compiled`; the unit's are counted from the
machine's first cycle, so that nothing has to be shifted, and `CLOCK` says how far that is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.cpu.inorder_compiled import (
    CACHE,
    DATA,
    DRAM,
    FILL,
    OFFSET,
    PIPE,
    READY,
    REDIRECT,
    STRUCTURAL,
    Rules,
    advance,
)
from sim.cpu.riscv.compiled.state import (
    CHAINS,
    LATENCY,
    NO_PORT,
    OCCUPIES,
    OPERAND_GROUPS,
    OPERANDS,
    PORT,
    RESULT,
    RESULTS,
    ROW,
    TO_REGISTER,
    WORK_MISS,
    WORK_TO_DRAM,
    Ints,
)
from sim.jit import njit
from sim.memory.cache.compiled import unowned

FREE, MISSED, TO_DRAM, BEGUN = 0, 2, 3, 4
"""In a unit's times: when each part is free, cycles of misses not yet accounted for and whether
main memory took part, then of each register when its first and its last elements are there, and
whether they came from memory."""
DONE, LOADED = BEGUN + 32, BEGUN + 64
CLOCK = BEGUN + 96
TIMES = BEGUN + 97
_IDLE = -(2**40)
UNIT_READY = READY
"""Ready time of x0, which no instruction waits for: vector instructions wait for the unit there."""


def idle_unit() -> Ints:
    """Return the times of a unit that has done nothing."""
    times = np.full(TIMES, _IDLE, dtype=np.int64)
    times[MISSED:BEGUN] = 0
    times[LOADED:] = 0  # the clock too
    return times


@njit(cache=True)
def _operands(work: Ints, times: Ints, since: Any) -> Any:
    """Return the latest of the operands' times that begin at a place, and whether it was loaded."""
    latest, loaded = np.int64(_IDLE), False
    for group in range(OPERAND_GROUPS):
        first = work[OPERANDS + 2 * group]
        if first >= 0:
            for register in range(first, first + work[OPERANDS + 2 * group + 1]):
                if times[since + register] > latest:
                    latest, loaded = times[since + register], times[LOADED + register] > 0
    return latest, loaded


@njit(cache=True)
def _begin(work: Ints, times: Ints, start: Any, chains: Any) -> Any:
    """Take an instruction into the unit; return when its last result is there."""
    if work[PORT] == NO_PORT:
        return start + work[LATENCY]
    last = start + work[WORK_MISS] + work[OCCUPIES] - 1
    if chains:
        last = max(last, _operands(work, times, DONE)[0])
    times[FREE + work[PORT]] = last + 1
    if work[PORT] == 1:
        times[MISSED], times[TO_DRAM] = work[WORK_MISS], work[WORK_TO_DRAM]
    if work[RESULT] >= 0:
        for register in range(work[RESULT], work[RESULT] + work[RESULTS]):
            times[BEGUN + register] = start + work[WORK_MISS] + work[LATENCY]
            times[DONE + register] = last + work[LATENCY]
            times[LOADED + register] = work[PORT]
    return last + work[LATENCY]


@njit(cache=True)
def _charge(part: Any, structural: Any, loaded: Any, times: Ints, lost: Ints) -> None:
    """Charge cycles that an instruction waited for the unit to what they were waited for."""
    lost[DATA] -= part
    if loaded:
        missed = min(part, times[MISSED])
        lost[DRAM if times[TO_DRAM] else CACHE] += missed
        times[MISSED] -= missed
        part -= missed
    lost[STRUCTURAL if structural else DATA] += part


@njit(cache=True)
def _pass(  # noqa: PLR0917 - one instruction, then what it passes through
    rows: Ints,
    work: Ints,
    state: Ints,
    rules: Rules,
    stamps: Ints,
    lost: Ints,
    times: Ints,
    chains: Any,
) -> Any:
    """Pass one vector instruction through the pipeline into the unit."""
    free, loaded = np.int64(_IDLE), False
    wanted = free
    if work[PORT] != NO_PORT:
        free = times[FREE + work[PORT]]
        wanted, loaded = _operands(work, times, BEGUN if chains else DONE)
    structural = free >= wanted
    accepted = max(free, wanted) - times[CLOCK]
    state[UNIT_READY] = max(accepted, state[REDIRECT])
    before = lost[DATA]
    passed = advance(rows, state, rules, stamps, lost)
    _, width, issue, _, _, _ = rules
    start = state[PIPE + issue * width + width - 1] + passed
    if start == accepted:
        from_memory = work[PORT] == 1 if structural else loaded
        _charge(lost[DATA] - before, structural, from_memory, times, lost)
    done = _begin(work, times, start + times[CLOCK], chains)
    times[CLOCK] += passed
    if work[TO_REGISTER] >= 0:
        place = READY + work[TO_REGISTER]
        state[place] = max(state[place], done - times[CLOCK])
    return passed


@njit(cache=True)
def advance_vectors(  # noqa: PLR0917 - as `advance`, with the unit's
    owned_rows: Ints,
    owned_work: Ints,
    owned_state: Ints,
    rules: Rules,
    owned_stamps: Ints,
    owned_lost: Ints,
    owned_times: Ints,
    unit: Ints,
) -> Any:
    """Run rows from a state as `advance` does; `work` is what their vector instructions ask."""
    cycles, at = np.int64(0), np.int64(0)
    rows, work, times = unowned(owned_rows), unowned(owned_work), unowned(owned_times)
    state, lost, stamps = unowned(owned_state), unowned(owned_lost), unowned(owned_stamps)
    for place in range(len(work)):
        here = work[place, ROW]
        if here > at:
            passed = advance(rows[at:here], state, rules, stamps, lost)
            times[CLOCK] += passed
            cycles += passed
        at = here + 1
        chains = unit[CHAINS] > 0
        cycles += _pass(rows[here:at], work[place], state, rules, stamps, lost, times, chains)
    if at < len(rows):
        passed = advance(rows[at:], state, rules, stamps, lost)
        times[CLOCK] += passed
        cycles += passed
    return cycles


@njit(cache=True)
def drain(state: Ints, rules: Rules, lost: Ints, times: Ints) -> Any:
    """Return the cycles until the unit is idle, counted from the last WB, as lost at the end."""
    last = max(times[CLOCK], times[FREE], times[FREE + 1])
    for register in range(32):
        last = max(last, times[DONE + register])
    left = last - times[CLOCK]
    _, width, _, _, _, write = rules
    for place in range(len(state)):
        if not OFFSET <= place < PIPE:
            state[place] -= left
    state[PIPE + (write + 1) * width - 1] = 0
    lost[FILL] += left
    times[CLOCK] = last
    return left
