"""What `tokenclock sharing` says, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreRow:
    """One core's run."""

    core: int
    accesses: int
    finished_cycles: int
    cycles_per_access: float
    """From the start until its program and its stores were done."""
    hits: int
    forwarded: int
    """Loads served from its own store buffer."""
    upgrades: int
    invalidations: int
    misses: Mapping[str, int]
    """By class."""
    stack: Mapping[str, int]
    """Cycles busy, lost by cause, and idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """The same work with the cores' data kept apart."""

    what: str
    cycles: int
    ratio: float
    """Cycles of the shared run over the twin's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPoint:
    """A pattern on some of the system's cores."""

    pattern: str
    cores: int
    cycles: int
    cycles_per_access: float
    """Cycles of the whole run over one core's accesses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingAnswer:
    """Everything that `tokenclock sharing` says."""

    pattern: str
    system: str
    title: str
    protocol: str
    fabric: str
    cycles: int
    accesses: int
    """Of all cores."""
    forwarded: int
    upgrades: int
    invalidations: int
    write_backs: int
    misses: Mapping[str, int]
    messages: Mapping[str, int]
    """Bus transactions, or messages, by kind."""
    busiest_link: str
    busiest_share: float
    """Of the run's cycles, for which that bus or channel was taken."""
    mean_link_share: float
    """The same over all channels."""
    stack: Mapping[str, int]
    """Cycles of all cores together."""
    cores: tuple[CoreRow, ...]
    twin: Twin | None
    """None for recorded traces and for what is apart as it stands."""
    growth: tuple[GrowthPoint, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
