"""The compiled twin's commands: what each does to requests, rows and others' earliest ticks."""

from __future__ import annotations

from typing import Any

from sim.memory.dram.compiled_queues import append, first_ready, remove, replace_bank, wanted
from sim.memory.dram.compiled_tables import (
    ACT,
    BANK,
    BANKS,
    BUSES,
    CLOCK_TICKS,
    CLOSED,
    CLOSES,
    DUE,
    DUE_FIRST,
    HIGH,
    INDEX,
    ISSUED,
    LOW,
    OPENED,
    OUTER,
    PAST,
    PER_SCOPE,
    PRE,
    PREA,
    RD,
    RDA,
    READ_TICKS,
    READS,
    REF,
    REFB,
    REFRESHES,
    ROW,
    SCOPES,
    SLOT,
    SPAN,
    STEP,
    TICK,
    TICKS,
    TURN,
    WAKE,
    WR,
    WRA,
    WRITE_MODE,
    WRITE_TICKS,
    WRITES,
    Ints,
    compiled,
)
from sim.memory.dram.requests import CONFLICT, HIT, MISS, NEVER, WAITING


@compiled
def serve(run: Any, bus: int) -> bool:
    """Issue what one bus can do now; return whether there was anything.

    Of two buses, 0 takes the column commands; it alone serves what was opened, and 1 refreshes.
    """
    parts, state = run[0][0], run[1][6]
    kind, at = OPENED - READS, -1
    if bus == 0 and state[OPENED] > 0:
        at = first_ready(run, kind, bus)
    if at < 0:
        if state[DUE] > 0:
            return bus == parts[BUSES] - 1 and _refresh_step(run)
        if state[WRITE_MODE] == 0:
            if 100 * state[WRITES] > parts[HIGH] or state[READS] == 0:
                state[WRITE_MODE] = 1
        elif 100 * state[WRITES] < parts[LOW] and state[READS] > 0:
            state[WRITE_MODE] = 0
        kind = state[WRITE_MODE]
        at = first_ready(run, kind, bus)
    if at >= 0:
        _issue(run, kind, at)
    return at >= 0


@compiled
def enqueue_refreshes(parts: Ints, refreshes: Ints, state: Ints) -> None:
    """Queue the refreshes that fall due."""
    room = refreshes.shape[1]
    whole = parts[REFRESHES] == 1
    for scope in range(parts[SCOPES] if whole else 1):
        at = (state[DUE_FIRST] + state[DUE]) % room
        refreshes[0, at] = REF if whole else REFB
        refreshes[1, at] = scope * parts[PER_SCOPE] if whole else state[TURN]
        state[DUE] += 1
    state[TURN] = (state[TURN] + 1) % parts[BANKS]


@compiled
def _refresh_step(run: Any) -> bool:
    """Issue the oldest refresh, or the precharge that it needs; return whether it could."""
    parts, free, memory = run[0][0], run[0][4], run[1]
    open_rows, guarded, refreshes, state = memory[2], memory[3], memory[5], memory[6]
    command = refreshes[0, state[DUE_FIRST]]
    bank = refreshes[1, state[DUE_FIRST]]
    whole = command == REF
    end = bank + (parts[PER_SCOPE] if whole else 1)
    guards = 0
    for other in range(bank, end):
        guards += guarded[other]
        if open_rows[other] != CLOSED:
            command = PREA if whole else PRE
    precharge = command in (PREA, PRE)
    if guards > 0 and precharge:
        return False
    ready = memory[0][command * parts[BANKS] + bank]
    if ready > state[TICK]:
        state[WAKE] = min(state[WAKE], ready)
        return False
    if not (parts[CLOCK_TICKS] == 1 or state[TICK] % 2 == 1 or free[command]):
        return False
    _record(run, command, bank)
    if precharge:
        for other in range(bank, end):
            open_rows[other] = CLOSED
            replace_bank(run, other)
    else:
        state[DUE_FIRST] = (state[DUE_FIRST] + 1) % refreshes.shape[1]
        state[DUE] -= 1
    return True


@compiled
def _issue(run: Any, kind: int, at: int) -> None:
    """Issue the next command of a queued request and move the request on."""
    parts, memory, writes, answers = run[0][0], run[1], run[2][3], run[3]
    open_rows, guarded, entry, state = memory[2], memory[3], memory[4][kind], memory[6]
    done, outcomes = answers[1], answers[2]
    index, bank, wants = entry[INDEX, at], entry[BANK, at], entry[ROW, at]
    row = open_rows[bank]
    command, found = ACT, MISS
    if row == wants:
        command, found = _access(run, index, bank), HIT
    elif row != CLOSED:
        command, found = PRE, CONFLICT
    if outcomes[index] == WAITING:
        outcomes[index] = found
    _record(run, command, bank)
    moves_row = command in (ACT, PRE, RDA, WRA)
    if moves_row:
        open_rows[bank] = wants if command == ACT else CLOSED
    if command != PRE:
        remove(run, kind, at)
    if command == ACT:
        guarded[bank] += 1
        append(run, OPENED - READS, index)
    elif command != PRE:
        guarded[bank] -= kind == OPENED - READS
        done[index] = state[TICK] + parts[WRITE_TICKS if writes[index] else READ_TICKS]
    if moves_row or kind == OPENED - READS:
        replace_bank(run, bank)


@compiled
def _access(run: Any, index: int, bank: int) -> int:
    """Return the access of a request, which closes the row where the policy asks for it."""
    parts, earliest, state = run[0][0], run[1][0], run[1][6]
    write = run[2][3][index]
    if parts[CLOSES]:
        closing = WRA if write else RDA
        ready = earliest[closing * parts[BANKS] + bank] <= state[TICK]
        if ready and not wanted(run, index):
            return closing
    return WR if write else RD


@compiled
def _record(run: Any, command: int, bank: int) -> None:
    """Note a command, which moves the earliest ticks of others."""
    gaps, starts, firsts = run[0][1], run[0][2], run[0][3]
    earliest, past, state, log = run[1][0], run[1][1], run[1][6], run[3][3]
    tick = state[TICK]
    for g in range(starts[command], starts[command + 1]):
        slot, span, window = gaps[g, SLOT], gaps[g, SPAN], gaps[g, PAST]
        first = slot + firsts[g, 0, bank]
        until = tick + gaps[g, TICKS]
        if window > 1:
            times = past[g, firsts[g, 0, bank]]
            for place in range(window - 1, 0, -1):
                times[place] = times[place - 1]
            times[0] = tick
            if times[window - 1] == NEVER:
                continue
            until = times[window - 1] + gaps[g, TICKS]
        if gaps[g, OUTER] > 0:
            begin = slot + firsts[g, 1, bank]
            _raise(earliest, begin, first, until)
            _raise(earliest, first + span, begin + gaps[g, OUTER], until)
        elif gaps[g, STEP] == 1:
            _raise(earliest, first, first + span, until)
        else:
            for at in range(first, first + span, gaps[g, STEP]):
                earliest[at] = max(earliest[at], until)
    if state[ISSUED] < len(log):
        log[state[ISSUED], 0] = tick
        log[state[ISSUED], 1] = command
        log[state[ISSUED], 2] = bank
    state[ISSUED] += 1


@compiled
def _raise(earliest: Ints, begin: int, end: int, until: int) -> None:
    """Let nothing come before a tick."""
    for at in range(begin, end):
        earliest[at] = max(earliest[at], until)
