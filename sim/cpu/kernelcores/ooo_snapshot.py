"""The state of a compiled out-of-order core as one row of numbers, by which its return is known."""

from __future__ import annotations

import numpy as np

from sim.cpu.kernelcores.ooo_compiled import advance
from sim.cpu.kernelcores.ooo_state import (
    DRAINING,
    FETCHED,
    LOADS,
    NEVER,
    NOW,
    OWED,
    RENAME_BASE,
    RENAME_SLOT,
    RENAMED,
    RETIRE_BASE,
    RETIRE_SLOT,
    RETIRED,
    STORES,
    TURN,
    State,
    compiled,
)
from sim.cpu.kernelcores.program import Ints, Program

HEAD = 10
"""Numbers of a state that come before those of units and micro-ops."""
HASH_FACTOR = np.int64(-7046029254386353131)
"""Odd, near 2^64 over the golden ratio; D. E. Knuth: The Art of Computer Programming, vol. 3, 6.4.
"""


@compiled
def find_period(
    program: Program, state: State, stamps: Ints, found: tuple[Ints, Ints, Ints]
) -> int:
    """Run until a state comes back; return how many iterations that took, 0 if none did.

    `found`: of each iteration the cycle, the iterations retired by then, and at the last one which
    earlier iteration had its state; the states, a row each; a table of rows by hash, of -1, that
    has a power of two of places, more than there are rows.
    """
    marks, rows, table = found
    slots = len(program.first) - 1
    for done in range(len(rows)):
        advance(program, state, state.scalars[RETIRED] // slots + 1, stamps)
        marks[done, 0] = state.scalars[NOW]
        marks[done, 1] = state.scalars[RETIRED] // slots
        length = snapshot(program, state, rows[done])
        place = _hash(rows[done], length) & (len(table) - 1)
        while table[place] >= 0:
            earlier = table[place]
            if _equal(rows[earlier], rows[done], length):
                marks[done, 2] = earlier
                return done + 1
            place = (place + 1) & (len(table) - 1)
        table[place] = done
    return 0


def snapshot_length(program: Program, state: State) -> int:
    """Return the most numbers that a state takes."""
    return HEAD + 3 * program.units + 3 * len(state.complete)


@compiled
def _hash(row: Ints, length: int) -> np.int64:
    """Mix a row's numbers; the high bits, which depend on all of them, come last."""
    mixed = np.int64(length)
    for at in range(length):
        mixed = (mixed ^ row[at]) * HASH_FACTOR
        mixed ^= mixed >> 29
    return mixed


@compiled
def _equal(earlier: Ints, row: Ints, length: int) -> bool:
    """Whether two states are the same; their lengths follow from what is compared first."""
    for at in range(length):  # noqa: SIM110 - compiled code has no generators
        if earlier[at] != row[at]:
            return False
    return True


@compiled
def snapshot(program: Program, state: State, out: Ints) -> int:
    """Write what the future depends on, relative to now: equal rows have equal futures.

    Returns how many numbers that took.
    """
    s = state.scalars
    count, ring = len(program.latency), len(state.complete)
    base = s[RETIRE_BASE] + program.first[s[RETIRE_SLOT]]
    top = s[RENAME_BASE] + program.first[s[RENAME_SLOT]]
    back = late = 0
    for op in range(count):
        for operand in range(program.sources.shape[1]):
            back = max(back, program.sources[op, operand, 0])
            # a result may be needed so long after
            late = max(late, -program.sources[op, operand, 1])
    oldest = max(0, base - back)
    out[0], out[1] = s[RETIRE_SLOT], s[RENAMED] - s[RETIRED]
    out[2] = s[FETCHED] - s[RENAMED]
    out[3] = s[FETCHED] % (program.widths.fetch_group or len(program.first) - 1)
    out[4], out[5], out[6] = s[LOADS], s[STORES], s[DRAINING]
    out[7], out[8], out[9] = s[TURN], s[OWED], top - oldest
    units = program.units
    contested = _contested(program)
    at = HEAD
    for unit in range(units):
        out[at] = max(0, state.free[unit] - s[NOW])
        out[at + 1] = state.pending[unit]
        out[at + 2] = 0
        if contested >> unit & 1:
            for other in range(units):
                before = state.used[other] < state.used[unit]
                out[at + 2] += before and contested >> other & 1
        at += 3
    for number in range(oldest, top):
        place = number & (ring - 1)
        waits = state.complete[place] == NEVER
        out[at] = -1 - late if waits else max(-late, state.complete[place] - s[NOW])
        out[at + 1] = max(0, state.ready[place] - s[NOW]) if waits else 0
        out[at + 2] = state.bound[place] if waits else 0
        at += 3
    return at


@compiled
def _contested(program: Program) -> np.int64:
    """Bits of the units among which issue chooses, by which was taken longest ago."""
    bits = np.int64(0)
    for op in range(len(program.latency)):
        for n in range(program.needs.shape[1]):
            several = program.needs[op, n, 0] & (program.needs[op, n, 0] - 1)
            if several and not (n == 0 and program.widths.bind_at_rename):
                bits |= program.needs[op, n, 0]
    return bits
