"""Frames of the compiled twin: one request under way at one level, and its steps."""

from __future__ import annotations

from sim.jit import njit
from sim.memory.cache.compiled_state import (
    CAME,
    COMES_DIRTY,
    COUNTS,
    DEPTH,
    FILL,
    FIRST,
    KIND,
    LAST,
    LOAD,
    MISSING,
    NUMBER,
    PLACE_KNOWN,
    SECTOR,
    SECTORS,
    SHIFT,
    STEP,
    WANTED,
    Ints,
)

LOOK, FETCH, PASS, EVICT, RELEASE, THROUGH, NEXT = range(7)
"""Steps of a request in a line."""


@njit(cache=True, inline="always")
def call(  # noqa: PLR0917 - a level, then a request
    table: Ints, state: Ints, level: int, kind: int, first: int, last: int
) -> bool:
    """Answer a request at once if the level is main memory; return whether it is."""
    if level == len(table) - 1:
        write = 0 if kind == LOAD else 1
        at = table[level, COUNTS]
        state[at + write] += 1
        state[at + 2 + write] += last - first + 1
        return True
    return False


@njit(cache=True, inline="always")
def begin(  # noqa: PLR0917 - a frame, then its request
    table: Ints, frames: Ints, level: int, kind: int, first: int, last: int
) -> None:
    """Set a frame up for a request."""
    frames[level, KIND], frames[level, FIRST], frames[level, LAST] = kind, first, last
    frames[level, NUMBER] = first >> table[level, SHIFT]
    frames[level, STEP] = LOOK
    frames[level, DEPTH] = frames[level, COMES_DIRTY] = frames[level, CAME] = 0


@njit(cache=True, inline="always")
def begin_fill(table: Ints, frames: Ints, level: int, line: int) -> None:
    """Set a frame up to bring a whole line in."""
    first = line << table[level, SHIFT]
    begin(table, frames, level, FILL, first, first)
    frames[level, STEP] = FETCH
    frames[level, WANTED] = (1 << (1 << (table[level, SHIFT] - table[level, SECTORS]))) - 1
    frames[level, MISSING] = frames[level, WANTED]
    frames[level, SECTOR] = 0
    frames[level, PLACE_KNOWN] = -1


@njit(cache=True, inline="always")
def ends(table: Ints, frames: Ints, level: int) -> tuple[int, int]:
    """Return the first and last bytes of a request within its current line."""
    start = frames[level, NUMBER] << table[level, SHIFT]
    end = start + (1 << table[level, SHIFT]) - 1
    return max(frames[level, FIRST], start), min(frames[level, LAST], end)


@njit(cache=True, inline="always")
def next_sector(table: Ints, frames: Ints, level: int, bits: int, number: int) -> tuple[int, int]:
    """Return the ends of the next sector whose bit is set, and go past it; -1 after the last."""
    sector, shift = frames[level, SECTOR], table[level, SECTORS]
    if not bits >> sector:
        return -1, -1
    while not bits >> sector & 1:
        sector += 1
    frames[level, SECTOR] = sector + 1
    first = (number << table[level, SHIFT]) + (sector << shift)
    return first, first + (1 << shift) - 1


@njit(cache=True, inline="always")
def answer(frames: Ints, level: int, depth: int, dirty: int) -> None:
    """Take what the level behind answered."""
    if frames[level, STEP] == FETCH:
        frames[level, CAME] |= dirty
        frames[level, DEPTH] = max(frames[level, DEPTH], 1 + depth)
    elif frames[level, STEP] == PASS:
        frames[level, DEPTH] = max(frames[level, DEPTH], 1 + depth)
        frames[level, STEP] = NEXT
