"""The compiled twin of `ooo`: the same cycles, micro-op by micro-op, as loops over arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from sim.cpu.kernelcores.program import Ints, Program

NEVER = np.int64(1) << 60
NOW, FETCHED, RENAMED, RETIRED, WAITING, LOADS, STORES, DRAINING, TURN, OWED = range(10)
"""Scalars of a state: cycle; slots fetched, renamed and retired since the start; micro-ops waiting;
entries of the load and store buffers; retired stores that leave the latter; which of two
alternating ports is next; slots of a wide instruction still to rename."""
SCALARS = 10


class State(NamedTuple):
    """All that the future depends on; rings are indexed by micro-op number modulo their length."""

    scalars: Ints
    complete: Ints
    ready: Ints
    bound: Ints
    op: Ints
    """Which micro-op of the body each one in flight is."""
    waiting: Ints
    free: Ints
    used: Ints
    """Cycle in which each unit was last taken."""
    entries: Ints
    """Taken of each scheduler."""
    pending: Ints
    """Micro-ops bound to each unit that wait."""
    snapshot: Ints
    """Of `pending`, as rename's cycle began."""


def initial_state(program: Program) -> State:
    """Return an empty core."""
    count = len(program.latency)
    back = int(program.sources[:, :, 0].max())
    per_slot = int(np.diff(program.first).max())
    ring = program.widths.reorder_buffer * max(1, per_slot) + back + 2 * count + 8
    ring = 1 << (ring - 1).bit_length()
    full = np.full(ring, -1, dtype=np.int64)
    return State(
        scalars=np.zeros(SCALARS, dtype=np.int64),
        complete=full.copy(),
        ready=full.copy(),
        bound=full.copy(),
        op=np.zeros(ring, dtype=np.int64),
        waiting=np.zeros(ring, dtype=np.int64),
        free=np.zeros(program.units, dtype=np.int64),
        used=np.full(program.units, -1, dtype=np.int64),
        entries=np.zeros(len(program.scheduler_entries), dtype=np.int64),
        pending=np.zeros(program.units, dtype=np.int64),
        snapshot=np.zeros(program.units, dtype=np.int64),
    )


@njit(cache=True)
def advance(program: Program, state: State, iterations: int, stamps: Ints) -> None:
    """Run until so many iterations have retired; NOW is then the cycle after the last of them.

    `stamps` [micro-ops, 4] receives rename, issue, completion and retirement of the first ones.
    """
    s = state.scalars
    slots = len(program.first) - 1
    while s[RETIRED] < iterations * slots:
        _retire(program, state, stamps)
        _issue(program, state, stamps)
        _rename(program, state, stamps)
        _fetch(program, state)
        s[NOW] += 1


@njit(cache=True)
def _retire(program: Program, state: State, stamps: Ints) -> None:
    s, w = state.scalars, program.widths
    slots, count, ring = len(program.first) - 1, len(program.latency), len(state.complete)
    left = min(s[DRAINING], w.stores_per_cycle)
    s[DRAINING] -= left
    s[STORES] -= left
    for _ in range(w.retire):
        if s[RETIRED] == s[RENAMED]:
            return
        iteration, slot = s[RETIRED] // slots, s[RETIRED] % slots
        for op in range(program.first[slot], program.first[slot + 1]):
            if state.complete[(iteration * count + op) & (ring - 1)] > s[NOW]:
                return
        for op in range(program.first[slot], program.first[slot + 1]):
            s[LOADS] -= program.loads[op]
            s[DRAINING] += program.stores[op]
            if iteration * count + op < len(stamps):
                stamps[iteration * count + op, 3] = s[NOW]
        s[RETIRED] += 1


@njit(cache=True)
def _issue(program: Program, state: State, stamps: Ints) -> None:
    s = state.scalars
    mask, now = len(state.complete) - 1, s[NOW]
    busy = _busy(state.free, now)
    waiting, ready, complete, ops = state.waiting, state.ready, state.complete, state.op
    needs, sources = program.needs, program.sources  # whole tuples are slow to pass for each one
    kept = 0
    for at in range(s[WAITING]):
        number = waiting[at]
        place = number & mask
        op = ops[place]
        taken = np.int64(0)
        if ready[place] <= now:
            there = _operands_there(sources, complete, number, op, now)
            if there <= now:
                bound = state.bound[place]
                taken = _take_units(needs, op, bound, (busy, now), (state.free, state.used))
            elif there != NEVER:
                ready[place] = there
        if taken == 0:
            waiting[kept] = number
            kept += 1
            continue
        busy |= taken & _busy(state.free, now)
        state.complete[place] = now + program.latency[op]
        state.entries[program.scheduler[op]] -= 1
        if state.bound[place] >= 0:
            state.pending[state.bound[place]] -= 1
        if number < len(stamps):
            stamps[number, 1] = now
            stamps[number, 2] = state.complete[place]
    s[WAITING] = kept


@njit(cache=True)
def _operands_there(sources: Ints, complete: Ints, number: int, op: int, now: np.int64) -> np.int64:
    """Return a cycle before which some operand is surely not there; NEVER where none is known."""
    mask = len(complete) - 1
    for operand in range(sources.shape[1]):
        back = sources[op, operand, 0]
        if 0 < back <= number:
            made: np.int64 = complete[(number - back) & mask]
            if made == NEVER:
                return made
            there: np.int64 = made - sources[op, operand, 1]
            if there > now:
                return there
    return now


@njit(cache=True)
def _busy(free: Ints, now: np.int64) -> np.int64:
    """Return bits of the units that take nothing this cycle."""
    bits = np.int64(0)
    for unit in range(len(free)):
        if free[unit] > now:
            bits |= np.int64(1) << unit
    return bits


@njit(cache=True)
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
            best = _choose(needs[op, n, 0], bound if n == 0 else -1, busy | taken, used)
            if best < 0:
                return np.int64(0)
            taken |= np.int64(1) << best
    taken = np.int64(0)
    for n in range(needs.shape[1]):  # all are there: the same ones are chosen again
        if needs[op, n, 0]:
            best = _choose(needs[op, n, 0], bound if n == 0 else -1, busy | taken, used)
            taken |= np.int64(1) << best
            free[best] = now + needs[op, n, 1]
            used[best] = now
    return taken


@njit(cache=True)
def _choose(bits: np.int64, bound: int, busy: np.int64, used: Ints) -> int:
    """Return which of some units was taken longest ago, of equals the lowest; -1 for none free."""
    if bound >= 0:
        bits = np.int64(1) << bound
    bits &= ~busy
    best, unit = -1, 0
    while bits:
        if bits & 1 and (best < 0 or used[unit] < used[best]):
            best = unit
        bits >>= 1
        unit += 1
    return best


@njit(cache=True)
def _rename(program: Program, state: State, stamps: Ints) -> None:
    s, w = state.scalars, program.widths
    slots, count, ring = len(program.first) - 1, len(program.latency), len(state.complete)
    state.snapshot[:] = state.pending
    budget, position = w.rename, 0
    while budget > 0 and s[RENAMED] < s[FETCHED]:
        iteration, slot = s[RENAMED] // slots, s[RENAMED] % slots
        if w.whole_instructions and s[OWED] == 0:
            wanted = program.instruction_slots[slot]
            if min(wanted, w.rename) > budget:
                return
            s[OWED] = wanted
        if not _room(program, state, slot):
            return
        for op in range(program.first[slot], program.first[slot + 1]):
            number = iteration * count + op
            place = number & (ring - 1)
            state.op[place] = op
            state.complete[place] = NEVER
            state.ready[place] = s[NOW] + w.delay
            state.bound[place] = -1
            if w.bind_at_rename:
                bits = program.needs[op, 0, 0]
                port = _port(bits, program.alternating, position, s, state.snapshot)
                state.bound[place] = port
                state.pending[port] += 1
            state.waiting[s[WAITING]] = number
            s[WAITING] += 1
            state.entries[program.scheduler[op]] += 1
            s[LOADS] += program.loads[op]
            s[STORES] += program.stores[op]
            if number < len(stamps):
                stamps[number, 0] = s[NOW]
        s[OWED] = max(0, s[OWED] - 1)
        s[RENAMED] += 1
        budget -= 1
        position += 1


@njit(cache=True)
def _room(program: Program, state: State, slot: int) -> bool:
    """Return whether all buffers take a slot's micro-ops."""
    s, w = state.scalars, program.widths
    if s[RENAMED] - s[RETIRED] >= w.reorder_buffer:
        return False
    loads, stores = s[LOADS], s[STORES]
    for scheduler in range(len(state.entries)):
        entries = state.entries[scheduler]
        for op in range(program.first[slot], program.first[slot + 1]):
            entries += program.scheduler[op] == scheduler
        if entries > program.scheduler_entries[scheduler]:
            return False
    for op in range(program.first[slot], program.first[slot + 1]):
        loads += program.loads[op]
        stores += program.stores[op]
    return bool(loads <= w.load_buffer and stores <= w.store_buffer)


@njit(cache=True)
def _port(bits: np.int64, alternating: int, position: int, s: Ints, snapshot: Ints) -> int:
    """Choose a port at rename; see `ooo.bind`."""
    if bits == alternating:
        s[TURN] = 1 - s[TURN]
        found = -1
        for unit in range(len(snapshot)):
            if bits >> unit & 1:
                found = unit
                if s[TURN] == 0:
                    return unit
        return found
    first = second = -1
    for unit in range(len(snapshot) - 1, -1, -1):
        if bits >> unit & 1:
            if first < 0 or snapshot[unit] < snapshot[first]:
                second = first
                first = unit
            elif second < 0 or snapshot[unit] < snapshot[second]:
                second = unit
    if position % 2 and second >= 0 and snapshot[second] - snapshot[first] < 3:
        return second
    return first


@njit(cache=True)
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
