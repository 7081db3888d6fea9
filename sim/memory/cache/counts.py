"""What caches count; the readable and the compiled hierarchy fill in the same words."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction


@dataclass(slots=True, kw_only=True)
class LevelCounts:
    """Counters of one level, all in lines touched."""

    load_hits: int = 0
    load_misses: int = 0
    """Also fetches of the level in front, whatever they are for."""
    store_hits: int = 0
    store_misses: int = 0
    write_backs_in: int = 0
    """Lines (or sectors) that the level in front gave back; no demand accesses."""
    evictions: int = 0
    """Lines that left to make room."""
    write_backs: int = 0
    """Those of them that were dirty."""
    back_invalidations: int = 0
    """Lines that left because an inclusive level behind gave them up."""
    prefetches: int = 0
    """Lines that the level fetched by itself."""
    useful: int = 0
    """Those of them that were used: by the core, or by a fetch of the level in front."""
    useless: int = 0
    """Those of them that left unused. The others are still here."""

    @property
    def hits(self) -> int:
        """Demand accesses that found their line."""
        return self.load_hits + self.store_hits

    @property
    def misses(self) -> int:
        """Demand accesses that did not."""
        return self.load_misses + self.store_misses

    @property
    def miss_rate(self) -> Fraction:
        """Misses per demand access; 0 before the first."""
        accesses = self.hits + self.misses
        return Fraction(self.misses, accesses) if accesses else Fraction(0)

    @property
    def accuracy(self) -> Fraction:
        """Prefetches that were useful; 0 without any."""
        return Fraction(self.useful, self.prefetches) if self.prefetches else Fraction(0)

    @property
    def coverage(self) -> Fraction:
        """Would-be misses that a prefetch made hits; 0 without any."""
        would_miss = self.useful + self.misses
        return Fraction(self.useful, would_miss) if would_miss else Fraction(0)


@dataclass(slots=True, kw_only=True)
class MemoryCounts:
    """What reached main memory."""

    reads: int = 0
    """Requests: lines or sectors of the last level."""
    writes: int = 0
    """Write-backs, and stores that no level kept."""
    read_bytes: int = 0
    written_bytes: int = 0


@dataclass(slots=True, kw_only=True)
class HierarchyCounts:
    """Counters of all levels, from the core outwards, and of main memory."""

    levels: tuple[LevelCounts, ...]
    memory: MemoryCounts


LEVEL_COUNTERS = tuple(field.name for field in fields(LevelCounts))
MEMORY_COUNTERS = tuple(field.name for field in fields(MemoryCounts))
"""Names in the order in which the compiled hierarchy keeps them."""
