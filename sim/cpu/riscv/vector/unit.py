"""A vector unit beside an in-order pipeline: when it takes an instruction, when results are there.

This is the readable specification; `sim.cpu.riscv.compiled.vector_timing` is its compiled twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.cpu.riscv.vector.state import VECTOR_REGISTERS
from sim.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorUnitSpec:
    """How wide a vector unit is.

    Models: an arithmetic and a memory part, each one instruction at a time, `datapath_bits` of
    elements or `memory_bytes_per_cycle` bytes a cycle (strided and indexed: an element a cycle);
    divisions and roots that are not pipelined; reductions as a tree, ordered ones element by
    element; gathers an element a cycle; chaining from the first group of elements on.
    Ignores: queues: an instruction leaves decode when its part of the unit takes it; banks and
    ports of the registers; old destinations as operands of masked elements; a scalar access's order
    behind a vector one.
    Source: J. Hennessy and D. Patterson, Computer Architecture, 6th edition, section 4.2; M.
    Cavalcante et al., Ara, IEEE Transactions on VLSI Systems 28(2), 2020.
    """

    datapath_bits: int
    """Computed in a cycle: lanes times their width."""
    memory_bytes_per_cycle: int
    chaining: bool = True
    """Whether an instruction may begin when its operands' first elements are there."""

    def __post_init__(self) -> None:
        """Raise SpecError for a width that is none."""
        for name in ("datapath_bits", "memory_bytes_per_cycle"):
            if getattr(self, name) < 1:
                raise SpecError(f"vector unit: {name} is {getattr(self, name)}; write 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one instruction asks of the unit."""

    memory: bool = False
    occupies_cycles: int
    latency_cycles: int
    """From an element's begin until what needs it may begin."""
    miss_cycles: int = 0
    """Before its first element."""
    results: Sequence[int] = ()
    """Registers written."""
    operands: Sequence[int] = ()
    """Registers read."""


class VectorUnit:
    """The unit at work. Times are cycles."""

    def __init__(self, spec: VectorUnitSpec) -> None:
        self.spec = spec
        self.free = {False: 0, True: 0}
        """When the arithmetic and the memory part take the next instruction."""
        self.first = [0] * VECTOR_REGISTERS
        """When each register's first elements are there."""
        self.last = [0] * VECTOR_REGISTERS
        """When all of them are."""

    def accepts(self, work: Work) -> int:
        """Return the first cycle in which an instruction may begin."""
        there = self.first if self.spec.chaining else self.last
        return max(self.free[work.memory], *(there[register] for register in work.operands), 0)

    def begin(self, work: Work, start: int) -> int:
        """Begin an instruction; return when its last result is there."""
        ends = start + work.miss_cycles + work.occupies_cycles - 1
        if self.spec.chaining:  # its last elements wait for its operands' last
            ends = max(ends, *(self.last[register] for register in work.operands), 0)
        self.free[work.memory] = ends + 1
        for register in work.results:
            self.first[register] = start + work.miss_cycles + work.latency_cycles
            self.last[register] = ends + work.latency_cycles
        return ends + work.latency_cycles
