"""What a timed run of an address trace came to."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sim.memory.cache.counts import HierarchyCounts
from sim.stalls import CycleStack


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTiming:
    """What one level waited for, and made others wait for."""

    name: str
    merged_misses: int
    """Accesses to what was under way, answered by the miss that fetches it."""
    mshr_full_cycles: int
    """In which all MSHRs were taken."""
    mean_mshrs: Fraction
    """Taken, on the average over all cycles."""
    most_mshrs: int
    """Taken at once."""
    timely_prefetches: int
    """Of those that were useful: there when first asked for."""
    late_prefetches: int
    """Still under way when first asked for."""
    bank_conflicts: int
    """Accesses that found their bank busy when their turn came."""
    port_wait_cycles: int
    """In which an access whose turn it was found all ports taken."""
    write_buffer_full_cycles: int
    """In which the write buffer had no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRun:
    """Cycles of a trace, where they went, and what the caches counted."""

    cycles: int
    """Until the last access was issued and done; write-backs may still be on their way."""
    counts: HierarchyCounts
    """Those of the untimed caches."""
    levels: tuple[LevelTiming, ...]
    issued: npt.NDArray[np.int64]
    """[accesses] cycle in which each was issued."""
    done: npt.NDArray[np.int64]
    """[accesses] cycle at which each was done: a load's data there, a store in the caches."""
    stack: CycleStack
    """Where the core's cycles went."""

    @property
    def average_latency_cycles(self) -> Fraction:
        """From issue to completion; 0 of no accesses."""
        if not len(self.done):
            return Fraction(0)
        return Fraction(int((self.done - self.issued).sum()), len(self.done))
