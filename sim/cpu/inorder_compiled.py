"""The compiled twin of `inorder`: the same cycle stamps, as a loop over executed instructions.

With leave' the leave times of the instruction before, leave" of the one a group's width before, and
one register between stages, which has a place for each instruction of a group:

    start[0] = leave"[0], start'[0], after a taken branch its done[resolve], past data accesses on
               the port
    leave[s] = max(done[s], leave'[s], leave"[s + 1])
    start[s] = leave[s - 1], in the first memory stage past the access before
    done[s]  = start[s] + 1, in the issue stage with the wait for operands and unit,
               in the first memory stage with the miss

The loop starts from a state and leaves it updated, so that a program may be run piece by piece.
Times in a state are relative to the last leave of WB; what can no longer matter is set to a
floor, so that equal states mean equal futures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.inorder_rules import PipelineRules
from sim.cpu.isa import REGISTERS
from sim.jit import njit
from sim.memory.cache.compiled import unowned

Ints = npt.NDArray[np.int64]
Rules = tuple[int, int, int, int, int, int]
"""Forwarding, width, and the indices of the stages that issue, resolve, have loaded
and write.
"""

FIVE_STAGES: Rules = (1, 1, 1, 2, 3, 4)
"""The classic pipeline: one instruction a cycle, forwarding."""

DEST, SOURCE, LATENCY, ACCESSES, FROM_MEMORY, MISS, TO_DRAM, TAKEN = 0, 1, 4, 5, 6, 7, 8, 9
UNIT, BUSY = 10, 11
"""Columns of a table of steps; sources take three. Registers count from 0, -1 is none."""
COLUMNS = 12
UNITS = 5

FETCHED, REDIRECT, ACCESSED, UNIT_FREE = 0, 1, 2, 3
READY = UNIT_FREE + UNITS
"""In a state: start of the last fetch, end of the last taken branch's EX, end of the last data
access in its first memory stage, when each unit is free (the first always is), ready time of each
register; then, for each integer register as a base, its offset within a cache line, and the
highest line touched from there, -1 for none; then, stage by stage, the leave times of the last
instructions, as many as the width, and (start, end) of the data accesses that a fetch may meet.
"""
OFFSET = READY + REGISTERS
TOUCHED = OFFSET + 32
PIPE = TOUCHED + 32

DATA, STRUCTURAL, CONTROL, CACHE, DRAM, FILL = range(6)
"""Causes in an account of lost cycles."""
CAUSES = 6


def pack(rules: PipelineRules) -> Rules:
    """Return rules as the compiled loop takes them."""
    return (
        int(rules.forwarding),
        rules.issue_width,
        rules.issue,
        rules.resolve,
        rules.loaded,
        rules.write,
    )


def initial_state(rules: PipelineRules) -> Ints:
    """Return an empty pipeline, registers ready, no line touched.

    A fetch may meet the accesses of all instructions between it and the first memory stage.
    """
    width = rules.issue_width
    met = (rules.resolve + 1) * width if rules.shared_port else 0
    state = np.zeros(PIPE + (rules.write + 1) * width + 2 * met, dtype=np.int64)
    state[TOUCHED:PIPE] = -1
    return state


def no_stamps(rules: PipelineRules) -> Ints:
    """Return the stamps of a run that keeps none."""
    return np.zeros((0, rules.write + 1, 3), dtype=np.int64)


@njit(cache=True)
def advance(table: Ints, state: Ints, rules: Rules, stamps: Ints, lost: Ints) -> np.int64:
    """Run a table of steps from a state; return the cycles from the last WB to the new last one.

    `state` is updated; `lost` [CAUSES] is added to, and `stamps` [steps, stages, 3] is filled in
    unless it is empty.
    """
    shared_port = PIPE + (rules[5] + 1) * rules[1] < len(state)
    if rules == FIVE_STAGES and not shared_port and not len(stamps):
        # The same loop with its numbers known to the compiler, which unrolls the stages.
        return _advance(table, state, FIVE_STAGES, stamps, lost, False, False)
    return _advance(table, state, rules, stamps, lost, shared_port, len(stamps) > 0)


@njit(cache=True, inline="always")
def _advance(  # noqa: PLR0917 - as `advance`, then whether the port is shared and stamps are kept
    table: Ints,
    state: Ints,
    rules: Rules,
    stamps: Ints,
    lost: Ints,
    shared_port: bool,
    stamped: bool,
) -> np.int64:
    _, width, issue, resolve, loaded, write = rules
    table, state, lost = unowned(table), unowned(state), unowned(lost)
    accesses = PIPE + (write + 1) * width
    for i in range(len(table)):
        row = table[np.uint64(i)]
        could_start = max(state[PIPE], state[FETCHED])
        redirected = max(could_start, state[REDIRECT])
        fetch = _past_accesses(state, accesses, redirected) if shared_port else redirected
        fetched = _pass_on(state, 0, issue, fetch, width)
        could_leave = _free_place(state, issue, fetched + 1, width)
        could_issue = max(could_leave, state[np.uint64(UNIT_FREE + row[UNIT])])
        issued = max(could_issue, _operands_ready(row, state))
        _leave(state, issue, issued, width)
        started = _pass_on(state, issue + 1, resolve, issued, width)
        access = _pass_on(state, resolve, resolve + 1, started, width)
        if row[ACCESSES]:
            access = max(access, state[ACCESSED])
            state[ACCESSED] = access + row[BUSY] + row[MISS]
        if shared_port:
            _note_access(state, accesses, row, access)
        held = row[BUSY] if row[ACCESSES] else 1
        accessed = access + held + row[MISS]
        times = (fetch, access, accessed)
        left = _free_place(state, resolve + 1, accessed, width)
        _leave(state, resolve + 1, left, width)
        if loaded > resolve + 1:
            accessed = _pass_on(state, resolve + 2, loaded, left, width) + 1
            left = _pass_on(state, loaded, loaded + 1, accessed - 1, width)
        gone = _pass_on(state, loaded + 1, write, left, width)
        bubbles = gone - state[np.uint64(accesses - 1)]
        if bubbles > 0:
            waits = (
                issued - could_issue,
                could_issue - could_leave + fetch - redirected,
                redirected - could_start,
            )
            _account(bubbles, (row[MISS], held - 1, *waits), row[TO_DRAM], lost)
        _leave(state, write, gone + 1, width)
        state[FETCHED] = fetch
        if row[TAKEN]:
            state[REDIRECT] = started + 1
        if row[UNIT]:
            busy = 1 if row[ACCESSES] else row[BUSY]
            state[np.uint64(UNIT_FREE + row[UNIT])] = issued + busy
        if row[DEST] >= 0:
            state[np.uint64(READY + row[DEST])] = _result_ready(row, rules, issued, accessed, gone)
        if stamped:
            _stamp(state, times, rules, stamps[i])
    return _rebase(state, rules)


@njit(cache=True, inline="always")
def _free_place(state: Ints, stage: int, done: np.int64, width: int) -> np.int64:
    """Return when an instruction can leave a stage: in order, and into a free place."""
    at = np.uint64(PIPE + stage * width + width)
    return max(done, state[at - np.uint64(1)], state[at])


@njit(cache=True, inline="always")
def _leave(state: Ints, stage: int, left: np.int64, width: int) -> None:
    """Note when an instruction left a stage, in place of the oldest."""
    at = PIPE + stage * width
    if width > 1:
        for place in range(at, at + width - 1):
            state[np.uint64(place)] = state[np.uint64(place + 1)]
    state[np.uint64(at + width - 1)] = left


@njit(cache=True, inline="always")
def _pass_on(state: Ints, first: int, end: int, entered: np.int64, width: int) -> np.int64:
    """Pass an instruction through stages of one cycle, and return when it leaves the last."""
    for stage in range(first, end):
        entered = _free_place(state, stage, entered + 1, width)
        _leave(state, stage, entered, width)
    return entered


@njit(cache=True)
def _stamp(
    state: Ints, times: tuple[np.int64, np.int64, np.int64], rules: Rules, stamps: Ints
) -> None:
    """Write start, done and leave of each stage.

    `times` are the start of the fetch, and start and end of the first memory stage's work.
    """
    _, width, _, resolve, _, write = rules
    entered = times[0]
    for stage in range(write + 1):
        left = state[PIPE + stage * width + width - 1]
        start = times[1] if stage == resolve + 1 else entered
        done = times[2] if stage == resolve + 1 else start + 1
        stamps[stage, 0], stamps[stage, 1], stamps[stage, 2] = start, done, left
        entered = left


@njit(cache=True, inline="always")
def _result_ready(
    row: Ints, rules: Rules, issued: np.int64, accessed: np.int64, gone: np.int64
) -> np.int64:
    """Return when an instruction that reads a result can enter EX."""
    forwarding, _, issue, resolve, _, _ = rules
    execute_stages = resolve - issue
    ready: np.int64 = issued + max(row[LATENCY], execute_stages)
    if not forwarding:
        ready = gone + 1 + max(row[LATENCY] - execute_stages, 0)
    elif row[FROM_MEMORY]:
        ready = accessed
    return ready


@njit(cache=True)
def _past_accesses(state: Ints, first: int, fetch: np.int64) -> np.int64:
    """Return when a fetch finds the shared port free; older data accesses go first."""
    free: np.int64 = fetch
    for access in range(first, len(state), 2):
        if state[access] <= free < state[access + 1]:
            free = state[access + 1]
    return free


@njit(cache=True)
def _note_access(state: Ints, first: int, row: Ints, access: np.int64) -> None:
    """Put a data access, or none, in the place of the oldest that a fetch may meet."""
    for place in range(first, len(state) - 2):
        state[place] = state[place + 2]
    end = access + row[BUSY] + row[MISS]
    state[len(state) - 2], state[len(state) - 1] = access, end if row[ACCESSES] else access


@njit(cache=True, inline="always")
def _operands_ready(row: Ints, state: Ints) -> np.int64:
    """Return when a step's operands can enter EX."""
    ready: np.int64 = state[FETCHED]
    for place in range(SOURCE, SOURCE + 3):
        source = row[np.uint64(place)]
        if source >= 0:
            ready = max(ready, state[np.uint64(READY + source)])
    return ready


@njit(cache=True)
def _account(
    bubbles: np.int64, delays: tuple[int | np.int64, ...], to_dram: int, lost: Ints
) -> None:
    """Charge the bubbles in front of a step to its own delays, the one nearest to WB first."""
    causes = (DRAM if to_dram else CACHE, STRUCTURAL, DATA, STRUCTURAL, CONTROL)
    for cause, delay in zip(causes, delays):  # noqa: B905 - numba has no strict zip
        part = min(bubbles, delay)
        lost[cause] += part
        bubbles -= part
    lost[FILL] += bubbles


@njit(cache=True)
def _rebase(state: Ints, rules: Rules) -> np.int64:
    """Count the state's times from its last WB, and forget what cannot matter any more."""
    _, width, issue, resolve, _, write = rules
    accesses = PIPE + (write + 1) * width
    now = np.int64(state[accesses - 1])
    for t in range(len(state)):
        if not OFFSET <= t < PIPE:
            state[t] -= now
    # the next fetch starts no earlier, and enters each stage as many cycles later
    earliest = max(state[REDIRECT], state[PIPE], state[FETCHED])
    state[REDIRECT] = earliest
    for place in range(PIPE + width, accesses - 1):
        state[place] = max(state[place], earliest + (place - PIPE) // width)
    for unit in range(UNIT_FREE, READY):
        state[unit] = max(state[unit], earliest + issue + 1)
    state[ACCESSED] = max(state[ACCESSED], earliest + resolve + 1)
    for access in range(accesses, len(state), 2):
        if state[access + 1] <= earliest:
            state[access] = earliest
            state[access + 1] = earliest
    for register in range(READY, OFFSET):
        state[register] = max(state[register], earliest + issue + 1)
    return now


@njit(cache=True)
def touch_lines(
    streams: Ints, state: Ints, line_bytes: int, miss_cycles: Ints, table: Ints
) -> None:
    """Set each step's miss cycles from the lines that it is the first to touch.

    `streams` [steps, 6]: base register (-1 none), offset, bytes, pointer that is set (-1 none),
    from which (-1: it starts anew in lines not yet touched) and how far from it. `miss_cycles`
    [32]: cost of a line, by base register. The state's offsets and touched lines are updated.
    """
    for i in range(len(streams)):
        base, offset, size, moved, origin, by = streams[i]
        if base >= 0:
            first = (state[OFFSET + base] + offset) // line_bytes
            last = (state[OFFSET + base] + offset + size - 1) // line_bytes
            new = last - max(state[TOUCHED + base], first - 1)
            if new > 0:
                table[i, MISS] = new * miss_cycles[base]
                state[TOUCHED + base] = last
            else:
                table[i, MISS] = 0
        if moved >= 0:
            if origin < 0:
                state[OFFSET + moved] = 0
                state[TOUCHED + moved] = -1
            else:
                at = state[OFFSET + origin] + by
                lines = at // line_bytes
                state[OFFSET + moved] = at - lines * line_bytes
                state[TOUCHED + moved] = max(state[TOUCHED + origin] - lines, -1)
