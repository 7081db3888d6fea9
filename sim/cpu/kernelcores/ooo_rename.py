"""Rename and dispatch of the compiled out-of-order core: buffers, ports, who waits for whom."""

from __future__ import annotations

import numpy as np

from sim.cpu.kernelcores.ooo_state import (
    FETCHED,
    LOADS,
    NEVER,
    NOW,
    OWED,
    RENAME_BASE,
    RENAME_SLOT,
    RENAMED,
    RETIRED,
    STORES,
    TURN,
    State,
    compiled,
)
from sim.cpu.kernelcores.program import Ints, Program


@compiled
def rename(program: Program, state: State, stamps: Ints) -> None:
    """Give a cycle's slots their entries and ports; see `ooo.OutOfOrderCore`."""
    s, w = state.scalars, program.widths
    slots, count, mask = len(program.first) - 1, len(program.latency), len(state.complete) - 1
    now = s[NOW]
    for unit in range(len(state.pending)):
        state.snapshot[unit] = state.pending[unit]
    for position in range(min(w.rename, s[FETCHED] - s[RENAMED])):
        slot, base = s[RENAME_SLOT], s[RENAME_BASE]
        if w.whole_instructions and s[OWED] == 0:
            wanted = program.instruction_slots[slot]
            if min(wanted, w.rename) > w.rename - position:
                return
            s[OWED] = wanted
        if not _room(program, state, slot):
            return
        for op in range(program.first[slot], program.first[slot + 1]):
            number = base + op
            place = number & mask
            state.op[place] = op
            state.bound[place] = -1
            if w.bind_at_rename:
                bits = program.needs[op, 0, 0]
                port = _port(bits, program.alternating, position, s, state.snapshot)
                state.bound[place] = port
                state.pending[port] += 1
            state.entries[program.scheduler[op]] += 1
            s[LOADS] += program.loads[op]
            s[STORES] += program.stores[op]
            _wait(program.sources, state, number, now + w.delay)
            if number < len(stamps):
                stamps[number, 0] = now
        s[OWED] = max(0, s[OWED] - 1)
        s[RENAMED] += 1
        s[RENAME_SLOT] = slot + 1 if slot + 1 < slots else 0
        s[RENAME_BASE] = base if slot + 1 < slots else base + count


@compiled
def _wait(sources: Ints, state: State, number: int, ready: int) -> None:
    """Let a renamed micro-op wait: for its producers, or for the cycle when all is there."""
    mask, operands = len(state.complete) - 1, sources.shape[1]
    place = number & mask
    op, unknown = state.op[place], 0
    for operand in range(operands):
        back = sources[op, operand, 0]
        if 0 < back <= number:
            producer = (number - back) & mask
            if state.complete[producer] == NEVER:
                link = place * operands + operand
                state.links[link] = state.consumers[producer]
                state.consumers[producer] = link
                unknown += 1
            else:
                ready = max(ready, state.complete[producer] - sources[op, operand, 1])
    state.complete[place] = NEVER
    state.consumers[place] = -1
    state.ready[place] = ready
    state.unknown[place] = unknown
    if unknown == 0:
        turn = ready & (len(state.wheel) - 1)
        state.sleeping[place] = state.wheel[turn]
        state.wheel[turn] = number


@compiled
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


@compiled
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
