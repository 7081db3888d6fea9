"""The rows of `tokenclock memory`: what its tables, charts and JSON are made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

ALL = "all"
"""Data of every kind together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRow:
    """What one cache saw."""

    level: str
    capacity_bytes: int
    accesses: int
    """Demand accesses, in lines."""
    hits: int
    hit_rate: float
    cold: int
    """Misses that no cache can avoid: first touches."""
    capacity: int
    """Misses with more other lines between than the whole cache holds."""
    conflict: int
    """Misses although the cache as a whole had room: the line's set had not."""
    fetched_bytes: int
    written_back_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRow:
    """What one kind of data asked of the caches."""

    role: str
    accesses: int
    distinct_bytes: int
    from_memory_bytes: int
    from_memory_share: float
    """Of its accesses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRate:
    """What the whole simulated run of the machine reached, time and all."""

    phase: str
    dram_bytes: int
    seconds: float
    bytes_per_second: float
    peak_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Share of accesses that miss, over the size of one fully associative LRU cache."""

    role: str
    sizes_bytes: tuple[int, ...]
    ratios: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAnswer:
    """Everything that `tokenclock memory` says."""

    workload: str
    machine: str
    line_bytes: int
    accesses: int
    levels: tuple[LevelRow, ...]
    roles: tuple[RoleRow, ...]
    memory_read_bytes: int
    memory_written_bytes: int
    memory_bytes_per_second: int
    """What long streams reach."""
    least_seconds: float
    """Of the traffic at that rate: no run can be faster."""
    rates: tuple[PhaseRate, ...]
    """Empty for recorded addresses, which say nothing of arithmetic."""
    curves: tuple[Curve, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
