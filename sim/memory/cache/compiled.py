"""The compiled twin of `hierarchy`: whole address traces, the same counters.

One array holds everything. Of each level there are, at the offsets in `table`, its lines as
`number * 2 + dirty` (-1 is none), what its policy remembers, and for sectored levels the bits of
valid and dirty sectors. Under LRU, FIFO and MRU the lines of a set stand in order of use, the
last one first; under the other policies a line keeps its way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray, njit, types  # type: ignore[attr-defined] # numba is untyped
from numba.extending import intrinsic

from sim.memory.cache.counts import (
    LEVEL_COUNTERS,
    MEMORY_COUNTERS,
    HierarchyCounts,
    LevelCounts,
    MemoryCounts,
)
from sim.memory.cache.replacement import LEHMER_FACTOR, LEHMER_MODULUS, SRRIP_DISTANT, SRRIP_LONG
from sim.memory.cache.spec import HierarchySpec, Inclusion, Replacement

Ints = npt.NDArray[np.int64]

# Small functions are inlined before compilation, since calls count references to every array.

(SETS, WAYS, SHIFT, POLICY, BACK, ALLOCATE, RELATION, SECTORS, LINES, AUX, VALID, DIRTY) = range(12)
"""Columns of the table of levels: sets, ways, log2 of line bytes, three rules, relation to the
level in front, log2 of sector bytes, and the offsets into the state."""
COUNTS, RNG, MASK, HOLES, COLUMNS = 12, 13, 14, 15, 16
"""Further offsets; sets - 1 or -1 where that is no mask; whether free ways are anywhere in a set,
and not only behind the lines in order of use."""

QUEUED, LRU, FIFO, MRU, PLRU, RANDOM, SRRIP = 3, 0, 1, 2, 3, 4, 5
"""Policies in order; those below `QUEUED` keep a set's lines in order of use."""
POLICY_NUMBER = {
    Replacement.LRU: LRU,
    Replacement.FIFO: FIFO,
    Replacement.MRU: MRU,
    Replacement.PLRU: PLRU,
    Replacement.RANDOM: RANDOM,
    Replacement.SRRIP: SRRIP,
}
RELATION_NUMBER = {Inclusion.NEITHER: 0, Inclusion.INCLUSIVE: 1, Inclusion.EXCLUSIVE: 2}
INCLUSIVE, EXCLUSIVE = 1, 2

LOAD, STORE, WRITE_DIRTY, WRITE_CLEAN = range(4)
"""Requests to a level."""

(KIND, FIRST, LAST, NUMBER, STEP, DEPTH, COMES_DIRTY, CAME, WANTED, MISSING, SECTOR) = range(11)
"""In a frame, which is a request under way: what is asked of which level, and the line it is at."""
LEFT, LEFT_DIRTY, PLACE_KNOWN, FRAME = 11, 12, 13, 14
"""Further: the line that left, its dirty sectors, and where the requested line was found."""

LOOK, FETCH, PASS, EVICT, RELEASE, THROUGH, NEXT = range(7)
"""Steps of a request in a line."""

(LOAD_HITS, LOAD_MISSES, STORE_HITS, STORE_MISSES, BACKS_IN, EVICTIONS, BACKS_OUT, INVALIDATED) = (
    range(8)
)
"""Counters, in the order of `LEVEL_COUNTERS`."""


def layout(spec: HierarchySpec) -> tuple[Ints, Ints]:
    """Return the table of levels and the state of empty caches."""
    table = np.zeros((len(spec.levels) + 1, COLUMNS), dtype=np.int64)
    counters, size = len(LEVEL_COUNTERS), 0
    for row, level in zip(table, spec.levels, strict=False):
        row[SETS], row[WAYS], row[SHIFT] = level.sets, level.ways, level.line_bytes.bit_length() - 1
        row[POLICY] = POLICY_NUMBER[level.replacement]
        row[BACK], row[ALLOCATE] = level.write_back, level.write_allocate
        row[RELATION] = RELATION_NUMBER[level.inclusion]
        row[SECTORS] = (level.line_bytes // level.sectors).bit_length() - 1
        row[MASK] = level.sets - 1 if level.sets & (level.sets - 1) == 0 else -1
        row[COUNTS], row[RNG], row[LINES] = size, size + counters, size + counters + 1
        row[AUX] = row[LINES] + level.lines
        row[VALID] = row[AUX] + level.lines
        row[DIRTY] = row[VALID] + level.lines * (level.sectors > 1)
        size = int(row[DIRTY]) + level.lines * (level.sectors > 1)
        behind = [other.inclusion for other in spec.levels[spec.levels.index(level) + 1 :]]
        queued = row[POLICY] < QUEUED and level.inclusion is not Inclusion.EXCLUSIVE
        row[HOLES] = not queued or Inclusion.INCLUSIVE in behind
    table[-1, COUNTS] = size
    state = np.zeros(size + len(MEMORY_COUNTERS), dtype=np.int64)
    for row, level in zip(table, spec.levels, strict=False):
        state[row[LINES] : row[AUX]] = -1
        state[row[RNG]] = level.seed
        if level.replacement is Replacement.SRRIP:
            state[row[AUX] : row[VALID]] = SRRIP_DISTANT
    return table, state


def empty_frames(table: Ints) -> Ints:
    """Return room for one request under way at each level."""
    return np.zeros((len(table), FRAME), dtype=np.int64)


def counts_of(table: Ints, state: Ints) -> HierarchyCounts:
    """Return the counters as the readable hierarchy does."""
    *levels, memory = (int(row[COUNTS]) for row in table)
    return HierarchyCounts(
        levels=tuple(LevelCounts(**_named(LEVEL_COUNTERS, state[at:])) for at in levels),
        memory=MemoryCounts(**_named(MEMORY_COUNTERS, state[memory:])),
    )


def _named(names: tuple[str, ...], values: Ints) -> dict[str, int]:
    return {name: int(value) for name, value in zip(names, values, strict=False)}


@intrinsic
def _pointer(_: Any, address: Any) -> Any:  # noqa: ARG001 - numba asks for the argument's type
    """Make a pointer to whole numbers of an address."""
    signature = types.CPointer(types.int64)(types.intp)  # type: ignore[no-untyped-call] # as above

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return signature, generate


_view: Any = _pointer


@njit(cache=True, inline="always")
def _set_base(table: Ints, level: int, number: int) -> int:
    """Return where a line's set begins, counted from the level's offsets."""
    mask = table[level, MASK]
    index = number & mask if mask >= 0 else number % table[level, SETS]
    return int(index * table[level, WAYS])


@njit(cache=True, inline="always")
def _find(table: Ints, state: Ints, level: int, number: int) -> int:
    """Return a line's place, counted from the level's offsets, or -1."""
    base = _set_base(table, level, number)
    at = table[level, LINES] + base
    for way in range(table[level, WAYS]):
        if state[at + way] >> 1 == number:
            return base + way
    return -1


@njit(cache=True, inline="always")
def _shift(table: Ints, state: Ints, level: int, base: int, place: int) -> None:
    """Bring what stands at a place to the front of its set."""
    sectored = table[level, DIRTY] > table[level, VALID]
    for column in (LINES, VALID, DIRTY):
        if column == LINES or sectored:
            at = table[level, column]
            moved = state[at + place]
            for way in range(place, base, -1):
                state[at + way] = state[at + way - 1]
            state[at + base] = moved


@njit(cache=True, inline="always")
def _use(table: Ints, state: Ints, level: int, place: int) -> int:
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
def _room(table: Ints, state: Ints, level: int, base: int) -> int:
    """Return the place that a new line takes: a free one, else the victim's."""
    at, ways = table[level, LINES] + base, table[level, WAYS]
    if table[level, HOLES] or state[at + ways - 1] < 0:
        for way in range(ways):
            if state[at + way] < 0:
                return base + way
    return _victim(table, state, level, base)


@njit(cache=True, inline="always")
def _filled(table: Ints, state: Ints, level: int, base: int, place: int) -> int:
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
def _sector_bits(table: Ints, level: int, number: int, first: int, last: int) -> int:
    """Bits of a line's sectors that a range touches."""
    start = number << table[level, SHIFT]
    end = start + (1 << table[level, SHIFT]) - 1
    low = (max(first, start) - start) >> table[level, SECTORS]
    high = (min(last, end) - start) >> table[level, SECTORS]
    return int((2 << high) - (1 << low))


@njit(cache=True)
def _covered(table: Ints, level: int, number: int, first: int, last: int) -> int:
    """Bits of a line's sectors that a range fills from end to end."""
    start, size = number << table[level, SHIFT], 1 << table[level, SECTORS]
    bits = 0
    for sector in range(1 << (table[level, SHIFT] - table[level, SECTORS])):
        begin = start + sector * size
        if first <= begin and last >= begin + size - 1:
            bits |= 1 << sector
    return bits


@njit(cache=True)
def _take_out(table: Ints, state: Ints, level: int, place: int) -> int:
    """Remove a line; return the bits of its dirty sectors."""
    at = table[level, LINES] + place
    dirty = state[at] & 1
    if table[level, DIRTY] > table[level, VALID]:
        dirty = state[table[level, DIRTY] + place]
    state[at] = -1
    return int(dirty)


@njit(cache=True)
def _invalidate(table: Ints, state: Ints, level: int, number: int) -> int:
    """Drop a line of an inclusive level in front; return what was dirty, in its sectors' bits."""
    shift, dirty = table[level, SHIFT], 0
    for inner in range(level):
        apart = shift - table[inner, SHIFT]
        for line in range(number << apart, (number + 1) << apart):
            place = _find(table, state, inner, line)
            if place < 0:
                continue
            state[table[inner, COUNTS] + INVALIDATED] += 1
            bits = _take_out(table, state, inner, place)
            size, sector = 1 << table[inner, SECTORS], 0
            while bits >> sector:
                if bits >> sector & 1:
                    begin = (line << table[inner, SHIFT]) + sector * size
                    dirty |= _sector_bits(table, level, number, begin, begin + size - 1)
                sector += 1
    return int(dirty)


@njit(cache=True, inline="always")
def _call(  # noqa: PLR0917 - a level, then a request
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
def _begin(  # noqa: PLR0917 - a frame, then its request
    table: Ints, frames: Ints, level: int, kind: int, first: int, last: int
) -> None:
    """Set a frame up for a request."""
    frames[level, KIND], frames[level, FIRST], frames[level, LAST] = kind, first, last
    frames[level, NUMBER] = first >> table[level, SHIFT]
    frames[level, STEP] = LOOK
    frames[level, DEPTH] = frames[level, COMES_DIRTY] = frames[level, CAME] = 0


@njit(cache=True, inline="always")
def _ends(table: Ints, frames: Ints, level: int) -> tuple[int, int]:
    """Return the first and last bytes of a request within its current line."""
    start = frames[level, NUMBER] << table[level, SHIFT]
    end = start + (1 << table[level, SHIFT]) - 1
    return max(frames[level, FIRST], start), min(frames[level, LAST], end)


@njit(cache=True, inline="always")
def _look(table: Ints, state: Ints, frames: Ints, level: int) -> int:
    """Look a line up and count; return the next step."""
    kind, number = frames[level, KIND], frames[level, NUMBER]
    counts = table[level, COUNTS]
    begin, end = _ends(table, frames, level)
    sectored = table[level, DIRTY] > table[level, VALID]
    exclusive = table[level, RELATION] == EXCLUSIVE
    wanted, valid = 1, 0
    if sectored:
        wanted = _sector_bits(table, level, number, begin, end)
    place = _find(table, state, level, number)
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
    if kind == LOAD:
        state[counts + (LOAD_MISSES if missing else LOAD_HITS)] += 1
        if missing:
            return FETCH
        if exclusive:
            frames[level, COMES_DIRTY] |= _take_out(table, state, level, place) != 0
        else:
            _use(table, state, level, place)
        return NEXT
    if kind > STORE:
        state[counts + BACKS_IN] += 1
    else:
        state[counts + (STORE_MISSES if missing else STORE_HITS)] += 1
    if place < 0 and not (table[level, ALLOCATE] or (exclusive and kind > STORE)):
        return PASS
    if kind > STORE:
        frames[level, MISSING] &= ~_covered(table, level, number, begin, end)
    return FETCH


@njit(cache=True, inline="always")
def _settle(  # noqa: C901 - one step of one request
    table: Ints, state: Ints, frames: Ints, level: int
) -> int:
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
        place = _find(table, state, level, number)
    if place >= 0:
        place = _use(table, state, level, place)
    else:
        base = _set_base(table, level, number)
        place = _room(table, state, level, base)
        frames[level, LEFT] = state[table[level, LINES] + place] >> 1
        if frames[level, LEFT] >= 0:
            frames[level, LEFT_DIRTY] = _take_out(table, state, level, place)
        state[table[level, LINES] + place] = number << 1
        if sectored:
            state[table[level, VALID] + place] = 0
            state[table[level, DIRTY] + place] = 0
        place = _filled(table, state, level, base, place)
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
        frames[level, LEFT_DIRTY] |= _invalidate(table, state, level, frames[level, LEFT])
    if frames[level, LEFT_DIRTY]:
        state[table[level, COUNTS] + BACKS_OUT] += 1
        return EVICT
    return RELEASE if table[level + 1, RELATION] == EXCLUSIVE else THROUGH


@njit(cache=True, inline="always")
def _next_sector(table: Ints, frames: Ints, level: int, bits: int, number: int) -> tuple[int, int]:
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
            first, last = _next_sector(
                table, frames, level, frames[level, MISSING], frames[level, NUMBER]
            )
            if first >= 0:
                return LOAD, first, last
            frames[level, STEP] = _settle(table, state, frames, level)
        elif step == EVICT:
            first, last = _next_sector(
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
            first, last = _ends(table, frames, level)
            return frames[level, KIND], first, last
        elif step == THROUGH:
            frames[level, STEP] = NEXT
            if frames[level, KIND] != LOAD and not table[level, BACK]:
                first, last = _ends(table, frames, level)
                return frames[level, KIND], first, last
        else:
            frames[level, NUMBER] += 1
            frames[level, STEP] = LOOK
            if frames[level, NUMBER] > frames[level, LAST] >> table[level, SHIFT]:
                return -1, 0, 0


@njit(cache=True, inline="always")
def _answer(frames: Ints, level: int, depth: int, dirty: int) -> None:
    """Take what the level behind answered."""
    if frames[level, STEP] == FETCH:
        frames[level, CAME] |= dirty
        frames[level, DEPTH] = max(frames[level, DEPTH], 1 + depth)
    elif frames[level, STEP] == PASS:
        frames[level, DEPTH] = max(frames[level, DEPTH], 1 + depth)
        frames[level, STEP] = NEXT


@njit(cache=True, inline="always")
def request(  # noqa: PLR0917 - a request, then what it passes through
    kind: int, first: int, last: int, table: Ints, state: Ints, frames: Ints
) -> int:
    """Pass a request of the core through all levels; return how many levels further it went.

    A level that asks the next one leaves its frame on a stack, one frame a level.
    """
    level = 0
    _begin(table, frames, 0, kind, first, last)
    while level >= 0:
        asked, begin, end = _step(table, state, frames, level)
        if asked < 0:
            level -= 1
            if level >= 0:
                _answer(frames, level, frames[level + 1, DEPTH], frames[level + 1, COMES_DIRTY])
        elif _call(table, state, level + 1, asked, begin, end):
            _answer(frames, level, 0, 0)
        else:
            level += 1
            _begin(table, frames, level, asked, begin, end)
    return int(frames[0, DEPTH])


@njit(cache=True, inline="always")
def _plain_hit(table: Ints, state: Ints, kind: int, line: int) -> bool:
    """Settle an access that hits in an unsectored first level; True where that was possible."""
    if kind == STORE and not table[0, BACK]:
        return False
    place = _find(table, state, 0, line)
    if place < 0:
        return False
    place = _use(table, state, 0, place)
    if kind == STORE:
        state[table[0, LINES] + place] |= 1
    return True


@njit(cache=True)
def walk(  # noqa: PLR0917 - columns of a trace, then what they pass through
    addresses: Ints,
    kinds: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.uint8],
    owned_table: Ints,
    owned_state: Ints,
    owned_frames: Ints,
    found: npt.NDArray[np.int8],
) -> None:
    """Pass a trace through; `found`, unless empty, receives the level that had each access.

    A repeated touch of one line changes nothing but a counter, and is not looked up again.
    """
    # Views that own nothing: counting references at every call took five times the work itself.
    table = carray(_view(owned_table.ctypes.data), owned_table.shape)
    state = carray(_view(owned_state.ctypes.data), owned_state.shape)
    frames = carray(_view(owned_frames.ctypes.data), owned_frames.shape)
    shift, counts = table[0, SHIFT], table[0, COUNTS]
    plain = table[0, DIRTY] == table[0, VALID]
    simple = plain and table[0, POLICY] != SRRIP
    wet = table[0, BACK] == 1 and table[0, ALLOCATE] == 1
    known, known_dirty = np.int64(-1), False
    load_hits, store_hits = 0, 0
    for i in range(len(addresses)):
        first = int(addresses[i])
        line, kind = first >> shift, int(kinds[i])
        last = first + int(sizes[i]) - 1
        within = last >> shift == line
        if line == known and within and (kind == LOAD or known_dirty):
            hit = True
        else:
            hit = bool(plain and within and _plain_hit(table, state, kind, line))
            known = last >> shift if simple and (kind == LOAD or wet) else np.int64(-1)
            known_dirty = bool(kind == STORE and known >= 0)
        if hit:
            load_hits += kind == LOAD
            store_hits += kind == STORE
            continue
        depth = request(kind, first, last, table, state, frames)
        if len(found):
            found[i] = depth
    state[counts + LOAD_HITS] += load_hits
    state[counts + STORE_HITS] += store_hits


@njit(cache=True, inline="always")
def look_up(table: Ints, state: Ints, level: int, number: int) -> bool:
    """Return whether an unsectored level holds a line, and count; finding it is a use of it."""
    place = _find(table, state, level, number)
    if place < 0:
        state[table[level, COUNTS] + LOAD_MISSES] += 1
        return False
    state[table[level, COUNTS] + LOAD_HITS] += 1
    _use(table, state, level, place)
    return True


@njit(cache=True, inline="always")
def take_in(table: Ints, state: Ints, level: int, number: int) -> None:
    """Place a line that an unsectored level does not hold, and count what left.

    The level must not lose lines in other ways.
    """
    base, ways = _set_base(table, level, number), table[level, WAYS]
    at = table[level, LINES] + base
    if table[level, POLICY] in (LRU, FIFO):
        state[table[level, COUNTS] + EVICTIONS] += state[at + ways - 1] >= 0
        for way in range(ways - 1, 0, -1):
            state[at + way] = state[at + way - 1]
        state[at] = number << 1
        return
    place = _room(table, state, level, base)
    state[table[level, COUNTS] + EVICTIONS] += state[table[level, LINES] + place] >= 0
    state[table[level, LINES] + place] = number << 1
    _filled(table, state, level, base, place)


@njit(cache=True, inline="always")
def unowned(owned: Ints) -> Ints:
    """Return a view that owns nothing, for which no references are counted."""
    return carray(_view(owned.ctypes.data), owned.shape)
