"""One request of the compiled twin on its way through the levels.

A level that asks the next one leaves its frame on a stack, one frame a level.
"""

from __future__ import annotations

from sim.jit import njit
from sim.memory.cache.compiled_frames import (
    EVICT,
    FETCH,
    LOOK,
    NEXT,
    PASS,
    RELEASE,
    THROUGH,
    answer,
    begin,
    begin_fill,
    call,
    ends,
    next_sector,
)
from sim.memory.cache.compiled_prefetch import next_prefetch, observe
from sim.memory.cache.compiled_sets import (
    covered,
    filled,
    find,
    invalidate,
    room,
    sector_bits,
    set_base,
    take_out,
    use,
)
from sim.memory.cache.compiled_state import (
    ALLOCATE,
    BACK,
    BACKS_IN,
    BACKS_OUT,
    CAME,
    COMES_DIRTY,
    COUNTS,
    DEPTH,
    DIRTY,
    EVICTIONS,
    EXCLUSIVE,
    FILL,
    HOLES,
    INCLUSIVE,
    KIND,
    LAST,
    LEFT,
    LEFT_DIRTY,
    LINES,
    LOAD,
    LOAD_HITS,
    LOAD_MISSES,
    MARKS,
    MISSING,
    NUMBER,
    PLACE_KNOWN,
    PREFETCHER,
    RELATION,
    SECTOR,
    SHIFT,
    STEP,
    STORE,
    STORE_HITS,
    STORE_MISSES,
    VALID,
    WANTED,
    WRITE_CLEAN,
    WRITE_DIRTY,
    Ints,
)


@njit(cache=True, inline="always")
def _look(table: Ints, state: Ints, frames: Ints, level: int) -> int:
    """Look a line up and count; return the next step."""
    kind, number = frames[level, KIND], frames[level, NUMBER]
    counts = table[level, COUNTS]
    begin, end = ends(table, frames, level)
    sectored = table[level, DIRTY] > table[level, VALID]
    exclusive = table[level, RELATION] == EXCLUSIVE
    wanted, valid = 1, 0
    if sectored:
        wanted = sector_bits(table, level, number, begin, end)
    place = find(table, state, level, number)
    if place >= 0:
        valid = state[table[level, VALID] + place] if sectored else 1
    missing = wanted & ~valid
    frames[level, WANTED], frames[level, MISSING], frames[level, CAME], frames[level, SECTOR] = (
        wanted,
        missing,
        0,
        0,
    )
    frames[level, PLACE_KNOWN] = place
    if table[level, PREFETCHER] and kind <= STORE:
        observe(table, state, level, number, place, missing != 0)
    if kind == LOAD:
        state[counts + (LOAD_MISSES if missing else LOAD_HITS)] += 1
        if missing:
            return FETCH
        if exclusive:
            frames[level, COMES_DIRTY] |= take_out(table, state, level, place) != 0
        else:
            use(table, state, level, place)
        return NEXT
    if kind > STORE:
        state[counts + BACKS_IN] += 1
    else:
        state[counts + (STORE_MISSES if missing else STORE_HITS)] += 1
    if place < 0 and not (table[level, ALLOCATE] or (exclusive and kind > STORE)):
        return PASS
    if kind > STORE:
        frames[level, MISSING] &= ~covered(table, level, number, begin, end)
    return FETCH


@njit(cache=True, inline="always")
def _new(table: Ints, state: Ints, frames: Ints, level: int) -> int:
    """Place a line that is not here, and note the one that leaves; return where it stands."""
    number = frames[level, NUMBER]
    base = set_base(table, level, number)
    place = room(table, state, level, base)
    frames[level, LEFT] = state[table[level, LINES] + place] >> 1
    if frames[level, LEFT] >= 0:
        frames[level, LEFT_DIRTY] = take_out(table, state, level, place)
    state[table[level, LINES] + place] = number << 1
    if table[level, DIRTY] > table[level, VALID]:
        state[table[level, VALID] + place] = 0
        state[table[level, DIRTY] + place] = 0
    place = filled(table, state, level, base, place)
    if frames[level, KIND] == FILL:
        state[table[level, MARKS] + place] = 1
    return place


@njit(cache=True, inline="always")
def _settle(table: Ints, state: Ints, frames: Ints, level: int) -> int:
    """Place a line whose missing sectors have come; return the next step."""
    kind, number = frames[level, KIND], frames[level, NUMBER]
    sectored = table[level, DIRTY] > table[level, VALID]
    frames[level, LEFT], frames[level, LEFT_DIRTY], frames[level, SECTOR] = -1, 0, 0
    if kind == LOAD and table[level, RELATION] == EXCLUSIVE:
        frames[level, COMES_DIRTY] |= frames[level, CAME]
        return NEXT
    dirtied = frames[level, MISSING] if frames[level, CAME] else 0
    if table[level, BACK] and kind in (STORE, WRITE_DIRTY):
        dirtied |= frames[level, WANTED]
    place = frames[level, PLACE_KNOWN]
    if sectored or table[level, HOLES]:
        place = find(table, state, level, number)
    place = use(table, state, level, place) if place >= 0 else _new(table, state, frames, level)
    if dirtied:
        state[table[level, LINES] + place] |= 1
    if sectored:
        state[table[level, VALID] + place] |= (
            frames[level, WANTED] if kind != LOAD else frames[level, MISSING]
        )
        state[table[level, DIRTY] + place] |= dirtied
    if frames[level, LEFT] < 0:
        return THROUGH
    state[table[level, COUNTS] + EVICTIONS] += 1
    if table[level, RELATION] == INCLUSIVE:
        frames[level, LEFT_DIRTY] |= invalidate(table, state, level, frames[level, LEFT])
    if frames[level, LEFT_DIRTY]:
        state[table[level, COUNTS] + BACKS_OUT] += 1
        return EVICT
    return RELEASE if table[level + 1, RELATION] == EXCLUSIVE else THROUGH


@njit(cache=True, inline="always")
def _step(  # noqa: C901 - one branch a step
    table: Ints, state: Ints, frames: Ints, level: int
) -> tuple[int, int, int]:
    """Go on with a frame until it asks the level behind, and return that request.

    Its kind is -1 where the frame is done.
    """
    while True:
        step = frames[level, STEP]
        if step == LOOK:
            frames[level, STEP] = _look(table, state, frames, level)
        elif step == FETCH:
            first, last = next_sector(
                table, frames, level, frames[level, MISSING], frames[level, NUMBER]
            )
            if first >= 0:
                return LOAD, first, last
            frames[level, STEP] = _settle(table, state, frames, level)
        elif step == EVICT:
            first, last = next_sector(
                table, frames, level, frames[level, LEFT_DIRTY], frames[level, LEFT]
            )
            if first >= 0:
                return WRITE_DIRTY, first, last
            frames[level, STEP] = THROUGH
        elif step == RELEASE:
            frames[level, STEP] = THROUGH
            first = frames[level, LEFT] << table[level, SHIFT]
            return WRITE_CLEAN, first, first + (1 << table[level, SHIFT]) - 1
        elif step == PASS:
            first, last = ends(table, frames, level)
            return frames[level, KIND], first, last
        elif step == THROUGH:
            frames[level, STEP] = NEXT
            if frames[level, KIND] > LOAD and not table[level, BACK]:
                first, last = ends(table, frames, level)
                return frames[level, KIND], first, last
        else:
            frames[level, NUMBER] += 1
            frames[level, STEP] = LOOK
            if frames[level, NUMBER] > frames[level, LAST] >> table[level, SHIFT]:
                return -1, 0, 0


@njit(cache=True, inline="always")
def request(  # noqa: PLR0917 - a request, then what it passes through
    kind: int, first: int, last: int, table: Ints, state: Ints, frames: Ints
) -> int:
    """Pass a request of the core through all levels; return how many levels further it went.

    The lines that it makes levels prefetch follow it, each from its own level outwards.
    """
    top, depth = 0, -1
    begin(table, frames, 0, kind, first, last)
    while True:
        level = top
        while level >= top:
            asked, low, high = _step(table, state, frames, level)
            if asked < 0:
                level -= 1
                if level >= top:
                    answer(frames, level, frames[level + 1, DEPTH], frames[level + 1, COMES_DIRTY])
            elif call(table, state, level + 1, asked, low, high):
                answer(frames, level, 0, 0)
            else:
                level += 1
                begin(table, frames, level, asked, low, high)
        if depth < 0:
            depth = int(frames[0, DEPTH])
        if not table[len(table) - 1, PREFETCHER]:
            return depth
        top, line = next_prefetch(table, state)
        if top < 0:
            return depth
        begin_fill(table, frames, top, line)
