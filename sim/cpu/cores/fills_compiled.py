"""Loops of `fills`, compiled: accesses through the caches, and links between their fills."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.jit import njit
from sim.memory.cache.compiled import request, unowned

Ints = npt.NDArray[np.int64]


@njit(cache=True)
def enter_levels(  # noqa: PLR0917 - columns of a trace, then the caches that it passes
    addresses: Ints,
    kinds: npt.NDArray[np.uint8],
    enters: Ints,
    owned_table: Ints,
    owned_state: Ints,
    owned_frames: Ints,
) -> Ints:
    """Return the level that had each access of one byte; it passes by those before its own."""
    table, state, frames = unowned(owned_table), unowned(owned_state), unowned(owned_frames)
    found = np.zeros(len(addresses), dtype=np.int64)
    for i in range(len(addresses)):
        top, first = enters[i], addresses[i]
        if top:
            depth = request(int(kinds[i]), first, first, table[top:], state, frames[top:])
        else:
            depth = request(int(kinds[i]), first, first, table, state, frames)
        found[i] = top + depth
    return found


@njit(cache=True)
def fills(line: Ints, found: Ints, lines: int) -> Ints:
    """Return the number of the fill that last brought each access's line; misses make new ones."""
    current = np.full(lines, -1, dtype=np.int64)
    number = np.zeros(len(line), dtype=np.int64)
    made = 0
    for i in range(len(line)):
        if found[i] > 0:
            current[line[i]] = made
            made += 1
        number[i] = current[line[i]]
    return number


@njit(cache=True)
def link_fills(line: Ints, lines: int, found: Ints, enters: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Link the fills that misses make in every level that they pass, from the deepest on.

    `line` has a row for each level behind the first. Returns each miss's fill in the level that it
    enters, and of each fill its level, the fill behind it and the miss that made it.
    """
    inner, outer = 0, 0
    for i in range(len(found)):
        outer += enters[i] == 0
    total = 0
    for i in range(len(found)):
        total += found[i] - enters[i]
    home, behind = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    maker = np.zeros(total, dtype=np.int64)
    made = np.zeros(len(found), dtype=np.int64)
    current = np.full((len(line), lines), -1, dtype=np.int64)
    for i in range(len(found)):
        link = -1
        if found[i] <= len(line):
            link = int(current[found[i] - 1, line[found[i] - 1, i]])
        for level in range(found[i] - 1, enters[i] - 1, -1):
            if level == 0:
                new = inner
                inner += 1
            else:
                new = outer
                outer += 1
                current[level - 1, line[level - 1, i]] = new
            home[new], behind[new], maker[new], link = level, link, i, new
        made[i] = link
    return made, home, behind, maker


@njit(cache=True)
def windows(run_of: Ints, number: Ints, asking: Ints, run: Ints, starts: Ints) -> Ints:
    """Return up to where each load's stream has asked, in the list of all streams' fills."""
    ends = starts.copy()
    until = np.zeros(len(run_of), dtype=np.int64)
    ask = 0
    for i in range(len(run_of)):
        while ask < len(asking) and asking[ask] == number[i]:
            ends[run[ask]] += 1
            ask += 1
        if run_of[i] >= 0:
            until[i] = ends[run_of[i]]
    return until
