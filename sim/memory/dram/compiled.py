"""The compiled twin of `controller`: the same commands at the same ticks, over arrays.

Where the reference keeps earliest ticks by node and asks all levels, the twin writes a gap into
all banks below the node, `earliest[command, bank]`, and asks one. The state of a run is a few
counters (below) and three queues of request numbers in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.clock import DeadlockError
from sim.memory.dram.device import SCOPE_COMMANDS, Command, DramDevice, Gap
from sim.memory.dram.requests import (
    CONFLICT,
    FORWARDED,
    HIT,
    MISS,
    NEVER,
    WAITING,
    DramResult,
    Requests,
)
from sim.memory.dram.spec import (
    FOREVER,
    ControllerSpec,
    PagePolicy,
    Refresh,
    Stop,
    check_refresh,
)

Ints = npt.NDArray[np.int64]

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: dict[str, Any] = {"cache": True, "_nrt": False}
"""No references to arrays are counted: that would cost more than the work, and none are made."""


def _compiled(function: F) -> F:
    """Compile a function that makes no arrays."""
    return cast("F", njit(**_OPTIONS)(function))


ACT, PRE, PREA, RD, WR, RDA, WRA, REF, REFB = (int(command) for command in Command)
CLOSED = -1
"""Instead of a row."""

# Parts of a run's description.
READ_TICKS, WRITE_TICKS, PER_SCOPE, SCOPES, BUSES, CLOCK_TICKS, INTERVAL, REFRESHES = range(8)
READ_CAP, WRITE_CAP, HIGH, LOW, CLOSES, STOP_EARLY, BANKS, WINDOW = range(8, 16)
PARTS = 16

# Counters of a run's state.
TICK, WAKE, READS, WRITES, OPENED, WRITE_MODE, DUE, DUE_FIRST, ISSUED, TURN = range(10)
COUNTERS = 10

# Columns of the table of gaps: banks below the node; below its parent where the siblings are meant.
FOLLOWING, SPAN, TICKS, PAST, OUTER, STEP = range(6)
ALL, COLUMNS, ROWS = range(3)


def simulate_compiled(
    device: DramDevice, requests: Requests, spec: ControllerSpec, *, keep_commands: bool = False
) -> DramResult:
    """Run one channel's requests; DeadlockError where nothing can ever be issued again."""
    check_refresh(device, spec)
    count = len(requests)
    accepted = np.full(count, NEVER, dtype=np.int64)
    done = np.full(count, NEVER, dtype=np.int64)
    outcomes = np.full(count, WAITING, dtype=np.int64)
    # A request takes three commands or few more; what does not fit is run again with room.
    parts = _parts(device, spec)
    gaps, starts = _gaps(device, spec)
    free = np.array([command in device.any_edge for command in Command], dtype=np.bool_)
    log = np.zeros((64 + 8 * count if keep_commands else 0, 3), dtype=np.int64)
    while True:
        ended, logged = _run(
            (parts, gaps, starts, free),
            _memory(parts, gaps),
            (requests.transfers, requests.banks, requests.rows, requests.writes, requests.ticks),
            (accepted, done, outcomes, log),
        )
        if not keep_commands or logged <= len(log):
            break
        log = np.zeros((logged, 3), dtype=np.int64)
        accepted[:], done[:], outcomes[:] = NEVER, NEVER, WAITING
    if ended < 0:
        raise DeadlockError(f"tick {-ended}: DRAM requests wait for no command")
    if spec.stop is Stop.SERVED:
        ended = max(ended, int(done.max(initial=0)))
    return DramResult(
        ticks=ended,
        tick_femtoseconds=device.tick_femtoseconds,
        transfer_bytes=device.transfer_bytes,
        peak_bytes_per_second=device.peak_bytes_per_second,
        writes=requests.writes,
        accepted=accepted,
        done=done,
        outcomes=outcomes,
        commands=log[:logged],
    )


def _parts(device: DramDevice, spec: ControllerSpec) -> Ints:
    parts = np.zeros(PARTS, dtype=np.int64)
    parts[READ_TICKS], parts[WRITE_TICKS] = device.read_ticks, device.write_ticks
    parts[PER_SCOPE], parts[SCOPES] = device.banks_per_scope, device.scopes
    parts[BUSES], parts[CLOCK_TICKS] = device.command_buses, device.ticks_per_clock
    per_bank = spec.refresh is Refresh.PER_BANK
    parts[INTERVAL] = (
        device.bank_refresh_interval_ticks if per_bank else device.refresh_interval_ticks
    )
    parts[REFRESHES] = (Refresh.NONE, Refresh.ALL_BANK, Refresh.PER_BANK).index(spec.refresh)
    parts[READ_CAP], parts[WRITE_CAP] = spec.read_queue, spec.write_queue
    parts[HIGH] = spec.write_high_percent * spec.write_queue
    parts[LOW] = spec.write_low_percent * spec.write_queue
    parts[CLOSES] = spec.page is PagePolicy.CLOSED
    parts[STOP_EARLY] = spec.stop is Stop.ACCEPTED
    parts[BANKS] = device.banks
    parts[WINDOW] = max((gap.window for gap in device.gaps), default=1)
    return parts


def _memory(parts: Ints, gaps: Ints) -> tuple[Ints, ...]:
    """Return the state of a channel that was never used."""
    banks = parts[BANKS]
    longest = max(parts[READ_CAP], parts[WRITE_CAP], banks)
    return (
        np.zeros((len(Command), banks), dtype=np.int64),  # earliest tick by command and bank
        np.full((len(gaps), banks, parts[WINDOW]), NEVER, dtype=np.int64),  # for windows
        np.full(banks, CLOSED, dtype=np.int64),  # open rows
        np.zeros(banks, dtype=np.int64),  # rows opened for a request that waits for its access
        np.zeros((3, longest), dtype=np.int64),  # reads, writes, opened
        np.zeros((2, 4 * banks), dtype=np.int64),  # refreshes: command and bank
        np.zeros(COUNTERS, dtype=np.int64),
    )


def _gaps(device: DramDevice, spec: ControllerSpec) -> tuple[Ints, Ints]:
    """Return gaps by preceding command, and where each command's begin.

    What no command of the run can meet is left out, and what a wider and longer gap implies.
    """
    met = {Command.ACT, Command.PRE, Command.RD, Command.WR}
    if spec.page is PagePolicy.CLOSED:
        met |= {Command.RDA, Command.WRA}
    if spec.refresh is Refresh.ALL_BANK:
        met |= SCOPE_COMMANDS
    if spec.refresh is Refresh.PER_BANK:
        met |= {Command.REFB}
    rows = [_gap_row(device, gap) for gap in device.gaps if gap.following in met and gap.ticks > 0]
    kept: list[tuple[int, ...]] = []
    for row in sorted(rows, key=lambda row: (row[SPAN + 1], row[TICKS + 1]), reverse=True):
        implied = any(
            wide[: FOLLOWING + 2] == row[: FOLLOWING + 2]
            and (wide[PAST + 1], wide[OUTER + 1]) == (row[PAST + 1], row[OUTER + 1])
            and wide[SPAN + 1] >= row[SPAN + 1]
            and (wide[TICKS + 1] >= row[TICKS + 1] and (not row[OUTER + 1] or wide[1:] == row[1:]))
            for wide in kept
        )
        if not implied:
            kept.append(row)
    kept.sort()
    counts = [sum(row[0] == command for row in kept) for command in Command]
    table = np.array([row[1:] for row in kept], dtype=np.int64).reshape(-1, STEP + 1)
    return table, np.cumsum([0, *counts]).astype(np.int64)


def _gap_row(device: DramDevice, gap: Gap) -> tuple[int, ...]:
    """Return the preceding command and the columns of one gap."""
    span = device.banks // device.nodes[gap.level]
    outer = span * device.counts[gap.level] if gap.siblings else 0
    step = device.banks_per_scope if gap.following in SCOPE_COMMANDS else 1
    return int(gap.preceding), int(gap.following), span, gap.ticks, gap.window, outer, step


@_compiled
def _run(device: Any, memory: Any, asked: Any, answers: Any) -> tuple[int, int]:
    """Run to the end; return when it came, negative if stuck, and how many commands there were."""
    run = (device, memory, asked, answers)
    parts, state, ticks = device[0], memory[6], asked[4]
    count = len(ticks)
    next_refresh = parts[INTERVAL] if parts[REFRESHES] else FOREVER
    offered = 0
    while True:
        due = offered < count and ticks[offered] <= state[TICK]
        took = due and _accept(run, offered)
        if took:
            offered += 1
        if offered == count:
            left = state[READS] + state[WRITES] + state[OPENED]
            if parts[STOP_EARLY] or left == 0:
                return state[TICK], state[ISSUED]
        state[TICK] += 1
        state[WAKE] = FOREVER
        if state[TICK] == next_refresh:
            next_refresh += parts[INTERVAL]
            _enqueue_refreshes(parts, memory[5], state)
        if parts[BUSES] == 1:
            issued = _serve(run, ALL)
        else:
            issued = _serve(run, COLUMNS)
            issued = _serve(run, ROWS) or issued
        if not issued and not took and (parts[CLOCK_TICKS] == 1 or state[TICK] % 2 == 1):
            until = min(state[WAKE], next_refresh) - 1
            if not due and offered < count:
                until = min(until, ticks[offered])
            if until >= FOREVER - 1:
                return -state[TICK], state[ISSUED]
            state[TICK] = max(state[TICK], until)


@_compiled
def _accept(run: Any, index: int) -> bool:
    """Take a request in, unless its queue is full."""
    parts, memory, asked, answers = run[0][0], run[1], run[2], run[3]
    queues, state = memory[4], memory[6]
    transfers, writes = asked[0], asked[3]
    accepted, done, outcomes = answers[0], answers[1], answers[2]
    for at in range(state[WRITES]):
        if transfers[queues[1, at]] == transfers[index]:
            outcomes[index] = FORWARDED
            done[index] = state[TICK] + 1
            accepted[index] = state[TICK]
            return True
    kind = 1 if writes[index] else 0
    if state[READS + kind] == parts[READ_CAP + kind]:
        return False
    queues[kind, state[READS + kind]] = index
    state[READS + kind] += 1
    accepted[index] = state[TICK]
    return True


@_compiled
def _enqueue_refreshes(parts: Ints, refreshes: Ints, state: Ints) -> None:
    """Queue the refreshes that fall due."""
    room = refreshes.shape[1]
    whole = parts[REFRESHES] == 1
    for scope in range(parts[SCOPES] if whole else 1):
        at = (state[DUE_FIRST] + state[DUE]) % room
        refreshes[0, at] = REF if whole else REFB
        refreshes[1, at] = scope * parts[PER_SCOPE] if whole else state[TURN]
        state[DUE] += 1
    state[TURN] = (state[TURN] + 1) % parts[BANKS]


@_compiled
def _serve(run: Any, bus: int) -> bool:
    """Issue what one bus can do now; return whether there was anything."""
    parts, state = run[0][0], run[1][6]
    if bus != ROWS and state[OPENED] > 0:
        at = _first_ready(run, 2, bus)
        if at >= 0:
            _issue(run, 2, at)
            return True
    if state[DUE] > 0:
        return bus != COLUMNS and _refresh_step(run)
    if state[WRITE_MODE] == 0:
        if 100 * state[WRITES] > parts[HIGH] or state[READS] == 0:
            state[WRITE_MODE] = 1
    elif 100 * state[WRITES] < parts[LOW] and state[READS] > 0:
        state[WRITE_MODE] = 0
    at = _first_ready(run, state[WRITE_MODE], bus)
    if at >= 0:
        _issue(run, state[WRITE_MODE], at)
    return at >= 0


@_compiled
def _first_ready(run: Any, kind: int, bus: int) -> int:
    """Return the place in a queue of the oldest request whose command is ready, or -1."""
    parts, free, memory, asked = run[0][0], run[0][3], run[1], run[2]
    earliest, open_rows, guarded = memory[0], memory[2], memory[3]
    queue, state = memory[4][kind], memory[6]
    banks, rows, writes = asked[1], asked[2], asked[3]
    tick = state[TICK]
    wake = state[WAKE]
    first_edge = parts[CLOCK_TICKS] == 1 or tick % 2 == 1
    best, oldest = -1, FOREVER
    for at in range(state[READS + kind]):
        index = queue[at]
        bank = banks[index]
        row = open_rows[bank]
        if row == rows[index]:
            if bus == ROWS:
                continue
            command = WR if writes[index] else RD
        else:
            if bus == COLUMNS or (row != CLOSED and guarded[bank] > 0):
                continue
            command = ACT if row == CLOSED else PRE
        ready = earliest[command, bank]
        if ready > tick:
            wake = min(wake, ready)
        elif (first_edge or free[command]) and index < oldest:
            best, oldest = at, index
            if kind != 2:
                break
    state[WAKE] = wake
    return best


@_compiled
def _refresh_step(run: Any) -> bool:
    """Issue the oldest refresh, or the precharge that it needs; return whether it could."""
    parts, free, memory = run[0][0], run[0][3], run[1]
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
    ready = memory[0][command, bank]
    if ready > state[TICK]:
        state[WAKE] = min(state[WAKE], ready)
        return False
    if not (parts[CLOCK_TICKS] == 1 or state[TICK] % 2 == 1 or free[command]):
        return False
    _record(run, command, bank)
    if precharge:
        open_rows[bank:end] = CLOSED
    else:
        state[DUE_FIRST] = (state[DUE_FIRST] + 1) % refreshes.shape[1]
        state[DUE] -= 1
    return True


@_compiled
def _issue(run: Any, kind: int, at: int) -> None:
    """Issue the next command of a queued request and move the request on."""
    parts, memory, asked, answers = run[0][0], run[1], run[2], run[3]
    open_rows, guarded, queues, state = memory[2], memory[3], memory[4], memory[6]
    banks, rows, writes = asked[1], asked[2], asked[3]
    done, outcomes = answers[1], answers[2]
    index = queues[kind, at]
    bank = banks[index]
    row = open_rows[bank]
    command, found = ACT, MISS
    if row == rows[index]:
        command, found = _access(run, index), HIT
    elif row != CLOSED:
        command, found = PRE, CONFLICT
    if outcomes[index] == WAITING:
        outcomes[index] = found
    _record(run, command, bank)
    if command == PRE:
        open_rows[bank] = CLOSED
        return
    state[READS + kind] -= 1
    for place in range(at, state[READS + kind]):
        queues[kind, place] = queues[kind, place + 1]
    if command == ACT:
        open_rows[bank] = rows[index]
        guarded[bank] += 1
        queues[2, state[OPENED]] = index
        state[OPENED] += 1
        return
    if kind == 2:
        guarded[bank] -= 1
    if command in (RDA, WRA):
        open_rows[bank] = CLOSED
    done[index] = state[TICK] + parts[WRITE_TICKS if writes[index] else READ_TICKS]


@_compiled
def _access(run: Any, index: int) -> int:
    """Return the access of a request, which closes the row where the policy asks for it."""
    earliest, state = run[1][0], run[1][6]
    write = run[2][3][index]
    closing = WRA if write else RDA
    ready = earliest[closing, run[2][1][index]] <= state[TICK]
    if run[0][0][CLOSES] and ready and not _wanted(run, index):
        return closing
    return WR if write else RD


@_compiled
def _wanted(run: Any, index: int) -> bool:
    """Whether another waiting request wants the same row."""
    queues, state, banks, rows = run[1][4], run[1][6], run[2][1], run[2][2]
    for kind in range(3):
        for at in range(state[READS + kind]):
            other = queues[kind, at]
            if other != index and banks[other] == banks[index] and rows[other] == rows[index]:
                return True
    return False


@_compiled
def _record(run: Any, command: int, bank: int) -> None:
    """Note a command, which moves the earliest ticks of others."""
    gaps, starts, memory, log = run[0][1], run[0][2], run[1], run[3][3]
    earliest, past, state = memory[0], memory[1], memory[6]
    tick = state[TICK]
    for g in range(starts[command], starts[command + 1]):
        span, window, step = gaps[g, SPAN], gaps[g, PAST], gaps[g, STEP]
        first = bank - bank % span
        before = tick
        if window > 1:
            times = past[g, first]
            for place in range(window - 1, 0, -1):
                times[place] = times[place - 1]
            times[0] = tick
            before = times[window - 1]
            if before == NEVER:
                continue
        until = before + gaps[g, TICKS]
        held = earliest[gaps[g, FOLLOWING]]
        if gaps[g, OUTER] > 0:
            begin = bank - bank % gaps[g, OUTER]
            _raise(held[begin:first], until)
            _raise(held[first + span : begin + gaps[g, OUTER]], until)
        elif step == 1:
            _raise(held[first : first + span], until)
        else:
            _raise(held[first : first + span : step], until)
    if state[ISSUED] < len(log):
        log[state[ISSUED], 0] = tick
        log[state[ISSUED], 1] = command
        log[state[ISSUED], 2] = bank
    state[ISSUED] += 1


@_compiled
def _raise(held: Ints, until: int) -> None:
    """Let nothing come before a tick."""
    for at in range(len(held)):
        held[at] = max(held[at], until)
