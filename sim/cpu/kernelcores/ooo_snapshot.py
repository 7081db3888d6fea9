"""The state of a compiled out-of-order core as one array, by which its return is known."""

from __future__ import annotations

import numpy as np
from numba import njit

from sim.cpu.kernelcores.ooo_compiled import (
    DRAINING,
    FETCHED,
    LOADS,
    NEVER,
    NOW,
    OWED,
    RENAMED,
    RETIRED,
    STORES,
    TURN,
    State,
)
from sim.cpu.kernelcores.program import Ints, Program


@njit(cache=True)
def snapshot(program: Program, state: State) -> Ints:
    """Return what the future depends on, relative to now: equal ones have equal futures."""
    s = state.scalars
    slots, count, ring = len(program.first) - 1, len(program.latency), len(state.complete)
    base = s[RETIRED] // slots * count + program.first[s[RETIRED] % slots]
    top = s[RENAMED] // slots * count + program.first[s[RENAMED] % slots]
    oldest = max(0, base - program.sources[:, :, 0].max())
    late = max(0, -program.sources[:, :, 1].min())  # a result may be needed so long after
    group = program.widths.fetch_group or slots
    head = (
        s[RETIRED] % slots,
        s[RENAMED] - s[RETIRED],
        s[FETCHED] - s[RENAMED],
        s[FETCHED] % group,
        s[LOADS],
        s[STORES],
        s[DRAINING],
        s[TURN],
        s[OWED],
        top - oldest,
    )
    units = program.units
    out = np.zeros(len(head) + 3 * units + 3 * (top - oldest), dtype=np.int64)
    for place in range(len(head)):
        out[place] = head[place]
    contested = _contested(program)
    at = len(head)
    for unit in range(units):
        out[at] = max(0, state.free[unit] - s[NOW])
        out[at + 1] = state.pending[unit]
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
    return out


@njit(cache=True)
def _contested(program: Program) -> np.int64:
    """Bits of the units among which issue chooses, by which was taken longest ago."""
    bits = np.int64(0)
    for op in range(len(program.latency)):
        for n in range(program.needs.shape[1]):
            several = program.needs[op, n, 0] & (program.needs[op, n, 0] - 1)
            if several and not (n == 0 and program.widths.bind_at_rename):
                bits |= program.needs[op, n, 0]
    return bits
