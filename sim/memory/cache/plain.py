"""Plain hierarchies, block by block of a trace and level after level: the fast compiled path.

Without inclusion no level tells the one in front anything, so that a level depends on nothing but
the requests that come from there: fetches and write-backs, in order. It turns a block of them
into the block of the next level, under LRU without a branch that depends on hit or miss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sim.jit import njit
from sim.memory.cache.counts import HierarchyCounts, LevelCounts, MemoryCounts
from sim.memory.cache.sets import WIDEST, lowest_bit, matching_ways, move_to_front, width_of
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec, Inclusion, Replacement

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

BLOCK = 2**15
"""Touches that go through all levels at once: few enough to stay in the host's own caches."""

ORDERED = (Replacement.LRU, Replacement.FIFO, Replacement.MRU)

LOAD, STORE, WRITE_BACK = range(3)
KIND_BITS = 2
"""A request is its line with the kind in the lowest bits."""
MIN_LINE_BYTES = 1 << KIND_BITS
"""Of lines at least so long, all that 63 bits of address can reach have room for the kind."""

NOBODY = -1
"""Owner of a request that no access of the trace waits for."""

EVICTIONS, BACKS_OUT, TALLIES = 6, 7, 8
"""In a level's tally, behind hits and misses of each kind of request."""

LOAD_HITS, STORE_HITS, KNOWN_LINE, KNOWN_DIRTY = range(4)
"""In the state of the reader: repeated touches of a line, the line touched last, and whether it
was stored to."""


class Stream(NamedTuple):
    """Room for requests in order; lines are counted in those of the level that made them."""

    requests: Ints
    owners: Ints
    """Index of the access that waits for each; empty where nobody asks where it was found."""


class Rules(NamedTuple):
    """What does not change of a level, as the compiled code takes it."""

    number: int
    apart: int
    """Log2 of its lines' length over that of the level in front."""
    sets: int
    mask: int
    """Sets less one, or -1 where that is no mask."""
    ways: int
    moves: bool
    """Whether a use brings a line to the front: under LRU and MRU."""
    newest: bool
    """Whether the line in front is the one that leaves: under MRU."""
    width: tuple[int, ...]
    """As long as the vector that holds a set."""


class PlainLevel(NamedTuple):
    """One level: its rules, the lines that it holds, and what it has counted."""

    rules: Rules
    lines: npt.NDArray[np.signedinteger[Any]]
    tally: Ints


def is_plain(spec: HierarchySpec) -> bool:
    """Return whether `count_plain` can count what an address trace does to a hierarchy."""
    return spec.levels[0].line_bytes >= MIN_LINE_BYTES and all(
        level.inclusion is Inclusion.NEITHER
        and level.sectors == 1
        and level.write_back
        and level.write_allocate
        and level.replacement in ORDERED
        and level.ways <= WIDEST
        and level.prefetcher is None
        for level in spec.levels
    )


def count_plain(
    spec: HierarchySpec, addresses: Ints, kinds: Bytes, sizes: Bytes, found: npt.NDArray[np.int8]
) -> HierarchyCounts:
    """Pass a trace through empty caches that `is_plain` allows, and count what `walk` counts.

    `found`, unless empty, is all zeros and receives the level that had each access.
    """
    last = int(addresses.max()) + int(sizes.max()) - 1 if len(addresses) else 0
    levels = _empty_levels(spec, last)
    passed = _passed(spec, levels, (addresses, kinds, sizes), found)
    return _counts(spec, levels, sum(len(requests) for requests in passed))


def memory_requests(
    spec: HierarchySpec, addresses: Ints, kinds: Bytes, sizes: Bytes
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return what reaches main memory, in order: each line's first byte, and whether it is written.

    The hierarchy must be one that `is_plain` allows.
    """
    last = int(addresses.max()) + int(sizes.max()) - 1 if len(addresses) else 0
    levels = _empty_levels(spec, last)
    nowhere = np.zeros(0, dtype=np.int8)
    passed = [r.copy() for r in _passed(spec, levels, (addresses, kinds, sizes), nowhere)]
    requests = np.concatenate(passed) if passed else np.zeros(0, dtype=np.int64)
    return (requests >> KIND_BITS) * spec.levels[-1].line_bytes, requests % (1 << KIND_BITS) > 0


def _passed(
    spec: HierarchySpec,
    levels: list[PlainLevel],
    trace: tuple[Ints, Bytes, Bytes],
    found: npt.NDArray[np.int8],
) -> Iterator[Ints]:
    """Pass a trace through; yield what reaches main memory, in pieces that the next overwrites."""
    addresses, kinds, sizes = trace
    shift = spec.levels[0].line_bytes.bit_length() - 1
    most = ((int(sizes.max()) - 1) >> shift) + 2 if len(sizes) else 0
    owned = len(found) > 0
    streams = [_room_for(BLOCK + most, owned=owned)]
    streams += [_room_for(0, owned=owned) for _ in levels]
    reader = np.array([0, 0, NOBODY, 0], dtype=np.int64)
    start = 0
    while start < len(addresses):
        start, count = read_block(addresses, kinds, sizes, start, shift, streams[0], reader)
        for i, level in enumerate(levels):
            if 2 * count > len(streams[i + 1].requests):
                streams[i + 1] = _room_for(2 * count, owned=owned)
            count = pass_through(streams[i], count, level, streams[i + 1], found)
        yield streams[-1].requests[:count]
    levels[0].tally[2 * LOAD] += reader[LOAD_HITS]
    levels[0].tally[2 * STORE] += reader[STORE_HITS]


def _room_for(requests: int, *, owned: bool) -> Stream:
    return Stream(
        requests=np.empty(requests, dtype=np.int64),
        owners=np.empty(requests if owned else 0, dtype=np.int64),
    )


def _empty_levels(spec: HierarchySpec, last: int) -> list[PlainLevel]:
    """Return the levels for addresses up to `last`."""
    shifts = [level.line_bytes.bit_length() - 1 for level in spec.levels]
    return [
        _empty_level(level, number, shift - front, last >> shift)
        for number, (level, shift, front) in enumerate(
            zip(spec.levels, shifts, shifts[:1] + shifts[:-1], strict=True)
        )
    ]


def _empty_level(level: CacheLevelSpec, number: int, apart: int, last_line: int) -> PlainLevel:
    width = width_of(level.ways)
    short = 2 * last_line + 1 <= np.iinfo(np.int32).max
    rules = Rules(
        number=number,
        apart=apart,
        sets=level.sets,
        mask=level.sets - 1 if level.sets & (level.sets - 1) == 0 else -1,
        ways=level.ways,
        moves=level.replacement is not Replacement.FIFO,
        newest=level.replacement is Replacement.MRU,
        width=(0,) * width,
    )
    return PlainLevel(
        rules=rules,
        lines=np.full(level.sets * width, -1, dtype=np.int32 if short else np.int64),
        tally=np.zeros(TALLIES, dtype=np.int64),
    )


def _counts(spec: HierarchySpec, levels: list[PlainLevel], memory_requests: int) -> HierarchyCounts:
    line_bytes, writes = spec.levels[-1].line_bytes, int(levels[-1].tally[BACKS_OUT])
    reads = memory_requests - writes
    return HierarchyCounts(
        levels=tuple(_level_counts(level.tally.tolist()) for level in levels),
        memory=MemoryCounts(
            reads=reads,
            writes=writes,
            read_bytes=reads * line_bytes,
            written_bytes=writes * line_bytes,
        ),
    )


def _level_counts(tally: list[int]) -> LevelCounts:
    return LevelCounts(
        load_hits=tally[2 * LOAD],
        load_misses=tally[2 * LOAD + 1],
        store_hits=tally[2 * STORE],
        store_misses=tally[2 * STORE + 1],
        write_backs_in=tally[2 * WRITE_BACK] + tally[2 * WRITE_BACK + 1],
        evictions=tally[EVICTIONS],
        write_backs=tally[BACKS_OUT],
    )


# Indices are unsigned in what follows, since numba tests signed ones for being negative, and
# arrays have names of their own, since it counts references wherever one is taken out of a tuple.


@njit(cache=True)
def read_block(  # noqa: PLR0917 - columns of a trace, then what they become
    addresses: Ints,
    kinds: Bytes,
    sizes: Bytes,
    start: int,
    shift: int,
    made: Stream,
    reader: Ints,
) -> tuple[int, int]:
    """Turn accesses from `start` into touches of lines; return the next access and the touches.

    A repeated touch of one line changes nothing but a counter, which is kept here.
    """
    requests, owners, owned = made.requests, made.owners, len(made.owners) > 0
    load_hits = store_hits = np.int64(0)
    known, known_dirty = reader[KNOWN_LINE], reader[KNOWN_DIRTY]
    i, count = np.uint64(start), np.uint64(0)
    while i < np.uint64(len(addresses)) and count < np.uint64(BLOCK):
        first, kind = addresses[i], np.int64(kinds[i])
        last = (first + np.int64(sizes[i]) - 1) >> shift
        for line in range(first >> shift, last + 1):
            if line == known and kind <= known_dirty:
                load_hits += 1 - kind
                store_hits += kind
                continue
            known, known_dirty = line, kind
            requests[count] = line << KIND_BITS | kind
            if owned:
                owners[count] = np.int64(i)
            count += np.uint64(1)
        i += np.uint64(1)
    reader[LOAD_HITS] += load_hits
    reader[STORE_HITS] += store_hits
    reader[KNOWN_LINE], reader[KNOWN_DIRTY] = known, known_dirty
    return int(np.int64(i)), int(np.int64(count))


@njit(cache=True, inline="always")
def _touch(
    rules: Rules, lines: npt.NDArray[np.signedinteger[Any]], line: int, dirty: int
) -> tuple[int, int]:
    """Use a line or put it in; return whether it was there, and what stood in its place."""
    index = line & rules.mask if rules.mask >= 0 else line % rules.sets
    base = index * len(rules.width)
    matches = matching_ways(lines, base, line << 1, rules.width)
    hit = np.int64(matches != 0)
    way = lowest_bit(matches | np.uint64(1) << np.uint64(rules.ways - 1))
    if rules.newest and not hit and lines[np.uint64(base + rules.ways - 1)] >= 0:
        way = np.int64(0)
    place = np.uint64(base + way)
    held = np.int64(lines[place])
    if hit and not rules.moves:
        lines[place] = held | dirty
    else:
        move_to_front(lines, base, way, line << 1 | dirty | held & hit, rules.width)
    return int(hit), int(held)


@njit(cache=True)
def pass_through(
    given: Stream, count: int, level: PlainLevel, made: Stream, found: npt.NDArray[np.int8]
) -> int:
    """Pass requests through a level; return how many it makes of the next one.

    Each is written where the next one goes, and stays there only if it is made.
    """
    rules, lines, tally = level.rules, level.lines, level.tally
    requests, owners = given.requests, given.owners
    made_requests, made_owners, owned = made.requests, made.owners, len(made.owners) > 0
    evictions, backs, out = np.int64(0), np.int64(0), np.uint64(0)
    for i in range(np.uint64(count)):
        kind = requests[i] & ((1 << KIND_BITS) - 1)
        line = requests[i] >> (KIND_BITS + rules.apart)
        hit, held = _touch(rules, lines, line, int(kind != LOAD))
        miss = 1 - hit
        tally[np.uint64(2 * kind + miss)] += 1
        # A write-back that fills a line needs no fetch.
        fetch = miss & np.int64(kind != WRITE_BACK or rules.apart > 0)
        made_requests[out] = line << KIND_BITS
        if owned:
            made_owners[out] = owners[i]
            if miss and owners[i] != NOBODY:
                found[np.uint64(owners[i])] = rules.number + 1
        out += np.uint64(fetch)
        leaves = miss & np.int64(held >= 0)
        back = leaves & held
        evictions += leaves
        backs += back
        made_requests[out] = held >> 1 << KIND_BITS | WRITE_BACK
        if owned:
            made_owners[out] = NOBODY
        out += np.uint64(back)
    tally[EVICTIONS] += evictions
    tally[BACKS_OUT] += backs
    return int(np.int64(out))
