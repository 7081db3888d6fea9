"""The compiled twin of `engine.SuperscalarCore`: the same cycle of every stage, on flat arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.cpu.cores.compiled_parts import (
    ADDRESS,
    ADDRESSES,
    ALL_HELD,
    ALL_LOADS,
    ALL_QUEUED,
    ALL_STORES,
    BEGIN,
    CONTROL_UNIT,
    DONE,
    END,
    FETCH_AT,
    FETCHED,
    FREED,
    FRONT,
    GROUP,
    HIT,
    ICOUNT,
    IN_ORDER,
    ISSUED,
    LAST_GROUP,
    LATE,
    LATE_FETCH,
    LEVELS,
    LOAD,
    LOAD_PORTS,
    LOADS,
    NEXT_FETCH,
    NEXT_RENAME,
    NEXT_RETIRE,
    OWN_LOADS,
    OWN_STORES,
    PARTITIONED,
    QUEUE,
    QUEUED,
    REDIRECT,
    RENAME_AT,
    RENAMED,
    REORDER,
    RETIRED,
    RIGHT,
    SENT,
    SQUASH,
    STOPPED,
    STORE,
    STORE_PORTS,
    STORED,
    STORES,
    WIDTH,
    WRONG,
    least,
    make_core,
    owner_of,
    ready,
)
from sim.cpu.cores.engine import Timing
from sim.cpu.cores.memory import NEVER
from sim.cpu.cores.memory_compiled import can_take, data_at, run_ahead
from sim.cpu.cores.spec import CoreSpec
from sim.cpu.cores.stream import Stream
from sim.stalls import CycleStack, StallCause

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
DATA, STRUCTURAL, CONTROL, CACHE, DRAM, FILLING, SYNCHRONISED, BUSY = range(8)
"""Columns of the table of cycles."""
CAUSES = (
    StallCause.DATA_DEPENDENCY,
    StallCause.STRUCTURAL,
    StallCause.CONTROL,
    StallCause.CACHE,
    StallCause.DRAM,
    StallCause.FILL_DRAIN,
    StallCause.SYNCHRONISATION,
)
"""In the order of the columns of the table of cycles."""


def run_compiled(spec: CoreSpec, stream: Stream) -> Timing:
    """Time a stream on a core; as SuperscalarCore.run."""
    core = make_core(spec, stream, BUSY + 1)
    _clock(*core)
    return Timing(
        fetched=core.times[FETCHED],
        renamed=core.times[RENAMED],
        issued=core.times[ISSUED],
        done=core.times[DONE],
        retired=core.times[RETIRED],
        stacks=tuple(
            CycleStack(busy=row[BUSY], stalls=dict(zip(CAUSES, row[:BUSY], strict=True)))
            for row in core.cycles.tolist()
        ),
    )


@njit(cache=True)
def _clock(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one loop over a core's tables, for speed
    numbers: Ints,
    pool: Ints,
    lookup: Ints,
    unit: Ints,
    alone: Flags,
    producers: Ints,
    guess: Ints,
    groups: Ints,
    fetch_stall: Ints,
    fill: Ints,
    fill_level: Ints,
    home: Ints,
    behind: Ints,
    asks: Ints,
    prefetches: Ints,
    run: Ints,
    until: Ints,
    early: Ints,
    owner: Ints,
    times: Ints,
    threads: Ints,
    shared: Ints,
    cycles: Ints,
    arrives: Ints,
    busy_until: Ints,
    next_early: Ints,
    unit_free: Ints,
    ports: Ints,
    queue: Ints,
    unready: Ints,
    left: Ints,
    retired_stores: Ints,
) -> None:
    """Clock a core, as its fields come, until everything has retired."""
    now, prefetching = 0, len(asks) + len(run) > 0
    while True:
        # Retire, thread by thread, and say why a thread could not.
        room, running = numbers[WIDTH], False
        for turn in range(len(threads)):
            thread = (now + turn) % len(threads) if len(threads) > 1 else 0
            gone, oldest = 0, threads[thread, NEXT_RETIRE]
            if oldest == threads[thread, END]:
                continue
            running, last = True, threads[thread, NEXT_RENAME]
            while gone < room and oldest < last and times[DONE, oldest] <= now:
                times[RETIRED, oldest] = now
                if unit[oldest] == LOAD:
                    threads[thread, OWN_LOADS] -= 1
                    shared[ALL_LOADS] -= 1
                elif unit[oldest] == STORE:
                    retired_stores[shared[STORED]] = oldest
                    shared[STORED] += 1
                oldest += 1
                gone += 1
            threads[thread, NEXT_RETIRE] = oldest
            shared[ALL_HELD] -= gone
            room -= gone
            if gone:
                cycles[thread, BUSY] += 1
                continue
            if oldest == threads[thread, NEXT_RENAME]:
                before = max(oldest - 1, threads[thread, BEGIN])
                since = times[FETCHED, oldest] + numbers[FRONT]
                if threads[thread, NEXT_FETCH] == oldest:
                    since = threads[thread, FETCH_AT]
                if guess[before] != RIGHT:
                    why = CONTROL
                elif alone[oldest] or alone[before]:
                    why = SYNCHRONISED
                elif fetch_stall[oldest]:
                    why = CACHE
                else:
                    why = STRUCTURAL if since < now else FILLING
            elif times[DONE, oldest] <= now:
                why = STRUCTURAL
            elif times[DONE, oldest] == NEVER:
                waits = not ready(producers, unready, times, oldest, now)
                why = DATA if waits else STRUCTURAL
            else:
                usual = times[ISSUED, oldest] + numbers[ADDRESS] + numbers[HIT]
                why = DATA
                if unit[oldest] == LOAD and times[DONE, oldest] > usual:
                    why = DRAM if fill_level[fill[oldest]] == numbers[LEVELS] else CACHE
            cycles[thread, why] += 1
        if not running:
            break
        # Drain the store buffer.
        while shared[FREED] < shared[SENT] and left[retired_stores[shared[FREED]]] <= now:
            threads[owner_of(owner, retired_stores[shared[FREED]]), OWN_STORES] -= 1
            shared[ALL_STORES] -= 1
            shared[FREED] += 1
        if shared[SENT] < shared[STORED]:
            store = retired_stores[shared[SENT]]
            if can_take(arrives, busy_until, fill[store], now):
                left[store] = data_at(
                    fill[store], now, numbers, lookup, home, behind, arrives, busy_until, shared
                )
                shared[SENT] += 1
        # Issue, oldest first.
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
                            arrives,
                            busy_until,
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
                            arrives,
                            busy_until,
                            shared,
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
                    squash = times[DONE, number] + numbers[REDIRECT]
                    threads[thread, FETCH_AT] = squash + 1
                    if numbers[SQUASH]:
                        since = times[RENAMED, number] + 1
                        space = numbers[REORDER] - (number + 1 - threads[thread, NEXT_RETIRE])
                        wrong = min(max(squash - since, 0) * numbers[WIDTH], space)
                        threads[thread, RENAME_AT] = squash + -(-wrong // numbers[SQUASH]) + 1
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
        # Rename, thread by thread.
        room, parted = numbers[WIDTH], numbers[PARTITIONED] == 1
        for turn in range(len(threads)):
            thread = (now + turn) % len(threads) if len(threads) > 1 else 0
            number, end = threads[thread, NEXT_RENAME], threads[thread, NEXT_FETCH]
            if now < threads[thread, RENAME_AT]:
                continue
            while room and number < end and times[FETCHED, number] + numbers[FRONT] <= now:
                own, held = unit[number], number - threads[thread, NEXT_RETIRE]
                if alone[number] and (held or threads[thread, OWN_STORES]):
                    break
                if held and alone[number - 1]:
                    break
                if (held if parted else shared[ALL_HELD]) >= numbers[REORDER]:
                    break
                if (threads[thread, QUEUED] if parted else shared[ALL_QUEUED]) >= numbers[QUEUE]:
                    break
                if own == LOAD:
                    if (threads[thread, OWN_LOADS] if parted else shared[ALL_LOADS]) >= numbers[
                        LOADS
                    ]:
                        break
                    threads[thread, OWN_LOADS] += 1
                    shared[ALL_LOADS] += 1
                elif own == STORE:
                    stores = threads[thread, OWN_STORES] if parted else shared[ALL_STORES]
                    if stores >= numbers[STORES]:
                        break
                    threads[thread, OWN_STORES] += 1
                    shared[ALL_STORES] += 1
                times[RENAMED, number] = now
                queue[shared[ALL_QUEUED]] = number
                shared[ALL_QUEUED] += 1
                shared[ALL_HELD] += 1
                threads[thread, QUEUED] += 1
                number += 1
                room -= 1
            threads[thread, NEXT_RENAME] = number
        # Fetch a group of one thread.
        best, fewest = -1, NEVER
        for turn in range(len(threads)):
            thread = (now + turn) % len(threads) if len(threads) > 1 else 0
            able = now >= threads[thread, FETCH_AT]
            in_front = threads[thread, NEXT_FETCH] - threads[thread, NEXT_RENAME]
            if in_front > numbers[WIDTH] * numbers[FRONT]:
                able = False
            if able and threads[thread, GROUP] < threads[thread, LAST_GROUP]:
                waiting = in_front + threads[thread, QUEUED] if numbers[ICOUNT] else 0
                if waiting < fewest:
                    best, fewest = thread, waiting
        if best < 0:
            now += 1
            continue
        group = threads[best, GROUP]
        first, end = groups[group], groups[group + 1]
        fetched = now + fetch_stall[first]
        for number in range(first, end):
            times[FETCHED, number] = fetched
        threads[best, NEXT_FETCH] = end
        threads[best, GROUP] += 1
        threads[best, FETCH_AT] = fetched + 1
        if guess[end - 1] == WRONG:
            threads[best, FETCH_AT] = NEVER
        elif guess[end - 1] == LATE:
            threads[best, FETCH_AT] += numbers[LATE_FETCH]
        now += 1
