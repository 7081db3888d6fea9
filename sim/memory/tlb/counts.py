"""What translation counts; the readable and the compiled pass fill in the same words."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(slots=True, kw_only=True)
class LookupCounts:
    """Counters of one TLB level, or of one walk cache."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    """Entries that left to make room."""

    @property
    def searches(self) -> int:
        """Hits and misses."""
        return self.hits + self.misses

    @property
    def miss_rate(self) -> Fraction:
        """Misses per search; 0 before the first."""
        return Fraction(self.misses, self.searches) if self.searches else Fraction(0)


@dataclass(slots=True, kw_only=True)
class TlbCounts:
    """Counters of all translations."""

    levels: tuple[LookupCounts, ...]
    walk_caches: tuple[LookupCounts, ...]
    """In the specification's order."""
    walks: int = 0
    walk_loads: int = 0
    """Page-table entries loaded."""
    saved_loads: int = 0
    """Page-table entries that walk caches made needless."""

    @property
    def translations(self) -> int:
        """Accesses, those across two pages twice."""
        return self.levels[0].searches
