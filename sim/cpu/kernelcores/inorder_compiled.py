"""The compiled twin of `inorder`: the same cycles, as loops over arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.cpu.kernelcores.inorder import InOrderProgram
from sim.cpu.kernelcores.program import Ints
from sim.jit import njit

CYCLE, TAKEN, LAST_WRITE, MADE = range(4)
"""Scalars of a state: cycle in which the next instruction may issue, slots of it used, when the
last result that is in order was written, micro-ops issued since the start."""


class InOrderState(NamedTuple):
    """All that the future depends on; `complete` is indexed modulo its length."""

    scalars: Ints
    free: Ints
    complete: Ints


def initial_in_order(code: InOrderProgram) -> InOrderState:
    """Return an empty core."""
    back = int(code.program.sources[:, :, 0].max())
    return InOrderState(
        scalars=np.zeros(4, dtype=np.int64),
        free=np.zeros(code.program.units, dtype=np.int64),
        complete=np.zeros(back + 2 * len(code.program.latency), dtype=np.int64),
    )


@njit(cache=True)
def advance_in_order(
    code: InOrderProgram, state: InOrderState, stamps: Ints, done: int
) -> np.int64:
    """Run one iteration; return the cycle in which its last instruction issued.

    `stamps` [instructions] receives issue cycles of the iterations after the first `done`.
    """
    s, width = state.scalars, code.program.widths.rename
    chosen = np.zeros((len(code.program.latency), code.program.needs.shape[1]), dtype=np.int64)
    issued: np.int64 = s[CYCLE]
    for at in range(len(code.slots)):
        wanted = code.slots[at]
        while True:
            room = width - s[TAKEN]
            crowded = room < wanted if wanted <= width else room == 0
            fits = not crowded and not (code.leads[at] and s[TAKEN])
            if fits and _may_issue(code, state, at) and _choose(code, state, at, chosen):
                break
            s[CYCLE] += 1
            s[TAKEN] = max(0, s[TAKEN] - width)
        ring = len(state.complete)
        for op in range(code.first[at], code.first[at + 1]):
            for n in range(code.program.needs.shape[1]):
                if code.program.needs[op, n, 0]:
                    state.free[chosen[op, n]] = s[CYCLE] + code.program.needs[op, n, 1]
            state.complete[s[MADE] % ring] = s[CYCLE] + code.program.latency[op]
            s[MADE] += 1
        if code.in_order[at]:
            s[LAST_WRITE] = s[CYCLE] + code.latest_write[at]
        issued = s[CYCLE]
        if done * len(code.slots) + at < len(stamps):
            stamps[done * len(code.slots) + at] = issued
        s[TAKEN] += wanted
    return issued


@njit(cache=True)
def _may_issue(code: InOrderProgram, state: InOrderState, at: int) -> bool:
    s, ring = state.scalars, len(state.complete)
    if code.in_order[at] and s[CYCLE] + code.earliest_write[at] < s[LAST_WRITE]:
        return False
    base = s[MADE] - code.first[at]
    for op in range(code.first[at], code.first[at + 1]):
        for operand in range(code.program.sources.shape[1]):
            back = code.program.sources[op, operand, 0]
            producer = base + op - back
            if (
                back
                and 0 <= producer < s[MADE]
                and state.complete[producer % ring] - code.program.sources[op, operand, 1]
                > s[CYCLE]
            ):
                return False
    return True


@njit(cache=True)
def _choose(code: InOrderProgram, state: InOrderState, at: int, chosen: Ints) -> bool:
    taken = np.int64(0)
    for op in range(code.first[at], code.first[at + 1]):
        for n in range(code.program.needs.shape[1]):
            bits = code.program.needs[op, n, 0] & ~taken
            if code.program.needs[op, n, 0] == 0:
                continue
            found = -1
            for unit in range(code.program.units):
                if bits >> unit & 1 and state.free[unit] <= state.scalars[CYCLE]:
                    found = unit
                    break
            if found < 0:
                return False
            chosen[op, n] = found
            taken |= np.int64(1) << found
    return True


@njit(cache=True)
def snapshot_in_order(code: InOrderProgram, state: InOrderState) -> Ints:
    """Return what the future depends on, relative to now: equal ones have equal futures."""
    s, ring = state.scalars, len(state.complete)
    units = code.program.units
    out = np.zeros(2 + units + ring, dtype=np.int64)
    out[0] = s[TAKEN]
    out[1] = max(0, s[LAST_WRITE] - s[CYCLE])
    for unit in range(units):
        out[2 + unit] = max(0, state.free[unit] - s[CYCLE])
    for back in range(ring):
        if back < s[MADE]:
            behind = state.complete[(s[MADE] - 1 - back) % ring] - s[CYCLE]
            out[2 + units + back] = max(-64, behind)
    return out
