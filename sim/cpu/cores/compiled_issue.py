"""The compiled core's issue: oldest first, as that of `engine`.

They are inlined into the clock.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.compiled_parts import (
    ADDRESS,
    ADDRESSES,
    ALL_QUEUED,
    CONTROL_UNIT,
    DONE,
    FETCH_AT,
    HIT,
    IN_ORDER,
    ISSUED,
    LOAD,
    LOAD_PORTS,
    NEXT_RETIRE,
    QUEUED,
    REDIRECT,
    RENAME_AT,
    RENAMED,
    REORDER,
    SQUASH,
    STOPPED,
    STORE,
    STORE_PORTS,
    WIDTH,
    WRONG,
    least,
    owner_of,
    ready,
)
from sim.cpu.cores.memory import NEVER
from sim.cpu.cores.memory_compiled import can_take, data_at, run_ahead
from sim.jit import njit

Ints = npt.NDArray[np.int64]


@njit(cache=True, inline="always")
def issue(  # noqa: C901, PLR0912, PLR0917 - the queue, one by one; tables of a core
    now: int,
    prefetching: bool,
    numbers: Ints,
    pool: Ints,
    lookup: Ints,
    unit: Ints,
    producers: Ints,
    guess: Ints,
    fill: Ints,
    home: Ints,
    behind: Ints,
    row: Ints,
    asks: Ints,
    prefetches: Ints,
    run: Ints,
    until: Ints,
    early: Ints,
    owner: Ints,
    times: Ints,
    threads: Ints,
    shared: Ints,
    arrives: Ints,
    busy_until: Ints,
    banks: Ints,
    next_early: Ints,
    unit_free: Ints,
    ports: Ints,
    queue: Ints,
    unready: Ints,
    left: Ints,
) -> None:
    """Issue, oldest first."""
    for number in range(len(pool)):
        ports[number] = pool[number, 0]
    ports[LOAD], ports[STORE] = numbers[LOAD_PORTS], numbers[STORE_PORTS]
    addresses, room, in_order = numbers[ADDRESSES], numbers[WIDTH], numbers[IN_ORDER] == 1
    queued, kept, place = shared[ALL_QUEUED], 0, 0
    while place < queued and room:
        number = queue[place]
        place += 1
        own, thread = unit[number], owner_of(owner, number)
        finish = NEVER
        free = ports[own] > 0 and (addresses > 0 or own < LOAD)
        if in_order and threads[thread, STOPPED] == now:
            free = False
        if free and ready(producers, unready, times, number, now):
            if own == STORE:
                finish = now + numbers[ADDRESS]
            elif own == LOAD:
                finish = _load(
                    number,
                    now,
                    prefetching,
                    numbers,
                    lookup,
                    producers,
                    fill,
                    home,
                    behind,
                    row,
                    asks,
                    prefetches,
                    run,
                    until,
                    early,
                    shared,
                    arrives,
                    busy_until,
                    banks,
                    next_early,
                    left,
                )
            else:
                best = least(unit_free[own, : pool[own, 0]])
                if unit_free[own, best] <= now:
                    unit_free[own, best] = now + (1 if pool[own, 2] else pool[own, 1])
                    finish = now + pool[own, 1]
        if finish < NEVER:
            times[ISSUED, number], times[DONE, number] = now, finish
            threads[thread, QUEUED] -= 1
            room -= 1
            ports[own] -= 1
            if own >= LOAD:
                addresses -= 1
            if guess[number] == WRONG:
                _redirect(number, thread, numbers, times, threads)
        else:
            queue[kept] = number
            kept += 1
        if in_order and (finish == NEVER or own == CONTROL_UNIT):
            threads[thread, STOPPED] = now
            if len(threads) == 1:
                break
    if kept < place:
        while place < queued:
            queue[kept] = queue[place]
            kept += 1
            place += 1
        shared[ALL_QUEUED] = kept


@njit(cache=True, inline="always")
def _load(  # noqa: PLR0917 - tables of a core
    number: int,
    now: int,
    prefetching: bool,
    numbers: Ints,
    lookup: Ints,
    producers: Ints,
    fill: Ints,
    home: Ints,
    behind: Ints,
    row: Ints,
    asks: Ints,
    prefetches: Ints,
    run: Ints,
    until: Ints,
    early: Ints,
    shared: Ints,
    arrives: Ints,
    busy_until: Ints,
    banks: Ints,
    next_early: Ints,
    left: Ints,
) -> int:
    """Begin a load, where the store buffer or the cache takes it; return when it is done."""
    finish = NEVER
    reached = now + numbers[ADDRESS]
    store = producers[number, producers.shape[1] - 1]
    if store >= 0 and left[store] > now:
        finish = reached + numbers[HIT]
    elif can_take(arrives, busy_until, fill[number], now):
        finish = data_at(
            fill[number],
            reached,
            numbers,
            lookup,
            home,
            behind,
            row,
            arrives,
            busy_until,
            banks,
            shared,
        )
    if finish < NEVER and prefetching:
        run_ahead(
            number,
            reached,
            asks,
            prefetches,
            run,
            until,
            early,
            next_early,
            numbers,
            lookup,
            home,
            behind,
            row,
            arrives,
            busy_until,
            banks,
            shared,
        )
    return finish


@njit(cache=True, inline="always")
def _redirect(number: int, thread: int, numbers: Ints, times: Ints, threads: Ints) -> None:
    """Send a thread's fetch to the right path once a wrong guess has been resolved."""
    squash = times[DONE, number] + numbers[REDIRECT]
    threads[thread, FETCH_AT] = squash + 1
    if numbers[SQUASH]:
        since = times[RENAMED, number] + 1
        space = numbers[REORDER] - (number + 1 - threads[thread, NEXT_RETIRE])
        wrong = min(max(squash - since, 0) * numbers[WIDTH], space)
        threads[thread, RENAME_AT] = squash + -(-wrong // numbers[SQUASH]) + 1
