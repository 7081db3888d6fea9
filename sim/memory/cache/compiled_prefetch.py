"""Prefetchers of the compiled twin; `prefetch` has the readable ones and their sources."""

from __future__ import annotations

from sim.jit import njit
from sim.memory.cache.compiled_sets import find
from sim.memory.cache.compiled_state import (
    ASKED,
    CLOCK,
    CONFIDENCE,
    COUNTS,
    DEGREE,
    DISTANCE,
    ENTRIES,
    ENTRY,
    EXCLUSIVE,
    MARKS,
    NEXT_LINE,
    PAGE,
    PREFETCHER,
    PREFETCHES,
    QUEUE,
    QUEUE_HEAD,
    RELATION,
    ROOM,
    STREAM_WORDS,
    STRIDE,
    STRIDE_WORDS,
    TAKEN,
    USEFUL,
    WINDOW,
    Ints,
)

ENTRY_PAGE, ENTRY_LINE, ENTRY_STRIDE, ENTRY_SEEN = range(STRIDE_WORDS)
"""Words of a page of which a stride is known."""
STREAM_LINE, WAY, MISSES, FOLLOWED, END, USED = range(STREAM_WORDS)
"""Words of a stream."""


@njit(cache=True)
def _ask(table: Ints, state: Ints, level: int, page: int, number: int) -> None:
    """Queue a line if it is on the page and there is room."""
    queue = table[level, QUEUE]
    if number >> table[level, PAGE] == page and state[queue + ASKED] < table[level, ROOM]:
        state[queue + QUEUE_HEAD + state[queue + ASKED]] = number
        state[queue + ASKED] += 1


@njit(cache=True)
def _stride(table: Ints, state: Ints, level: int, line: int) -> None:
    page = line >> table[level, PAGE]
    entry = table[level, ENTRY] + page % table[level, ENTRIES] * STRIDE_WORDS
    if state[entry + ENTRY_PAGE] != page:
        state[entry + ENTRY_PAGE], state[entry + ENTRY_LINE] = page, line
        state[entry + ENTRY_STRIDE] = state[entry + ENTRY_SEEN] = 0
        return
    stride = line - state[entry + ENTRY_LINE]
    if stride == 0:
        return
    repeated = stride == state[entry + ENTRY_STRIDE]
    state[entry + ENTRY_SEEN] = state[entry + ENTRY_SEEN] + 1 if repeated else 1
    state[entry + ENTRY_LINE], state[entry + ENTRY_STRIDE] = line, stride
    if state[entry + ENTRY_SEEN] >= table[level, CONFIDENCE]:
        for step in range(table[level, DEGREE]):
            number = line + (table[level, DISTANCE] + step) * stride
            _ask(table, state, level, page, number)


@njit(cache=True)
def _following(table: Ints, state: Ints, level: int, line: int) -> int:
    """Find the stream that an access moves on; -1 is none."""
    for place in range(table[level, ENTRIES]):
        entry = table[level, ENTRY] + place * STREAM_WORDS
        start, way = state[entry + STREAM_LINE], state[entry + WAY]
        lead = (state[entry + END] - start) * way
        if state[entry + FOLLOWED] and 0 <= (line - start) * way <= lead:
            return int(entry)
    return -1


@njit(cache=True)
def _in_training(table: Ints, state: Ints, level: int, line: int) -> int:
    """Find the stream that a miss confirms, turns round or founds."""
    page, oldest = line >> table[level, PAGE], table[level, ENTRY]
    for place in range(table[level, ENTRIES]):
        entry = table[level, ENTRY] + place * STREAM_WORDS
        start = state[entry + STREAM_LINE]
        known = state[entry + USED] and not state[entry + FOLLOWED]
        near = abs(line - start) <= table[level, WINDOW] and start >> table[level, PAGE] == page
        if known and near:
            if line != start:
                way = 1 if line > start else -1
                same = way == state[entry + WAY]
                state[entry + MISSES] = state[entry + MISSES] + 1 if same else 1
                state[entry + STREAM_LINE] = state[entry + END] = line
                state[entry + WAY] = way
                state[entry + FOLLOWED] = state[entry + MISSES] >= table[level, CONFIDENCE]
            return int(entry)
        if state[entry + USED] < state[oldest + USED]:
            oldest = entry
    state[oldest : oldest + STREAM_WORDS] = 0
    state[oldest + STREAM_LINE] = line
    return int(oldest)


@njit(cache=True)
def _stream(table: Ints, state: Ints, level: int, line: int, missed: bool) -> None:
    page, clock = line >> table[level, PAGE], table[level, QUEUE] + CLOCK
    entry = _following(table, state, level, line)
    if entry >= 0 and state[entry + STREAM_LINE] == line:
        return
    if entry < 0 and missed:
        entry = _in_training(table, state, level, line)
    if entry < 0:
        return
    state[clock] += 1
    state[entry + USED] = state[clock]
    if not state[entry + FOLLOWED]:
        return
    state[entry + STREAM_LINE], way = line, state[entry + WAY]
    lead = (state[entry + END] - line) * way
    for _ in range(lead, min(lead + table[level, DEGREE], table[level, DISTANCE])):
        number = state[entry + END] + way
        if number >> table[level, PAGE] != page:
            return
        state[entry + END] = number
        _ask(table, state, level, page, number)


@njit(cache=True)
def observe(  # noqa: PLR0917 - a level, then an access
    table: Ints, state: Ints, level: int, line: int, place: int, missed: bool
) -> None:
    """Tell a level's prefetcher of a demand access to a line, which stands at a place or -1."""
    first_use = False
    if place >= 0 and state[table[level, MARKS] + place]:
        first_use = True
        state[table[level, MARKS] + place] = 0
        state[table[level, COUNTS] + USEFUL] += 1
    kind = table[level, PREFETCHER]
    if kind == NEXT_LINE:
        if missed or first_use:
            page = line >> table[level, PAGE]
            for step in range(table[level, DEGREE]):
                _ask(table, state, level, page, line + table[level, DISTANCE] + step)
    elif kind == STRIDE:
        _stride(table, state, level, line)
    else:
        _stream(table, state, level, line, missed)


@njit(cache=True)
def _redundant(table: Ints, state: Ints, level: int, line: int) -> bool:
    """Whether a line is here, or in front of a level that must not hold it too."""
    if find(table, state, level, line) >= 0:
        return True
    return bool(table[level, RELATION] == EXCLUSIVE and find(table, state, level - 1, line) >= 0)


@njit(cache=True)
def next_prefetch(table: Ints, state: Ints) -> tuple[int, int]:
    """Take the next line asked for, nearer levels first; return level and line, -1 for none."""
    for level in range(len(table) - 1):
        if not table[level, PREFETCHER]:
            continue
        queue = table[level, QUEUE]
        while state[queue + TAKEN] < state[queue + ASKED]:
            line = state[queue + QUEUE_HEAD + state[queue + TAKEN]]
            state[queue + TAKEN] += 1
            if not _redundant(table, state, level, line):
                state[table[level, COUNTS] + PREFETCHES] += 1
                return level, int(line)
        state[queue + TAKEN] = state[queue + ASKED] = 0
    return -1, -1
