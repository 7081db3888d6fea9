"""What a hierarchy of caches is: levels as data, from the core outwards."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from sim.memory.cache.prefetch_spec import AnyPrefetcher, Size
from sim.spec import Strict

MAX_SECTORS = 62
"""Sectors of a line are bits of one signed word."""


class Replacement(StrEnum):
    """Which line of a full set leaves."""

    LRU = "lru"
    """The one whose last use is longest ago."""
    FIFO = "fifo"
    """The one that came first; uses do not matter."""
    MRU = "mru"
    """The one that was used last."""
    PLRU = "plru"
    """The one to which a binary tree of last turns points away from."""
    RANDOM = "random"
    """Any, by a seeded generator."""
    SRRIP = "srrip"
    """The first one predicted to be used again only in the distant future, by two bits."""


class Inclusion(StrEnum):
    """What a level has to do with the content of the level in front of it."""

    NEITHER = "neither"
    """Filled on the way in, and nothing is promised afterwards."""
    INCLUSIVE = "inclusive"
    """Holds all that levels in front hold: a line that leaves here leaves them too."""
    EXCLUSIVE = "exclusive"
    """Holds what the level in front evicted; a hit moves the line there."""


class CacheLevelSpec(Strict):
    """One level of cache."""

    name: str
    capacity_bytes: Size = Field(ge=1)
    ways: int = Field(ge=1)
    line_bytes: Size = Field(default=64, ge=1)
    replacement: Replacement = Replacement.LRU
    write_back: bool = True
    """Whether stores stay until the line leaves; else they pass through."""
    write_allocate: bool = True
    """Whether a store that misses brings the line in."""
    inclusion: Inclusion = Inclusion.NEITHER
    sectors: int = Field(default=1, ge=1, le=MAX_SECTORS)
    """Parts of a line that are fetched and written back apart."""
    hit_cycles: int = Field(default=1, ge=0)
    seed: int = Field(default=1, ge=1, lt=2**31 - 1)
    """Of random replacement."""
    prefetcher: AnyPrefetcher | None = None
    """What fetches lines by itself, after accesses of the core or of the level in front."""

    @property
    def sets(self) -> int:
        """Sets; a whole number."""
        return self.capacity_bytes // (self.line_bytes * self.ways)

    @property
    def lines(self) -> int:
        """Lines that it holds."""
        return self.sets * self.ways

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.capacity_bytes % (self.line_bytes * self.ways):
            raise ValueError(
                f"{self.capacity_bytes} bytes are no whole sets of {self.ways} lines of "
                f"{self.line_bytes} bytes"
            )
        if self.line_bytes & (self.line_bytes - 1):
            raise ValueError(f"line_bytes {self.line_bytes} is no power of two")
        if self.sectors & (self.sectors - 1) or self.sectors > self.line_bytes:
            raise ValueError(f"{self.sectors} sectors do not divide {self.line_bytes} bytes evenly")
        if self.replacement is Replacement.PLRU and self.ways & (self.ways - 1):
            raise ValueError(f"a tree needs a power of two of ways, not {self.ways}")
        if self.prefetcher is not None and self.prefetcher.page_bytes < self.line_bytes:
            raise ValueError(
                f"a page of {self.prefetcher.page_bytes} bytes has no line of {self.line_bytes}"
            )
        return self


class HierarchySpec(Strict):
    """Levels from the core outwards, in front of main memory."""

    levels: tuple[CacheLevelSpec, ...] = Field(min_length=1)
    memory_cycles: int = Field(default=0, ge=0)
    """Latency of main memory."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.levels[0].inclusion is not Inclusion.NEITHER:
            raise ValueError("the first level has none in front that it could include or exclude")
        names = [level.name for level in self.levels]
        if len(set(names)) < len(names):
            raise ValueError(f"levels need names of their own, not {', '.join(names)}")
        for inner, outer in zip(self.levels, self.levels[1:], strict=False):
            if outer.line_bytes < inner.line_bytes:
                raise ValueError(
                    f"lines may only grow outwards: {inner.name} has {inner.line_bytes} bytes, "
                    f"{outer.name} {outer.line_bytes}"
                )
            if outer.inclusion is Inclusion.EXCLUSIVE:
                _can_exclude(inner, outer)
        return self


def _can_exclude(inner: CacheLevelSpec, outer: CacheLevelSpec) -> None:
    if outer.line_bytes != inner.line_bytes or max(outer.sectors, inner.sectors) > 1:
        raise ValueError(f"{outer.name} is exclusive: it needs {inner.name}'s lines, unsectored")
    if not (inner.write_back and outer.write_back):
        raise ValueError(f"{outer.name} is exclusive: it and {inner.name} must write back")


def hierarchy(*levels: dict[str, Any], memory_cycles: int = 0) -> HierarchySpec:
    """Build a hierarchy from mappings, levels named L1, L2, ... where they have no name.

    Raises ValueError where it cannot be built.
    """
    named = tuple(
        CacheLevelSpec.model_validate({"name": f"L{number}", **level})
        for number, level in enumerate(levels, start=1)
    )
    return HierarchySpec(levels=named, memory_cycles=memory_cycles)
