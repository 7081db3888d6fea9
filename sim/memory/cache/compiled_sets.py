"""Sets of the compiled twin: where a line stands, which one leaves, and its sectors.

Small functions are inlined before compilation, since calls count references to every array.
"""

from __future__ import annotations

from sim.jit import njit
from sim.memory.cache.compiled_state import (
    AUX,
    COUNTS,
    DIRTY,
    EVICTIONS,
    FIFO,
    HOLES,
    INVALIDATED,
    LINES,
    LOAD_HITS,
    LOAD_MISSES,
    LRU,
    MARKS,
    MASK,
    MRU,
    PLRU,
    POLICY,
    PREFETCHER,
    QUEUED,
    RANDOM,
    RNG,
    SECTORS,
    SETS,
    SHIFT,
    SRRIP,
    USELESS,
    VALID,
    WAYS,
    Ints,
)
from sim.memory.cache.replacement import LEHMER_FACTOR, LEHMER_MODULUS, SRRIP_DISTANT, SRRIP_LONG


@njit(cache=True, inline="always")
def set_base(table: Ints, level: int, number: int) -> int:
    """Return where a line's set begins, counted from the level's offsets."""
    mask = table[level, MASK]
    index = number & mask if mask >= 0 else number % table[level, SETS]
    return int(index * table[level, WAYS])


@njit(cache=True, inline="always")
def find(table: Ints, state: Ints, level: int, number: int) -> int:
    """Return a line's place, counted from the level's offsets, or -1."""
    base = set_base(table, level, number)
    at = table[level, LINES] + base
    for way in range(table[level, WAYS]):
        if state[at + way] >> 1 == number:
            return base + way
    return -1


@njit(cache=True, inline="always")
def _shift(table: Ints, state: Ints, level: int, base: int, place: int) -> None:
    """Bring what stands at a place to the front of its set."""
    sectored, marked = table[level, DIRTY] > table[level, VALID], table[level, PREFETCHER] > 0
    for column in (LINES, VALID, DIRTY, MARKS):
        if column == LINES or (marked if column == MARKS else sectored):
            at = table[level, column]
            moved = state[at + place]
            for way in range(place, base, -1):
                state[at + way] = state[at + way - 1]
            state[at + base] = moved


@njit(cache=True, inline="always")
def use(table: Ints, state: Ints, level: int, place: int) -> int:
    """Tell the policy of a hit; return where the line stands now."""
    policy, ways = table[level, POLICY], table[level, WAYS]
    if policy in (FIFO, RANDOM):
        return place
    base = place // ways * ways
    if policy < QUEUED:
        if place > base:
            _shift(table, state, level, base, place)
        return int(base)
    aux = table[level, AUX]
    if policy == SRRIP:
        state[aux + place] = 0
    else:
        _turn(state, aux + base, ways + place - base)
    return place


@njit(cache=True)
def _turn(state: Ints, tree: int, node: int) -> None:
    """Turn the nodes above a leaf away from it."""
    while node > 1:
        state[tree + node // 2] = 1 - node % 2
        node //= 2


@njit(cache=True)
def _victim(table: Ints, state: Ints, level: int, base: int) -> int:
    """Choose the place to give up in a full set."""
    policy, ways = table[level, POLICY], table[level, WAYS]
    aux = table[level, AUX] + base
    if policy in (LRU, FIFO):
        return int(base + ways - 1)
    if policy == MRU:
        return base
    if policy == RANDOM:
        at = table[level, RNG]
        state[at] = state[at] * LEHMER_FACTOR % LEHMER_MODULUS
        return int(base + state[at] % ways)
    if policy == PLRU:
        node = 1
        while node < ways:
            node = 2 * node + state[aux + node]
        return int(base + node - ways)
    oldest = 0
    for way in range(1, ways):
        if state[aux + way] > state[aux + oldest]:
            oldest = way
    older = SRRIP_DISTANT - state[aux + oldest]
    for way in range(ways):
        state[aux + way] += older
    return base + oldest


@njit(cache=True, inline="always")
def room(table: Ints, state: Ints, level: int, base: int) -> int:
    """Return the place that a new line takes: a free one, else the victim's."""
    at, ways = table[level, LINES] + base, table[level, WAYS]
    if table[level, HOLES] or state[at + ways - 1] < 0:
        for way in range(ways):
            if state[at + way] < 0:
                return base + way
    return _victim(table, state, level, base)


@njit(cache=True, inline="always")
def filled(table: Ints, state: Ints, level: int, base: int, place: int) -> int:
    """Tell the policy of a new line; return where it stands now."""
    policy = table[level, POLICY]
    if policy < QUEUED:
        _shift(table, state, level, base, place)
        return base
    if policy == SRRIP:
        state[table[level, AUX] + place] = SRRIP_LONG
    elif policy == PLRU:
        _turn(state, table[level, AUX] + base, table[level, WAYS] + place - base)
    return place


@njit(cache=True)
def sector_bits(table: Ints, level: int, number: int, first: int, last: int) -> int:
    """Bits of a line's sectors that a range touches."""
    start = number << table[level, SHIFT]
    end = start + (1 << table[level, SHIFT]) - 1
    low = (max(first, start) - start) >> table[level, SECTORS]
    high = (min(last, end) - start) >> table[level, SECTORS]
    return int((2 << high) - (1 << low))


@njit(cache=True)
def covered(table: Ints, level: int, number: int, first: int, last: int) -> int:
    """Bits of a line's sectors that a range fills from end to end."""
    start, size = number << table[level, SHIFT], 1 << table[level, SECTORS]
    bits = 0
    for sector in range(1 << (table[level, SHIFT] - table[level, SECTORS])):
        begin = start + sector * size
        if first <= begin and last >= begin + size - 1:
            bits |= 1 << sector
    return bits


@njit(cache=True)
def take_out(table: Ints, state: Ints, level: int, place: int) -> int:
    """Remove a line; return the bits of its dirty sectors."""
    at = table[level, LINES] + place
    dirty = state[at] & 1
    if table[level, DIRTY] > table[level, VALID]:
        dirty = state[table[level, DIRTY] + place]
    if table[level, PREFETCHER] and state[table[level, MARKS] + place]:
        state[table[level, MARKS] + place] = 0
        state[table[level, COUNTS] + USELESS] += 1
    state[at] = -1
    return int(dirty)


@njit(cache=True)
def invalidate(table: Ints, state: Ints, level: int, number: int) -> int:
    """Drop a line of an inclusive level in front; return what was dirty, in its sectors' bits."""
    shift, dirty = table[level, SHIFT], 0
    for inner in range(level):
        apart = shift - table[inner, SHIFT]
        for line in range(number << apart, (number + 1) << apart):
            place = find(table, state, inner, line)
            if place < 0:
                continue
            state[table[inner, COUNTS] + INVALIDATED] += 1
            bits = take_out(table, state, inner, place)
            size, sector = 1 << table[inner, SECTORS], 0
            while bits >> sector:
                if bits >> sector & 1:
                    begin = (line << table[inner, SHIFT]) + sector * size
                    dirty |= sector_bits(table, level, number, begin, begin + size - 1)
                sector += 1
    return int(dirty)


@njit(cache=True, inline="always")
def look_up(table: Ints, state: Ints, level: int, number: int) -> bool:
    """Return whether an unsectored level holds a line, and count; finding it is a use of it."""
    place = find(table, state, level, number)
    if place < 0:
        state[table[level, COUNTS] + LOAD_MISSES] += 1
        return False
    state[table[level, COUNTS] + LOAD_HITS] += 1
    use(table, state, level, place)
    return True


@njit(cache=True, inline="always")
def take_in(table: Ints, state: Ints, level: int, number: int) -> None:
    """Place a line that an unsectored level does not hold, and count what left.

    The level must not lose lines in other ways.
    """
    base, ways = set_base(table, level, number), table[level, WAYS]
    at = table[level, LINES] + base
    if table[level, POLICY] in (LRU, FIFO):
        state[table[level, COUNTS] + EVICTIONS] += state[at + ways - 1] >= 0
        for way in range(ways - 1, 0, -1):
            state[at + way] = state[at + way - 1]
        state[at] = number << 1
        return
    place = room(table, state, level, base)
    state[table[level, COUNTS] + EVICTIONS] += state[table[level, LINES] + place] >= 0
    state[table[level, LINES] + place] = number << 1
    filled(table, state, level, base, place)
