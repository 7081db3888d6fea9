"""The compiled twin of `ooo`: the same cycles, as loops over arrays that wake what waits.

A micro-op that is renamed counts the operands whose producers have not issued, and joins each such
producer's list of consumers. Once none is left its cycle is known: it sleeps in a wheel of cycles
until then, and in its cycle it joins those awake, which issue oldest first.
"""

from __future__ import annotations

import numpy as np

from sim.cpu.kernelcores.ooo_rename import rename
from sim.cpu.kernelcores.ooo_state import (
    AWAKE,
    DRAINING,
    FETCHED,
    LOADS,
    NOW,
    RENAMED,
    RETIRE_BASE,
    RETIRE_SLOT,
    RETIRED,
    STORES,
    State,
    compiled,
)
from sim.cpu.kernelcores.program import Ints, Program


@compiled
def advance(program: Program, state: State, iterations: int, stamps: Ints) -> None:
    """Run until so many iterations have retired; NOW is then the cycle after the last of them.

    `stamps` [micro-ops, 4] receives rename, issue, completion and retirement of the first ones.
    """
    s = state.scalars
    slots = len(program.first) - 1
    while s[RETIRED] < iterations * slots:
        if s[RETIRED] < s[RENAMED]:
            _retire(program, state, stamps)
        if state.wheel[s[NOW] & (len(state.wheel) - 1)] >= 0:
            _wake(state)
        if s[AWAKE]:
            _issue(program, state, stamps)
        if s[RENAMED] < s[FETCHED]:
            rename(program, state, stamps)
        _fetch(program, state)
        s[NOW] += 1


@compiled
def _retire(program: Program, state: State, stamps: Ints) -> None:
    s, w = state.scalars, program.widths
    slots, count, mask = len(program.first) - 1, len(program.latency), len(state.complete) - 1
    left = min(s[DRAINING], w.stores_per_cycle)
    s[DRAINING] -= left
    s[STORES] -= left
    now, slot, base = s[NOW], s[RETIRE_SLOT], s[RETIRE_BASE]
    for _ in range(min(w.retire, s[RENAMED] - s[RETIRED])):
        for op in range(program.first[slot], program.first[slot + 1]):
            if state.complete[(base + op) & mask] > now:
                return
        for op in range(program.first[slot], program.first[slot + 1]):
            s[LOADS] -= program.loads[op]
            s[DRAINING] += program.stores[op]
            if base + op < len(stamps):
                stamps[base + op, 3] = now
        s[RETIRED] += 1
        slot += 1
        if slot == slots:
            slot, base = 0, base + count
        s[RETIRE_SLOT], s[RETIRE_BASE] = slot, base


@compiled
def _wake(state: State) -> None:
    """Move those whose cycle has come to those awake."""
    s, awake = state.scalars, state.awake
    turn = s[NOW] & (len(state.wheel) - 1)
    number = state.wheel[turn]
    state.wheel[turn] = -1
    while number >= 0:
        _insert(awake, 0, s[AWAKE], number)
        s[AWAKE] += 1
        number = state.sleeping[number & (len(awake) - 1)]


@compiled
def _insert(awake: Ints, first: int, end: int, number: int) -> None:
    """Insert by age between two places; younger ones make room."""
    at = end
    while at > first and awake[at - 1] > number:
        awake[at] = awake[at - 1]
        at -= 1
    awake[at] = number


@compiled
def _issue(program: Program, state: State, stamps: Ints) -> None:
    s, awake, needs = state.scalars, state.awake, program.needs
    mask, now, count = len(state.complete) - 1, s[NOW], s[AWAKE]
    free, used, several = state.free, state.used, needs.shape[1] > 1
    busy = _busy(free, now)
    kept = at = 0
    while at < count:
        number = awake[at]
        place = number & mask
        op, bound = state.op[place], state.bound[place]
        allowed = needs[op, 0, 0] if bound < 0 else np.int64(1) << bound
        if allowed & ~busy == 0:
            taken = np.int64(0)
        elif several and needs[op, 1, 0]:
            taken = _take_units(needs, op, bound, (busy, now), (free, used))
        else:
            unit = bound if bound >= 0 else _choose(allowed & ~busy, used)
            free[unit], used[unit] = now + needs[op, 0, 1], now
            taken = np.int64(1) << unit
        at += 1
        if taken == 0:
            awake[kept] = number
            kept += 1
            continue
        busy |= taken
        complete = now + program.latency[op]
        state.complete[place] = complete
        state.entries[program.scheduler[op]] -= 1
        if bound >= 0:
            state.pending[bound] -= 1
        if number < len(stamps):
            stamps[number, 1], stamps[number, 2] = now, complete
        if state.consumers[place] >= 0:
            count = _tell(program.sources, state, number, (complete, at, count))
    s[AWAKE] = kept


@compiled
def _tell(sources: Ints, state: State, number: int, when: tuple[int, int, int]) -> int:
    """Tell consumers when a result is there; some issue in this very cycle.

    `when`: its completion, and between which places those awake are still to be looked at; returns
    the end of those places.
    """
    complete, at, count = when
    now, mask, operands = state.scalars[NOW], len(state.complete) - 1, sources.shape[1]
    link = state.consumers[number & mask]
    while link >= 0:
        place, operand = link // operands, link % operands
        there = complete - sources[state.op[place], operand, 1]
        state.ready[place] = max(state.ready[place], there)
        state.unknown[place] -= 1
        if state.unknown[place] == 0:
            consumer = number + ((place - number) & mask)
            if state.ready[place] > now:
                turn = state.ready[place] & (len(state.wheel) - 1)
                state.sleeping[place] = state.wheel[turn]
                state.wheel[turn] = consumer
            else:
                _insert(state.awake, at, count, consumer)
                count += 1
        link = state.links[link]
    return count


@compiled
def _busy(free: Ints, now: np.int64) -> np.int64:
    """Return bits of the units that take nothing this cycle."""
    bits = np.int64(0)
    for unit in range(len(free)):
        bits |= np.int64(free[unit] > now) << unit
    return bits


@compiled
def _take_units(
    needs: Ints, op: int, bound: int, when: tuple[np.int64, np.int64], units: tuple[Ints, Ints]
) -> np.int64:
    """Take a free unit for each need, the one taken longest ago; return their bits, 0 for none.

    `when`: bits of busy units, this cycle; `units`: when each is free, when it was last taken.
    """
    busy, now = when
    free, used = units
    taken = np.int64(0)
    for n in range(needs.shape[1]):
        if needs[op, n, 0]:
            bits = np.int64(1) << bound if n == 0 and bound >= 0 else needs[op, n, 0]
            best = _choose(bits & ~(busy | taken), used)
            if best < 0:
                return np.int64(0)
            taken |= np.int64(1) << best
    taken = np.int64(0)
    for n in range(needs.shape[1]):  # all are there: the same ones are chosen again
        if needs[op, n, 0]:
            bits = np.int64(1) << bound if n == 0 and bound >= 0 else needs[op, n, 0]
            best = _choose(bits & ~(busy | taken), used)
            taken |= np.int64(1) << best
            free[best] = now + needs[op, n, 1]
            used[best] = now
    return taken


@compiled
def _choose(bits: np.int64, used: Ints) -> int:
    """Return which of some units was taken longest ago, of equals the lowest; -1 for none."""
    best, unit = -1, 0
    while bits:
        if bits & 1 and (best < 0 or used[unit] < used[best]):
            best = unit
        bits >>= 1
        unit += 1
    return best


@compiled
def _fetch(program: Program, state: State) -> None:
    s, w = state.scalars, program.widths
    slots = len(program.first) - 1
    wanted = min(w.fetch, w.queue - (s[FETCHED] - s[RENAMED]))
    if w.fetch_group:
        wanted = min(wanted, w.fetch_group - s[FETCHED] % w.fetch_group)
    if w.one_loop_per_cycle:
        inside = s[FETCHED] % slots
        wanted = min(wanted, slots - inside + (slots if inside else 0))
    s[FETCHED] += max(0, wanted)
