"""What time a hierarchy of caches takes: the timing of each level, memory and core, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from sim.errors import did_you_mean
from sim.memory.cache.spec import HierarchySpec
from sim.spec import Strict


class TimedLevelSpec(Strict):
    """What one level of cache can do at a time; `hit_cycles` stands with the level itself."""

    ports: int = Field(default=1, ge=1)
    """Accesses accepted a cycle."""
    banks: int = Field(default=1, ge=1)
    """Parts that work side by side, interleaved by line."""
    bank_busy_cycles: int = Field(default=1, ge=1)
    """From one access to a bank to the next."""
    miss_cycles: int | None = Field(default=None, ge=0)
    """Until a miss is known and goes on; None: as long as a hit takes."""
    mshrs: int = Field(ge=1)
    """Misses under way; with all taken the level accepts nothing while another miss waits."""
    mshr_targets: int = Field(ge=1)
    """Accesses that one miss can answer, with the one that missed first."""
    fill_bytes_per_cycle: int = Field(ge=1)
    """To the level in front or the core; and as many again from it, for write-backs."""
    write_buffer: int = Field(ge=1)
    """Lines (sectors, where sectored) and passed stores on their way to the level behind."""
    write_back_cycles: int = Field(default=0, ge=0)
    """That a line stays in the buffer besides its transfer."""


class CoreSpec(Strict):
    """What the core in front can have under way."""

    issue_per_cycle: int = Field(default=1, ge=1)
    outstanding_loads: int = Field(default=1, ge=1)
    """1: a blocking core."""
    store_buffer: int = Field(default=1, ge=1)
    """Stores that the first level has not done yet."""


class TimedHierarchySpec(Strict):
    """Caches with their timing by level name, main memory's bandwidth, and the core."""

    caches: HierarchySpec
    """Its `memory_cycles` is from a fetch to its first byte."""
    timing: Mapping[str, TimedLevelSpec]
    memory_bytes_per_cycle: int = Field(ge=1)
    """Of one port for reads and writes together."""
    core: CoreSpec = CoreSpec()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        names = [level.name for level in self.caches.levels]
        for name in self.timing:
            if name not in names:
                raise ValueError(f"timing of '{name}': no such level{did_you_mean(name, names)}")
        for level in self.caches.levels:
            if level.name not in self.timing:
                raise ValueError(f"level '{level.name}' has no timing; add it")
            known = self.timing[level.name].miss_cycles
            if known is not None and known > level.hit_cycles:
                raise ValueError(
                    f"{level.name}: miss_cycles {known} cannot be above hit_cycles "
                    f"{level.hit_cycles}: a hit is known no later than its data"
                )
        return self
