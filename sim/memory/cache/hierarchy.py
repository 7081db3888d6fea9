"""Caches line by line, level before level: the readable hierarchy.

`compiled` counts the same for whole address traces. `Residency` decides reuse between
operations tensor by tensor; this is what it is held against.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum, auto
from fractions import Fraction
from typing import Any

from sim.memory.cache.counts import HierarchyCounts, LevelCounts
from sim.memory.cache.lines import Line, Lines
from sim.memory.cache.main_memory import MainMemory, Write
from sim.memory.cache.prefetch import Prefetcher, prefetcher_of
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec, Inclusion

__all__ = ["Cache", "CacheEvent", "CacheHierarchy", "MainMemory", "Observer", "Write"]


class CacheEvent(Enum):
    """What a level tells its observer, with the first and last byte that it is about."""

    HIT = auto()
    """The bytes of one line that a load or store asked for, or a fetch of the level in front."""
    MISS = auto()
    """The same, where some of them are not here."""
    PREFETCH = auto()
    """A line that the level fetches by itself."""
    WRITE_BACK = auto()
    """A dirty line or sector goes to the level behind."""
    RELEASE = auto()
    """A clean line goes to an exclusive level behind."""
    PASS = auto()
    """A write goes on to the level behind: through, or past a level that does not place it."""


class Cache:
    """One level of set-associative cache in front of another, or of main memory.

    A store refreshes recency as a load does, and so does a write-back that arrives. A write-back
    that misses is placed without a fetch where it covers whole sectors.

    Models: sets and ways, six replacement policies, write-back and write-through, allocation on
    stores or not, inclusive, exclusive and plain levels, sectors, dirty evictions, prefetching.
    Ignores: time within a level, outstanding misses, coherence.
    Source: Hennessy and Patterson, Computer Architecture, appendix B; Baer and Wang, On the
    inclusion properties for multi-level cache hierarchies, ISCA 1988.
    """

    def __init__(self, below: Cache | MainMemory, **description: Any) -> None:
        """Take the fields of a `CacheLevelSpec`; ValueError where they make no cache."""
        self.spec = CacheLevelSpec.model_validate({"name": "cache", **description})
        self.below = below
        self.in_front: list[Cache] = []
        """Levels nearer to the core."""
        behind = below
        while isinstance(behind, Cache):
            behind.in_front.append(self)
            behind = behind.below
        self.counts = LevelCounts()
        self.observer: Observer | None = None
        """Called at the moment of each event, before the level behind hears of it."""
        self.hit_cycles = self.spec.hit_cycles
        self._lines = Lines(self.spec)
        self._prefetcher: Prefetcher | None = None
        if self.spec.prefetcher is not None:
            self._prefetcher = prefetcher_of(self.spec.prefetcher, self.spec.line_bytes)
        self._asked: deque[int] = deque()

    def access(self, address: int, *, write: bool, size_bytes: int = 1) -> int:
        """Read or write bytes; return how many levels further the farthest of them was found.

        What it makes levels prefetch comes right after it, nearer levels first.
        """
        last = address + size_bytes - 1
        depth = self.store(address, last, Write.STORE) if write else self.load(address, last)[0]
        level: Cache | MainMemory = self
        while isinstance(level, Cache):
            level.prefetch()
            level = level.below
        return depth

    def load(self, first: int, last: int) -> tuple[int, bool]:
        """Read bytes; return how many levels further they were, and whether they come dirty."""
        depth, dirty = 0, False
        exclusive = self.spec.inclusion is Inclusion.EXCLUSIVE
        for number in self._lines.numbers(first, last):
            wanted = self._lines.sectors(number, first, last)
            line = self._lines.find(number)
            missing = wanted & ~(line.valid if line is not None else 0)
            self._look_up(number, line, first, last, hit=not missing)
            if line is not None and not missing:
                self.counts.load_hits += 1
                if exclusive:
                    self._take_out(line)
                    dirty |= line.dirty != 0
                else:
                    self._lines.use(line)
                continue
            self.counts.load_misses += 1
            further, came_dirty = self._fetch(number, missing)
            depth = max(depth, 1 + further)
            if exclusive:
                dirty |= came_dirty
            else:
                self._place(number, missing, missing if came_dirty else 0)
        return depth, dirty

    def store(self, first: int, last: int, write: Write) -> int:
        """Write bytes; return how many levels further they had to be fetched from or passed."""
        depth = 0
        for number in self._lines.numbers(first, last):
            start, end = self._lines.ends(number)
            begin, end = max(first, start), min(last, end)
            wanted = self._lines.sectors(number, begin, end)
            line = self._lines.find(number)
            unknown = wanted & ~(line.valid if line is not None else 0)
            self._count_write(write, hit=not unknown)
            if write is Write.STORE:
                self._look_up(number, line, begin, end, hit=not unknown)
            if line is None and not self._takes(write):
                self._tell(CacheEvent.PASS, begin, end)
                depth = max(depth, 1 + self.below.store(begin, end, write))
                continue
            if write is not Write.STORE:
                unknown &= ~self._lines.covered(number, begin, end)
            came_dirty = False
            if unknown:
                further, came_dirty = self._fetch(number, unknown)
                depth = max(depth, 1 + further)
            dirtied = wanted if self.spec.write_back and write is not Write.CLEAN else 0
            self._place(number, wanted, dirtied | (unknown if came_dirty else 0))
            if not self.spec.write_back:
                self._tell(CacheEvent.PASS, begin, end)
                self.below.store(begin, end, write)
        return depth

    def prefetch(self) -> None:
        """Fetch the lines that accesses since the last call made the prefetcher ask for."""
        while self._asked:
            number = self._asked.popleft()
            if self._is_redundant(number):
                continue
            self.counts.prefetches += 1
            self._tell(CacheEvent.PREFETCH, *self._lines.ends(number))
            every = self._lines.all_sectors
            _, came_dirty = self._fetch(number, every)
            self._place(number, every, every if came_dirty else 0, prefetched=True)

    def invalidate(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Drop all lines of a range; yield the first and last bytes of what was dirty in them."""
        for number in self._lines.numbers(first, last):
            line = self._lines.find(number)
            if line is not None:
                self._take_out(line)
                self.counts.back_invalidations += 1
                yield from self._lines.ranges(number, line.dirty)

    def holds(self, number: int) -> bool:
        """Whether any part of a line is here."""
        return self._lines.find(number) is not None

    def _is_redundant(self, number: int) -> bool:
        """Whether a prefetch would bring what is here, or belongs only to the level in front."""
        if self.spec.inclusion is Inclusion.EXCLUSIVE:
            in_front = [level for level in self.in_front if level.below is self]
            return self.holds(number) or any(level.holds(number) for level in in_front)
        return self.holds(number)

    def _look_up(self, number: int, line: Line | None, first: int, last: int, *, hit: bool) -> None:
        """Tell observer and prefetcher of a demand access, up to a line's ends."""
        if self.observer is not None:
            start, end = self._lines.ends(number)
            event = CacheEvent.HIT if hit else CacheEvent.MISS
            self._tell(event, max(first, start), min(last, end))
        if self._prefetcher is None:
            return
        first_use = line is not None and line.prefetched
        if line is not None and first_use:
            line.prefetched = False
            self.counts.useful += 1
        asked = self._prefetcher.after(number, missed=not hit, first_use=first_use)
        self._asked.extend(asked[: self._prefetcher.queue_lines - len(self._asked)])

    def _tell(self, event: CacheEvent, first: int, last: int) -> None:
        if self.observer is not None:
            self.observer(self, event, first, last)

    def _takes(self, write: Write) -> bool:
        """Whether a line that is not here is placed for a write."""
        exclusive = self.spec.inclusion is Inclusion.EXCLUSIVE
        return self.spec.write_allocate or (exclusive and write is not Write.STORE)

    def _count_write(self, write: Write, *, hit: bool) -> None:
        if write is not Write.STORE:
            self.counts.write_backs_in += 1
        elif hit:
            self.counts.store_hits += 1
        else:
            self.counts.store_misses += 1

    def _fetch(self, number: int, sectors: int) -> tuple[int, bool]:
        further, dirty = 0, False
        for first, last in self._lines.ranges(number, sectors):
            step, came_dirty = self.below.load(first, last)
            further, dirty = max(further, step), dirty or came_dirty
        return further, dirty

    def _place(self, number: int, valid: int, dirty: int, *, prefetched: bool = False) -> None:
        """Add sectors to a line, and the line to its set."""
        line, leaving = self._lines.place(number)
        line.valid |= valid
        line.dirty |= dirty
        line.prefetched |= prefetched
        if leaving is not None:
            self._evict(leaving)

    def _take_out(self, line: Line) -> None:
        self._lines.take_out(line)
        self.counts.useless += line.prefetched

    def _evict(self, line: Line) -> None:
        self.counts.evictions += 1
        self.counts.useless += line.prefetched
        first, last = self._lines.ends(line.number)
        if self.spec.inclusion is Inclusion.INCLUSIVE:
            for inner in self.in_front:
                for begin, end in inner.invalidate(first, last):
                    line.dirty |= self._lines.sectors(line.number, begin, end)
        if line.dirty:
            self.counts.write_backs += 1
            for begin, end in self._lines.ranges(line.number, line.dirty):
                self._tell(CacheEvent.WRITE_BACK, begin, end)
                self.below.store(begin, end, Write.DIRTY)
        elif isinstance(self.below, Cache) and self.below.spec.inclusion is Inclusion.EXCLUSIVE:
            self._tell(CacheEvent.RELEASE, first, last)
            self.below.store(first, last, Write.CLEAN)

    @property
    def hits(self) -> int:
        """Demand accesses that found their line."""
        return self.counts.hits

    @property
    def misses(self) -> int:
        """Demand accesses that did not."""
        return self.counts.misses

    @property
    def write_backs(self) -> int:
        """Dirty lines that had to leave."""
        return self.counts.write_backs

    @property
    def miss_rate(self) -> Fraction:
        """Misses per demand access; 0 before the first."""
        return self.counts.miss_rate

    @property
    def average_cycles(self) -> Fraction:
        """AMAT: hit time + miss rate x miss penalty, the penalty being the AMAT below."""
        return self.hit_cycles + self.miss_rate * self.below.average_cycles


Observer = Callable[[Cache, CacheEvent, int, int], None]
"""Takes the level, the event, and the first and last byte that it is about."""


class CacheHierarchy:
    """The readable hierarchy as one piece: levels wired, and their counters together.

    Models: what `Cache` does, for any number of levels.
    Ignores: as `Cache`.
    Source: as `Cache`.
    """

    def __init__(self, spec: HierarchySpec, observer: Observer | None = None) -> None:
        self.memory = MainMemory(spec.memory_cycles)
        self.levels: list[Cache] = []
        below: Cache | MainMemory = self.memory
        for level in reversed(spec.levels):
            below = Cache(below, **dict(level))
            below.observer = observer
            self.levels.insert(0, below)

    def access(self, address: int, *, write: bool, size_bytes: int = 1) -> int:
        """Read or write bytes; return the index of the level that had the farthest of them."""
        return self.levels[0].access(address, write=write, size_bytes=size_bytes)

    @property
    def counts(self) -> HierarchyCounts:
        """Counters so far."""
        return HierarchyCounts(
            levels=tuple(level.counts for level in self.levels), memory=self.memory.counts
        )
