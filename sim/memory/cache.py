"""A cache line by line: sets, ways, least-recently-used replacement, write-back, levels.

`Residency` decides reuse between operations tensor by tensor; this is what it is held against, and
what average memory access times are taken from.
"""

from __future__ import annotations

from collections import OrderedDict
from fractions import Fraction


class MainMemory:
    """What lies behind the last cache: it always has the line.

    Models: one latency.
    Ignores: banks, rows and bandwidth.
    Source: Hennessy and Patterson, Computer Architecture, appendix B.
    """

    def __init__(self, latency_cycles: int) -> None:
        self.latency_cycles = latency_cycles
        self.reads = 0
        """Lines fetched."""
        self.writes = 0
        """Lines written back."""

    def access(self, address: int, *, write: bool) -> int:  # noqa: ARG002 - as Cache's
        """Count a line's fetch; the answer, how many levels further it went, is 0."""
        self.reads += 1
        return 0

    def write_back(self, address: int) -> None:  # noqa: ARG002 - as Cache's
        """Count a dirty line's return."""
        self.writes += 1

    @property
    def average_cycles(self) -> Fraction:
        """Average access time."""
        return Fraction(self.latency_cycles)


class Cache:
    """One level of set-associative cache in front of another, or of main memory.

    Models: sets and ways, LRU, write-back with write-allocate, dirty evictions, hits and misses.
    Ignores: time within a level, outstanding misses, coherence, inclusion.
    Source: Hennessy and Patterson, Computer Architecture, appendix B.
    """

    def __init__(
        self,
        below: Cache | MainMemory,
        *,
        capacity_bytes: int,
        line_bytes: int,
        ways: int,
        hit_cycles: int,
    ) -> None:
        sets, rest = divmod(capacity_bytes, line_bytes * ways)
        if sets < 1 or rest:
            raise ValueError(
                f"{capacity_bytes} bytes are no whole sets of {ways} lines of {line_bytes} bytes"
            )
        self.below = below
        self.line_bytes = line_bytes
        self.ways = ways
        self.hit_cycles = hit_cycles
        self.hits = 0
        self.misses = 0
        self.write_backs = 0
        """Dirty lines that had to leave."""
        self._sets: list[OrderedDict[int, bool]] = [OrderedDict() for _ in range(sets)]

    def access(self, address: int, *, write: bool) -> int:
        """Read or write the line of a byte address; return how many levels further it was found."""
        line = address // self.line_bytes
        held = self._sets[line % len(self._sets)]
        if line in held:
            self.hits += 1
            held[line] |= write
            held.move_to_end(line)
            return 0
        self.misses += 1
        further = 1 + self.below.access(address, write=False)
        self._place(line, dirty=write)
        return further

    def write_back(self, address: int) -> None:
        """Take back a whole dirty line from the level above; that is no demand access."""
        self._place(address // self.line_bytes, dirty=True)

    def _place(self, line: int, *, dirty: bool) -> None:
        held = self._sets[line % len(self._sets)]
        dirty |= held.pop(line, False)
        if len(held) == self.ways:
            evicted, was_dirty = held.popitem(last=False)
            if was_dirty:
                self.write_backs += 1
                self.below.write_back(evicted * self.line_bytes)
        held[line] = dirty

    @property
    def miss_rate(self) -> Fraction:
        """Misses per demand access; 0 before the first."""
        accesses = self.hits + self.misses
        return Fraction(self.misses, accesses) if accesses else Fraction(0)

    @property
    def average_cycles(self) -> Fraction:
        """AMAT: hit time + miss rate x miss penalty, the penalty being the AMAT below."""
        return self.hit_cycles + self.miss_rate * self.below.average_cycles
