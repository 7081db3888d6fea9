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
