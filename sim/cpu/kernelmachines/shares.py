"""Cores' shares of an operation, as loops of kernels and the bytes that they walk over."""

from __future__ import annotations

from dataclasses import dataclass

from sim.cpu.kernelcores import Kernel
from sim.cpu.plan import Walk


@dataclass(frozen=True, slots=True)
class Loop:
    """A kernel's loop, so many times."""

    kernel: Kernel
    iterations: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One core's part of an operation."""

    loops: tuple[Loop, ...]
    walks: tuple[Walk, ...]
    written_bytes: int


def deal(extent: int, unit: int, cores: int) -> tuple[int, ...]:
    """Deal `extent` out in whole units, the last one perhaps short; largest parts first."""
    units = -(-extent // unit)
    used = min(units, cores)
    parts = [unit * (units // used + (core < units % used)) for core in range(used)]
    parts[-1] -= units * unit - extent
    return tuple(parts)


def spread(along: str, shares: int) -> str:
    """Say over how many cores what was dealt out; nothing for one."""
    return f", {along} over {shares} cores" if shares > 1 else ""
