"""Caches line by line, level before level: the readable hierarchy.

`compiled` counts the same for whole address traces. `Residency` decides reuse between
operations tensor by tensor; this is what it is held against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from typing import Any

from sim.memory.cache.counts import HierarchyCounts, LevelCounts, MemoryCounts
from sim.memory.cache.replacement import POLICIES, Lehmer
from sim.memory.cache.spec import CacheLevelSpec, HierarchySpec, Inclusion


class Write(Enum):
    """What a write is to the level that receives it."""

    STORE = auto()
    """The core's, perhaps passed on by a level in front."""
    DIRTY = auto()
    """Written data that leaves the level in front."""
    CLEAN = auto()
    """A line that leaves the level in front as it came; only exclusive levels are told."""


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


@dataclass(slots=True)
class Line:
    """One line held: which, and by bits which of its sectors are here and which were written."""

    number: int
    valid: int = 0
    dirty: int = 0


class MainMemory:
    """What lies behind the last cache: it always has the line.

    Models: one latency; requests and bytes.
    Ignores: banks, rows and bandwidth.
    Source: Hennessy and Patterson, Computer Architecture, appendix B.
    """

    def __init__(self, latency_cycles: int) -> None:
        self.latency_cycles = latency_cycles
        self.counts = MemoryCounts()

    @property
    def reads(self) -> int:
        """Lines or sectors fetched."""
        return self.counts.reads

    @property
    def writes(self) -> int:
        """Lines or sectors written back, and stores that no level kept."""
        return self.counts.writes

    def load(self, first: int, last: int) -> tuple[int, bool]:
        """Count a fetch; the answer is that it went no further and nothing was dirty."""
        self.counts.reads += 1
        self.counts.read_bytes += last - first + 1
        return 0, False

    def store(self, first: int, last: int, write: Write) -> int:  # noqa: ARG002 - as Cache's
        """Count a write."""
        self.counts.writes += 1
        self.counts.written_bytes += last - first + 1
        return 0

    @property
    def average_cycles(self) -> Fraction:
        """Average access time."""
        return Fraction(self.latency_cycles)


class Cache:
    """One level of set-associative cache in front of another, or of main memory.

    A store refreshes recency as a load does, and so does a write-back that arrives. A write-back
    that misses is placed without a fetch where it covers whole sectors.

    Models: sets and ways, six replacement policies, write-back and write-through, allocation on
    stores or not, inclusive, exclusive and plain levels, sectors, dirty evictions.
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
        self._sector_bytes = self.spec.line_bytes // self.spec.sectors
        self._sets: list[list[Line | None]] = [
            [None] * self.spec.ways for _ in range(self.spec.sets)
        ]
        generator = Lehmer(self.spec.seed)
        policy = POLICIES[self.spec.replacement]
        self._policies = [policy(self.spec, generator) for _ in self._sets]

    def access(self, address: int, *, write: bool, size_bytes: int = 1) -> int:
        """Read or write bytes; return how many levels further the farthest of them was found."""
        last = address + size_bytes - 1
        return self.store(address, last, Write.STORE) if write else self.load(address, last)[0]

    def load(self, first: int, last: int) -> tuple[int, bool]:
        """Read bytes; return how many levels further they were, and whether they come dirty."""
        depth, dirty = 0, False
        exclusive = self.spec.inclusion is Inclusion.EXCLUSIVE
        for number in self._lines(first, last):
            wanted = self._sectors(number, first, last)
            way = self._find(number)
            missing = wanted & ~self._valid(number, way)
            self._tell_looked_up(number, first, last, hit=not missing)
            if not missing:
                self.counts.load_hits += 1
                dirty |= self._give(number, way) if exclusive else self._use(number, way)
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
        for number in self._lines(first, last):
            begin = max(first, number * self.spec.line_bytes)
            end = min(last, (number + 1) * self.spec.line_bytes - 1)
            wanted = self._sectors(number, begin, end)
            way = self._find(number)
            unknown = wanted & ~self._valid(number, way)
            self._count_write(write, hit=not unknown)
            if write is Write.STORE:
                self._tell_looked_up(number, begin, end, hit=not unknown)
            if way < 0 and not self._takes(write):
                self._tell(CacheEvent.PASS, begin, end)
                depth = max(depth, 1 + self.below.store(begin, end, write))
                continue
            if write is not Write.STORE:
                unknown &= ~self._covered(number, begin, end)
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

    def invalidate(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Drop all lines of a range; yield the first and last bytes of what was dirty in them."""
        for number in self._lines(first, last):
            way = self._find(number)
            if way >= 0:
                line = self._take_out(number, way)
                self.counts.back_invalidations += 1
                yield from self._ranges(number, line.dirty)

    def _tell(self, event: CacheEvent, first: int, last: int) -> None:
        if self.observer is not None:
            self.observer(self, event, first, last)

    def _tell_looked_up(self, number: int, first: int, last: int, *, hit: bool) -> None:
        if self.observer is not None:
            start = number * self.spec.line_bytes
            begin, end = max(first, start), min(last, start + self.spec.line_bytes - 1)
            self._tell(CacheEvent.HIT if hit else CacheEvent.MISS, begin, end)

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
        for first, last in self._ranges(number, sectors):
            step, came_dirty = self.below.load(first, last)
            further, dirty = max(further, step), dirty or came_dirty
        return further, dirty

    def _place(self, number: int, valid: int, dirty: int) -> None:
        """Add sectors to a line, and the line to its set."""
        index = number % self.spec.sets
        held, policy = self._sets[index], self._policies[index]
        way, leaving = self._find(number), None
        if way >= 0:
            policy.use(way)
        else:
            way = held.index(None) if None in held else policy.victim()
            leaving = held[way]
            held[way] = Line(number)
            policy.fill(way)
        line = held[way]
        assert line is not None  # noqa: S101 - found or just placed
        line.valid |= valid
        line.dirty |= dirty
        if leaving is not None:
            self._evict(leaving)

    def _evict(self, line: Line) -> None:
        self.counts.evictions += 1
        first = line.number * self.spec.line_bytes
        if self.spec.inclusion is Inclusion.INCLUSIVE:
            for inner in self.in_front:
                for begin, end in inner.invalidate(first, first + self.spec.line_bytes - 1):
                    line.dirty |= self._sectors(line.number, begin, end)
        if line.dirty:
            self.counts.write_backs += 1
            for begin, end in self._ranges(line.number, line.dirty):
                self._tell(CacheEvent.WRITE_BACK, begin, end)
                self.below.store(begin, end, Write.DIRTY)
        elif isinstance(self.below, Cache) and self.below.spec.inclusion is Inclusion.EXCLUSIVE:
            last = first + self.spec.line_bytes - 1
            self._tell(CacheEvent.RELEASE, first, last)
            self.below.store(first, last, Write.CLEAN)

    def _give(self, number: int, way: int) -> bool:
        return self._take_out(number, way).dirty != 0

    def _use(self, number: int, way: int) -> bool:
        self._policies[number % self.spec.sets].use(way)
        return False

    def _take_out(self, number: int, way: int) -> Line:
        held = self._sets[number % self.spec.sets]
        line, held[way] = held[way], None
        assert line is not None  # noqa: S101 - callers have found it
        return line

    def _find(self, number: int) -> int:
        """Return the line's way, -1 where it is not held."""
        for way, line in enumerate(self._sets[number % self.spec.sets]):
            if line is not None and line.number == number:
                return way
        return -1

    def _valid(self, number: int, way: int) -> int:
        line = self._sets[number % self.spec.sets][way] if way >= 0 else None
        return line.valid if line is not None else 0

    def _lines(self, first: int, last: int) -> range:
        return range(first // self.spec.line_bytes, last // self.spec.line_bytes + 1)

    def _sectors(self, number: int, first: int, last: int) -> int:
        """Bits of a line's sectors that a range touches."""
        start = number * self.spec.line_bytes
        low = max(0, first - start) // self._sector_bytes
        high = min(self.spec.line_bytes - 1, last - start) // self._sector_bytes
        return (2 << high) - (1 << low)

    def _covered(self, number: int, first: int, last: int) -> int:
        """Bits of a line's sectors that a range fills from end to end."""
        return sum(
            1 << sector
            for sector in range(self.spec.sectors)
            if first <= number * self.spec.line_bytes + sector * self._sector_bytes
            and last >= number * self.spec.line_bytes + (sector + 1) * self._sector_bytes - 1
        )

    def _ranges(self, number: int, sectors: int) -> Iterator[tuple[int, int]]:
        """First and last bytes of each sector."""
        for sector in range(self.spec.sectors):
            if sectors >> sector & 1:
                first = number * self.spec.line_bytes + sector * self._sector_bytes
                yield first, first + self._sector_bytes - 1

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
