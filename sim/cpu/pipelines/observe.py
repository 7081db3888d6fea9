"""What an observer of a run sees at the end of a cycle: the base of watches and animations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sim.cpu.pipelines.result import Flight
from sim.cpu.riscv.machine import Machine
from sim.cpu.riscv.memory import Memory
from sim.stalls import StallCause


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A machine at the end of a cycle, after every stage has worked and before any hands on."""

    machine: Machine
    stages: Mapping[str, tuple[Flight, ...]]
    """What stands in each stage, from fetch on; nothing in a bubble or after a squash."""
    bubbles: Mapping[str, StallCause]
    """Why a stage is empty, for those that are."""

    @property
    def registers(self) -> Sequence[int]:
        """Unsigned; x0 to x31, then the 64-bit patterns of f0 to f31. Not a copy."""
        return self.machine.registers

    @property
    def memory(self) -> Memory:
        """Memory as it is now; `dump` reads it wherever. Not a copy."""
        return self.machine.memory


Observe = Callable[[int, View], None]
"""Called with the number of the cycle, from 0, and the view at its end."""
