"""The compiled twin of `inorder`: the same cycle stamps, as a loop over executed instructions.

With leave' the leave times of the instruction before, and one register between stages:

    start[IF]  = leave'[IF], after a taken branch its done[EX], then past data accesses on the port
    leave[IF]  = max(start[IF] + 1, leave'[ID])
    leave[ID]  = max(start[ID] + 1, leave'[EX], operands ready)
    leave[EX]  = max(start[EX] + 1, leave'[MEM])
    leave[MEM] = max(start[MEM] + 1 + miss, leave'[WB])
    leave[WB]  = start[WB] + 1

The loop starts from a state and leaves it updated, so that a program may be run piece by piece.
Times in a state are relative to the last leave of WB; what can no longer matter is set to a
floor, so that equal states mean equal futures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.cpu.isa import REGISTERS
from sim.memory.cache.compiled import unowned

Ints = npt.NDArray[np.int64]

DEST, SOURCE, LATENCY, ACCESSES, FROM_MEMORY, MISS, TO_DRAM, TAKEN = 0, 1, 4, 5, 6, 7, 8, 9
"""Columns of a table of steps; sources take three. Registers count from 0, -1 is none."""
COLUMNS = 10

REDIRECT, PORT, READY = 5, 6, 12
"""In a state: leave of IF..WB, end of the last taken branch's EX, (start, end) of the last three
data accesses, ready time of each register; then, for each integer register as a base, its offset
within a cache line, and the highest line touched from there, -1 for none.
"""
OFFSET = READY + REGISTERS
TOUCHED = OFFSET + 32
STATE = TOUCHED + 32

DATA, STRUCTURAL, CONTROL, CACHE, DRAM, FILL = range(6)
"""Causes in an account of lost cycles."""
CAUSES = 6


def initial_state() -> Ints:
    """Return an empty pipeline, registers ready, no line touched."""
    state = np.zeros(STATE, dtype=np.int64)
    state[TOUCHED:] = -1
    return state


@njit(cache=True)
def advance(
    table: Ints, state: Ints, rules: tuple[bool, bool], stamps: Ints, lost: Ints
) -> np.int64:
    """Run a table of steps from a state; return the cycles from the last WB to the new last one.

    `rules` are (forwarding, shared port). `state` is updated; `lost` [CAUSES] is added to, and
    `stamps` [steps, 5, 3] is filled in unless it is empty.
    """
    forwarding, shared_port = rules
    table, state, lost = unowned(table), unowned(state), unowned(lost)
    leave = state[:5]
    for i in range(len(table)):
        row = table[np.uint64(i)]
        fetch = max(leave[0], state[REDIRECT])
        control = fetch - leave[0]
        redirected = fetch
        if shared_port:
            fetch = _past_data_accesses(state, fetch)
        fetched = max(fetch + 1, leave[1])
        could_leave = max(fetched + 1, leave[2])
        decoded = max(could_leave, _operands_ready(row, state))
        executed = max(decoded + 1, leave[3])
        loaded = max(executed + 1 + row[MISS], leave[4])
        delays = (row[MISS], decoded - could_leave, fetch - redirected, control)
        if loaded > leave[4]:
            _account(loaded - leave[4], delays, row[TO_DRAM], lost)
        if len(stamps):
            times = (fetch, fetched, decoded, executed, loaded, loaded + 1)
            _stamp(times, row[MISS], stamps[i])
        if row[DEST] >= 0:
            ready = decoded + row[LATENCY]
            if row[FROM_MEMORY]:
                ready = executed + 1 + row[MISS]
            if not forwarding:
                ready = loaded + row[LATENCY]
            state[READY + row[DEST]] = ready
        if shared_port:
            for p in range(PORT, PORT + 4):
                state[p] = state[p + 2]
            state[PORT + 4] = executed if row[ACCESSES] else 0
            state[PORT + 5] = executed + 1 + row[MISS] if row[ACCESSES] else 0
        state[REDIRECT] = decoded + 1 if row[TAKEN] else fetched
        leave[0] = fetched
        leave[1] = decoded
        leave[2] = executed
        leave[3] = loaded
        leave[4] = loaded + 1
    return _rebase(state, shared_port)


@njit(cache=True)
def _past_data_accesses(state: Ints, fetch: np.int64) -> np.int64:
    """Return when a fetch finds the shared port free; older data accesses go first."""
    free: np.int64 = fetch
    for access in range(PORT, READY, 2):
        if state[access] <= free < state[access + 1]:
            free = state[access + 1]
    return free


@njit(cache=True, inline="always")
def _operands_ready(row: Ints, state: Ints) -> np.int64:
    """Return when a step's operands can enter EX."""
    ready: np.int64 = state[0]
    for place in range(SOURCE, SOURCE + 3):
        source = row[np.uint64(place)]
        if source >= 0:
            ready = max(ready, state[np.uint64(READY + source)])
    return ready


@njit(cache=True)
def _account(bubbles: np.int64, delays: tuple[np.int64, ...], to_dram: int, lost: Ints) -> None:
    """Charge the bubbles in front of a step to its own delays, the one nearest to WB first."""
    causes = (DRAM if to_dram else CACHE, DATA, STRUCTURAL, CONTROL)
    for cause, delay in zip(causes, delays):  # noqa: B905 - numba has no strict zip
        part = min(bubbles, delay)
        lost[cause] += part
        bubbles -= part
    lost[FILL] += bubbles


@njit(cache=True)
def _stamp(times: tuple[np.int64, ...], miss: int, stamps: Ints) -> None:
    """Write start, done and leave of each stage, from the starts and the last leave."""
    for s in range(5):
        stamps[s, 0] = times[s]
        stamps[s, 1] = times[s] + 1
        stamps[s, 2] = times[s + 1]
    stamps[3, 1] += miss


@njit(cache=True)
def _rebase(state: Ints, shared_port: bool) -> np.int64:
    """Count the state's times from its last WB, and forget what cannot matter any more."""
    now = np.int64(state[4])
    for t in range(OFFSET):
        state[t] -= now
    state[REDIRECT] = max(state[REDIRECT], state[0])
    earliest = state[REDIRECT]  # the next fetch starts no earlier; EX two cycles later
    for s in range(1, 4):
        state[s] = max(state[s], earliest + s)
    for access in range(PORT, READY, 2):
        if not shared_port or state[access + 1] <= earliest:
            state[access] = earliest
            state[access + 1] = earliest
    for register in range(READY, OFFSET):
        state[register] = max(state[register], earliest + 2)
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
