"""TLBs and page walks, address by address: the readable translation."""

from __future__ import annotations

from sim.memory.cache.replacement import POLICIES, Lehmer
from sim.memory.tlb.counts import LookupCounts, TlbCounts
from sim.memory.tlb.frames import Frames
from sim.memory.tlb.spec import ArraySpec, TlbLevelSpec, TranslationSpec

Key = tuple[int, int]
"""Height of an entry in the page table, and the number of what it leads to."""


class EntryArray:
    """Sets of ways that hold entries of the page table.

    Models: sets chosen by the low bits of the number; the caches' replacement policies.
    Ignores: sets chosen by a hash.
    Source: Hennessy and Patterson, Computer Architecture, 6th edition, appendix B.4.
    """

    def __init__(self, spec: ArraySpec) -> None:
        cache = spec.as_cache("entries")
        generator = Lehmer(spec.seed)
        self._sets: list[list[Key | None]] = [[None] * spec.ways for _ in range(spec.sets)]
        self._policies = [POLICIES[spec.replacement](cache, generator) for _ in self._sets]

    def search(self, key: Key) -> bool:
        """Return whether an entry is here; finding it is a use of it."""
        index = key[1] % len(self._sets)
        if key not in self._sets[index]:
            return False
        self._policies[index].use(self._sets[index].index(key))
        return True

    def take_in(self, key: Key) -> bool:
        """Place an entry that is not here; return whether another one had to leave."""
        index = key[1] % len(self._sets)
        held, policy = self._sets[index], self._policies[index]
        full = None not in held
        way = policy.victim() if full else held.index(None)
        held[way] = key
        policy.fill(way)
        return full


class TlbLevel:
    """Arrays that are searched together.

    Models: separate and shared arrays of page sizes; a page of a size that none holds misses.
    Ignores: pages broken into smaller ones to fit an array.
    Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, tables of TLBs.
    """

    def __init__(self, spec: TlbLevelSpec, whole: TranslationSpec) -> None:
        self.counts = LookupCounts()
        self._array_of: dict[int, EntryArray] = {}
        for part in spec.arrays:
            array = EntryArray(part)
            self._array_of.update({whole.height(size): array for size in part.page_bytes})

    def search(self, key: Key) -> bool:
        """Return whether a translation is here, and count."""
        array = self._array_of.get(key[0])
        hit = array is not None and array.search(key)
        self.counts.hits += hit
        self.counts.misses += not hit
        return hit

    def take_in(self, key: Key) -> None:
        """Place a translation where its size is held."""
        if key[0] in self._array_of:
            self.counts.evictions += self._array_of[key[0]].take_in(key)


class PageTable:
    """A radix tree of tables, each placed when it is first walked through.

    Models: tables one after the other above the data, in order of first touch.
    Ignores: who fills them; accessed and dirty bits, which are never written.
    Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, 4.5.
    """

    def __init__(self, spec: TranslationSpec, first_byte: int) -> None:
        self._spec, self._first_byte = spec, first_byte
        self._tables: dict[Key, int] = {}

    def entry(self, address: int, height: int) -> int:
        """Return the physical address of the entry of a height on the way to an address."""
        table = (height, address >> self._spec.shift(height + 1))
        number = self._tables.setdefault(table, len(self._tables))
        index = address >> self._spec.shift(height) & self._spec.index_mask
        begin = self._first_byte + number * self._spec.smallest_page_bytes
        return begin + index * self._spec.entry_bytes


class Mmu:
    """TLBs in front of a page walker with its walk caches.

    A miss fills every level on the way back. A walk begins below the nearest entry that a walk
    cache holds, caches near the leaf first; no other cache is searched then.

    Models: hits, misses and evictions by level; the walker's loads and those it is spared.
    Ignores: walks side by side, speculative walks, prefetched translations, faults, invalidations,
    levels that take what the one in front gave up.
    Source: Barr, Cox and Rixner, Translation caching: skip, don't walk (the page table), ISCA 2010.
    """

    def __init__(self, spec: TranslationSpec, frames: Frames) -> None:
        self._spec, self._frames = spec, frames
        self._levels = [TlbLevel(level, spec) for level in spec.levels]
        self._table = PageTable(spec, frames.end_byte)
        caches = [(spec.height(part.span_bytes), EntryArray(part)) for part in spec.walk_caches]
        self._caches = dict(caches)
        self._cache_counts = {height: LookupCounts() for height, _ in caches}
        self._walks = self._walk_loads = self._saved_loads = 0

    def translate(self, address: int) -> list[int]:
        """Translate; return the physical addresses that a walk had to load, in order."""
        height = self._frames.segment(address).height
        key = (height, address >> self._spec.shift(height))
        missed = []
        for level in self._levels:
            if level.search(key):
                break
            missed.append(level)
        for level in missed:
            level.take_in(key)
        return self._walk(address, height) if len(missed) == len(self._levels) else []

    def _walk(self, address: int, leaf: int) -> list[int]:
        top = self._spec.table_levels - 1
        start = self._nearest(address, leaf, top)
        for height in range(start, leaf, -1):
            if height in self._caches:
                key = (height, address >> self._spec.shift(height))
                self._cache_counts[height].evictions += self._caches[height].take_in(key)
        loads = [self._table.entry(address, height) for height in range(start, leaf - 1, -1)]
        self._walks += 1
        self._walk_loads += len(loads)
        self._saved_loads += top - start
        return loads

    def _nearest(self, address: int, leaf: int, top: int) -> int:
        """Return the height of the first entry that a walk has to load."""
        for height in range(leaf + 1, top + 1):
            if height in self._caches:
                counts = self._cache_counts[height]
                if self._caches[height].search((height, address >> self._spec.shift(height))):
                    counts.hits += 1
                    return height - 1
                counts.misses += 1
        return top

    @property
    def counts(self) -> TlbCounts:
        """Counters so far."""
        return TlbCounts(
            levels=tuple(level.counts for level in self._levels),
            walk_caches=tuple(self._cache_counts.values()),
            walks=self._walks,
            walk_loads=self._walk_loads,
            saved_loads=self._saved_loads,
        )
