"""What a lowering hands to the machine: programs, and the bytes that they walk over."""

from __future__ import annotations

from dataclasses import dataclass

from sim.cpu.hierarchy import Operand
from sim.cpu.steady import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Bytes that a program takes from a level."""

    level: int
    bytes: int
    again: bool
    """Whether they were walked before in this operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One core's part of an operation."""

    program: Node
    walks: tuple[Walk, ...]
    written_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """Where an operation's reads and writes were found."""

    reads: tuple[Operand, ...]
    writes: tuple[Operand, ...]
    data: tuple[Operand, ...] = ()
    """What a kernel has of its own: constants, a buffer."""
    phases: tuple[int, ...] = ()
    """Offsets of reads and writes within a cache line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An operation shared out; cores beyond the shares have nothing to do."""

    shares: tuple[Share, ...]
    choice: str
