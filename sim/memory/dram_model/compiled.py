"""The compiled twin of `controller`: the same commands at the same ticks, over arrays.

A node of the tree is a number; `path[bank, level]` leads from the channel to a bank, and
`ready[node, command]` is the earliest tick that the node allows. The state of a run is a few
counters (below) and three queues of request numbers in the order in which they came.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.clock import DeadlockError
from sim.memory.dram_model.controller import (
    FOREVER,
    ControllerSpec,
    PagePolicy,
    Refresh,
    Stop,
    check_refresh,
)
from sim.memory.dram_model.device import Command, DramDevice
from sim.memory.dram_model.requests import FORWARDED, NEVER, WAITING, DramResult, Requests

Ints = npt.NDArray[np.int64]

ACT, PRE, PREA, RD, WR, RDA, WRA, REF, REFB = (int(command) for command in Command)
CLOSED = -1
"""Instead of a row."""

# Parts of a run's description.
READ_TICKS, WRITE_TICKS, PER_SCOPE, SCOPES, BUSES, CLOCK_TICKS, INTERVAL, REFRESHES = range(8)
READ_CAP, WRITE_CAP, HIGH, LOW, CLOSES, STOP_EARLY, SCOPE_DEPTH = range(8, 15)
PARTS = 15

# Counters of a run's state.
TICK, WAKE, READS, WRITES, OPENED, WRITE_MODE, DUE, DUE_FIRST, ISSUED = range(9)
COUNTERS = 9

GAP_FOLLOWING, GAP_LEVEL, GAP_TICKS, GAP_WINDOW, GAP_SIBLINGS = range(5)
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
    # Few requests are conflicts; room for the refreshes grows with the time that they take.
    log = np.zeros((64 + 8 * count if keep_commands else 0, 3), dtype=np.int64)
    while True:
        ended, logged = _run(
            _parts(device, spec),
            *_tree(device),
            *_gaps(device),
            (requests.transfers, requests.banks, requests.rows, requests.writes, requests.ticks),
            (accepted, done, outcomes),
            log,
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
    parts[SCOPE_DEPTH] = device.scope_level + 1
    return parts


def _tree(device: DramDevice) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """Return path [banks, levels], first node and siblings by level, and free edges by command."""
    first = np.cumsum([0, *device.nodes[:-1]])
    levels = len(device.levels)
    path = np.array(
        [
            [first[level] + device.node(level, bank) for level in range(levels)]
            for bank in range(device.banks)
        ],
        dtype=np.int64,
    )
    shape = np.array([first, device.counts, device.nodes], dtype=np.int64)
    free = np.array([command in device.any_edge for command in Command], dtype=np.bool_)
    return path, shape, free


def _gaps(device: DramDevice) -> tuple[Ints, Ints]:
    """Return gaps by preceding command, and where each command's gaps begin."""
    ordered = sorted(device.gaps, key=lambda gap: gap.preceding)
    table = np.array(
        [
            (int(gap.following), gap.level, gap.ticks, gap.window, int(gap.siblings))
            for gap in ordered
        ],
        dtype=np.int64,
    ).reshape(-1, 5)
    counts = [sum(gap.preceding == command for gap in ordered) for command in Command]
    return table, np.cumsum([0, *counts]).astype(np.int64)


@njit(cache=True)
def _run(parts, path, shape, free, gaps, starts, asked, answers, log):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, PLR0915
    """Run to the end; return when it came, negative if stuck, and how many commands there were."""
    transfers, banks, rows, writes, ticks = asked
    accepted, done, outcomes = answers
    count = len(transfers)
    nodes = shape[0, -1] + shape[2, -1]
    window = 1
    for gap in gaps:
        window = max(window, gap[GAP_WINDOW])
    ready = np.zeros((nodes, 9), dtype=np.int64)
    past = np.full((nodes, 9, window), NEVER, dtype=np.int64)
    open_rows = np.full(len(path), CLOSED, dtype=np.int64)
    guarded = np.zeros(len(path), dtype=np.int64)
    queues = np.zeros((3, max(parts[READ_CAP], parts[WRITE_CAP], len(path)) + 1), dtype=np.int64)
    refreshes = np.zeros((2, 4 * len(path)), dtype=np.int64)
    state = np.zeros(COUNTERS, dtype=np.int64)
    next_refresh = parts[INTERVAL] if parts[REFRESHES] else FOREVER
    turn = 0
    offered = 0
    device = (parts, path, shape, free, gaps, starts)
    memory = (ready, past, open_rows, guarded, queues, refreshes, state)
    while True:
        due = offered < count and ticks[offered] <= state[TICK]
        took = due and _accept(parts, memory, asked, answers, offered)
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
            turn = _enqueue_refreshes(parts, len(path), refreshes, state, turn)
        if parts[BUSES] == 1:
            issued = _serve(device, memory, asked, answers, ALL, log)
        else:
            issued = _serve(device, memory, asked, answers, COLUMNS, log)
            issued = _serve(device, memory, asked, answers, ROWS, log) or issued
        if not issued and not took and (parts[CLOCK_TICKS] == 1 or state[TICK] % 2 == 1):
            until = min(state[WAKE], next_refresh) - 1
            if not due and offered < count:
                until = min(until, ticks[offered])
            if until >= FOREVER - 1:
                return -state[TICK], state[ISSUED]
            state[TICK] = max(state[TICK], until)


@njit(cache=True)
def _accept(parts, memory, asked, answers, index):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Take a request in, unless its queue is full."""
    queues, state = memory[4], memory[6]
    transfers, writes = asked[0], asked[3]
    accepted, done, outcomes = answers
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


@njit(cache=True)
def _enqueue_refreshes(parts, banks, refreshes, state, turn):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Queue the refreshes that fall due; return whose turn is next."""
    room = refreshes.shape[1]
    if parts[REFRESHES] == 1:
        for scope in range(parts[SCOPES]):
            at = (state[DUE_FIRST] + state[DUE]) % room
            refreshes[0, at] = REF
            refreshes[1, at] = scope * parts[PER_SCOPE]
            state[DUE] += 1
        return turn
    at = (state[DUE_FIRST] + state[DUE]) % room
    refreshes[0, at] = REFB
    refreshes[1, at] = turn
    state[DUE] += 1
    return (turn + 1) % banks


@njit(cache=True)
def _serve(device, memory, asked, answers, bus, log):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Issue what one bus can do now; return whether there was anything."""
    parts = device[0]
    state = memory[6]
    if bus != ROWS:
        at = _first_ready(device, memory, asked, 2, bus)
        if at >= 0:
            _issue(device, memory, asked, answers, 2, at, log)
            return True
    if state[DUE] > 0:
        return _refresh_step(device, memory, bus, log)
    if state[WRITE_MODE] == 0:
        if 100 * state[WRITES] > parts[HIGH] or state[READS] == 0:
            state[WRITE_MODE] = 1
    elif 100 * state[WRITES] < parts[LOW] and state[READS] > 0:
        state[WRITE_MODE] = 0
    at = _first_ready(device, memory, asked, state[WRITE_MODE], bus)
    if at >= 0:
        _issue(device, memory, asked, answers, state[WRITE_MODE], at, log)
        return True
    return False


@njit(cache=True)
def _first_ready(device, memory, asked, kind, bus):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Return the place in a queue of the oldest request whose command is ready, or -1."""
    path, free = device[1], device[3]
    ready, open_rows, guarded, queues, state = memory[0], memory[2], memory[3], memory[4], memory[6]
    banks, rows, writes = asked[1], asked[2], asked[3]
    first_edge = device[0][CLOCK_TICKS] == 1 or state[TICK] % 2 == 1
    levels = path.shape[1]
    tick = state[TICK]
    best = -1
    oldest = FOREVER
    for at in range(state[READS + kind]):
        index = queues[kind, at]
        bank = banks[index]
        row = open_rows[bank]
        command = ACT
        if row == rows[index]:
            command = WR if writes[index] else RD
        elif row != CLOSED:
            command = PRE
            if guarded[bank] > 0:
                continue
        if bus != ALL and (bus == COLUMNS) != (command in (RD, WR)):
            continue
        earliest = np.int64(0)
        for level in range(levels):
            earliest = max(earliest, ready[path[bank, level], command])
        if earliest > tick:
            state[WAKE] = min(state[WAKE], earliest)
        elif (first_edge or free[command]) and index < oldest:
            if kind != 2:
                return at
            best = at
            oldest = index
    return best


@njit(cache=True)
def _refresh_step(device, memory, bus, log):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Issue the oldest refresh, or the precharge that it needs; return whether it could."""
    parts, path, free = device[0], device[1], device[3]
    ready, open_rows, guarded, refreshes = memory[0], memory[2], memory[3], memory[5]
    state = memory[6]
    if bus == COLUMNS:
        return False
    command = refreshes[0, state[DUE_FIRST]]
    bank = refreshes[1, state[DUE_FIRST]]
    whole = command == REF
    guards = 0
    for other in range(bank, bank + (parts[PER_SCOPE] if whole else 1)):
        guards += guarded[other]
        if open_rows[other] != CLOSED:
            command = PREA if whole else PRE
    if guards > 0 and command in (PREA, PRE):
        return False
    earliest = np.int64(0)
    for level in range(parts[SCOPE_DEPTH] if whole else path.shape[1]):
        earliest = max(earliest, ready[path[bank, level], command])
    if earliest > state[TICK]:
        state[WAKE] = min(state[WAKE], earliest)
        return False
    if not (parts[CLOCK_TICKS] == 1 or state[TICK] % 2 == 1 or free[command]):
        return False
    _record(device, memory, command, bank, log)
    if command in (PREA, PRE):
        open_rows[bank : bank + (parts[PER_SCOPE] if whole else 1)] = CLOSED
    else:
        state[DUE_FIRST] = (state[DUE_FIRST] + 1) % refreshes.shape[1]
        state[DUE] -= 1
    return True


@njit(cache=True)
def _issue(device, memory, asked, answers, kind, at, log):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Issue the next command of a queued request and move the request on."""
    parts = device[0]
    open_rows, guarded, queues, state = memory[2], memory[3], memory[4], memory[6]
    banks, rows, writes = asked[1], asked[2], asked[3]
    done, outcomes = answers[1], answers[2]
    index = queues[kind, at]
    bank = banks[index]
    row = open_rows[bank]
    if row == CLOSED:
        command = ACT
        found = 1
    elif row != rows[index]:
        command = PRE
        found = 2
    else:
        command = WR if writes[index] else RD
        found = 0
        if parts[CLOSES] and not _wanted(memory, asked, index):
            command = _with_precharge(device, memory, command, bank)
    if outcomes[index] == WAITING:
        outcomes[index] = found
    _record(device, memory, command, bank, log)
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


@njit(cache=True)
def _wanted(memory, asked, index):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Whether another waiting request wants the same row."""
    queues, state = memory[4], memory[6]
    banks, rows = asked[1], asked[2]
    for kind in range(3):
        for at in range(state[READS + kind]):
            other = queues[kind, at]
            if other != index and banks[other] == banks[index] and rows[other] == rows[index]:
                return True
    return False


@njit(cache=True)
def _with_precharge(device, memory, command, bank):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Return the access that closes its row, where it is ready too."""
    path = device[1]
    ready, state = memory[0], memory[6]
    closing = RDA if command == RD else WRA
    for level in range(path.shape[1]):
        if ready[path[bank, level], closing] > state[TICK]:
            return command
    return closing


@njit(cache=True)
def _record(device, memory, command, bank, log):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Note a command at every node it passes, and move others' earliest ticks."""
    parts, path, shape, gaps, starts = device[0], device[1], device[2], device[4], device[5]
    ready, past, state = memory[0], memory[1], memory[6]
    tick = state[TICK]
    whole = command in (PREA, REF)
    window = past.shape[2]
    for level in range(parts[SCOPE_DEPTH] if whole else path.shape[1]):
        times = past[path[bank, level], command]
        for place in range(window - 1, 0, -1):
            times[place] = times[place - 1]
        times[0] = tick
    for g in range(starts[command], starts[command + 1]):
        following = gaps[g, GAP_FOLLOWING]
        node = path[bank, gaps[g, GAP_LEVEL]]
        before = past[node, command, gaps[g, GAP_WINDOW] - 1]
        if before == NEVER:
            continue
        until = before + gaps[g, GAP_TICKS]
        if gaps[g, GAP_SIBLINGS]:
            first, among = shape[0, gaps[g, GAP_LEVEL]], shape[1, gaps[g, GAP_LEVEL]]
            begin = node - (node - first) % among
            for other in range(begin, begin + among):
                if other != node:
                    ready[other, following] = max(ready[other, following], until)
        else:
            ready[node, following] = max(ready[node, following], until)
    if state[ISSUED] < len(log):
        log[state[ISSUED], 0] = tick
        log[state[ISSUED], 1] = command
        log[state[ISSUED], 2] = bank
    state[ISSUED] += 1
