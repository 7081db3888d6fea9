"""How the compiled twin keeps a hierarchy: one table of levels, one array of all that changes.

Of each level there are, at the offsets in the table, its lines as `number * 2 + dirty` (-1 is
none), what its policy remembers, for sectored levels the bits of valid and dirty sectors, and for
levels that prefetch the marks of unused lines, the prefetcher's entries and the lines it asks
for. Under LRU, FIFO and MRU the lines of a set stand in order of use, the last one first; under
the other policies a line keeps its way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.memory.cache.counts import (
    LEVEL_COUNTERS,
    MEMORY_COUNTERS,
    HierarchyCounts,
    LevelCounts,
    MemoryCounts,
)
from sim.memory.cache.prefetch_spec import AnyPrefetcher, NextLineSpec, StreamSpec
from sim.memory.cache.replacement import SRRIP_DISTANT
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec, Inclusion, Replacement

Ints = npt.NDArray[np.int64]

(SETS, WAYS, SHIFT, POLICY, BACK, ALLOCATE, RELATION, SECTORS, LINES, AUX, VALID, DIRTY) = range(12)
"""Columns of the table of levels: sets, ways, log2 of line bytes, three rules, relation to the
level in front, log2 of sector bytes, and the offsets into the state."""
COUNTS, RNG, MASK, HOLES = 12, 13, 14, 15
"""Further offsets; sets - 1 or -1 where that is no mask; whether free ways are anywhere in a set,
and not only behind the lines in order of use."""
(PREFETCHER, DEGREE, DISTANCE, PAGE, ENTRIES, CONFIDENCE, WINDOW, ROOM) = range(16, 24)
"""Which prefetcher, 0 for none (of the last row: whether any level has one); its numbers, of which
`PAGE` is log2 of a page's lines and `ROOM` the lines that its queue takes."""
MARKS, ENTRY, QUEUE, COLUMNS = 24, 25, 26, 27
"""Offsets of the marks of lines prefetched and not used, of entries and of the queue."""

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

NEXT_LINE, STRIDE, STREAM = 1, 2, 3
PREFETCHER_NUMBER = {"next_line": NEXT_LINE, "stride": STRIDE, "stream": STREAM}
STRIDE_WORDS, STREAM_WORDS = 4, 6
ENTRY_WORDS = {"next_line": 0, "stride": STRIDE_WORDS, "stream": STREAM_WORDS}
TAKEN, ASKED, CLOCK, QUEUE_HEAD = 0, 1, 2, 3
"""What stands before a queue's lines: lines taken from it, lines put into it, uses of streams."""

FILL, LOAD, STORE, WRITE_DIRTY, WRITE_CLEAN = range(-1, 4)
"""Requests to a level; `FILL` is its own, for a prefetch."""

(KIND, FIRST, LAST, NUMBER, STEP, DEPTH, COMES_DIRTY, CAME, WANTED, MISSING, SECTOR) = range(11)
"""In a frame, which is a request under way: what is asked of which level, and the line it is at."""
LEFT, LEFT_DIRTY, PLACE_KNOWN, FRAME = 11, 12, 13, 14
"""Further: the line that left, its dirty sectors, and where the requested line was found."""

(LOAD_HITS, LOAD_MISSES, STORE_HITS, STORE_MISSES, BACKS_IN, EVICTIONS, BACKS_OUT, INVALIDATED) = (
    range(8)
)
PREFETCHES, USEFUL, USELESS = 8, 9, 10
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
        if level.prefetcher is not None:
            size = _add_prefetcher(row, level, level.prefetcher, size)
            table[-1, PREFETCHER] = 1
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
        if row[PREFETCHER] == STRIDE:
            state[row[ENTRY] : row[QUEUE] : STRIDE_WORDS] = -1
    return table, state


def _add_prefetcher(row: Ints, level: CacheLevelSpec, spec: AnyPrefetcher, size: int) -> int:
    """Fill in a level's columns for its prefetcher; return the size of the state with it."""
    row[PREFETCHER] = PREFETCHER_NUMBER[spec.kind]
    row[DEGREE], row[DISTANCE], row[ROOM] = spec.degree, spec.distance, spec.queue_lines
    row[PAGE] = (spec.page_bytes // level.line_bytes).bit_length() - 1
    if not isinstance(spec, NextLineSpec):
        row[ENTRIES], row[CONFIDENCE] = spec.entries, spec.confidence
    if isinstance(spec, StreamSpec):
        row[WINDOW] = spec.window
    row[MARKS] = size
    row[ENTRY] = row[MARKS] + level.lines
    row[QUEUE] = row[ENTRY] + row[ENTRIES] * ENTRY_WORDS[spec.kind]
    return int(row[QUEUE]) + QUEUE_HEAD + spec.queue_lines


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
