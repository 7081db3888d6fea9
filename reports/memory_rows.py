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
class PrefetchRow:
    """What a level's prefetcher did."""

    level: str
    kind: str
    prefetches: int
    """Lines fetched unasked."""
    useful: int
    """Of those, asked for before they left."""
    accuracy: float
    """Useful ones of all prefetches."""
    coverage: float
    """Useful ones of what would have been misses."""
    misses: int
    misses_without: int
    """Of the same level where no level prefetches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DramRow:
    """What the DRAM made of the requests that the caches sent it, as fast as it took them."""

    lines: int
    """Fetched and written back."""
    replayed_lines: int
    """Of those, from the first: all but of very long streams."""
    channels: int
    bytes_per_second: float
    peak_share: float
    row_hits: int
    row_misses: int
    row_conflicts: int
    mean_read_latency_seconds: float
    p99_read_latency_seconds: float
    """With full queues in front: not that of a lone read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlbRow:
    """What translation of the stream costs."""

    chip: str
    page_bytes: int
    translations: int
    walks: int
    walk_loads: int
    """Page-table entries loaded, through the caches."""
    saved_loads: int
    """Entries that walk caches made needless."""
    cycles: int
    """Of all translations one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedLevelRow:
    """What one level waited for."""

    level: str
    merged_misses: int
    mean_mshrs: float
    most_mshrs: int
    mshr_full_cycles: int
    timely_prefetches: int
    late_prefetches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRow:
    """The stream in time: one access a cycle at most, nothing between them."""

    accesses: int
    cycles: int
    mean_latency_cycles: float
    behind: str
    """What stands behind the last cache."""
    busy_cycles: int
    stalls: dict[str, int]
    levels: tuple[TimedLevelRow, ...]


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
    dram: DramRow | None = None
    """None where the machine's description names no DRAM."""
    prefetchers: tuple[PrefetchRow, ...] = ()
    tlb: TlbRow | None = None
    timed: TimedRow | None = None
    """The last three only where asked for."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
