"""What lies behind the last cache, and what a write is to whoever receives it."""

from __future__ import annotations

from enum import Enum, auto
from fractions import Fraction

from sim.memory.cache.counts import MemoryCounts


class Write(Enum):
    """What a write is to the level that receives it."""

    STORE = auto()
    """The core's, perhaps passed on by a level in front."""
    DIRTY = auto()
    """Written data that leaves the level in front."""
    CLEAN = auto()
    """A line that leaves the level in front as it came; only exclusive levels are told."""


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
