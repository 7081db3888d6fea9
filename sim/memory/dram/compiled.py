"""The compiled twin of `controller`: the same commands at the same ticks, over arrays.

Where the reference keeps earliest ticks by node and asks all levels, the twin writes a gap into
all banks below the node and asks one. The state of a run is a few counters and three queues of
requests in the order in which they came. Numba keeps the compiled run by the date of this file
alone: touch it after a change to one of `compiled_*.py`, which are compiled into it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.clock import DeadlockError
from sim.memory.dram.compiled_commands import enqueue_refreshes, serve
from sim.memory.dram.compiled_queues import accept
from sim.memory.dram.compiled_tables import (
    BUSES,
    CLOCK_TICKS,
    INTERVAL,
    ISSUED,
    OPENED,
    READS,
    REFRESHES,
    STOP_EARLY,
    TICK,
    WAKE,
    WRITES,
    compiled,
    describe,
    empty_memory,
    gap_tables,
)
from sim.memory.dram.device import Command, DramDevice
from sim.memory.dram.requests import NEVER, WAITING, DramResult, Requests
from sim.memory.dram.spec import FOREVER, ControllerSpec, Stop, check_refresh


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
    parts = describe(device, spec)
    gaps, starts, firsts = gap_tables(device, spec)
    free = np.array([command in device.any_edge for command in Command], dtype=np.bool_)
    log = np.zeros((64 + 8 * count if keep_commands else 0, 3), dtype=np.int64)
    while True:
        ended, logged = _run(
            (parts, gaps, starts, firsts, free),
            empty_memory(parts, gaps),
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


@compiled
def _run(device: Any, memory: Any, asked: Any, answers: Any) -> tuple[int, int]:
    """Run to the end; return when it came, negative if stuck, and how many commands there were."""
    run = (device, memory, asked, answers)
    parts, state, ticks = device[0], memory[6], asked[4]
    count = len(ticks)
    next_refresh = parts[INTERVAL] if parts[REFRESHES] else FOREVER
    offered = 0
    while True:
        due = offered < count and ticks[offered] <= state[TICK]
        took = due and accept(run, offered)
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
            enqueue_refreshes(parts, memory[5], state)
        issued = False
        for bus in range(parts[BUSES]):
            issued = serve(run, bus) or issued
        if not issued and not took and (parts[CLOCK_TICKS] == 1 or state[TICK] % 2 == 1):
            until = min(state[WAKE], next_refresh) - 1
            if not due and offered < count:
                until = min(until, ticks[offered])
            if until >= FOREVER - 1:
                return -state[TICK], state[ISSUED]
            state[TICK] = max(state[TICK], until)
