"""The compiled twin of `memory.Memory`: line fills of every level, and prefetches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.cpu.cores.compiled_parts import (
    ACTIVATE,
    BANKS,
    FILL,
    HIT,
    LEVELS,
    LINE,
    MEMORY,
    MEMORY_FREE,
    PRECHARGE,
    REFRESH,
    REFRESH_EVERY,
    least,
)
from sim.cpu.cores.main_memory import NONE_OPEN
from sim.cpu.cores.memory import NEVER
from sim.jit import njit

Ints = npt.NDArray[np.int64]
OPEN, READY = 0, 1
"""Columns of the table of banks."""


@njit(cache=True, inline="always")
def can_take(arrives: Ints, busy_until: Ints, fill: int, now: int) -> bool:
    """Whether an access joins its fill, or finds a place for it."""
    return bool(arrives[fill] < NEVER or busy_until[0, least(busy_until[0])] <= now)


@njit(cache=True)
def data_at(  # noqa: PLR0917 - the state of all fills
    fill: int,
    now: int,
    numbers: Ints,
    lookup: Ints,
    home: Ints,
    behind: Ints,
    row: Ints,
    arrives: Ints,
    busy_until: Ints,
    banks: Ints,
    shared: Ints,
) -> int:
    """Return when an access that reaches the cache now has its line; starts the fill it needs."""
    if arrives[fill] == NEVER:
        _fetch(fill, now, numbers, lookup, home, behind, row, arrives, busy_until, banks, shared)
    return int(max(now + numbers[HIT], arrives[fill]))


@njit(cache=True)
def run_ahead(  # noqa: PLR0917 - what is asked for, then the state of all fills
    load: int,
    now: int,
    asks: Ints,
    prefetches: Ints,
    run: Ints,
    until: Ints,
    early: Ints,
    next_early: Ints,
    numbers: Ints,
    lookup: Ints,
    home: Ints,
    behind: Ints,
    row: Ints,
    arrives: Ints,
    busy_until: Ints,
    banks: Ints,
    shared: Ints,
) -> None:
    """Start what a load asks for ahead of time, as Memory.prefetch."""
    if len(asks):
        for ask in range(asks[load], asks[load + 1]):
            fill = prefetches[ask]
            if arrives[fill] == NEVER and _places(busy_until[0], now) > 1:
                _fetch(
                    fill,
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
    if not len(run) or run[load] < 0:
        return
    own, there = run[load], now + numbers[HIT]
    while next_early[own] < until[load]:
        fill = early[next_early[own]]
        if arrives[fill] == NEVER:
            if _places(busy_until[1], there) <= 1:
                return
            _fetch(
                fill, there, numbers, lookup, home, behind, row, arrives, busy_until, banks, shared
            )
        next_early[own] += 1


@njit(cache=True, inline="always")
def _places(busy_until: Ints, now: int) -> int:
    """Return how many fills of a level could start now."""
    free = 0
    for busy in busy_until:
        free += busy <= now
    return free


@njit(cache=True)
def _fetch(  # noqa: PLR0917 - the state of all fills
    fill: int,
    now: int,
    numbers: Ints,
    lookup: Ints,
    home: Ints,
    behind: Ints,
    row: Ints,
    arrives: Ints,
    busy_until: Ints,
    banks: Ints,
    shared: Ints,
) -> None:
    """Start a fill and those behind it: down to the level that has the line, then back up."""
    first, at = home[fill], now
    level, deepest = first, fill
    while True:
        at = max(at, busy_until[level, least(busy_until[level])]) + lookup[level]
        if level + 1 == numbers[LEVELS]:
            if numbers[BANKS]:
                at = _row_open(row[deepest], at, numbers, banks)
            at = max(at, shared[MEMORY_FREE])
            shared[MEMORY_FREE] = at + numbers[LINE]
            at += numbers[MEMORY]
            break
        source = behind[deepest]
        if source < 0 or arrives[source] < NEVER:
            at += lookup[level + 1]
            if source >= 0:
                at = max(at, arrives[source])
            break
        level, deepest = level + 1, source
    for here in range(level, first - 1, -1):
        started = fill
        for _ in range(here - first):
            started = behind[started]
        if here == 0:
            at += numbers[FILL]
        busy_until[here, least(busy_until[here])] = at
        arrives[started] = at


@njit(cache=True)
def _row_open(row: int, at: int, numbers: Ints, banks: Ints) -> int:
    """Open a row of main memory, as MainMemory; return from when on it can be read."""
    bank = banks[row % numbers[BANKS]]
    refreshed = at - at % numbers[REFRESH_EVERY]
    if refreshed and bank[READY] < refreshed:
        bank[OPEN], bank[READY] = NONE_OPEN, refreshed + numbers[REFRESH]
    at = max(at, bank[READY])
    if bank[OPEN] != row:
        at += numbers[ACTIVATE]
        at += numbers[PRECHARGE] if bank[OPEN] != NONE_OPEN else 0
        bank[OPEN], bank[READY] = row, at
    return int(at)
