"""The compiled core in front of its issue queue: fetch and rename, as those of `engine`.

They are inlined into the clock.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.compiled_parts import (
    ALL_HELD,
    ALL_LOADS,
    ALL_QUEUED,
    ALL_STORES,
    FETCH_AT,
    FETCHED,
    FRONT,
    GROUP,
    ICOUNT,
    LAST_GROUP,
    LATE,
    LATE_FETCH,
    LOAD,
    LOADS,
    NEXT_FETCH,
    NEXT_RENAME,
    NEXT_RETIRE,
    OWN_LOADS,
    OWN_STORES,
    PARTITIONED,
    QUEUE,
    QUEUED,
    RENAME_AT,
    RENAMED,
    REORDER,
    STORE,
    STORES,
    WIDTH,
    WRONG,
)
from sim.cpu.cores.memory import NEVER
from sim.jit import njit

Ints = npt.NDArray[np.int64]


@njit(cache=True, inline="always")
def rename(  # noqa: C901, PLR0917 - one need after the other; tables of a core
    now: int,
    numbers: Ints,
    unit: Ints,
    alone: Ints,
    times: Ints,
    threads: Ints,
    shared: Ints,
    queue: Ints,
) -> None:
    """Rename, thread by thread."""
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
                if (threads[thread, OWN_LOADS] if parted else shared[ALL_LOADS]) >= numbers[LOADS]:
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


@njit(cache=True, inline="always")
def fetch(  # noqa: PLR0917 - tables of a core
    now: int,
    numbers: Ints,
    guess: Ints,
    groups: Ints,
    fetch_stall: Ints,
    times: Ints,
    threads: Ints,
) -> None:
    """Fetch a group of one thread."""
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
        return
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
