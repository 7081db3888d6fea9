"""The compiled twin's queues: each entry knows where its next command's earliest tick stands.

That place changes only with its bank's row, so a look for the first ready entry reads one tick an
entry. A look that found nothing leaves a tick before which the next can find nothing either: gaps
only move ticks on, and what comes new or changes its command lowers the bound to its own tick.
"""

from __future__ import annotations

from typing import Any

from sim.memory.dram.compiled_tables import (
    ACT,
    BANK,
    BANKS,
    BUSES,
    CLOCK_TICKS,
    CLOSED,
    INDEX,
    OPENED,
    PRE,
    RD,
    READ_CAP,
    READS,
    ROW,
    SLOTS,
    TICK,
    TRANSFER,
    WAKE,
    WR,
    WRITES,
    compiled,
)
from sim.memory.dram.requests import FORWARDED
from sim.memory.dram.spec import FOREVER


@compiled
def accept(run: Any, index: int) -> bool:
    """Take a request in, unless its queue is full."""
    parts, memory, asked, answers = run[0][0], run[1], run[2], run[3]
    queues, state = memory[4], memory[6]
    transfer = asked[0][index]
    accepted, done, outcomes = answers[0], answers[1], answers[2]
    for at in range(state[WRITES]):
        if queues[1, TRANSFER, at] == transfer:
            outcomes[index] = FORWARDED
            done[index] = state[TICK] + 1
            accepted[index] = state[TICK]
            return True
    kind = 1 if asked[3][index] else 0
    if state[READS + kind] == parts[READ_CAP + kind]:
        return False
    accepted[index] = state[TICK]
    append(run, kind, index)
    return True


@compiled
def append(run: Any, kind: int, index: int) -> None:
    """Put a request at the end of a queue."""
    queues, state, asked = run[1][4], run[1][6], run[2]
    at = state[READS + kind]
    state[READS + kind] += 1
    queues[kind, INDEX, at] = index
    queues[kind, TRANSFER, at] = asked[0][index]
    queues[kind, BANK, at] = asked[1][index]
    queues[kind, ROW, at] = asked[2][index]
    _place(run, kind, at)


@compiled
def remove(run: Any, kind: int, at: int) -> None:
    """Take an entry out of a queue; those behind it move up."""
    queues, state = run[1][4], run[1][6]
    state[READS + kind] -= 1
    for field in range(queues.shape[1]):
        entries = queues[kind, field]
        for place in range(at, state[READS + kind]):
            entries[place] = entries[place + 1]


@compiled
def replace_bank(run: Any, bank: int) -> None:
    """Give all entries of a bank whose row changed their new next command."""
    queues, state = run[1][4], run[1][6]
    for kind in range(3):
        banks = queues[kind, BANK]
        for at in range(state[READS + kind]):
            if banks[at] == bank:
                _place(run, kind, at)


@compiled
def _place(run: Any, kind: int, at: int) -> None:
    """Note where the earliest tick of an entry's next command stands."""
    parts, memory, writes = run[0][0], run[1], run[2][3]
    earliest, open_rows, guarded, queues, bounds = (
        memory[0],
        memory[2],
        memory[3],
        memory[4],
        memory[7],
    )
    bank = queues[kind, BANK, at]
    never = len(earliest) - 1
    row = open_rows[bank]
    bus = parts[BUSES] - 1
    slot = never
    if row == CLOSED:
        slot = ACT * parts[BANKS] + bank
    elif row == queues[kind, ROW, at]:
        bus = 0
        slot = (WR if writes[queues[kind, INDEX, at]] else RD) * parts[BANKS] + bank
    elif guarded[bank] == 0:
        slot = PRE * parts[BANKS] + bank
    queues[kind, SLOTS + bus, at] = slot
    queues[kind, SLOTS + 1 - bus, at] = never
    bounds[kind, bus] = min(bounds[kind, bus], earliest[slot])


@compiled
def first_ready(run: Any, kind: int, bus: int) -> int:
    """Return the place in a queue of the oldest request whose command is ready, or -1."""
    parts, free, memory = run[0][0], run[0][4], run[1]
    earliest, state, bounds = memory[0], memory[6], memory[7]
    tick = state[TICK]
    if bounds[kind, bus] > tick:
        state[WAKE] = min(state[WAKE], bounds[kind, bus])
        return -1
    slots, ages = memory[4][kind, SLOTS + bus], memory[4][kind, INDEX]
    first_edge = parts[CLOCK_TICKS] == 1 or tick % 2 == 1
    best, oldest, wake = -1, FOREVER, FOREVER
    for at in range(state[READS + kind]):
        ready = earliest[slots[at]]
        if ready > tick:
            wake = min(wake, ready)
        elif first_edge or free[slots[at] // parts[BANKS]]:
            if kind != OPENED - READS:
                bounds[kind, bus] = tick
                return at
            wake = tick
            if ages[at] < oldest:
                best, oldest = at, ages[at]
        else:
            wake = tick + 1
    bounds[kind, bus] = wake
    state[WAKE] = min(state[WAKE], wake)
    return best


@compiled
def wanted(run: Any, index: int) -> bool:
    """Whether another waiting request wants the same row."""
    queues, state, bank, row = run[1][4], run[1][6], run[2][1][index], run[2][2][index]
    for kind in range(3):
        for at in range(state[READS + kind]):
            entry = queues[kind]
            if entry[INDEX, at] != index and entry[BANK, at] == bank and entry[ROW, at] == row:
                return True
    return False
