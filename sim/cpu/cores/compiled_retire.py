"""The compiled core behind execution: retirement and the store buffer, as those of `engine`.

They are inlined into the clock.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.compiled_parts import (
    ADDRESS,
    ALL_HELD,
    ALL_LOADS,
    ALL_STORES,
    BEGIN,
    DONE,
    END,
    FETCH_AT,
    FETCHED,
    FREED,
    FRONT,
    HIT,
    ISSUED,
    LEVELS,
    LOAD,
    NEXT_FETCH,
    NEXT_RENAME,
    NEXT_RETIRE,
    OWN_LOADS,
    OWN_STORES,
    RETIRED,
    RIGHT,
    SENT,
    STORE,
    STORED,
    WIDTH,
    owner_of,
    ready,
)
from sim.cpu.cores.memory import NEVER
from sim.cpu.cores.memory_compiled import can_take, data_at
from sim.jit import njit

Ints = npt.NDArray[np.int64]
DATA, STRUCTURAL, CONTROL, CACHE, DRAM, FILLING, SYNCHRONISED, BUSY = range(8)
"""Columns of the table of cycles."""


@njit(cache=True, inline="always")
def retire(  # noqa: PLR0917 - tables of a core
    now: int,
    numbers: Ints,
    unit: Ints,
    alone: Ints,
    producers: Ints,
    guess: Ints,
    fetch_stall: Ints,
    fill: Ints,
    fill_level: Ints,
    times: Ints,
    threads: Ints,
    shared: Ints,
    cycles: Ints,
    unready: Ints,
    retired_stores: Ints,
) -> bool:
    """Retire, thread by thread; return whether any has something left."""
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
        why = _why(
            oldest,
            thread,
            now,
            numbers,
            unit,
            alone,
            producers,
            guess,
            fetch_stall,
            fill,
            fill_level,
            times,
            threads,
            unready,
        )
        cycles[thread, why] += 1
    return running


@njit(cache=True, inline="always")
def _why(  # noqa: PLR0917 - one cause after the other; tables of a core
    oldest: int,
    thread: int,
    now: int,
    numbers: Ints,
    unit: Ints,
    alone: Ints,
    producers: Ints,
    guess: Ints,
    fetch_stall: Ints,
    fill: Ints,
    fill_level: Ints,
    times: Ints,
    threads: Ints,
    unready: Ints,
) -> int:
    """Return why nothing of a thread retires, as the engine's `_cause`."""
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
    return why


@njit(cache=True, inline="always")
def drain(  # noqa: PLR0917 - tables of a core
    now: int,
    numbers: Ints,
    lookup: Ints,
    fill: Ints,
    home: Ints,
    behind: Ints,
    row: Ints,
    owner: Ints,
    threads: Ints,
    shared: Ints,
    arrives: Ints,
    busy_until: Ints,
    banks: Ints,
    left: Ints,
    retired_stores: Ints,
) -> None:
    """Drain the store buffer by a step."""
    while shared[FREED] < shared[SENT] and left[retired_stores[shared[FREED]]] <= now:
        threads[owner_of(owner, retired_stores[shared[FREED]]), OWN_STORES] -= 1
        shared[ALL_STORES] -= 1
        shared[FREED] += 1
    if shared[SENT] < shared[STORED]:
        store = retired_stores[shared[SENT]]
        if can_take(arrives, busy_until, fill[store], now):
            left[store] = data_at(
                fill[store],
                now,
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
            shared[SENT] += 1
