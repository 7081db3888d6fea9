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
    waiting: Ints
    free: Ints
    used: Ints
    """Cycle in which each unit was last taken."""
    entries: Ints
    """Taken of each scheduler."""
    pending: Ints
    """Micro-ops bound to each unit that wait."""


def initial_state(program: Program) -> State:
    """Return an empty core."""
    count = len(program.latency)
    back = int(program.sources[:, :, 0].max())
    per_slot = int(np.diff(program.first).max())
    ring = program.widths.reorder_buffer * max(1, per_slot) + back + 2 * count + 8
    full = np.full(ring, -1, dtype=np.int64)
    return State(
        scalars=np.zeros(SCALARS, dtype=np.int64),
        complete=full.copy(),
        ready=full.copy(),
        bound=full.copy(),
        waiting=np.zeros(ring, dtype=np.int64),
        free=np.zeros(program.units, dtype=np.int64),
        used=np.full(program.units, -1, dtype=np.int64),
        entries=np.zeros(len(program.scheduler_entries), dtype=np.int64),
        pending=np.zeros(program.units, dtype=np.int64),
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
            if state.complete[(iteration * count + op) % ring] > s[NOW]:
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
    count, ring = len(program.latency), len(state.complete)
    kept = 0
    chosen = np.zeros(program.needs.shape[1], dtype=np.int64)
    for at in range(s[WAITING]):
        number = state.waiting[at]
        op, place = number % count, number % ring
        if _ready(program, state, number) and _units(program, state, op, place, chosen):
            for n in range(len(chosen)):
                if program.needs[op, n, 0]:
                    state.free[chosen[n]] = s[NOW] + program.needs[op, n, 1]
                    state.used[chosen[n]] = s[NOW]
            state.complete[place] = s[NOW] + program.latency[op]
            state.entries[program.scheduler[op]] -= 1
            if state.bound[place] >= 0:
                state.pending[state.bound[place]] -= 1
            if number < len(stamps):
                stamps[number, 1] = s[NOW]
                stamps[number, 2] = state.complete[place]
        else:
            state.waiting[kept] = number
            kept += 1
    s[WAITING] = kept


@njit(cache=True)
def _ready(program: Program, state: State, number: int) -> bool:
    count, ring = len(program.latency), len(state.complete)
    now = state.scalars[NOW]
    if state.ready[number % ring] > now:
        return False
    op = number % count
    for operand in range(program.sources.shape[1]):
        back = program.sources[op, operand, 0]
        if 0 < back <= number:
            early = program.sources[op, operand, 1]
            if state.complete[(number - back) % ring] - early > now:
                return False
    return True


@njit(cache=True)
def _units(program: Program, state: State, op: int, place: int, chosen: Ints) -> bool:
    """Choose a free unit for each need, the one that was taken longest ago."""
    now = state.scalars[NOW]
    taken = np.int64(0)
    for n in range(program.needs.shape[1]):
        bits = program.needs[op, n, 0]
        if bits == 0:
            continue
        if n == 0 and state.bound[place] >= 0:
            bits = np.int64(1) << state.bound[place]
        best = -1
        for unit in range(program.units):
            if (
                (bits & ~taken) >> unit & 1
                and state.free[unit] <= now
                and (best < 0 or state.used[unit] < state.used[best])
            ):
                best = unit
        if best < 0:
            return False
        taken |= np.int64(1) << best
        chosen[n] = best
    return True


@njit(cache=True)
def _rename(program: Program, state: State, stamps: Ints) -> None:
    s, w = state.scalars, program.widths
    slots, count, ring = len(program.first) - 1, len(program.latency), len(state.complete)
    snapshot = state.pending.copy()
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
            place = number % ring
            state.complete[place] = NEVER
            state.ready[place] = s[NOW] + w.delay
            state.bound[place] = -1
            if w.bind_at_rename:
                port = _port(program, state, op, position, snapshot)
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
def _port(program: Program, state: State, op: int, position: int, snapshot: Ints) -> int:
    """Choose a port at rename; see `ooo.bind`."""
    bits = program.needs[op, 0, 0]
    if bits == program.alternating:
        state.scalars[TURN] = 1 - state.scalars[TURN]
        low = state.scalars[TURN] == 0
        found = -1
        for unit in range(program.units):
            if bits >> unit & 1:
                found = unit
                if low:
                    return unit
        return found
    first = second = -1
    for unit in range(program.units - 1, -1, -1):
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
        place = number % ring
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
