"""Caches that count as pycachesim does, to be held against its tables counter by counter.

A store that hits does not refresh recency, and one that misses is first counted as a load. Under
its MRU a new line is written over the last way of its set, while the line of the first way is
written back, if dirty, and stays. `PeerLevel` is the readable form, `peer_walk` its compiled twin.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from numba import int64

from sim.jit import njit
from sim.memory.cache.run import AddressTrace
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec, Inclusion, Replacement

Ints = npt.NDArray[np.int64]

COUNTERS = ("load", "hit", "miss", "store", "evict")
LOAD, HIT, MISS, STORE, EVICT = range(5)

POLICY_NUMBER = {Replacement.LRU: 0, Replacement.FIFO: 1, Replacement.MRU: 2}
FIFO, MRU = 1, 2

SETS, WAYS, SHIFT, POLICY, BACK, ALLOCATE, OFFSET, COLUMNS = range(8)


def cannot_count(spec: HierarchySpec) -> str:
    """Say why a hierarchy has no counterpart there; empty where it has one."""
    for level in spec.levels:
        if level.replacement not in POLICY_NUMBER:
            return (
                f"{level.name}: {level.replacement} replacement is not counted as pycachesim does"
            )
        if level.sectors > 1 or level.inclusion is not Inclusion.NEITHER:
            return f"{level.name}: sectors and inclusion are not counted as pycachesim does"
        if level.write_allocate and not level.write_back:
            return f"{level.name}: pycachesim has no write-through with allocation"
    return ""


class PeerLevel:
    """One level by pycachesim's rules, in front of another or of main memory (None).

    Models: lines of a set in order; counters of loads, hits, misses, stores and evictions.
    Ignores: write-combining, victim caches and random replacement of that program.
    Source: pycachesim 0.3.1, https://github.com/RRZE-HPC/pycachesim, as observed and as it stands.
    """

    def __init__(self, spec: CacheLevelSpec, below: PeerLevel | None) -> None:
        self.spec, self.below = spec, below
        self.counts = dict.fromkeys(COUNTERS, 0)
        self._sets = [[-1] * spec.ways for _ in range(spec.sets)]
        self._dirty = [[False] * spec.ways for _ in range(spec.sets)]

    def load(self, first: int, last: int) -> int:
        """Read bytes; return the place of the last line in its set."""
        place = 0
        self.counts["load"] += 1
        size = self.spec.line_bytes
        for line in range(first // size, last // size + 1):
            index = line % self.spec.sets
            if line in self._sets[index]:
                self.counts["hit"] += 1
                place = self._sets[index].index(line)
                if self.spec.replacement is not Replacement.FIFO:
                    self._to_front(index, place)
                    place = 0
                continue
            self.counts["miss"] += 1
            if self.below is not None:
                self.below.load(line * size, (line + 1) * size - 1)
            place = self._inject(line, dirty=False)
        return place

    def store(self, first: int, last: int) -> None:
        """Write bytes."""
        self.counts["store"] += 1
        size = self.spec.line_bytes
        for line in range(first // size, last // size + 1):
            index = line % self.spec.sets
            place = self._sets[index].index(line) if line in self._sets[index] else -1
            if place < 0 and self.spec.write_allocate:
                place = self.load(line * size, (line + 1) * size - 1)
            elif place < 0 and self.spec.write_back:
                place = self._inject(line, dirty=True)
            if self.spec.write_back:
                self._dirty[index][place] = True
            elif self.below is not None:
                self.counts["evict"] += 1
                self.below.store(max(first, line * size), min(last, (line + 1) * size - 1))

    def flush(self) -> None:
        """Write all dirty lines back, set after set."""
        for lines, dirty in zip(self._sets, self._dirty, strict=True):
            for place, line in enumerate(lines):
                if dirty[place]:
                    self._write_back(line)
                    dirty[place] = False

    def _inject(self, line: int, *, dirty: bool) -> int:
        index = line % self.spec.sets
        lines, marks = self._sets[index], self._dirty[index]
        if self.spec.replacement is Replacement.MRU:
            leaving, wet, place = lines[0], marks[0], self.spec.ways - 1
            lines[place], marks[place] = line, dirty
        else:
            leaving, wet, place = lines.pop(), marks.pop(), 0
            lines.insert(0, line)
            marks.insert(0, dirty)
        if leaving >= 0 and wet and self.spec.write_back:
            self._write_back(leaving)
        return place

    def _write_back(self, line: int) -> None:
        self.counts["evict"] += 1
        if self.below is not None:
            size = self.spec.line_bytes
            self.below.store(line * size, (line + 1) * size - 1)

    def _to_front(self, index: int, place: int) -> None:
        lines, dirty = self._sets[index], self._dirty[index]
        lines.insert(0, lines.pop(place))
        dirty.insert(0, dirty.pop(place))


def readable_counts(spec: HierarchySpec, trace: AddressTrace) -> Mapping[str, int]:
    """Count a trace with `PeerLevel`; keys as `peer_counts` has them."""
    levels: list[PeerLevel] = []
    for level in reversed(spec.levels):
        levels.insert(0, PeerLevel(level, levels[0] if levels else None))
    columns = (trace.addresses.tolist(), trace.sizes.tolist(), trace.kinds.tolist())
    for address, size, kind in zip(*columns, strict=True):
        if kind:
            levels[0].store(address, address + size - 1)
        else:
            levels[0].load(address, address + size - 1)
    before = np.array([list(level.counts.values()) for level in levels], dtype=np.int64)
    for cache in levels:
        cache.flush()
    return _named(spec, before, levels[-1].counts["evict"])


def peer_counts(spec: HierarchySpec, trace: AddressTrace) -> Mapping[str, int]:
    """Return counters such as `L1_hit` and `MEM_store`, before the closing write-back of all lines.

    `MEM_store_after_flush` counts it too. ValueError as `cannot_count` says.
    """
    problem = cannot_count(spec)
    if problem:
        raise ValueError(problem)
    table = np.zeros((len(spec.levels), COLUMNS), dtype=np.int64)
    offset = 0
    for row, level in zip(table, spec.levels, strict=True):
        shift = level.line_bytes.bit_length() - 1
        rules = (POLICY_NUMBER[level.replacement], level.write_back, level.write_allocate)
        row[:] = (level.sets, level.ways, shift, *rules, offset)
        offset += level.lines
    lines = np.full(offset, -1, dtype=np.int64)
    counts = np.zeros((len(table), len(COUNTERS)), dtype=np.int64)
    peer_walk(trace.addresses, trace.kinds, trace.sizes, table, lines, counts)
    before = counts.copy()
    peer_flush(table, lines, counts)
    return _named(spec, before, int(counts[-1, EVICT]))


def _named(spec: HierarchySpec, counts: Ints, flushed: int) -> Mapping[str, int]:
    named = {
        f"{level.name}_{counter}": int(counts[number, column])
        for number, level in enumerate(spec.levels)
        for column, counter in enumerate(COUNTERS)
    }
    reads, writes = int(counts[-1, MISS]), int(counts[-1, EVICT])
    memory = {"load": reads, "hit": reads, "miss": 0, "store": writes, "evict": 0}
    named |= {f"MEM_{counter}": value for counter, value in memory.items()}
    return named | {"MEM_store_after_flush": flushed}


@njit(cache=True)
def _find(row: Ints, lines: Ints, line: int) -> int:
    base = row[OFFSET] + line % row[SETS] * row[WAYS]
    for place in range(base, base + row[WAYS]):
        if lines[place] >> 1 == line:
            return place
    return -1


@njit(cache=True)
def _inject(row: Ints, lines: Ints, entry: int) -> tuple[int, int]:
    """Put `line * 2 + dirty` into its set; return its place and what left."""
    base = row[OFFSET] + (entry >> 1) % row[SETS] * row[WAYS]
    last = base + row[WAYS] - 1
    if row[POLICY] == MRU:
        leaving = lines[base]
        lines[last] = entry
        return last, leaving
    leaving = lines[last]
    for place in range(last, base, -1):
        lines[place] = lines[place - 1]
    lines[base] = entry
    return base, leaving


# A function that calls itself cannot be kept compiled on disk (it fails when it is read back).
@njit(int64(int64, int64, int64, int64, int64[:, ::1], int64[::1], int64[:, ::1]))
def _request(  # noqa: C901, PLR0917 - a request, then what it passes through
    kind: int, level: int, first: int, last: int, table: Ints, lines: Ints, counts: Ints
) -> int:
    """Load or store a range of bytes at a level; return the place of a loaded line."""
    if level == len(table):
        return 0
    row, count = table[level], counts[level]
    count[kind] += 1
    shift, found = row[SHIFT], 0
    for line in range(first >> shift, (last >> shift) + 1):
        start, end = line << shift, ((line + 1) << shift) - 1
        place, leaving = _find(row, lines, line), -1
        if kind == LOAD:
            count[HIT if place >= 0 else MISS] += 1
            if place < 0:
                _request(LOAD, level + 1, start, end, table, lines, counts)
                found, leaving = _inject(row, lines, line << 1)
            elif row[POLICY] != FIFO:
                found, entry = row[OFFSET] + line % row[SETS] * row[WAYS], lines[place]
                for moved in range(place, found, -1):
                    lines[moved] = lines[moved - 1]
                lines[found] = entry
        elif place < 0 and row[ALLOCATE]:
            place = _request(LOAD, level, start, end, table, lines, counts)
        elif place < 0 and row[BACK]:
            place, leaving = _inject(row, lines, line << 1 | 1)
        if leaving >= 0 and leaving & 1 and row[BACK]:
            count[EVICT] += 1
            at = leaving >> 1 << shift
            _request(STORE, level + 1, at, at + (1 << shift) - 1, table, lines, counts)
        if kind == STORE and row[BACK]:
            lines[place] |= 1
        elif kind == STORE and level + 1 < len(table):
            count[EVICT] += 1
            begin, stop = max(first, start), min(last, end)
            _request(STORE, level + 1, begin, stop, table, lines, counts)
    return found


@njit()
def peer_walk(  # noqa: PLR0917 - columns of a trace, then what they pass through
    addresses: Ints,
    kinds: npt.NDArray[np.uint8],
    sizes: npt.NDArray[np.uint8],
    table: Ints,
    lines: Ints,
    counts: Ints,
) -> None:
    """Pass a trace through."""
    for i in range(len(addresses)):
        kind = STORE if kinds[i] else LOAD
        last = addresses[i] + sizes[i] - 1
        _request(kind, 0, addresses[i], last, table, lines, counts)


@njit()
def peer_flush(table: Ints, lines: Ints, counts: Ints) -> None:
    """Write all dirty lines back, level after level."""
    for level in range(len(table)):
        row = table[level]
        for place in range(row[OFFSET], row[OFFSET] + row[SETS] * row[WAYS]):
            if lines[place] >= 0 and lines[place] & 1:
                lines[place] -= 1
                counts[level, EVICT] += 1
                at = lines[place] >> 1 << row[SHIFT]
                last = at + (1 << row[SHIFT]) - 1
                _request(STORE, level + 1, at, last, table, lines, counts)
